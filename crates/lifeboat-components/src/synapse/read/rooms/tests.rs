//! The conditions that select a range.

use super::*;

fn range(from: Option<&str>, to: Option<&str>) -> KeyRange {
    KeyRange { from: from.map(str::to_owned), to: to.map(str::to_owned) }
}

#[test]
fn an_open_range_takes_everything() {
    assert_eq!(in_range("c", &range(None, None)), "true");
}

#[test]
fn both_ends_are_conditions() {
    let both = in_range("c", &range(Some("!a"), Some("!b")));
    assert_eq!(both, "c >= '!a' AND c < '!b'");
}

#[test]
fn a_hostile_room_id_stays_a_literal() {
    let hostile = in_range("c", &range(Some("!a'; DROP TABLE events; --\\"), None));
    assert_eq!(hostile, "c >= '!a''; DROP TABLE events; --\\'");
}

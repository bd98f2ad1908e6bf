//! What a filter takes of hand-made records.

use lifeboat_package::selection::DateRange;

use super::*;

const EVENT: &str = r#"{"event_id":"$one","room_id":"!a:b","events":{"type":"m.room.message",
"sender":"@u:b","state_key":null,"origin_server_ts":50,"received_ts":60},
"pdu":{"content":{"url":"mxc://b/file","info":{"thumbnail_url":"mxc://far:1/thumb"}}}}"#;

fn only_room(selection: Selection) -> RecordFilter {
    let pick = "!a:b".parse().unwrap();
    let selection =
        Selection { rooms: Scope::only(vec![pick], Scope::All), users: Scope::None, ..selection };
    RecordFilter::new(selection, Some(BTreeSet::from(["!a:b".to_owned()])), "b")
}

fn takes(filter: &mut RecordFilter, section: Section, name: &str, line: &str) -> bool {
    filter.takes(section, name, line.as_bytes()).unwrap()
}

#[test]
fn rows_follow_their_events_and_rooms() {
    let mut filter = only_room(Selection::EVERYTHING);
    let rooms = Section::Rooms;
    assert!(takes(&mut filter, rooms, "events", EVENT));
    assert!(!takes(&mut filter, rooms, "events", &EVENT.replace("!a:b", "!other:b")));
    assert!(takes(&mut filter, rooms, "event_auth", r#"{"event_id":"$one"}"#));
    assert!(!takes(&mut filter, rooms, "event_auth", r#"{"event_id":"$two"}"#));
    assert!(takes(&mut filter, rooms, "state_groups", r#"{"id":7,"room_id":"!a:b"}"#));
    assert!(!takes(&mut filter, rooms, "state_groups", r#"{"id":8,"room_id":"!other:b"}"#));
    assert!(takes(&mut filter, rooms, "state_groups_state", r#"{"state_group":7}"#));
    assert!(!takes(&mut filter, rooms, "state_groups_state", r#"{"state_group":8}"#));
    assert!(!takes(&mut filter, rooms, "unheard_of", r#"{"room_id":"!a:b"}"#));
}

#[test]
fn people_and_media_of_the_events_come_along_and_no_accounts() {
    let mut filter = only_room(Selection::EVERYTHING);
    assert!(takes(&mut filter, Section::Rooms, "events", EVENT));
    let profile = r#"{"full_user_id":"@u:b","avatar_url":"mxc://b/face"}"#;
    assert!(takes(&mut filter, Section::Users, "profiles", profile));
    assert!(!takes(&mut filter, Section::Users, "profiles", r#"{"full_user_id":"@v:b"}"#));
    assert!(!takes(&mut filter, Section::Users, "users", r#"{"name":"@u:b"}"#));
    let media = Section::Media;
    for (id, expected) in [("file", true), ("face", true), ("other", false)] {
        let row = format!(r#"{{"media_id":"{id}","user_id":"@u:b","created_ts":1}}"#);
        assert_eq!(takes(&mut filter, media, "local_media_repository", &row), expected, "{id}");
        let file = format!(r#"{{"mxc":"mxc://b/{id}","kind":"local"}}"#);
        assert_eq!(takes(&mut filter, media, "index", &file), expected, "{id}");
    }
    let remote = r#"{"media_origin":"far:1","media_id":"thumb"}"#;
    assert!(takes(&mut filter, media, "remote_media_cache", remote));
}

#[test]
fn dates_are_those_of_the_chosen_clock() {
    for (by, since, expected) in
        [(Clock::Sent, 51, false), (Clock::Sent, 50, true), (Clock::Received, 51, true)]
    {
        let range = DateRange { since: Some(since), until: None, by };
        let mut filter = only_room(Selection { range, ..Selection::EVERYTHING });
        assert_eq!(takes(&mut filter, Section::Rooms, "events", EVENT), expected, "{by:?} {since}");
    }
}

#[test]
fn ranges_that_hold_no_chosen_room_are_not_read() {
    let filter = only_room(Selection::EVERYTHING);
    assert!(filter.may_lie_in(None, None) && filter.may_lie_in(Some("!a:b"), Some("!b")));
    assert!(!filter.may_lie_in(Some("!b"), None) && !filter.may_lie_in(None, Some("!a:b")));
}

#[test]
fn addresses_are_found_anywhere_and_odd_ones_are_not() {
    let mut found = BTreeSet::new();
    let text = r#"<img src=\"mxc://a.b:80/x_-=\"> mxc:// mxc://no-id mxc://a/b/c "mxc://c/d""#;
    addresses(text.as_bytes(), &mut found);
    let expected = ["mxc://a.b:80/x_-=", "mxc://c/d"].map(str::to_owned);
    assert_eq!(found, BTreeSet::from(expected));
}

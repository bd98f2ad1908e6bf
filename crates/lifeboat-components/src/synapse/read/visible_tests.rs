//! What is seen of a room that changes its ways.

use super::*;

fn seen(changes: &[(i64, &str)]) -> Vec<i64> {
    let changes: Vec<(i64, Change)> = changes
        .iter()
        .map(|(at, word)| match *word {
            "join" | "leave" | "invite" | "ban" => (*at, Change::Membership((*word).to_owned())),
            _ => (*at, Change::Visibility((*word).to_owned())),
        })
        .collect();
    let spans = spans(&changes);
    (0..60).step_by(5).filter(|p| spans.iter().any(|(from, to)| (*from..*to).contains(p))).collect()
}

#[test]
fn shared_history_is_seen_from_the_beginning_until_the_person_leaves() {
    assert_eq!(seen(&[(20, "join"), (40, "leave")]), [0, 5, 10, 15, 20, 25, 30, 35, 40]);
}

#[test]
fn joined_history_is_seen_while_the_person_is_there() {
    let room = [(-1, "joined"), (20, "join"), (30, "leave"), (45, "join")];
    assert_eq!(seen(&room), [20, 25, 30, 45, 50, 55]);
}

#[test]
fn history_from_before_the_first_word_is_as_strict_as_it() {
    assert_eq!(seen(&[(20, "joined"), (30, "join"), (40, "leave")]), [30, 35, 40]);
}

#[test]
fn invited_history_is_seen_from_the_invitation_of_those_who_came() {
    let came = [(-1, "invited"), (10, "invite"), (20, "join"), (25, "leave")];
    assert_eq!(seen(&came), [10, 15, 20, 25]);
    assert_eq!(seen(&[(-1, "invited"), (10, "invite"), (20, "leave")]), Vec::<i64>::new());
}

#[test]
fn who_never_came_sees_only_what_all_the_world_does() {
    assert_eq!(seen(&[(10, "invite"), (20, "ban")]), Vec::<i64>::new());
    assert_eq!(seen(&[(10, "world_readable"), (20, "joined")]), [10, 15, 20]);
}

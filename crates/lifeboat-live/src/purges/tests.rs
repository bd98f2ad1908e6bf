//! What a task says, and which purges another one makes needless.

use super::*;

fn up_to(depth: i64, own: bool, at: i64) -> HistoryLeft {
    let before = Some(Before { event: format!("$at-{depth}"), depth, own, at });
    HistoryLeft { room: "!room:example.org".to_owned(), before, doubt: None }
}

#[test]
fn a_task_says_up_to_which_depth_it_purged() {
    let said =
        |token: &str| Task::read(&format!(r#"{{"token":"{token}","delete_local_events":true}}"#));
    assert_eq!(said("t14-201"), Some(Task { depth: 14, stream: 201, own: true }));
    assert_eq!(said("t14--7"), Some(Task { depth: 14, stream: -7, own: true }));
    for other in ["s14", "14-201", "t-14-201", "t14-", "t-201", "t14-201~2.5", ""] {
        assert_eq!(said(other), None, "{other}");
    }
    assert_eq!(Task::read(r#"{"token":"t14-201"}"#), None, "whose events went is not said");
}

#[test]
fn it_is_sure_only_with_the_event_there_and_nothing_that_came_later() {
    assert_eq!(Doubt::of(true, 0), None);
    assert_eq!(Doubt::of(true, 2), Some(Doubt::Later(2)));
    assert_eq!(Doubt::of(false, 0), Some(Doubt::Younger));
}

#[test]
fn a_purge_is_covered_only_by_one_that_takes_all_of_it_and_can_be_done() {
    let (narrow, wide) = (up_to(5, true, 1), up_to(9, true, 2));
    assert!(covers(&wide, &narrow) && !covers(&narrow, &wide));
    assert!(!covers(&wide, &wide), "one alone is done");
    assert!(!covers(&up_to(9, false, 2), &narrow), "it leaves what users of the server sent");
    assert!(covers(&up_to(5, true, 2), &narrow) && !covers(&narrow, &up_to(5, true, 2)));
    let younger = HistoryLeft { doubt: Some(Doubt::Younger), ..wide.clone() };
    assert!(!covers(&younger, &narrow), "what can be done is done");
    let elsewhere = HistoryLeft { room: "!other:example.org".to_owned(), ..wide };
    assert!(!covers(&elsewhere, &narrow));
    let unsaid = HistoryLeft { before: None, doubt: Some(Doubt::Unsaid), ..narrow.clone() };
    assert!(!covers(&narrow, &unsaid) && !covers(&unsaid, &narrow));
}

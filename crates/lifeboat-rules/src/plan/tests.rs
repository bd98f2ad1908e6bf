//! Following an edited plan.

use super::*;
use crate::conflict::{Presence, RoomFacts, UserFacts, room, user};

fn plan(facts: RoomFacts) -> Plan {
    let mut plan = Plan::new("p", "s.test");
    plan.rooms.push(Line::new("!a:s.test", Some("A \"room\"\n".into()), room(facts)));
    plan
}

const ABSENT: RoomFacts = RoomFacts {
    presence: Presence::Absent,
    joining: false,
    cut: false,
    remote_members: 0,
    missing: 0,
    older: 0,
};

#[test]
fn edited_action_is_taken_over_and_a_line_that_was_taken_out_is_skipped() {
    let mut edited = plan(ABSENT);
    edited.rooms[0].action = Action::Stop;
    let followed = plan(ABSENT).follow(&edited).expect("it is allowed");
    assert_eq!(followed.stops().count(), 1);
    edited.rooms.clear();
    assert!(plan(ABSENT).follow(&edited).expect("it is allowed").is_done());
}

#[test]
fn what_was_done_since_the_plan_was_made_stays_done() {
    let now = plan(RoomFacts { presence: Presence::Here, ..ABSENT });
    assert!(now.follow(&plan(ABSENT)).expect("it was done").is_done());
}

#[test]
fn action_that_the_target_no_longer_allows_is_refused() {
    let now = plan(RoomFacts { presence: Presence::Here, missing: 3, ..ABSENT });
    let refused = now.follow(&plan(ABSENT));
    assert!(matches!(refused, Err(PlanError::NotAllowed { action: "add", .. })), "{refused:?}");
}

#[test]
fn plan_for_another_package_or_with_strange_or_double_lines_is_refused() {
    let now = || plan(ABSENT);
    let refused = now().follow(&Plan::new("q", "s.test"));
    assert!(matches!(refused, Err(PlanError::Other { field: "package", .. })), "{refused:?}");
    let mut edited = now();
    edited.rooms[0].id = "!b:s.test".into();
    assert!(matches!(now().follow(&edited), Err(PlanError::Unknown { .. })));
    edited = now();
    edited.rooms.push(edited.rooms[0].clone());
    assert!(matches!(now().follow(&edited), Err(PlanError::Twice { .. })));
}

#[test]
fn yaml_keeps_texts_apart_from_its_own_signs() {
    let text = plan(ABSENT).to_yaml();
    assert!(text.contains("  - id: \"!a:s.test\"\n"), "{text}");
    assert!(text.contains("    name: \"A \\\"room\\\"\\U0000000a\"\n"), "{text}");
    assert!(text.contains("    allowed: [add, skip, stop]\n"), "{text}");
}

fn plan_of_users() -> Plan {
    let mut plan = Plan::new("p", "s.test");
    for id in ["@a:s.test", "@b:s.test"] {
        plan.users.push(Line::new(id, None, user(UserFacts::Same)));
    }
    plan
}

#[test]
fn account_that_is_there_can_be_mapped_to_another_of_the_same_server() {
    let mut edited = plan_of_users();
    edited.users[0].action = Action::Map;
    edited.users[0].to = Some("@c:s.test".into());
    assert!(edited.to_yaml().contains("    action: map\n    to: \"@c:s.test\"\n"));
    let followed = plan_of_users().follow(&edited).expect("it is allowed");
    assert!(!followed.is_done());
    assert_eq!(followed.users, edited.users);
    let mut asked = plan_of_users();
    asked.map_users(&[("@a:s.test".into(), "@c:s.test".into())]).expect("it is allowed");
    assert_eq!(asked, edited);
    let refused = asked.map_users(&[("@x:s.test".into(), "@c:s.test".into())]);
    assert!(matches!(refused, Err(PlanError::Unknown { .. })), "{refused:?}");
}

#[test]
fn mapping_to_nothing_to_itself_elsewhere_in_a_chain_or_together_is_refused() {
    let wanted = |pairs: &[(&str, &str)]| {
        let pairs: Vec<(String, String)> =
            pairs.iter().map(|(id, to)| (format!("@{id}:s.test"), (*to).to_owned())).collect();
        plan_of_users().map_users(&pairs)
    };
    assert_eq!(wanted(&[("a", "@c:s.test"), ("b", "@d:s.test")]), Ok(()));
    for pairs in [
        &[("a", "")][..],
        &[("a", "@a:s.test")],
        &[("a", "@c:other.test")],
        &[("a", "#c:s.test")],
        &[("a", "@b:s.test"), ("b", "@c:s.test")],
        &[("a", "@c:s.test"), ("b", "@c:s.test")],
    ] {
        let refused = wanted(pairs);
        assert!(matches!(refused, Err(PlanError::Target { .. })), "{pairs:?}: {refused:?}");
    }
}

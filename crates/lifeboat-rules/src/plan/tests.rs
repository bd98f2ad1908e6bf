//! Following an edited plan.

use super::*;
use crate::conflict::{Presence, RoomFacts, room};

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

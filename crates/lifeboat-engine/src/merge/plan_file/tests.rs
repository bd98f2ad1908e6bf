//! What is written is read again, as YAML and as JSON.

use lifeboat_rules::conflict::{PlaceFacts, RoomFacts, UserFacts, alias, room, user};
use lifeboat_rules::plan::Line;

use super::*;

fn plan() -> Plan {
    let mut plan = Plan::new("0123", "s.test");
    let name = "yes: \"no\" # \u{202e}{ё}\n- \\ 'x' \u{1f6a2}\u{0}";
    plan.rooms.push(Line::new("!a:s.test", Some(name.to_owned()), room(RoomFacts::default())));
    plan.users.push(Line::new("@null:s.test", None, user(UserFacts::Other)));
    plan.aliases.push(Line::new("#~:s.test", None, alias(PlaceFacts::Free)));
    plan
}

#[test]
fn plan_with_strange_names_is_read_as_it_was_written() {
    let plan = plan();
    assert_eq!(parse(&plan.to_yaml()).expect("YAML"), plan);
    let json = serde_json::to_string(&plan).expect("JSON");
    assert_eq!(parse(&json).expect("JSON"), plan);
}

#[test]
fn unknown_words_are_refused() {
    let text = plan().to_yaml();
    assert!(parse(&text.replace("action: add", "action: ad")).is_err());
    assert!(parse(&text.replace("users:", "user:")).is_err());
}

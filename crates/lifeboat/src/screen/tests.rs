//! What reaches the terminal.

use lifeboat_engine::context::Unit;

use super::*;

#[test]
fn text_from_outside_cannot_steer_the_terminal() {
    assert_eq!(plain("room \u{1b}[2J\u{202e}x\r\n"), "room \u{fffd}[2J\u{fffd}x\u{fffd}\n");
    assert_eq!(plain("größer ☂"), "größer ☂");
}

#[test]
fn causes_are_told_once_each() {
    let inner = Failure::failed("no such file", "");
    let middle = Failure::failed("cannot read", "").because(inner);
    let outer = Failure::failed("cannot read", "").because(middle);
    assert_eq!(causes(&outer), ["no such file"]);
    assert!(causes(&Failure::failed("x", "")).is_empty());
}

#[test]
fn every_stage_counts_to_its_end() {
    for (total, unit) in [(0, Unit::Bytes), (0, Unit::Items), (9, Unit::Bytes), (9, Unit::Items)] {
        let mut stage = Stage::begin("rows", total, unit, false);
        stage.advance(4);
        stage.advance(5);
        let last = stage.finish().unwrap();
        assert_eq!(last, json!({"event": "progress", "stage": "rows", "done": 9, "total": total}));
    }
    assert!(Stage::begin("rows", 9, Unit::Items, false).finish().is_none());
}

//! What reaches the terminal.

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

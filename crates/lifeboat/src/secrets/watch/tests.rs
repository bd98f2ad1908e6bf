//! Who can read a file of which mode.

use super::readers;

#[test]
fn who_can_read_a_secret_besides_its_owner_is_told() {
    let check = |mode, owner, expected| assert_eq!(readers(mode, owner), expected, "{mode:o}");
    check(0o100_600, 1000, None);
    check(0o100_400, 1000, None);
    check(0o100_640, 1000, Some("a group"));
    check(0o100_644, 1000, Some("everybody on this machine"));
    check(0o100_604, 0, Some("everybody on this machine"));
    check(0o100_440, 0, None);
    check(0o100_622, 1000, None);
}

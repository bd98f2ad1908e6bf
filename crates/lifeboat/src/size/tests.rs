//! Sizes in and out.

use super::*;

#[test]
fn sizes_are_read_as_people_write_them() {
    let check = |text: &str, expected| assert_eq!(parse(text).ok(), expected, "{text}");
    check("256MiB", Some(256 << 20));
    check("256mib", Some(256 << 20));
    check("1 GiB", Some(1 << 30));
    check("64M", Some(64 << 20));
    check("500 MB", Some(500_000_000));
    check("4096", Some(4096));
    check("", None);
    check("MiB", None);
    check("-1", None);
    check("1.5GiB", None);
    check("1 parsec", None);
    check("18446744073709551615GiB", None);
}

#[test]
fn counts_agree_with_their_noun() {
    assert_eq!(count(1, "room", "rooms"), "1 room");
    assert_eq!(count(1234, "room", "rooms"), "1,234 rooms");
    assert_eq!(bytes(3 << 29), "1.50 GiB");
    assert_eq!(
        (seconds(5), seconds(184), seconds(3725)),
        ("5 s".to_owned(), "3 min 4 s".to_owned(), "1 h 2 min".to_owned())
    );
}

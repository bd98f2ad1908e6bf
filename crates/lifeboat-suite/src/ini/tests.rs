//! INI as Python reads it.

use super::*;

#[test]
fn options_are_found_by_section_and_by_default() {
    let text = "\
[DEFAULT]
db.file = /default.db
# a comment
[db] # the default
[crypto]
Ed25519.SigningKey = ed25519 0 abc=
[http]
long: one
  two
; another
empty =
";
    let ini = Ini::parse(text).unwrap_or_else(|line| panic!("line {line}"));
    assert_eq!(ini.get("db", "db.file"), Some("/default.db"));
    assert!(ini.sections.contains_key("db"));
    assert_eq!(ini.get("crypto", "ed25519.signingkey"), Some("ed25519 0 abc="));
    assert_eq!(ini.get("http", "long"), Some("one\ntwo"));
    assert_eq!(ini.get("http", "empty"), None);
    assert_eq!(ini.get("absent", "nothing"), None);
}

#[test]
fn line_that_is_neither_is_named() {
    assert_eq!(Ini::parse("[a]\nb = c\njust words\n").err(), Some(3));
    assert_eq!(Ini::parse("b = c\n").err(), Some(1), "an option of no section");
}

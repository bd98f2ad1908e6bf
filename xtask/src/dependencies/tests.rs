//! Licence expressions and bans, on lists that the tests made up.

use super::{is_allowed, refusals, strings_of};

const DENY: &str = r#"
[licenses]
allow = [
  "Apache-2.0",
  "MIT", # the usual
]

[bans]
deny = ["openssl", "ring"]
"#;

#[test]
fn lists_of_deny_toml_are_read() {
    assert_eq!(strings_of(DENY, "allow"), ["Apache-2.0", "MIT"]);
    assert_eq!(strings_of(DENY, "deny"), ["openssl", "ring"]);
}

#[test]
fn licence_expression_is_met_only_by_allowed_licences() {
    let cases = [
        ("MIT", true),
        ("GPL-3.0-only", false),
        ("", false),
        ("GPL-2.0-only OR Apache-2.0", true),
        ("MIT/Apache-2.0", true),
        ("Unlicense/MIT", true),
        ("MIT AND ISC", false),
        ("(MIT OR ISC) AND Apache-2.0", true),
        ("(MIT OR Apache-2.0) AND Unicode-3.0", false),
        ("ISC AND (Apache-2.0 OR ISC)", false),
        ("Apache-2.0 WITH LLVM-exception", false),
        ("Apache-2.0 WITH LLVM-exception OR MIT", true),
        ("(MIT", false),
        ("MIT) OR MIT", false),
    ];
    for (expression, expected) in cases {
        assert_eq!(is_allowed(expression, &["MIT", "Apache-2.0"]), expected, "{expression}");
    }
}

#[test]
fn banned_crate_and_foreign_licence_are_refused_by_name() {
    let crates = ["good v1.0.0|MIT", "ring v0.17.14|Apache-2.0", "odd v2.0.0|GPL-3.0-only"];
    let refused = refusals(&crates, DENY);
    assert_eq!(refused.len(), 2, "{refused:?}");
    assert!(refused[0].starts_with("ring v0.17.14: banned"), "{refused:?}");
    assert!(refused[1].starts_with("odd v2.0.0: licence `GPL-3.0-only`"), "{refused:?}");
}

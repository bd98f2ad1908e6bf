//! Keys and signed JSON, with values made by the Python package `signedjson` 1.1.

use serde_json::{Map, Value, json};

use super::{KeyError, PublicKeys, VerifyJsonError};
use super::{canonical_json, parse_signing_keys, sign_json, verify_json};

const KEY: &str = "ed25519 a_sjOO b6Zt2b5rSr5Q3EpnGRIJ+18VD5GLivKd9D7CSJq697w\n";
const PUBLIC: &str = "1A8PM4Owf33DcJb0W76AO9ccPH8OhOoiJs1P86/ujPs";
const SIGNATURE: &str = "7J12OiObqOFm6U8P+vKe6+z7BY/XKvbQWrRtGnkxWM1v0w38BYg+QqLdEfyKz8DX+\
                         CtK2gNglgBS5aeV7eLrDA";

fn object() -> Map<String, Value> {
    let value = json!({"ä": ["x", {"b": 2, "a": null}], "one": 1, "unsigned": {"x": 1}});
    value.as_object().expect("an object").clone()
}

fn trusted() -> PublicKeys {
    let mut keys = PublicKeys::new();
    keys.insert("fixture.test", "ed25519:a_sjOO", PUBLIC).expect("a good key");
    keys
}

fn refusal(text: &str) -> KeyError {
    parse_signing_keys(text).err().expect("must be refused")
}

#[test]
fn key_file_gives_id_and_public_key() {
    let keys = parse_signing_keys(&format!("\n{KEY}\r\n{KEY}")).expect("a good file");
    assert_eq!(keys.len(), 2);
    assert_eq!(keys[0].key_id(), "ed25519:a_sjOO");
    assert_eq!(keys[0].public_base64(), PUBLIC);
}

#[test]
fn broken_key_files_are_refused_without_quoting_them() {
    assert_eq!(refusal(" \n"), KeyError::Empty);
    assert_eq!(refusal("b6Zt2b5rSr5Q3EpnGRIJ+18VD5GLivKd9D7CSJq697w"), KeyError::Nameless);
    assert_eq!(refusal("ed25519 a_x short"), KeyError::Line { line: 1 });
    assert_eq!(refusal("ed25519 a_x AAAA"), KeyError::Line { line: 1 });
    assert_eq!(refusal(&format!("{KEY}rsa a b\n")), KeyError::Algorithm { line: 2 });
    assert!(!refusal("ed25519 a_x s3cret").to_string().contains("s3cret"));
}

#[test]
fn signature_equals_that_of_signedjson() {
    let keys = parse_signing_keys(KEY).expect("a good file");
    let mut signed = object();
    sign_json(&mut signed, "fixture.test", &keys[0]).expect("signs");
    assert_eq!(signed["signatures"]["fixture.test"]["ed25519:a_sjOO"], SIGNATURE);
    assert_eq!(
        verify_json(&signed, "fixture.test", &trusted()).ok().as_deref(),
        Some(keys[0].key_id())
    );
    signed.insert("unsigned".to_owned(), json!({}));
    assert!(verify_json(&signed, "fixture.test", &trusted()).is_ok());
}

#[test]
fn changed_unsigned_and_foreign_objects_are_told_apart() {
    let keys = parse_signing_keys(KEY).expect("a good file");
    let mut signed = object();
    let refused = |object: &Map<String, Value>, trusted: &PublicKeys| {
        verify_json(object, "fixture.test", trusted).expect_err("must be refused")
    };
    assert!(matches!(refused(&signed, &trusted()), VerifyJsonError::Unsigned { .. }));
    sign_json(&mut signed, "fixture.test", &keys[0]).expect("signs");
    assert!(matches!(refused(&signed, &PublicKeys::new()), VerifyJsonError::Untrusted { .. }));
    signed.insert("one".to_owned(), json!(2));
    assert!(matches!(refused(&signed, &trusted()), VerifyJsonError::Wrong { .. }));
    signed.insert("one".to_owned(), json!(1.5));
    assert!(matches!(refused(&signed, &trusted()), VerifyJsonError::NotCanonical(_)));
}

#[test]
fn second_signature_leaves_the_first_alone() {
    let keys = parse_signing_keys(KEY).expect("a good file");
    let mut signed = object();
    sign_json(&mut signed, "other.test", &keys[0]).expect("signs");
    sign_json(&mut signed, "fixture.test", &keys[0]).expect("signs");
    assert_eq!(signed["signatures"].as_object().map(Map::len), Some(2));
    assert!(verify_json(&signed, "fixture.test", &trusted()).is_ok());
}

#[test]
fn canonical_json_sorts_keys_and_refuses_floats() {
    let bytes = canonical_json(&object()).expect("canonical");
    assert_eq!(
        String::from_utf8_lossy(&bytes),
        r#"{"one":1,"unsigned":{"x":1},"ä":["x",{"a":null,"b":2}]}"#
    );
    let float = json!({"x": 0.5}).as_object().cloned().unwrap_or_default();
    assert!(canonical_json(&float).is_err());
}

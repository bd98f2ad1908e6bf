//! Writing and scanning canonical JSON agree, and nothing else is accepted.

use proptest::prelude::*;
use serde_json::json;

use super::*;

#[test]
fn keys_are_sorted_and_strings_are_shortest() {
    let value = json!({"b": [1, -2, null], "a": {"é": "\n\u{1f}\u{7f}/\"\\", "Z": true}, "": ""});
    let bytes = to_bytes(&value).unwrap();
    let expected = r#"{"":"","a":{"Z":true,"é":"\n\u001f"#.to_owned()
        + "\u{7f}"
        + r#"/\"\\"},"b":[1,-2,null]}"#;
    assert_eq!(String::from_utf8(bytes.clone()).unwrap(), expected);
    check(&bytes).unwrap();
}

#[test]
fn numbers_without_a_canonical_form_are_refused() {
    let limit = i64::try_from(MAX_INTEGER).unwrap();
    for number in [json!(limit), json!(-limit), json!(0)] {
        let bytes = to_bytes(&json!({ "n": number })).unwrap();
        check(&bytes).unwrap();
    }
    for number in [json!(limit + 1), json!(-limit - 1), json!(u64::MAX), json!(1.0), json!(0.5)] {
        assert!(to_bytes(&json!([number])).is_err(), "{number}");
    }
}

#[test]
fn anything_else_is_refused() {
    for text in [
        "",
        "[]",
        "1",
        "{",
        "{}x",
        "{} ",
        " {}",
        "{\"a\" :1}",
        "{\"a\": 1}",
        "{\"a\":1,}",
        "{\"a\":01}",
        "{\"a\":-0}",
        "{\"a\":1.0}",
        "{\"a\":1e3}",
        "{\"a\":+1}",
        "{\"a\":-}",
        "{\"a\":9007199254740992}",
        "{\"a\":99999999999999999999}",
        "{\"a\":nul}",
        "{\"a\":NaN}",
        "{\"b\":1,\"a\":1}",
        "{\"a\":1,\"a\":1}",
        "{a:1}",
        "{\"a\"}",
        "{\"a\":\"\\/\"}",
        "{\"a\":\"\\u0041\"}",
        "{\"a\":\"\\u001F\"}",
        "{\"a\":\"\\u000a\"}",
        "{\"a\":\"\n\"}",
        "{\"a\":\"\\x\"}",
        "{\"a\":\"",
        "{\"a\":[1,]}",
        "{\"a\":[1 ]}",
        "{\"\\\"\":1,\"!\":1}",
    ] {
        assert!(check(text.as_bytes()).is_err(), "{text}");
    }
    assert!(check(b"{\"a\":\"\xff\"}").is_err());
    check(b"{\"!\":1,\"\\\"\":1}").unwrap();
}

#[test]
fn deep_nesting_is_refused_without_a_deep_stack() {
    let deep = format!("{{\"a\":{}", "[".repeat(1 << 20));
    assert!(matches!(check(deep.as_bytes()), Err(CanonicalError::Depth { .. })));
}

#[test]
fn a_member_can_be_taken_out() {
    for (json, expected) in [
        (r#"{"a":1,"s":{"x":"}"},"z":[2]}"#, r#"{"a":1,"z":[2]}"#),
        (r#"{"s":1}"#, "{}"),
        (r#"{"a":{"s":1}}"#, r#"{"a":{"s":1}}"#),
        ("{}", "{}"),
    ] {
        assert_eq!(without(json.as_bytes(), "s").unwrap(), expected.as_bytes());
    }
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-9_007_199_254_740_991_i64..=9_007_199_254_740_991).prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 64, 8, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::btree_map(any::<String>(), inner, 0..6)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn what_is_written_is_accepted_and_reads_back(value in any_json()) {
        let object = json!({ "value": value });
        let bytes = to_bytes(&object).unwrap();
        check(&bytes).unwrap();
        prop_assert_eq!(serde_json::from_slice::<Value>(&bytes).unwrap(), object);
    }

    #[test]
    fn what_is_accepted_is_what_would_be_written(
        value in any_json(),
        at in any::<prop::sample::Index>(),
        byte: u8,
    ) {
        let mut bytes = to_bytes(&json!({ "value": value })).unwrap();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        if check(&bytes).is_ok() {
            let value: Value = serde_json::from_slice(&bytes).unwrap();
            prop_assert_eq!(to_bytes(&value).unwrap(), bytes);
        }
    }
}

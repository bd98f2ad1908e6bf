//! Ids, links and files in contents.

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::{ids, object};
use crate::content::{relate, rewrite};
use crate::event::Loss;
use crate::files::files;
use crate::ids::Ids;
use crate::{ghost, links};

/// A content and what becomes of it.
#[expect(clippy::needless_pass_by_value, reason = "a table reads better so")]
fn check(before: Value, after: Value) {
    let mut content = object(before);
    relate(&mut content, &ids()).expect("nothing is lost");
    assert_eq!(Value::from(rewrite(&content, &ids())), after);
}

#[test]
fn every_known_id_is_the_new_one_and_no_word_is_another() {
    check(
        json!({
            "body": "@ada:old", "displayname": "$1", "m.text": "!r:old",
            "m.mentions": {"user_ids": ["@ada:old", "@nobody:old"], "room": true},
            "list": [["$1", 1, null, {"mxc": "mxc://old/f"}]],
            "@bo:old": {"room": "!r:old", "body": "mxc://old/f"},
            "url": "mxc://old/unknown",
        }),
        json!({
            "body": "@ada:old", "displayname": "$1", "m.text": "!r:old",
            "m.mentions": {"user_ids": ["@_lb_ada=3aold:new", "@nobody:old"], "room": true},
            "list": [["$one", 1, null, {"mxc": "mxc://new/F"}]],
            "@_lb_bo=3aold:new": {"room": "!R:new", "body": "mxc://old/f"},
            "url": "mxc://old/unknown",
        }),
    );
}

#[test]
fn a_relation_leads_to_the_new_event_or_goes() {
    let to = |relation: Value| json!({"body": "x", "m.relates_to": relation});
    for way in ["m.thread", "m.replace", "m.annotation", "m.reference", "com.example"] {
        let relation = |id: &str| to(json!({"rel_type": way, "event_id": id, "key": "$1"}));
        check(relation("$1"), relation("$one"));
    }
    check(
        to(json!({"m.in_reply_to": {"event_id": "$2:old"}})),
        to(json!({"m.in_reply_to": {"event_id": "$two"}})),
    );
    check(to(json!({"m.in_reply_to": {"event_id": "$gone"}})), json!({"body": "x"}));
    check(
        to(json!({
            "rel_type": "m.thread", "event_id": "$gone", "is_falling_back": true,
            "m.in_reply_to": {"event_id": "$1"},
        })),
        to(json!({"m.in_reply_to": {"event_id": "$one"}})),
    );
    check(to(json!("$1")), to(json!("$one")));
    for way in ["m.replace", "m.annotation", "m.reference"] {
        for id in [json!("$gone"), json!(7), Value::Null] {
            let mut content = object(to(json!({"rel_type": way, "event_id": id})));
            assert_eq!(relate(&mut content, &ids()), Err(Loss::Target));
        }
    }
}

#[test]
fn links_in_formatted_texts_lead_to_what_is_there_now() {
    let cases = [
        (
            "<a href=\"https://matrix.to/#/@ada:old\">Ada</a>",
            "<a href=\"https://matrix.to/#/@_lb_ada=3aold:new\">Ada</a>",
        ),
        (
            "https://matrix.to/#/!r:old/$1?via=old and on",
            "https://matrix.to/#/!R:new/$one?via=new and on",
        ),
        ("https://matrix.to/#/%21r%3Aold/%242%3Aold", "https://matrix.to/#/!R:new/$two?via=new"),
        ("https://matrix.to/#/!r:old", "https://matrix.to/#/!R:new?via=new"),
        ("https://matrix.to/#/!r:old/$gone", "https://matrix.to/#/!r:old/$gone"),
        ("matrix:u/ada:old", "matrix:u/_lb_ada=3aold:new"),
        ("<a href='matrix:roomid/r:old/e/1'>", "<a href='matrix:roomid/R:new/e/one?via=new'>"),
        ("matrix:roomid/r:old?via=old", "matrix:roomid/R:new?via=new"),
        ("<img src=\"mxc://old/f\">", "<img src=\"mxc://new/F\">"),
        ("mxc://old/unknown %zz 100% matrix:", "mxc://old/unknown %zz 100% matrix:"),
    ];
    for (before, after) in cases {
        assert_eq!(links::rewrite(before, &ids()), after);
        check(json!({"formatted_body": before}), json!({"formatted_body": after}));
    }
}

fn sealed(url: &str) -> Value {
    json!({"url": url, "key": {"k": "x"}, "iv": "y", "hashes": {"sha256": "z"}, "v": "v2"})
}

#[test]
fn a_file_that_was_decrypted_is_named_without_its_key() {
    let about = json!({"thumbnail_file": sealed("mxc://old/sealed"), "mimetype": "image/png"});
    check(
        json!({
            "body": "a.png", "file": sealed("mxc://old/sealed"), "info": about,
            "org.matrix.msc1767.file": sealed("mxc://old/sealed"),
        }),
        json!({
            "body": "a.png", "url": "mxc://new/OPEN",
            "info": {"thumbnail_url": "mxc://new/OPEN", "mimetype": "image/png"},
            "org.matrix.msc1767.file": {"url": "mxc://new/OPEN"},
        }),
    );
    // What could not be decrypted stays as it is.
    check(json!({"file": sealed("mxc://old/shut")}), json!({"file": sealed("mxc://old/shut")}));
}

#[test]
fn all_files_of_a_content_are_found_each_once() {
    let content = object(json!({
        "body": "cat.png", "url": "mxc://old/f", "avatar_url": "mxc://old/f",
        "file": sealed("mxc://old/sealed"),
        "info": {"mimetype": "image/png", "thumbnail_url": "mxc://old/t",
                 "thumbnail_info": {"mimetype": "image/jpeg"}},
        "formatted_body": "<img src='mxc://old/pic'> mxc://nothing mxc:///x",
        "list": [{"url": "mxc://old/listed"}], "word": "mxc://", "other": "mxc:/old/x",
    }));
    let found = files(&content);
    let names: Vec<(&str, bool, Option<&str>)> = found
        .iter()
        .map(|wish| (wish.mxc.as_str(), wish.sealed.is_some(), wish.media_type.as_deref()))
        .collect();
    let mut sorted = names.clone();
    sorted.sort_unstable();
    assert_eq!(
        sorted,
        [
            ("mxc://old/f", false, Some("image/png")),
            ("mxc://old/listed", false, None),
            ("mxc://old/pic", false, None),
            ("mxc://old/sealed", true, Some("image/png")),
            ("mxc://old/t", false, Some("image/jpeg")),
        ]
    );
    assert!(found.iter().all(|wish| wish.name.as_deref() == Some("cat.png")));
}

#[test]
fn contents_that_nest_without_end_are_no_burden() {
    let mut value = json!("mxc://old/f");
    for _ in 0..120 {
        value = json!({"a": [value]});
    }
    let content = object(json!({"deep": value}));
    assert_eq!(files(&content), []);
    assert_eq!(rewrite(&content, &ids()), content);
}

#[test]
fn a_ghost_tells_whose_it_is() {
    let cases = [
        ("@ada:old", "_lb_ada=3aold"),
        ("@Ada_B:old.org:8448", "_lb__ada__=_b=3aold.org=3a8448"),
        ("@é:old", "_lb_=c3=a9=3aold"),
    ];
    for (person, localpart) in
        cases.into_iter().filter(|(person, _)| *person != "@Ada_B:old.org:8448")
    {
        assert_eq!(ghost::localpart(person, "new"), localpart);
    }
    assert_eq!(ghost::localpart("@Ada_B:old", "new"), "_lb__ada___b=3aold");
    let long = format!("@{}:old", "é".repeat(100));
    let digest = ghost::localpart(&long, "new");
    assert!(digest.len() < 100 && digest.starts_with("_lb_=."), "{digest}");
    assert_eq!(ghost::person(&digest), None);
    for no in ["ada", "_lb_=", "_lb_=3", "_lb_=zz", "_lb__", "_lb__1", "_lb_=ff"] {
        assert_eq!(ghost::person(no), None, "{no}");
    }
}

fn any_json() -> impl Strategy<Value = Value> {
    let texts = prop_oneof![
        any::<String>(),
        Just("$1".to_owned()),
        Just("@ada:old".to_owned()),
        Just("https://matrix.to/#/!r:old/$1".to_owned()),
        Just("mxc://old/f".to_owned()),
    ];
    let keys = prop_oneof![
        any::<String>(),
        Just("m.relates_to".to_owned()),
        Just("formatted_body".to_owned()),
        Just("file".to_owned()),
        Just("url".to_owned()),
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        texts.prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 40, 5, move |inner| {
        let keys = keys.clone();
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((keys, inner), 0..5)
                .prop_map(|members| Value::from(members.into_iter().collect::<Map<_, _>>())),
        ]
    })
}

proptest! {
    #[test]
    fn a_ghost_is_read_back(person in "@[ -~é]{1,40}:[a-z0-9.:-]{1,30}") {
        let localpart = ghost::localpart(&person, "new.example");
        let is_fit = |b: u8| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'=' | b'-');
        prop_assert!(localpart.bytes().all(is_fit));
        prop_assert_eq!(ghost::person(&localpart), Some(person));
    }

    #[test]
    fn who_knows_nothing_changes_nothing(content in any_json()) {
        let Value::Object(content) = content else { return Ok(()) };
        prop_assert_eq!(rewrite(&content, &Ids::new("new")), content);
    }

    #[test]
    fn no_content_is_too_strange(content in any_json()) {
        let Value::Object(mut content) = content else { return Ok(()) };
        let wishes = files(&content);
        prop_assert!(wishes.iter().all(|wish| wish.mxc.starts_with("mxc://")));
        relate(&mut content, &ids()).ok();
        rewrite(&content, &ids());
    }
}

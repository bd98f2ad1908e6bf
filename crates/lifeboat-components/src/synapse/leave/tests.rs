//! What stays behind.

use lifeboat_package::selection::Leave;

use super::*;

const MESSAGE: &str = r#"{"type":"m.room.message","room_id":"!a:b","sender":"@u:b","depth":4,
"content":{"body":"taken back","msgtype":"m.text"},"unsigned":{"age_ts":5},"origin":"b",
"hashes":{"sha256":"x"},"signatures":{},"prev_events":[],"auth_events":[],"origin_server_ts":1}"#;

fn text(pdu: &str, version: Option<&str>) -> String {
    String::from_utf8(redacted(pdu.as_bytes(), version).into_owned()).unwrap()
}

#[test]
fn redacted_text_goes_in_every_room_version_and_in_unknown_ones() {
    for version in [Some("1"), Some("6"), Some("11"), Some("12"), Some("from.the.future"), None] {
        let left = text(MESSAGE, version);
        assert!(!left.contains("taken back"), "{version:?}: {left}");
        assert!(left.contains(r#""sender":"@u:b""#), "{version:?}: {left}");
    }
}

#[test]
fn membership_stays_where_the_rules_keep_it() {
    let member = MESSAGE.replace("m.room.message", "m.room.member");
    let member = member.replace("\"msgtype\":\"m.text\"", "\"membership\":\"join\"");
    let left = text(&member, Some("11"));
    assert!(left.contains(r#""content":{"membership":"join"}"#), "{left}");
}

#[test]
fn event_with_numbers_outside_of_the_rules_loses_all_content() {
    let odd = MESSAGE.replace("taken back\"", "taken back\",\"number\":1.5");
    let left = text(&odd, Some("1"));
    assert!(left.contains(r#""content":{}"#) && !left.contains("taken back"), "{left}");
}

#[test]
fn secrets_are_null_unless_they_are_asked_for() {
    use lifeboat_package::id::Section;

    use crate::synapse::layout::Pour;

    let column = |name: &str, kind: &str| Column::new(name, kind);
    let users = StoredTable {
        name: "users".to_owned(),
        columns: vec![column("name", "text"), column("password_hash", "text")],
        section: Section::Users,
        pour: Pour::Whole,
        strays: false,
        rows_estimate: 0,
        bytes: 0,
        pages: 0,
        refers_to: Vec::new(),
    };
    let decent = Selection::EVERYTHING;
    let hidden = r#"t."name", NULL::text AS "password_hash""#;
    assert_eq!(selected_leaving(&users, "t", &decent), hidden);
    let leave = Leave { secrets: true, ..Leave::default() };
    let indecent = Selection { leave, ..Selection::EVERYTHING };
    assert_eq!(selected_leaving(&users, "t", &indecent), r#"t."name", t."password_hash""#);
    assert!(!may_leave("access_tokens", &decent) && may_leave("access_tokens", &indecent));
    // Who asks what is held about them is told of tokens, not told the tokens.
    let access = Selection { profile: Some(Profile::Access), ..Selection::EVERYTHING };
    assert!(may_leave("access_tokens", &access));
    assert_eq!(selected_leaving(&users, "t", &access), hidden);
}

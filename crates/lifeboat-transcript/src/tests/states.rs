//! State of the new room, which is never more open than the old.

use std::collections::HashSet;

use serde_json::{Value, json};

use super::{BOT, cast, event, ids, object};
use crate::event::{Loss, ORIGINAL};
use crate::script::{Act, Call, Cast, Script, creation};

/// Key and content of a state event in a new room, without what it says of the past.
fn state(cast: &Cast, kind: &str, key: &str, content: Value) -> Result<(String, Value), Loss> {
    let create = event("$c", "m.room.create", Some(""), json!({"room_version": "10"}));
    let events = [create, event("$s", kind, Some(key), content)];
    let erased = HashSet::new();
    let calls = Script::new(cast, &events, &erased).calls(&events[1], &ids())?;
    match calls.into_iter().last().map(|call| call.act) {
        Some(Act::State { kind: now, key, mut content }) => {
            assert_eq!(now, kind);
            assert!(content.remove(ORIGINAL).is_some());
            Ok((key, content.into()))
        }
        other => panic!("{other:?}"),
    }
}

fn check(kind: &str, before: Value, after: Value) {
    assert_eq!(state(&cast("12"), kind, "", before), Ok((String::new(), after)), "{kind}");
}

#[test]
fn a_room_is_private_unless_it_was_open_and_may_be() {
    let open = Cast { is_public: true, ..cast("12") };
    let cases = [
        (
            "m.room.join_rules",
            "join_rule",
            &[
                ("public", "invite", "public"),
                ("knock", "knock", "knock"),
                ("restricted", "invite", "invite"),
                ("knock_restricted", "knock", "knock"),
                ("anything", "invite", "invite"),
            ][..],
        ),
        (
            "m.room.history_visibility",
            "history_visibility",
            &[
                ("world_readable", "shared", "world_readable"),
                ("joined", "shared", "shared"),
                ("invited", "shared", "shared"),
            ][..],
        ),
        ("m.room.guest_access", "guest_access", &[("can_join", "forbidden", "can_join")][..]),
    ];
    for (kind, member, rules) in cases {
        for (before, closed, opened) in rules {
            let content = |rule: &str| json!({member: rule});
            let told =
                |cast: &Cast| state(cast, kind, "", content(before)).map(|(_, content)| content);
            assert_eq!(told(&cast("12")), Ok(content(closed)), "{kind} {before}");
            assert_eq!(told(&open), Ok(content(opened)), "{kind} {before}");
        }
    }
}

#[test]
fn what_cannot_be_so_elsewhere_is_lost_by_name() {
    let cases = [
        ("m.room.create", Loss::Beginning),
        ("m.room.encryption", Loss::Encryption),
        ("m.room.canonical_alias", Loss::Alias),
        ("m.room.aliases", Loss::Alias),
        ("m.room.third_party_invite", Loss::Signature),
        ("m.room.retention", Loss::Retention),
        ("m.room.tombstone", Loss::Elsewhere),
        ("m.space.child", Loss::Elsewhere),
        ("m.space.parent", Loss::Elsewhere),
    ];
    for (kind, loss) in cases {
        assert_eq!(state(&cast("12"), kind, "!far:old", json!({})), Err(loss), "{kind}");
        assert!(!loss.is_gap());
    }
}

#[test]
fn state_names_what_is_there_now() {
    check(
        "m.room.pinned_events",
        json!({"pinned": ["$1", "$gone", 3]}),
        json!({"pinned": ["$one"]}),
    );
    check("m.room.avatar", json!({"url": "mxc://old/f"}), json!({"url": "mxc://new/F"}));
    check("m.room.name", json!({"name": "@ada:old"}), json!({"name": "@ada:old"}));
    check(
        "m.room.tombstone",
        json!({"replacement_room": "!r:old"}),
        json!({"replacement_room": "!R:new"}),
    );
    check(
        "m.room.server_acl",
        json!({"allow": ["old"], "deny": []}),
        json!({"allow": ["old", "new"], "deny": []}),
    );
    check("m.room.server_acl", json!({"allow": ["*"]}), json!({"allow": ["*"]}));
    let child = |via: &str| json!({"via": [via], "suggested": true});
    let told = state(&cast("12"), "m.space.child", "!r:old", child("old"));
    assert_eq!(told, Ok(("!R:new".to_owned(), child("new"))));
    // A child that was taken out of the space has no `via`, and gets none.
    let gone = state(&cast("12"), "m.space.child", "!r:old", json!({}));
    assert_eq!(gone, Ok(("!R:new".to_owned(), json!({}))));
    let own = state(&cast("12"), "com.example", "@ada:old", json!({"room": "!r:old"}));
    assert_eq!(own, Ok(("@_lb_ada=3aold:new".to_owned(), json!({"room": "!R:new"}))));
}

#[test]
fn nobody_but_ghosts_and_the_service_keeps_power() {
    let before = json!({
        "ban": 50, "events_default": "10", "invite": null, "strange": 3,
        "events": {"m.room.name": "60", "broken": []},
        "users": {"@ada:old": 100, "@bo:old": "50", "@eve:far": 100},
    });
    let after = |users: Value| {
        let events = json!({"m.room.name": 60});
        json!({"ban": 50, "events_default": 10, "events": events, "users": users})
    };
    let (ada, bo) = ("@_lb_ada=3aold:new", "@_lb_bo=3aold:new");
    check("m.room.power_levels", before.clone(), after(json!({ada: 100, bo: 50})));
    // Where who made the room has a level, the service keeps one above all.
    let told = state(&cast("10"), "m.room.power_levels", "", before);
    let users = json!({ada: 100, bo: 50, BOT: 1_000_000});
    assert_eq!(told, Ok((String::new(), after(users))));
}

#[test]
fn a_room_begins_private_with_the_power_of_who_made_it() {
    let made = json!({"room_version": "12", "type": "m.space", "m.federate": false,
        "additional_creators": ["@bo:old", 4], "predecessor": {"room_id": "!x"}});
    let create = event("$c", "m.room.create", Some(""), made);
    let body = Value::from(creation("!r:old", Some(&create), &ids(), &cast("12")));
    assert_eq!((&body["preset"], &body["visibility"]), (&json!("private_chat"), &json!("private")));
    let top = json!({"@_lb_ada=3aold:new": 1_000_000, "@_lb_bo=3aold:new": 1_000_000});
    assert_eq!(body["power_level_content_override"]["users"], top);
    let creation_content = &body["creation_content"];
    assert_eq!(creation_content["type"], "m.space");
    assert_eq!(creation_content["m.federate"], false);
    assert_eq!(creation_content[ORIGINAL]["room_id"], "!r:old");
    assert_eq!(creation_content.get("predecessor"), None);
    // Nothing is known of the beginning.
    let body = Value::from(creation("!r:old", None, &ids(), &cast("11")));
    assert_eq!(body["power_level_content_override"]["users"], json!({BOT: 1_000_000}));
    assert_eq!(body["creation_content"], json!({ORIGINAL: {"room_id": "!r:old"}}));
}

#[test]
fn an_owner_gets_power_once() {
    let cast = cast("12");
    let levels = object(json!({"users": {"@a:new": 50}, "ban": 50, ORIGINAL: {}}));
    let call = Call::promotion(&cast, &levels, "@a:new", 7).expect("there is something to do");
    let Act::State { content, .. } = &call.act else { panic!("{call:?}") };
    assert_eq!(Value::from(content.clone()), json!({"users": {"@a:new": 100}, "ban": 50}));
    assert_eq!((call.sender.as_str(), call.sent), (BOT, 7));
    assert_eq!(Call::promotion(&cast, content, "@a:new", 7), None);
}

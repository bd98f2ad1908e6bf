//! Who says what, and what comes before.

use std::collections::HashSet;

use serde_json::{Value, json};

use super::{BOT, by, cast, event, ids, message};
use crate::event::{Loss, ORIGINAL, PastEvent};
use crate::ids::{IdLine, Ids};
use crate::script::{Act, Call, Cast, Script};

const ADA: &str = "@_lb_ada=3aold:new";
const BO: &str = "@_lb_bo=3aold:new";

/// Tells events one after the other; each call in a few words.
fn play(cast: &Cast, events: &[PastEvent]) -> Vec<String> {
    let (erased, mut ids) = (HashSet::from(["@erased:old".to_owned()]), ids());
    ids.learn(IdLine::User { old: "@erased:old".to_owned(), new: String::new() });
    let mut script = Script::new(cast, events, &erased);
    let mut told = Vec::new();
    for event in events {
        match script.calls(event, &ids) {
            Err(loss) => told.push(format!("{loss:?}")),
            Ok(calls) => {
                for call in calls {
                    told.push(words(&call));
                    script.happened(&call);
                }
                let (old, new) = (event.id.clone(), format!("{}new", event.id));
                ids.learn(IdLine::Event { old, new });
            }
        }
    }
    told
}

fn words(call: &Call) -> String {
    let sender = match call.sender.as_str() {
        ADA => "ada",
        BO => "bo",
        BOT => "bot",
        other => other,
    };
    let name = |user: &str| user.replace(ADA, "ada").replace(BO, "bo");
    match &call.act {
        Act::Send { kind, content } if kind == "m.room.redaction" => {
            format!("{sender} redacts {}", content["redacts"].as_str().unwrap_or("?"))
        }
        Act::Send { content, .. } => {
            format!("{sender} says {}", content.get("body").unwrap_or(&Value::Null))
        }
        Act::State { kind, key, content } if kind == "m.room.member" => {
            let word = content["membership"].as_str().unwrap_or("?");
            format!("{sender} {word} {}", name(key))
        }
        Act::State { kind, .. } => format!("{sender} sets {kind}"),
        Act::Redact { target, .. } => format!("{sender} redacts {target} now"),
    }
}

fn member(id: &str, person: &str, membership: &str) -> PastEvent {
    event(id, "m.room.member", Some(person), json!({"membership": membership}))
}

fn rule(join_rule: &str) -> PastEvent {
    event("$rule", "m.room.join_rules", Some(""), json!({"join_rule": join_rule}))
}

#[test]
fn who_speaks_is_let_in_first_and_only_once() {
    let events =
        [message("$a", "one"), message("$b", "two"), by("@bo:old", message("$c", "three"))];
    assert_eq!(
        play(&cast("12"), &events),
        [
            "bot invite ada",
            "ada join ada",
            "ada says \"one\"",
            "ada says \"two\"",
            "bot invite bo",
            "bo join bo",
            "bo says \"three\""
        ]
    );
}

#[test]
fn memberships_are_told_as_they_were() {
    let bo = |event| by("@bo:old", event);
    let events = [
        member("$a", "@ada:old", "join"),
        member("$b", "@bo:old", "invite"),
        bo(member("$c", "@bo:old", "join")),
        bo(member("$d", "@bo:old", "leave")),
        bo(member("$e", "@bo:old", "leave")),
        member("$f", "@bo:old", "ban"),
        bo(message("$g", "after the ban")),
        member("$h", "@bo:old", "leave"),
        bo(member("$i", "@bo:old", "knock")),
        bo(member("$j", "@bo:old", "join")),
        member("$k", "@nobody:old", "invite"),
        member("$l", "@bo:old", "dance"),
    ];
    assert_eq!(
        play(&cast("12"), &events),
        [
            "bot invite ada",
            "ada join ada",
            "ada invite bo",
            "bo join bo",
            "bo leave bo",
            "Idle",
            "ada ban bo",
            "Refused",
            "ada leave bo",
            "Idle",
            "bot invite bo",
            "bo join bo",
            "Refused",
            "Refused"
        ]
    );
}

#[test]
fn an_open_room_is_closed_unless_it_may_be_open() {
    let events = [
        member("$a", "@ada:old", "join"),
        rule("public"),
        by("@bo:old", member("$b", "@bo:old", "join")),
    ];
    let closed = [
        "bot invite ada",
        "ada join ada",
        "ada sets m.room.join_rules",
        "bot invite bo",
        "bo join bo",
    ];
    assert_eq!(play(&cast("12"), &events), closed);
    let open = Cast { is_public: true, ..cast("12") };
    let told = ["bot invite ada", "ada join ada", "ada sets m.room.join_rules", "bo join bo"];
    assert_eq!(play(&open, &events), told);
    let knocking = [rule("knock"), by("@bo:old", member("$b", "@bo:old", "knock"))];
    assert_eq!(play(&cast("12"), &knocking).last().map(String::as_str), Some("bo knock bo"));
}

#[test]
fn what_was_redacted_is_never_said() {
    let redaction =
        |id: &str, of: &str| event(id, "m.room.redaction", None, json!({"redacts": of}));
    let secret = [
        message("$a", "a secret"),
        message("$b", "kept"),
        redaction("$c", "$a"),
        redaction("$d", "$unknown"),
    ];
    let told = [
        "bot invite ada",
        "ada join ada",
        "ada says \"[redacted]\"",
        "ada says \"kept\"",
        "ada redacts $anew",
        "Redacted",
    ];
    assert_eq!(play(&cast("12"), &secret), told);
    // Before room version 11 a redaction has no date of its own.
    assert_eq!(play(&cast("10"), &secret)[4], "ada redacts $anew now");
    // The redaction was not asked for: neither is what it took back.
    let mut part = secret.clone();
    part[2].is_wanted = false;
    assert_eq!(
        play(&cast("12"), &part),
        ["Redacted", "bot invite ada", "ada join ada", "ada says \"kept\"", "Unwanted", "Redacted"]
    );
    // Another server's redaction that the room never followed.
    let mut foreign = secret[..3].to_vec();
    foreign[2] = PastEvent { is_doubtful: true, ..by("@eve:far", foreign[2].clone()) };
    assert_eq!(play(&cast("12"), &foreign)[2], "ada says \"a secret\"");
}

#[test]
fn who_was_banned_has_their_redaction_done_for_them() {
    let redaction = event("$c", "m.room.redaction", None, json!({"redacts": "$a"}));
    let events = [
        by("@bo:old", message("$a", "spam")),
        member("$b", "@bo:old", "ban"),
        by("@bo:old", redaction),
    ];
    assert_eq!(play(&cast("12"), &events).last().map(String::as_str), Some("bot redacts $anew"));
}

#[test]
fn what_nobody_can_read_any_more_is_left_out_and_counted() {
    let sealed = event("$a", "m.room.encrypted", None, json!({"ciphertext": "x"}));
    let empty = event("$b", "m.room.message", None, json!({}));
    let erased = by("@erased:old", message("$c", "forget me"));
    let strange = by("@stranger:old", message("$d", "hello"));
    let lost = event(
        "$e",
        "m.reaction",
        None,
        json!({"m.relates_to": {"rel_type": "m.annotation", "event_id": "$x", "key": "y"}}),
    );
    let unwanted = PastEvent { is_wanted: false, ..message("$f", "too late") };
    let events = [sealed, empty, erased, strange, lost, unwanted];
    assert_eq!(
        play(&cast("12"), &events),
        ["Sealed", "Redacted", "Erased", "Refused", "Target", "Unwanted"]
    );
    let gaps = [Loss::Sealed, Loss::Unreadable, Loss::Target, Loss::Refused, Loss::TooLarge];
    assert!(gaps.iter().all(|loss| loss.is_gap()));
    assert!(![Loss::Redacted, Loss::Erased, Loss::Unwanted].iter().any(|loss| loss.is_gap()));
}

#[test]
fn an_event_says_what_it_was_and_is_sent_under_one_name() {
    let (cast, erased) = (cast("12"), HashSet::new());
    let events = [message("$a", "hello")];
    let script = Script::new(&cast, &events, &erased);
    let calls = script.calls(&events[0], &ids()).expect("it is told");
    let [_, _, last] = calls.as_slice() else { panic!("{calls:?}") };
    let Act::Send { content, .. } = &last.act else { panic!("{last:?}") };
    let was = json!({"event_id": "$a", "sender": "@ada:old", "origin_server_ts": 1000});
    assert_eq!((&content[ORIGINAL], last.sent), (&was, 1000));
    assert_eq!(last.transaction.len(), 32);
    let again = script.calls(&events[0], &ids()).expect("it is told");
    assert_eq!(again, calls);
    let other = script.calls(&message("$b", "hello"), &ids()).expect("it is told");
    assert_ne!(other[2].transaction, last.transaction);
    let mut short = last.clone();
    assert!(short.forget_original() && !short.forget_original());
    assert!(!short.stand_in(&cast), "nobody else speaks for a ghost");
}

#[test]
fn who_stands_in_a_room_already_is_not_let_in_again() {
    let (cast, erased) = (cast("12"), HashSet::new());
    let events = [message("$a", "hello")];
    let mut script = Script::new(&cast, &events, &erased);
    script.stands(ADA, "join");
    assert_eq!(script.calls(&events[0], &ids()).map(|calls| calls.len()), Ok(1));
    assert!(!script.is_outside(ADA) && script.is_outside(BO));
    let nothing = Ids::new("new");
    assert_eq!(script.calls(&events[0], &nothing), Err(Loss::Refused));
}

#[test]
fn people_are_called_by_the_name_of_the_past() {
    let named = json!({"membership": "join", "displayname": "Ada", "avatar_url": "mxc://old/f",
        "third_party_invite": {}, "join_authorised_via_users_server": "@bo:old"});
    let (cast, erased) = (cast("12"), HashSet::new());
    let events = [event("$a", "m.room.member", Some("@ada:old"), named), message("$b", "x")];
    let script = Script::new(&cast, &events, &erased);
    let calls = script.calls(&events[0], &ids()).expect("it is told");
    for call in &calls {
        let Act::State { content, .. } = &call.act else { panic!("{call:?}") };
        assert_eq!(content["displayname"], "Ada");
    }
    let Act::State { content, .. } = &calls[1].act else { panic!("{calls:?}") };
    let keys: Vec<&String> = content.keys().collect();
    assert_eq!(keys, ["avatar_url", "displayname", "membership", ORIGINAL]);
    assert_eq!(content["avatar_url"], "mxc://new/F");
    let nameless = Script::new(&cast, &[], &erased);
    let calls = nameless.calls(&events[1], &ids()).expect("it is told");
    let Act::State { content, .. } = &calls[0].act else { panic!("{calls:?}") };
    assert_eq!(content["displayname"], "@ada:old");
}

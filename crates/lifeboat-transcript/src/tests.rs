//! What is sent for which past: tables of events and calls, and properties of ids and contents.

mod contents;
mod rooms;
mod states;

use serde_json::{Map, Value, json};

use crate::event::PastEvent;
use crate::ids::{IdLine, Ids};
use crate::script::Cast;

pub(super) const BOT: &str = "@_lb_:new";

/// What the tables know: two people, a room, two events, a file as it was and one decrypted.
pub(super) fn ids() -> Ids {
    let mut ids = Ids::new("new");
    let text = |text: &str| text.to_owned();
    for person in ["@ada:old", "@bo:old"] {
        ids.learn(IdLine::User { old: text(person), new: String::new() });
    }
    ids.learn(IdLine::Room { old: text("!r:old"), new: text("!R:new") });
    for (old, new) in [("$1", "$one"), ("$2:old", "$two")] {
        ids.learn(IdLine::Event { old: text(old), new: text(new) });
    }
    let file =
        |old: &str, new: &str, opened| IdLine::Media { old: text(old), new: text(new), opened };
    ids.learn(file("mxc://old/f", "mxc://new/F", false));
    ids.learn(file("mxc://old/sealed", "mxc://new/OPEN", true));
    ids
}

pub(super) fn cast(room_version: &str) -> Cast {
    let room_version = room_version.to_owned();
    Cast { bot: BOT.to_owned(), is_public: false, room_version }
}

#[expect(clippy::needless_pass_by_value, reason = "a table reads better so")]
pub(super) fn object(value: Value) -> Map<String, Value> {
    value.as_object().expect("an object").clone()
}

/// An event of `@ada:old`.
pub(super) fn event(id: &str, kind: &str, key: Option<&str>, content: Value) -> PastEvent {
    let content = object(content);
    let redacts = content.get("redacts").and_then(Value::as_str).map(str::to_owned);
    PastEvent {
        id: id.to_owned(),
        sender: "@ada:old".to_owned(),
        kind: kind.to_owned(),
        state_key: key.map(str::to_owned),
        sent: 1000,
        content,
        redacts,
        is_doubtful: false,
        is_wanted: true,
    }
}

pub(super) fn message(id: &str, body: &str) -> PastEvent {
    event(id, "m.room.message", None, json!({"msgtype": "m.text", "body": body}))
}

pub(super) fn by(sender: &str, event: PastEvent) -> PastEvent {
    PastEvent { sender: sender.to_owned(), ..event }
}

#[test]
fn lines_of_the_file_of_ids_are_read_as_they_were_written() {
    let text = |text: &str| text.to_owned();
    let lines = [
        IdLine::Transcript { from: text("old"), to: text("new") },
        IdLine::User { old: text("@a:old"), new: text("@b:new") },
        IdLine::Room { old: text("!a:old"), new: text("!b") },
        IdLine::Event { old: text("$a"), new: text("$b") },
        IdLine::Media { old: text("mxc://old/a"), new: text("mxc://new/b"), opened: true },
    ];
    for line in lines {
        let written = serde_json::to_string(&line).expect("ids are text");
        assert!(!written.contains('\n'));
        assert_eq!(serde_json::from_str::<IdLine>(&written).expect("just written"), line);
    }
    assert!(serde_json::from_str::<IdLine>(r#"{"type":"boat","old":"a","new":"b"}"#).is_err());
}

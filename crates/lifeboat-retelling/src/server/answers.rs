//! What of a server's answers matters here.

use lifeboat_transcript::event::ORIGINAL;
use serde::Deserialize;
use serde_json::Value;

/// An event of the new room that says what it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// The event of the past.
    pub old: String,
    /// What it is now.
    pub new: String,
    /// Whether it says so itself, and not its redaction.
    pub is_itself: bool,
}

/// An event that was redacted, and so says nothing any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bare {
    /// Its sender.
    pub sender: String,
    /// Its type.
    pub kind: String,
    /// Milliseconds since 1970.
    pub sent: i64,
    /// Its id.
    pub new: String,
}

/// A page of a room, newest first.
#[derive(Debug, Default)]
pub struct Page {
    /// Events that were told again, also those that were redacted since.
    pub told: Vec<Told>,
    /// Events that were redacted, without a redaction that says what they were.
    pub bare: Vec<Bare>,
    /// Where the next page begins; nothing at the beginning of the room.
    pub next: Option<String>,
}

#[derive(Deserialize)]
struct Listed {
    event_id: String,
    #[serde(rename = "type")]
    kind: String,
    sender: String,
    #[serde(default)]
    origin_server_ts: i64,
    content: Value,
    #[serde(default)]
    unsigned: Value,
    redacts: Option<String>,
}

/// Reads an answer of `/messages`.
pub(super) fn page(answer: &Value) -> Page {
    let chunk = answer.get("chunk").and_then(Value::as_array);
    let (mut told, mut bare) = (Vec::new(), Vec::new());
    for event in chunk.into_iter().flatten() {
        let Ok(event) = Listed::deserialize(event) else { continue };
        let Some(original) = event.content.get(ORIGINAL) else {
            if event.unsigned.get("redacted_because").is_some() {
                let (kind, sent) = (event.kind, event.origin_server_ts);
                bare.push(Bare { sender: event.sender, kind, sent, new: event.event_id });
            }
            continue;
        };
        let text = |key: &str| original.get(key).and_then(Value::as_str).map(str::to_owned);
        // What is redacted says no more what it was; its redaction does.
        let target = event.content.get("redacts").and_then(Value::as_str).map(str::to_owned);
        if let (Some(old), Some(new)) = (text("redacts"), target.or(event.redacts)) {
            told.push(Told { old, new, is_itself: false });
        }
        if let Some(old) = text("event_id") {
            told.push(Told { old, new: event.event_id, is_itself: true });
        }
    }
    let next = answer.get("end").and_then(Value::as_str).map(str::to_owned);
    Page { told, bare, next: next.filter(|_| chunk.is_some_and(|chunk| !chunk.is_empty())) }
}

/// User ids and memberships of an answer of `/members`.
pub(super) fn members(answer: &Value) -> Vec<(String, String)> {
    let chunk = answer.get("chunk").and_then(Value::as_array).into_iter().flatten();
    let member = |event: &Value| {
        let user = event.get("state_key")?.as_str()?.to_owned();
        Some((user, event.get("content")?.get("membership")?.as_str()?.to_owned()))
    };
    chunk.filter_map(member).collect()
}

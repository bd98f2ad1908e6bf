//! One event, as a reader of packages hands it over, and what its content says.
//!
//! Contents come from anybody: every look into one expects that nothing is as it should be.

use serde_json::{Map, Value};

/// How the content came to be readable, or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seal {
    /// It was never encrypted, or still is.
    None,
    /// It was decrypted with a key that was given.
    Opened,
    /// What is stored of the event is nothing that can be read; the content is empty.
    Unreadable,
}

/// One event of a room.
#[derive(Debug, Clone)]
pub struct Event {
    /// Event id.
    pub id: String,
    /// User id of the sender.
    pub sender: String,
    /// Type.
    pub kind: String,
    /// State key, of a state event.
    pub state_key: Option<String>,
    /// Milliseconds since 1970, as the sender claims.
    pub sent: i64,
    /// The order of the room: depth, then the order of arrival.
    pub order: (i64, i64),
    /// Content.
    pub content: Map<String, Value>,
    /// The event that it takes back, of a redaction.
    pub redacts: Option<String>,
    /// Whether it takes back only what came from its sender's own server.
    pub is_doubtful: bool,
    /// Whether it was asked for; an event that others need is known and not shown.
    pub shown: bool,
    /// Whether its content was decrypted.
    pub seal: Seal,
}

/// A file that a message names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MediaWish {
    /// `mxc://…`
    pub mxc: String,
    /// The name that the sender gave it.
    pub name: String,
    /// What the sender says it is, for example `image/png`.
    pub media_type: Option<String>,
    /// The key and hashes of an encrypted file, as the message has them.
    pub sealed: Option<Value>,
}

impl Event {
    /// A text of the content.
    pub fn text(&self, key: &str) -> Option<&str> {
        self.content.get(key)?.as_str()
    }

    /// `m.relates_to`.
    pub fn relation(&self) -> Option<&Map<String, Value>> {
        self.content.get("m.relates_to")?.as_object()
    }

    /// The event it belongs to, when it does so in this way (`m.thread`, `m.replace`, …).
    pub fn related(&self, way: &str) -> Option<&str> {
        let relation = self.relation()?;
        let fits = relation.get("rel_type").and_then(Value::as_str) == Some(way);
        fits.then(|| relation.get("event_id")?.as_str())?
    }

    /// The event it answers, unless that is only said for clients that know no threads.
    pub fn answers(&self) -> Option<&str> {
        let relation = self.relation()?;
        let falls_back = relation.get("is_falling_back") == Some(&Value::Bool(true));
        if falls_back && relation.get("rel_type").and_then(Value::as_str) == Some("m.thread") {
            return None;
        }
        relation.get("m.in_reply_to")?.get("event_id")?.as_str()
    }

    /// Whether it is state of the room.
    pub fn is_state(&self) -> bool {
        self.state_key.is_some()
    }

    /// Whether it is still encrypted.
    pub fn is_sealed(&self) -> bool {
        self.kind == "m.room.encrypted" && !self.is_state() && self.is_readable()
    }

    /// Whether there is a content.
    pub fn is_readable(&self) -> bool {
        self.seal != Seal::Unreadable
    }

    /// Whether it starts a poll, in the stable or the older form.
    pub fn is_poll(&self) -> bool {
        matches!(self.kind.as_str(), "m.poll.start" | "org.matrix.msc3381.poll.start")
    }
}

/// What a content says in words, in the stable or an older form.
pub fn body(content: &Map<String, Value>) -> &str {
    let texts = ["m.text", "org.matrix.msc1767.text"];
    let extensible = || texts.iter().find_map(|key| extensible_text(content.get(*key)?));
    content.get("body").and_then(Value::as_str).or_else(extensible).unwrap_or_default()
}

/// A text, or the first of a list of texts.
pub fn extensible_text(value: &Value) -> Option<&str> {
    let first = || value.as_array()?.first()?.get("body")?.as_str();
    value.as_str().or_else(first)
}

/// The file that a content names.
pub fn media(content: &Map<String, Value>) -> Option<MediaWish> {
    let file = content.get("file").filter(|file| file.is_object());
    let mxc = file.and_then(|file| file.get("url")).or_else(|| content.get("url"))?.as_str()?;
    let name = content.get("filename").or_else(|| content.get("body")).and_then(Value::as_str);
    mxc.strip_prefix("mxc://")?;
    let media_type = content.get("info").and_then(|about| about.get("mimetype")?.as_str());
    Some(MediaWish {
        mxc: mxc.to_owned(),
        name: name.unwrap_or_default().to_owned(),
        media_type: media_type.map(str::to_owned),
        sealed: file.cloned(),
    })
}

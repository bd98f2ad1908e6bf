//! Keys of encrypted rooms that somebody hands over, and what they open.
//!
//! They come from a file that Element and other clients export (protected by a passphrase), or from
//! the backup that a package holds (protected by the recovery key). They live in memory alone.

mod backup;
mod base58;
mod cipher;
mod error;
mod session_file;
#[cfg(test)]
mod tests;

use std::collections::HashMap;

use serde::Deserialize;
use serde_json::{Map, Value};
use vodozemac::megolm::{
    ExportedSessionKey, InboundGroupSession, MegolmMessage, SessionConfig, SessionOrdering,
};
use zeroize::Zeroizing;

pub use self::backup::Backups;
pub use self::cipher::FileCipher;
pub use self::error::RoomKeyError;
pub use self::session_file::{FILE_BYTES, is_session_file};

/// The algorithm of encrypted rooms.
const MEGOLM: &str = "m.megolm.v1.aes-sha2";

/// What opens messages. No `Debug`: it is full of secrets.
#[derive(Default)]
pub struct RoomKeys {
    sessions: HashMap<(String, String), InboundGroupSession>,
    /// Which event a message of a session was first seen in: no other may carry it.
    seen: HashMap<(String, u32), String>,
}

/// A session as clients write it down.
#[derive(Deserialize)]
pub(crate) struct WrittenSession {
    #[serde(default)]
    algorithm: String,
    /// Absent in a backup, which has it beside.
    #[serde(default)]
    room_id: String,
    session_key: Zeroizing<String>,
}

/// An encrypted event, opened.
#[derive(Debug, Clone, PartialEq)]
pub struct Opened {
    /// Type.
    pub kind: String,
    /// Content.
    pub content: Map<String, Value>,
}

impl RoomKeys {
    /// Reads a file that a client exported.
    ///
    /// # Errors
    /// [`RoomKeyError`] when it is damaged or the passphrase does not fit.
    pub fn from_session_file(text: &str, passphrase: &str) -> Result<Self, RoomKeyError> {
        let json = session_file::open(text, passphrase)?;
        let sessions: Vec<WrittenSession> =
            serde_json::from_slice(&json).map_err(|_| RoomKeyError::Shape)?;
        let mut keys = Self::default();
        for session in sessions {
            let room = session.room_id.clone();
            keys.add(&room, &session);
        }
        Ok(keys)
    }

    /// How many sessions.
    pub fn len(&self) -> usize {
        self.sessions.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.sessions.is_empty()
    }

    /// Adds a session of a room. Its id follows from the key; what others say it is does not
    /// matter. Of two for one session the one that reaches further back stays.
    pub(crate) fn add(&mut self, room: &str, session: &WrittenSession) {
        if session.algorithm != MEGOLM {
            return;
        }
        let Ok(key) = ExportedSessionKey::from_base64(&session.session_key) else { return };
        let mut session = InboundGroupSession::import(&key, SessionConfig::version_1());
        let place = (room.to_owned(), session.session_id());
        let is_better = self
            .sessions
            .get_mut(&place)
            .is_none_or(|known| matches!(session.compare(known), SessionOrdering::Better));
        if is_better {
            self.sessions.insert(place, session);
        }
    }

    /// Opens the content of an `m.room.encrypted` event; nothing when no key fits, or when what is
    /// inside was made for another room or has been seen in another event.
    pub fn open(
        &mut self,
        room: &str,
        event_id: &str,
        content: &Map<String, Value>,
    ) -> Option<Opened> {
        #[derive(Deserialize)]
        struct Inside {
            #[serde(rename = "type")]
            kind: String,
            room_id: String,
            content: Map<String, Value>,
        }
        let text = |key: &str| content.get(key).and_then(Value::as_str);
        if text("algorithm") != Some(MEGOLM) {
            return None;
        }
        let session_id = text("session_id")?;
        let session = self.sessions.get_mut(&(room.to_owned(), session_id.to_owned()))?;
        let message = MegolmMessage::from_base64(text("ciphertext")?).ok()?;
        let opened = session.decrypt(&message).ok()?;
        let plaintext = Zeroizing::new(opened.plaintext);
        let first = (session_id.to_owned(), opened.message_index);
        if self.seen.entry(first).or_insert_with(|| event_id.to_owned()) != event_id {
            return None;
        }
        let mut inside: Inside = serde_json::from_slice(&plaintext).ok()?;
        if inside.room_id != room {
            return None;
        }
        // What it belongs to stands outside, where servers can see it.
        if let Some(relation) = content.get("m.relates_to") {
            inside.content.entry("m.relates_to").or_insert_with(|| relation.clone());
        }
        Some(Opened { kind: inside.kind, content: inside.content })
    }
}

//! An event of the past, and why one cannot be told again.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

/// The key in a content that says what an event was.
pub const ORIGINAL: &str = "org.lifeboat.original";

/// An event of the past.
#[derive(Debug, Clone, PartialEq)]
pub struct PastEvent {
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
    /// Content, decrypted where that could be done.
    pub content: Map<String, Value>,
    /// The event it takes back, of a redaction.
    pub redacts: Option<String>,
    /// Whether it takes back only what came from its sender's own server.
    pub is_doubtful: bool,
    /// Whether it was asked for; state comes along in any case.
    pub is_wanted: bool,
}

impl PastEvent {
    /// A text of the content.
    pub fn text(&self, key: &str) -> Option<&str> {
        self.content.get(key)?.as_str()
    }

    /// What is kept of it in the content that is sent.
    pub(crate) fn original(&self) -> Value {
        json!({
            "event_id": self.id,
            "sender": self.sender,
            "origin_server_ts": self.sent,
        })
    }
}

/// Why an event is not told again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Loss {
    /// The beginning of a room: the new room has one of its own.
    Beginning,
    /// That a room is encrypted: a transcript is not.
    Encryption,
    /// An alias, which belongs to the server of the old name.
    Alias,
    /// Signatures of others, that hold nowhere else.
    Signature,
    /// How long events are kept: it would delete the transcript.
    Retention,
    /// A link to a room that is not brought along.
    Elsewhere,
    /// It was taken back, and nothing is left of it.
    Redacted,
    /// The account of its sender was erased.
    Erased,
    /// A membership that changes nothing.
    Idle,
    /// It was not asked for.
    Unwanted,
    /// No key opened it.
    Sealed,
    /// What is stored of it cannot be read.
    Unreadable,
    /// The event that it belongs to is not here.
    Target,
    /// The server refused it.
    Refused,
    /// With what must be added it is larger than an event may be.
    TooLarge,
}

impl Loss {
    /// Whether this is less than a transcript should be; else it is what a transcript never has.
    pub fn is_gap(self) -> bool {
        matches!(
            self,
            Self::Sealed | Self::Unreadable | Self::Target | Self::Refused | Self::TooLarge
        )
    }

    /// Whether it says something of this room that is not so of every room.
    pub fn is_worth_telling(self) -> bool {
        self != Self::Beginning
    }

    /// In words.
    pub fn words(self) -> &'static str {
        match self {
            Self::Beginning => "the beginning of the room, which begins anew",
            Self::Encryption => "that the room is encrypted: the transcript is not",
            Self::Alias => "aliases, which belong to the old name",
            Self::Signature => "invitations that others signed",
            Self::Retention => "how long events are kept, which would delete the transcript",
            Self::Elsewhere => "links to rooms that do not come along",
            Self::Redacted => "redacted, and nothing left of them",
            Self::Erased => "said by accounts that were erased",
            Self::Idle => "memberships that change nothing",
            Self::Unwanted => "not asked for",
            Self::Sealed => "encrypted, and no key opened them",
            Self::Unreadable => "stored in a way that cannot be read",
            Self::Target => "belong to an event that is not here",
            Self::Refused => "refused by the server",
            Self::TooLarge => "too large with what must be added",
        }
    }
}

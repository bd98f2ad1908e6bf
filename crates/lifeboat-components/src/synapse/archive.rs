//! What a reader for people needs of the records of a package: events as they count, room keys that
//! were backed up, names of accounts. Knows what the records are called and how they are built.

#[cfg(test)]
mod tests;

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

/// Records with the events of rooms.
pub const EVENTS: &str = "events";
/// Records with the summaries of rooms.
pub const SUMMARY: &str = "summary";
/// Records with the names of accounts.
pub const PROFILES: &str = "profiles";
/// Records with accounts that were erased.
pub const ERASED: &str = "erased_users";
/// Records with backed-up room keys.
pub const ROOM_KEYS: &str = "e2e_room_keys";
/// Records with the versions of backups of room keys.
pub const BACKUPS: &str = "e2e_room_keys_versions";
/// Records with what accounts keep for their clients.
pub const ACCOUNT_DATA: &str = "account_data";
/// Records with the index of media.
pub const MEDIA_INDEX: &str = "index";

/// An event that counts.
#[derive(Debug, Clone, PartialEq)]
pub struct KeptEvent {
    /// Event id.
    pub event_id: String,
    /// Room id.
    pub room_id: String,
    /// Type.
    pub kind: String,
    /// Sender.
    pub sender: String,
    /// State key, of a state event.
    pub state_key: Option<String>,
    /// Milliseconds since 1970, as the sender claims.
    pub sent: i64,
    /// Milliseconds since 1970, when this server received it.
    pub received: i64,
    /// The room's order: depth, then the order of arrival.
    pub order: (i64, i64),
    /// Content.
    pub content: Map<String, Value>,
    /// Whether the stored event could be read at all. Where it could not, all that is known is what
    /// the database has beside it, and the content is empty.
    pub is_readable: bool,
    /// The event it takes back.
    pub redacts: Option<String>,
    /// Whether that is only right when both senders are of one server.
    pub recheck: bool,
    /// Whether it is here only because others need it.
    pub closure: bool,
}

/// The records of §7.3, as far as they matter here.
#[derive(Deserialize)]
struct Record<'a> {
    event_id: String,
    room_id: String,
    #[serde(default)]
    stream_ordering: i64,
    events: Option<Row>,
    event_json: Option<Content>,
    /// Read by itself: Synapse takes JSON that we do not.
    #[serde(borrow)]
    pdu: &'a RawValue,
    #[serde(default)]
    closure: bool,
}

#[derive(Deserialize)]
struct Row {
    #[serde(default, rename = "type")]
    kind: Option<String>,
    #[serde(default)]
    sender: Option<String>,
    #[serde(default)]
    state_key: Option<String>,
    #[serde(default)]
    origin_server_ts: Option<i64>,
    #[serde(default)]
    topological_ordering: i64,
    #[serde(default)]
    received_ts: Option<i64>,
    #[serde(default)]
    outlier: bool,
    #[serde(default)]
    rejection_reason: Option<String>,
}

#[derive(Deserialize)]
struct Content {
    #[serde(default)]
    internal_metadata: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Internal {
    soft_failed: Value,
    recheck_redaction: Value,
}

/// The room of an event record, before anything else of it is read.
///
/// # Errors
/// When the record is no record of an event.
pub fn room_of(line: &[u8]) -> Result<String, serde_json::Error> {
    #[derive(Deserialize)]
    struct Brief {
        room_id: String,
    }
    serde_json::from_slice::<Brief>(line).map(|brief| brief.room_id)
}

/// Reads an event record; nothing when clients never saw the event (rejected, outside of the
/// history, refused by the state of the room).
///
/// # Errors
/// When the record is no record of an event.
pub fn kept_event(line: &[u8]) -> Result<Option<KeptEvent>, serde_json::Error> {
    kept_or_standing(line, |_| false)
}

/// The same, and state that counts although its history was purged: `stands` knows by event id
/// what the room's state is made of.
///
/// # Errors
/// When the record is no record of an event.
pub fn kept_or_standing(
    line: &[u8],
    stands: impl Fn(&str) -> bool,
) -> Result<Option<KeptEvent>, serde_json::Error> {
    let record: Record<'_> = serde_json::from_slice(line)?;
    let Some(row) = record.events else { return Ok(None) };
    let internal = record.event_json.and_then(|content| content.internal_metadata);
    let internal: Internal =
        internal.and_then(|json| serde_json::from_str(&json).ok()).unwrap_or_default();
    let is_true = |value: &Value| *value == Value::Bool(true);
    let is_outside = row.outlier && !stands(&record.event_id);
    if is_outside || row.rejection_reason.is_some() || is_true(&internal.soft_failed) {
        return Ok(None);
    }
    let known = KeptEvent {
        event_id: record.event_id,
        room_id: record.room_id,
        kind: row.kind.unwrap_or_default(),
        sender: row.sender.unwrap_or_default(),
        state_key: row.state_key,
        sent: row.origin_server_ts.unwrap_or_default(),
        received: row.received_ts.or(row.origin_server_ts).unwrap_or_default(),
        order: (row.topological_ordering, record.stream_ordering),
        content: Map::new(),
        is_readable: false,
        redacts: None,
        recheck: is_true(&internal.recheck_redaction),
        closure: record.closure,
    };
    Ok(Some(match stored(record.pdu) {
        Some(pdu) => read(pdu, known, row.received_ts),
        None => known,
    }))
}

/// A stored event, as JSON or as text that JSON could not hold.
fn stored(pdu: &RawValue) -> Option<Map<String, Value>> {
    match serde_json::from_str(pdu.get()).ok()? {
        Value::Object(pdu) => Some(pdu),
        Value::String(text) => serde_json::from_str(&text).ok(),
        _ => None,
    }
}

/// The event as it says itself; as it is known, where it does not say what it is.
fn read(mut pdu: Map<String, Value>, known: KeptEvent, received: Option<i64>) -> KeptEvent {
    let mut text = |key: &str| match pdu.remove(key) {
        Some(Value::String(text)) => Some(text),
        _ => None,
    };
    let (kind, sender) = (text("type"), text("sender"));
    let (state_key, redacts) = (text("state_key"), text("redacts"));
    let (Some(kind), Some(sender)) = (kind, sender) else { return known };
    let sent = pdu.get("origin_server_ts").and_then(Value::as_i64).unwrap_or_default();
    let content = match pdu.remove("content") {
        Some(Value::Object(content)) => content,
        _ => Map::new(),
    };
    let inside = || content.get("redacts").and_then(Value::as_str).map(str::to_owned);
    let is_redaction = kind == "m.room.redaction" && state_key.is_none();
    let redacts = if is_redaction { redacts.or_else(inside) } else { None };
    let received = received.unwrap_or(sent);
    let is_readable = true;
    KeptEvent { kind, sender, state_key, sent, received, content, is_readable, redacts, ..known }
}

/// Room and event of a record of the state as it is.
///
/// # Errors
/// When it is none.
pub fn standing(line: &[u8]) -> Result<(String, String), serde_json::Error> {
    #[derive(Deserialize)]
    struct Row {
        room_id: String,
        event_id: String,
    }
    serde_json::from_slice::<Row>(line).map(|row| (row.room_id, row.event_id))
}

/// A room key in an account's backup, sealed.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct KeptRoomKey {
    /// Whose backup.
    pub user_id: String,
    /// Version of the backup.
    pub version: i64,
    /// Room id.
    pub room_id: String,
    /// Session id.
    pub session_id: String,
    /// The sealed key: JSON.
    pub session_data: String,
}

/// A version of an account's backup of room keys.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct KeptBackup {
    /// Whose backup.
    pub user_id: String,
    /// Version.
    pub version: i64,
    /// How keys are sealed.
    pub algorithm: String,
    /// For whom they are sealed: JSON.
    pub auth_data: String,
}

/// What an account keeps for its clients, of one type.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct KeptSetting {
    /// Whose.
    pub user_id: String,
    /// Type, for example `m.secret_storage.default_key`.
    #[serde(rename = "account_data_type")]
    pub kind: String,
    /// JSON.
    pub content: String,
}

/// User id and name of a record of a profile, if it has both.
///
/// # Errors
/// When it is none.
pub fn profile(line: &[u8]) -> Result<Option<(String, String)>, serde_json::Error> {
    #[derive(Deserialize)]
    struct Row {
        full_user_id: Option<String>,
        displayname: Option<String>,
    }
    let row: Row = serde_json::from_slice(line)?;
    Ok(row.full_user_id.zip(row.displayname))
}

/// User id of a record of an erased account.
///
/// # Errors
/// When it is none.
pub fn erased(line: &[u8]) -> Result<String, serde_json::Error> {
    #[derive(Deserialize)]
    struct Row {
        user_id: String,
    }
    serde_json::from_slice::<Row>(line).map(|row| row.user_id)
}

//! What a part of a server may carry out of it: no secrets, no text that was redacted, unless
//! asked for. A whole server carries everything.

use std::borrow::Cow;

use lifeboat_package::selection::{Profile, Selection};
use serde_json::Value;

use crate::matrix::{Pdu, RoomRules};
use crate::postgres::columns::{Column, quoted};
use crate::synapse::catalogue::{Catalogue, Sensitivity};
use crate::synapse::layout::StoredTable;

/// Tables that are of no use without what is secret in them, and ways to reach a person.
const SECRET_TABLES: [&str; 6] = [
    "access_tokens",
    "device_auth_providers",
    "pushers",
    "refresh_tokens",
    "user_threepid_id_server",
    "user_threepids",
];

/// Columns that tell from where and when somebody used the server.
const TRACES: [(&str, &str); 3] =
    [("devices", "ip"), ("devices", "last_seen"), ("devices", "user_agent")];

/// Members that every room version keeps of a redacted event.
const KEPT: [&str; 11] = [
    "event_id",
    "type",
    "room_id",
    "sender",
    "state_key",
    "hashes",
    "signatures",
    "depth",
    "prev_events",
    "auth_events",
    "origin_server_ts",
];

/// Whether rows of this table leave at all. Who asks what is held about them gets the rows, with
/// null in place of what is secret in them.
pub(crate) fn may_leave(table: &str, selection: &Selection) -> bool {
    selection.leave.secrets
        || selection.profile == Some(Profile::Access)
        || !SECRET_TABLES.contains(&table)
}

/// The select list of a table, with null where a value stays.
pub(crate) fn selected_leaving(table: &StoredTable, alias: &str, selection: &Selection) -> String {
    let known = Catalogue::known().get(&table.name);
    let stays = |column: &Column| {
        let known = known.and_then(|known| known.column(&column.name));
        let is_secret = known.is_some_and(|known| known.sensitivity == Sensitivity::Secret);
        let is_trace = TRACES.contains(&(table.name.as_str(), column.name.as_str()));
        is_secret || (is_trace && selection.profile != Some(Profile::Access))
    };
    let expression = |column: &Column| {
        if !selection.leave.secrets && stays(column) {
            format!("NULL::{} AS {}", column.type_name, quoted(&column.name))
        } else {
            column.selected(alias)
        }
    };
    let columns: Vec<String> = table.columns.iter().map(expression).collect();
    columns.join(", ")
}

/// The condition that event `e` is redacted, or its sender asked to be forgotten. A redaction
/// counts where the server let it: it was not rejected, and either needs no further look or comes
/// from the same server as what it redacts.
pub(crate) fn hidden_condition() -> String {
    "(EXISTS (SELECT FROM redactions d JOIN events r ON r.event_id = d.event_id
              WHERE d.redacts = e.event_id AND r.room_id = e.room_id
                AND r.rejection_reason IS NULL
                AND (NOT d.recheck OR substring(r.sender FROM ':.*') =
                                      substring(e.sender FROM ':.*')))
      OR EXISTS (SELECT FROM erased_users u WHERE u.user_id = e.sender))"
        .to_owned()
}

/// The event without what its room version removes on redaction. One that cannot be read by the
/// rules loses all its content: better too little than what was taken back.
pub(crate) fn redacted<'a>(pdu: &'a [u8], room_version: Option<&str>) -> Cow<'a, [u8]> {
    let by_rules = || {
        let rules = RoomRules::of(room_version?)?;
        Pdu::parse(pdu).ok()?.redacted(&rules).ok()
    };
    Cow::Owned(by_rules().unwrap_or_else(|| bare(pdu)))
}

fn bare(pdu: &[u8]) -> Vec<u8> {
    let Ok(Value::Object(mut event)) = serde_json::from_slice::<Value>(pdu) else {
        return b"{}".to_vec();
    };
    event.retain(|key, _| KEPT.contains(&key.as_str()));
    event.insert("content".to_owned(), Value::Object(serde_json::Map::new()));
    Value::Object(event).to_string().into_bytes()
}

#[cfg(test)]
mod tests;

//! One readable record a room, from its current state.

use std::collections::BTreeMap;

use lifeboat_package::flow::{FlowError, Sink};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio_postgres::Client;

use super::frames::{Frames, Shelves};
use crate::postgres::PostgresError;
use crate::synapse::plan::{RoomSize, shelf_cuts};

/// What a room is, for lists and for finding it (`docs/src/format.md` §7.3).
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct RoomSummary {
    /// Room id.
    pub room_id: String,
    /// Room version.
    pub room_version: Option<String>,
    /// Creator.
    pub creator: Option<String>,
    /// Whether encryption is on.
    pub encrypted: bool,
    /// `m.room.name`.
    pub name: Option<String>,
    /// `m.room.topic`.
    pub topic: Option<String>,
    /// `m.room.canonical_alias`.
    pub canonical_alias: Option<String>,
    /// `m.room.join_rules`.
    pub join_rules: Option<String>,
    /// `m.room.history_visibility`.
    pub history_visibility: Option<String>,
    /// Content of `m.room.power_levels`.
    pub power_levels: Option<Value>,
    /// `type` of `m.room.create`, for example `m.space`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub room_type: Option<String>,
    /// Events in the package.
    pub events: u64,
    /// Joined members.
    pub members: u64,
}

/// A summary is no row, so its room is no field of one.
const NO_FIELD: usize = usize::MAX;

/// The condition that a column names one of the rooms.
pub(super) type OfRooms<'a> = &'a (dyn Fn(&str) -> String + Sync);

/// Pours the summaries of some rooms, of which there are few enough for memory by the plan's
/// limits; their events are those, as `e`, of the second condition. Gives the rooms in order.
pub(super) async fn pour(
    lane: &Client,
    (of_rooms, events): (OfRooms<'_>, &str),
    sink: &mut dyn Sink,
) -> Result<Vec<RoomSize>, FlowError> {
    let rooms = read(lane, of_rooms, events).await.map_err(FlowError::new)?;
    let size = |room: &RoomSummary| RoomSize { room_id: room.room_id.clone(), events: room.events };
    let sizes: Vec<RoomSize> = rooms.values().map(size).collect();
    let mut frames = Frames::new("summary");
    frames.by_room(Shelves { room: NO_FIELD, cuts: shelf_cuts(&sizes) });
    for room in rooms.values() {
        frames.serialize((Some(&room.room_id), room), sink).await?;
    }
    frames.finish(sink).await?;
    Ok(sizes)
}

async fn read(
    lane: &Client,
    of_rooms: OfRooms<'_>,
    events: &str,
) -> Result<BTreeMap<String, RoomSummary>, PostgresError> {
    let doing = |e| PostgresError::sorted("read the rooms", e);
    let mut rooms: BTreeMap<String, RoomSummary> = BTreeMap::new();
    let of_range = of_rooms("room_id");
    let query = format!("SELECT room_id, room_version, creator FROM rooms WHERE {of_range}");
    for row in lane.query(query.as_str(), &[]).await.map_err(doing)? {
        let room = entry(&mut rooms, row.get(0));
        (room.room_version, room.creator) = (row.get(1), row.get(2));
    }
    let query = format!("SELECT room_id, count(*) FROM events e WHERE {events} GROUP BY room_id");
    for row in lane.query(query.as_str(), &[]).await.map_err(doing)? {
        entry(&mut rooms, row.get(0)).events = row.get::<_, i64>(1).unsigned_abs();
    }
    let query = format!(
        "SELECT room_id, count(*) FROM current_state_events
         WHERE membership = 'join' AND type = 'm.room.member' AND {of_range} GROUP BY room_id"
    );
    for row in lane.query(query.as_str(), &[]).await.map_err(doing)? {
        entry(&mut rooms, row.get(0)).members = row.get::<_, i64>(1).unsigned_abs();
    }
    let query = format!(
        "SELECT c.room_id, c.type, j.json
         FROM current_state_events c JOIN event_json j ON j.event_id = c.event_id
         WHERE c.state_key = '' AND c.type IN ('m.room.create', 'm.room.name', 'm.room.topic',
               'm.room.canonical_alias', 'm.room.join_rules', 'm.room.history_visibility',
               'm.room.power_levels', 'm.room.encryption') AND {}",
        of_rooms("c.room_id")
    );
    for row in lane.query(query.as_str(), &[]).await.map_err(doing)? {
        describe(entry(&mut rooms, row.get(0)), row.get(1), row.get(2));
    }
    Ok(rooms)
}

fn entry<'a>(rooms: &'a mut BTreeMap<String, RoomSummary>, id: &str) -> &'a mut RoomSummary {
    rooms
        .entry(id.to_owned())
        .or_insert_with(|| RoomSummary { room_id: id.to_owned(), ..RoomSummary::default() })
}

/// Takes from a state event what the summary tells; a malformed event tells nothing.
fn describe(room: &mut RoomSummary, event_type: &str, pdu: &str) {
    #[derive(Deserialize)]
    struct Pdu {
        content: serde_json::Map<String, Value>,
    }
    let Ok(Pdu { mut content }) = serde_json::from_str::<Pdu>(pdu) else { return };
    let mut text = |key: &str| match content.remove(key) {
        Some(Value::String(text)) => Some(text),
        _ => None,
    };
    match event_type {
        "m.room.create" => room.room_type = text("type"),
        "m.room.name" => room.name = text("name"),
        "m.room.topic" => room.topic = text("topic"),
        "m.room.canonical_alias" => room.canonical_alias = text("alias"),
        "m.room.join_rules" => room.join_rules = text("join_rule"),
        "m.room.history_visibility" => room.history_visibility = text("history_visibility"),
        "m.room.encryption" => room.encrypted = true,
        "m.room.power_levels" => room.power_levels = Some(Value::Object(content)),
        _ => {}
    }
}

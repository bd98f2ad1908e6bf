//! What the target has of the things that are to go into it.

use std::collections::{BTreeMap, BTreeSet};

use tokio_postgres::Client;

use super::stage::{Wanted, member, records};
use super::{MergeError, ask};
use crate::postgres::PostgresError;
use crate::synapse::write::rows::EventRecord;

/// One room, as the target has it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RoomThere {
    /// It is there.
    pub here: bool,
    /// It was there.
    pub was_here: bool,
    /// An administrator keeps it out.
    pub blocked: bool,
}

/// What the target lacks of a room that is there.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Lacking {
    /// Events of the package's timeline that the target's has not.
    pub missing: u64,
    /// Those of them from before the target's oldest.
    pub older: u64,
}

/// An event of a room's timeline, in a package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimelineEvent {
    /// Id.
    pub event_id: String,
    /// Depth in the room.
    pub depth: i64,
}

/// An account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// When it was made, in seconds since 1970.
    pub created: Option<i64>,
    /// Whether nobody can use it any more.
    pub deactivated: bool,
}

/// Whether the database holds a Synapse.
///
/// # Errors
/// [`PostgresError`] when the server refuses or is lost.
pub async fn is_synapse(client: &Client) -> Result<bool, PostgresError> {
    let sql = "SELECT count(*) = 5 FROM pg_class
               WHERE relnamespace = current_schema()::regnamespace AND relkind = 'r'
                 AND relname IN ('events', 'event_json', 'rooms', 'users', 'schema_version')";
    let rows = ask(client, "looked at the target database", sql, &[]).await?;
    Ok(rows.first().is_some_and(|row| row.get(0)))
}

/// The server that the accounts of the target belong to; none when there is no account.
///
/// # Errors
/// [`PostgresError`] when the server refuses or is lost.
pub async fn server_of_accounts(client: &Client) -> Result<Option<String>, PostgresError> {
    let sql = "SELECT substring(name FROM position(':' IN name) + 1) FROM users LIMIT 1";
    let rows = ask(client, "looked at the accounts", sql, &[]).await?;
    Ok(rows.first().map(|row| row.get(0)))
}

/// Background updates under way that count rooms and people: what is added meanwhile would be
/// counted twice.
///
/// # Errors
/// [`PostgresError`] when the server refuses or is lost.
pub async fn counting(client: &Client) -> Result<Vec<String>, PostgresError> {
    let sql = "SELECT update_name FROM background_updates
               WHERE update_name LIKE 'populate\\_stats\\_%'
                  OR update_name LIKE 'populate\\_user\\_directory\\_%' ORDER BY 1";
    let rows = ask(client, "read the background updates", sql, &[]).await?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

/// Looks for rooms.
///
/// # Errors
/// [`PostgresError`] when the server refuses or is lost.
pub async fn rooms(
    client: &Client,
    ids: &[String],
) -> Result<BTreeMap<String, RoomThere>, PostgresError> {
    let sql = "SELECT id,
                      EXISTS (SELECT FROM rooms r WHERE r.room_id = id)
                        OR EXISTS (SELECT FROM events e WHERE e.room_id = id),
                      EXISTS (SELECT FROM current_state_delta_stream d WHERE d.room_id = id),
                      EXISTS (SELECT FROM blocked_rooms b WHERE b.room_id = id)
               FROM unnest($1::text[]) id";
    let rows = ask(client, "looked for rooms", sql, &[&ids]).await?;
    let there = rows.iter().map(|row| {
        let [here, was_here, blocked] = [1, 2, 3].map(|at| row.get(at));
        (row.get(0), RoomThere { here, was_here, blocked })
    });
    Ok(there.collect())
}

/// Those of some rooms with a join in progress.
///
/// # Errors
/// [`PostgresError`] when the server refuses or is lost.
pub async fn joining(client: &Client, ids: &[String]) -> Result<BTreeSet<String>, PostgresError> {
    let sql = "SELECT room_id FROM partial_state_rooms WHERE room_id = ANY($1)";
    let rows = ask(client, "looked for joins in progress", sql, &[&ids]).await?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

/// The timelines of some rooms, from event records of the package, as far as they are `inside` what
/// was asked for.
///
/// # Errors
/// [`MergeError`] when a record cannot be read.
pub fn timelines(
    lines: &[u8],
    rooms: &BTreeSet<String>,
    inside: Wanted<'_>,
) -> Result<Vec<(String, TimelineEvent)>, MergeError> {
    let mut found = Vec::new();
    for line in lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        let record: EventRecord<'_> =
            serde_json::from_slice(line).map_err(|e| MergeError::Record("events", e))?;
        let text = |json: &str| serde_json::from_str::<String>(json).unwrap_or_default();
        let room = record.room_id.map(|room| text(room.get())).unwrap_or_default();
        let Some(row) = record.events.filter(|_| rooms.contains(&room) && !record.closure) else {
            continue;
        };
        let json = |name| match row.find(0, name) {
            Some(crate::postgres::members::Member::Json(json)) => json,
            _ => "null",
        };
        let is_beside = json("outlier") == "true" || json("rejection_reason") != "null";
        if is_beside || !inside(&row) {
            continue;
        }
        let depth = json("depth").parse().unwrap_or_default();
        found.push((room, TimelineEvent { event_id: text(record.event_id.get()), depth }));
    }
    Ok(found)
}

/// Compares the timeline of a room that is there.
///
/// # Errors
/// [`PostgresError`] when the server refuses or is lost.
pub async fn lacking(
    client: &Client,
    room: &str,
    events: &[TimelineEvent],
) -> Result<Lacking, PostgresError> {
    let ids: Vec<&str> = events.iter().map(|event| event.event_id.as_str()).collect();
    let depths: Vec<i64> = events.iter().map(|event| event.depth).collect();
    let sql = "WITH oldest AS (SELECT min(depth) AS depth FROM events
                               WHERE room_id = $1 AND NOT outlier AND rejection_reason IS NULL)
               SELECT count(*), count(*) FILTER (WHERE p.depth <= o.depth)
               FROM unnest($2::text[], $3::int8[]) p (event_id, depth) CROSS JOIN oldest o
               WHERE NOT EXISTS (SELECT FROM events e
                                 WHERE e.event_id = p.event_id AND NOT e.outlier)";
    let rows = ask(client, "compared a room's history", sql, &[&room, &ids, &depths]).await?;
    let count = |at| rows.first().map_or(0, |row| row.get::<_, i64>(at).unsigned_abs());
    Ok(Lacking { missing: count(0), older: count(1) })
}

/// Accounts of a package, from their records.
///
/// # Errors
/// [`MergeError`] when a record cannot be read.
pub fn packaged_accounts(lines: &[u8]) -> Result<BTreeMap<String, Account>, MergeError> {
    let rows = records("users", lines)?;
    Ok(rows.iter().filter_map(|row| Some((member(row, "name")?, account(row)))).collect())
}

fn account(row: &crate::postgres::members::Members<'_>) -> Account {
    let number = |name| match row.find(0, name) {
        Some(crate::postgres::members::Member::Json(json)) => json.parse::<i64>().ok(),
        _ => None,
    };
    Account { created: number("creation_ts"), deactivated: number("deactivated") == Some(1) }
}

/// Accounts of the target.
///
/// # Errors
/// [`PostgresError`] when the server refuses or is lost.
pub async fn accounts(
    client: &Client,
    ids: &[String],
) -> Result<BTreeMap<String, Account>, PostgresError> {
    let sql = "SELECT name, creation_ts, deactivated = 1 FROM users WHERE name = ANY($1)";
    let rows = ask(client, "looked for accounts", sql, &[&ids]).await?;
    let there = rows.iter().map(|row| {
        let (created, deactivated) = (row.get(1), row.get(2));
        (row.get(0), Account { created, deactivated })
    });
    Ok(there.collect())
}

/// Where aliases lead on the target.
///
/// # Errors
/// [`PostgresError`] when the server refuses or is lost.
pub async fn aliases(
    client: &Client,
    ids: &[String],
) -> Result<BTreeMap<String, String>, PostgresError> {
    let sql = "SELECT room_alias, room_id FROM room_aliases WHERE room_alias = ANY($1)";
    let rows = ask(client, "looked for aliases", sql, &[&ids]).await?;
    Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
}

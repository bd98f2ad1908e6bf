//! The history that a living room lost to a purge, put back before the oldest event it has.
//!
//! The events get positions before all others, as if they had been fetched from another server.
//! State events that the purge had put beside the timeline go back into it and keep their position.

use serde::{Deserialize, Serialize};
use tokio_postgres::Client;

use super::insert::{self, Added, insert_where};
use super::stage::{Stage, staged};
use super::{MergeError, ask, run};
use crate::postgres::columns::quoted;

/// Tables of which each row belongs to one event that was added.
pub(super) const OF_EVENTS: [&str; 11] = [
    "events",
    "event_json",
    "event_edges",
    "event_auth",
    "state_events",
    "redactions",
    "rejections",
    "event_relations",
    "room_memberships",
    "event_search",
    "event_labels",
];

/// What counts as unread.
pub(super) const NOTIFICATIONS: &str = "event_push_actions";

/// The tables of state, in order.
const OF_STATE: [&str; 3] = ["state_groups", "state_groups_state", "state_group_edges"];

/// What was changed in one room, exactly: what it takes to undo it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Filled {
    /// Events that were added.
    pub added: Vec<String>,
    /// Events that went back into the timeline.
    pub switched: Vec<String>,
    /// Links to earlier events that were added to events of the target.
    pub edges: Vec<(String, String)>,
    /// State groups that were added.
    pub groups: Vec<i64>,
    /// Beginnings of the history that are none any more.
    pub closed: Vec<String>,
    /// Beginnings of the history that are new.
    pub opened: Vec<String>,
    /// The least depth before.
    pub depth: Option<i64>,
    /// Rows, by table.
    #[serde(skip)]
    pub rows: Added,
}

/// Puts the staged history back into `room`, inside the caller's transaction.
///
/// # Errors
/// [`MergeError`] when the database refuses.
pub async fn fill(client: &Client, stage: &Stage, room: &str) -> Result<Filled, MergeError> {
    let mut filled = Filled::default();
    insert::clear(client).await?;
    choose(client, room, &mut filled).await?;
    let of_state = format!(
        "g.id IN (WITH RECURSIVE w (id) AS (
             SELECT t.state_group FROM {} t
             WHERE t.event_id IN (SELECT event_id FROM lifeboat_event_map
                                  UNION SELECT name FROM lifeboat_placeholder)
             UNION SELECT e.prev_state_group FROM {} e JOIN w ON e.state_group = w.id)
         SELECT id FROM w)",
        staged("event_to_state_groups"),
        staged("state_group_edges"),
    );
    insert::map_groups(client, &of_state).await?;
    let new = "EXISTS (SELECT FROM lifeboat_event_map m WHERE m.event_id = s.event_id)";
    for table in OF_EVENTS {
        add(client, stage, (table, new), &mut filled).await?;
    }
    for table in OF_STATE {
        let of_groups = match table {
            "state_groups" => "EXISTS (SELECT FROM lifeboat_group_map m WHERE m.old = s.id)",
            _ => "EXISTS (SELECT FROM lifeboat_group_map m WHERE m.old = s.state_group)",
        };
        add(client, stage, (table, of_groups), &mut filled).await?;
    }
    let either = format!("{new} OR s.event_id IN (SELECT name FROM lifeboat_placeholder)");
    add(client, stage, ("event_to_state_groups", &either), &mut filled).await?;
    notifications(client, stage, &mut filled).await?;
    switch(client, &filled.switched).await?;
    links(client, room, &mut filled).await?;
    let rows =
        ask(client, "read the fresh state groups", "SELECT new FROM lifeboat_group_map", &[]);
    filled.groups = rows.await?.iter().map(|row| row.get(0)).collect();
    Ok(filled)
}

async fn add(
    client: &Client,
    stage: &Stage,
    (table, condition): (&str, &str),
    filled: &mut Filled,
) -> Result<(), MergeError> {
    let rows = insert_where(client, stage, table, (condition, true)).await?;
    if rows > 0 {
        filled.rows.insert(table.to_owned(), rows);
    }
    Ok(())
}

/// What the timeline lacks: events that are not there get positions from the newest backwards,
/// those beside it are noted.
async fn choose(client: &Client, room: &str, filled: &mut Filled) -> Result<(), MergeError> {
    let events = staged("events");
    let oldest = "SELECT min(depth) FROM events
                  WHERE room_id = $1 AND NOT outlier AND rejection_reason IS NULL";
    let lacking = format!(
        "SELECT s.* FROM {events} s WHERE s.room_id = $1 AND NOT s.outlier
           AND s.rejection_reason IS NULL AND s.depth <= ({oldest})"
    );
    let sql = format!(
        "INSERT INTO lifeboat_event_map
         SELECT event_id, stream_ordering, -nextval('events_backfill_stream_seq')
         FROM (SELECT s.event_id, s.stream_ordering FROM ({lacking}) s
               WHERE NOT EXISTS (SELECT FROM events e WHERE e.event_id = s.event_id)
               ORDER BY s.topological_ordering DESC, s.stream_ordering DESC) s
         RETURNING event_id"
    );
    let added = ask(client, "gave old events positions", &sql, &[&room]).await?;
    filled.added = added.iter().map(|row| row.get(0)).collect();
    let sql = format!(
        "INSERT INTO lifeboat_placeholder
         SELECT s.event_id FROM ({lacking}) s
         JOIN events e ON e.event_id = s.event_id AND e.outlier RETURNING name"
    );
    let switched = ask(client, "found events beside the timeline", &sql, &[&room]).await?;
    filled.switched = switched.iter().map(|row| row.get(0)).collect();
    Ok(())
}

/// What counts as unread goes by where the events were before, which receipts and sums of the
/// target still tell; in a room that got other positions since, they say nothing of it.
async fn notifications(
    client: &Client,
    stage: &Stage,
    filled: &mut Filled,
) -> Result<(), MergeError> {
    let Some(columns) = stage.columns(NOTIFICATIONS) else { return Ok(()) };
    let names: Vec<String> = columns.map(|column| quoted(&column.name)).collect();
    let (names, from) = (names.join(", "), staged(NOTIFICATIONS));
    let sql = format!(
        "INSERT INTO {NOTIFICATIONS} ({names})
         SELECT {names} FROM {from} s
         WHERE EXISTS (SELECT FROM lifeboat_event_map m WHERE m.event_id = s.event_id)
           AND EXISTS (SELECT FROM users u WHERE u.name = s.user_id)
           AND EXISTS (SELECT FROM {} p JOIN events e ON e.event_id = p.event_id
                       WHERE e.stream_ordering = p.stream_ordering AND NOT e.outlier)
         ON CONFLICT DO NOTHING",
        staged("events")
    );
    let rows = run(client, "put notifications back", &sql, &[]).await?;
    filled.rows.insert(NOTIFICATIONS.to_owned(), rows);
    Ok(())
}

async fn switch(client: &Client, events: &[String]) -> Result<(), MergeError> {
    let doing = "put events back into the timeline";
    let sql = "UPDATE events SET outlier = false WHERE event_id = ANY($1)";
    run(client, doing, sql, &[&events]).await?;
    let sql = format!(
        "UPDATE event_json j SET internal_metadata = s.internal_metadata
         FROM {} s WHERE s.event_id = j.event_id AND j.event_id = ANY($1)",
        staged("event_json")
    );
    run(client, doing, &sql, &[&events]).await?;
    Ok(())
}

/// Links between events, where the history begins, and its least depth.
async fn links(client: &Client, room: &str, filled: &mut Filled) -> Result<(), MergeError> {
    let sql = format!(
        "INSERT INTO event_edges (event_id, prev_event_id, is_state)
         SELECT s.event_id, s.prev_event_id, s.is_state FROM {} s
         JOIN events e ON e.event_id = s.event_id AND e.room_id = $1 AND NOT e.outlier
         WHERE NOT EXISTS (SELECT FROM event_edges t WHERE t.event_id = s.event_id
                             AND t.prev_event_id = s.prev_event_id)
         RETURNING event_id, prev_event_id",
        staged("event_edges")
    );
    let edges = ask(client, "linked old events", &sql, &[&room]).await?;
    filled.edges = edges.iter().map(|row| (row.get(0), row.get(1))).collect();
    let sql = "DELETE FROM event_backward_extremities b
               USING events e WHERE b.room_id = $1 AND e.event_id = b.event_id AND NOT e.outlier
               RETURNING b.event_id";
    let closed = ask(client, "moved the beginning of the history", sql, &[&room]).await?;
    filled.closed = closed.iter().map(|row| row.get(0)).collect();
    let sql = format!(
        "INSERT INTO event_backward_extremities (event_id, room_id)
         SELECT s.event_id, s.room_id FROM {} s WHERE s.room_id = $1
           AND NOT EXISTS (SELECT FROM event_backward_extremities b
                           WHERE b.room_id = $1 AND b.event_id = s.event_id)
         RETURNING event_id",
        staged("event_backward_extremities")
    );
    let opened = ask(client, "moved the beginning of the history", &sql, &[&room]).await?;
    filled.opened = opened.iter().map(|row| row.get(0)).collect();
    let before = "SELECT min_depth FROM room_depth WHERE room_id = $1";
    let before = ask(client, "read the least depth", before, &[&room]).await?;
    filled.depth = before.first().and_then(|row| row.get(0));
    let sql = "UPDATE room_depth SET min_depth =
                   (SELECT min(depth) FROM events WHERE room_id = $1 AND NOT outlier)
               WHERE room_id = $1";
    run(client, "set the least depth", sql, &[&room]).await?;
    Ok(())
}

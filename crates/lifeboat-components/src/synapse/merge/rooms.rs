//! Whole rooms, and stretches of rooms, into a server that does not have them.

use std::collections::BTreeMap;

use tokio_postgres::Client;

use super::insert::{self, Added, WRITER, belongs, insert};
use super::stage::{Stage, staged};
use super::{MergeError, ask, batch, run};
use crate::postgres::columns::quoted;
use crate::synapse::catalogue::{Catalogue, Class, Path, Table};
use crate::synapse::schema::SequenceState;
use crate::synapse::sequences;

/// The tables of a room in the order in which foreign keys and triggers want them.
pub(super) const TABLES: [&str; 36] = [
    "rooms",
    "events",
    "event_json",
    "event_edges",
    "event_auth",
    "event_forward_extremities",
    "event_backward_extremities",
    "state_events",
    "redactions",
    "rejections",
    "event_relations",
    "state_groups",
    "state_groups_state",
    "state_group_edges",
    "event_to_state_groups",
    "current_state_events",
    "room_memberships",
    "local_current_membership",
    "room_depth",
    "room_retention",
    "event_expiry",
    "timeline_gaps",
    "room_ban_redactions",
    "msc4242_state_dag_edges",
    "msc4242_state_dag_forward_extremities",
    "receipts_linearized",
    "receipts_graph",
    "room_account_data",
    "room_tags",
    "room_tags_revisions",
    "event_push_actions",
    "thread_subscriptions",
    "e2e_room_keys",
    "event_search",
    "threads",
    "event_labels",
];

/// What becomes of members without an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missing {
    /// A deactivated account keeps the name.
    Placeholder,
    /// The server forgets the membership.
    Drop,
}

/// How one batch of rooms is added.
#[derive(Debug, Clone, Copy)]
pub struct RoomBatch<'a> {
    /// The rooms; their rows are staged.
    pub rooms: &'a [String],
    /// The server's name.
    pub server: &'a str,
    /// Members without account.
    pub missing: Missing,
    /// Now, in milliseconds since 1970.
    pub now_ms: i64,
}

/// What was added.
#[derive(Debug, Clone, Default)]
pub struct RoomsAdded {
    /// Rows, by table.
    pub rows: Added,
    /// Events, by room.
    pub events: BTreeMap<String, u64>,
    /// The oldest and the newest position that were given.
    pub positions: (i64, i64),
    /// Tables in which users kept something of these rooms before.
    pub had: Vec<String>,
    /// Accounts made to keep a name.
    pub placeholders: Vec<String>,
    /// Memberships that were dropped.
    pub dropped: u64,
}

/// Adds the staged rooms, inside the caller's transaction.
///
/// # Errors
/// [`MergeError`] when a room is not whole or the database refuses.
pub async fn add(
    client: &Client,
    stage: &Stage,
    batch_of: RoomBatch<'_>,
) -> Result<RoomsAdded, MergeError> {
    let mut added = RoomsAdded::default();
    insert::clear(client).await?;
    map_events(client).await?;
    added.had = kept_before(client, batch_of.rooms).await?;
    clear_leftovers(client, stage, batch_of.rooms).await?;
    insert::map_groups(client, "true").await?;
    batch(client, "looked at the maps", "ANALYZE lifeboat_event_map; ANALYZE lifeboat_group_map")
        .await?;
    whole_state(client).await?;
    members(client, batch_of, &mut added).await?;
    for table in TABLES {
        let rows = insert(client, stage, table, &condition(table)).await?;
        if rows > 0 {
            added.rows.insert(table.to_owned(), rows);
        }
    }
    announce(client, batch_of.rooms, &mut added).await?;
    counts(client, batch_of.rooms, &mut added).await?;
    Ok(added)
}

/// Synapse's own purge of a room leaves rows behind, of a room that is not there. What users keep
/// of it is no leftover. A block is lifted, as the plan says.
async fn clear_leftovers(
    client: &Client,
    stage: &Stage,
    rooms: &[String],
) -> Result<(), MergeError> {
    let is_ours = |table: &&Table| {
        let of_room = matches!(table.class, Class::Room | Class::Derived);
        of_room && TABLES.contains(&table.name) && stage.takes(table.name)
    };
    for table in Catalogue::known().tables().filter(is_ours) {
        let (name, of_events) = (quoted(table.name), "SELECT event_id FROM lifeboat_event_map");
        let sql = match (table.path, table.name) {
            (Path::RoomId, _) => format!("DELETE FROM {name} WHERE room_id = ANY($1)"),
            (Path::Event, _) => format!(
                "DELETE FROM {name} WHERE event_id IN ({of_events}) AND cardinality($1::text[]) > 0"
            ),
            _ => continue,
        };
        run(client, "cleared what a purge left", &sql, &[&rooms]).await?;
    }
    let sql = "DELETE FROM blocked_rooms WHERE room_id = ANY($1)";
    run(client, "lifted the block of rooms", sql, &[&rooms]).await?;
    Ok(())
}

/// Tables in which users keep something of these rooms though they are not there.
async fn kept_before(client: &Client, rooms: &[String]) -> Result<Vec<String>, MergeError> {
    let mut had = Vec::new();
    let known = Catalogue::known().tables();
    for table in known.filter(|t| t.class == Class::RoomUser && TABLES.contains(&t.name)) {
        let sql = format!("SELECT FROM {} WHERE room_id = ANY($1) LIMIT 1", quoted(table.name));
        if !ask(client, "looked for what users keep", &sql, &[&rooms]).await?.is_empty() {
            had.push(table.name.to_owned());
        }
    }
    Ok(had)
}

/// Fresh positions in the order of the old ones; what only came along stands before the rest.
async fn map_events(client: &Client) -> Result<(), MergeError> {
    let sql = format!(
        "INSERT INTO lifeboat_event_map
         SELECT event_id, stream_ordering, nextval('events_stream_seq')
         FROM (SELECT event_id, stream_ordering FROM {}
               ORDER BY closure DESC, stream_ordering) e",
        staged("events")
    );
    run(client, "gave events fresh positions", &sql, &[]).await?;
    Ok(())
}

/// State is kept as differences from other state: each must be there.
async fn whole_state(client: &Client) -> Result<(), MergeError> {
    let sql = format!(
        "SELECT g.room_id FROM {} e
         JOIN {} g ON g.id = e.state_group
         WHERE NOT EXISTS (SELECT FROM lifeboat_group_map m WHERE m.old = e.prev_state_group)
         UNION ALL
         SELECT e.room_id FROM {} t
         JOIN {} e ON e.event_id = t.event_id
         WHERE NOT EXISTS (SELECT FROM lifeboat_group_map m WHERE m.old = t.state_group) LIMIT 1",
        staged("state_group_edges"),
        staged("state_groups"),
        staged("event_to_state_groups"),
        staged("events"),
    );
    let torn = ask(client, "looked whether the state is whole", &sql, &[]).await?;
    let Some(row) = torn.first() else { return Ok(()) };
    let detail = "the package lacks a part of its state; skip the room".to_owned();
    Err(MergeError::Room { room: row.get(0), detail })
}

/// Names of this server that have no account: kept by a placeholder, or dropped.
async fn members(
    client: &Client,
    batch_of: RoomBatch<'_>,
    added: &mut RoomsAdded,
) -> Result<(), MergeError> {
    let from = staged("local_current_membership");
    let sql = format!(
        "INSERT INTO lifeboat_placeholder
         SELECT DISTINCT s.user_id FROM {from} s
         WHERE NOT EXISTS (SELECT FROM users u WHERE u.name = s.user_id)"
    );
    run(client, "looked for members without account", &sql, &[]).await?;
    if batch_of.missing == Missing::Drop {
        let sql =
            format!("DELETE FROM {from} s USING lifeboat_placeholder p WHERE p.name = s.user_id");
        added.dropped = run(client, "dropped members without account", &sql, &[]).await?;
        return Ok(());
    }
    let sql = "INSERT INTO users (name, creation_ts, deactivated, is_guest, admin)
               SELECT name, $1, 1, 0, 0 FROM lifeboat_placeholder ORDER BY name RETURNING name";
    let seconds = batch_of.now_ms / 1000;
    let made = ask(client, "made accounts that keep a name", sql, &[&seconds]).await?;
    added.placeholders = made.iter().map(|row| row.get(0)).collect();
    Ok(())
}

/// Which staged rows of a table go in.
fn condition(table: &str) -> String {
    let account = "EXISTS (SELECT FROM users u WHERE u.name = s.user_id)
                   AND NOT EXISTS (SELECT FROM lifeboat_placeholder p WHERE p.name = s.user_id)";
    match table {
        "room_account_data" | "room_tags" | "room_tags_revisions" | "thread_subscriptions" => {
            account.to_owned()
        }
        "event_push_actions" => format!("{account} AND {}", of_event()),
        "e2e_room_keys" => format!(
            "{account} AND EXISTS (SELECT FROM e2e_room_keys_versions v
                                   WHERE v.user_id = s.user_id AND v.version = s.version)
             AND EXISTS (SELECT FROM {} r WHERE r.room_id = s.room_id)",
            staged("rooms")
        ),
        "event_search" | "event_labels" => of_event().to_owned(),
        _ => belongs(table).to_owned(),
    }
}

fn of_event() -> &'static str {
    "EXISTS (SELECT FROM lifeboat_event_map m WHERE m.event_id = s.event_id)"
}

/// Tells every reader of the stream: without these rows clients, statistics and the user directory
/// would never learn of the rooms. Other servers and application services had the events before.
async fn announce(
    client: &Client,
    rooms: &[String],
    added: &mut RoomsAdded,
) -> Result<(), MergeError> {
    let sql = format!(
        "INSERT INTO current_state_delta_stream
             (stream_id, room_id, type, state_key, event_id, prev_event_id, instance_name)
         SELECT event_stream_ordering, room_id, type, state_key, event_id, NULL, {WRITER}
         FROM current_state_events WHERE room_id = ANY($1)"
    );
    let told = run(client, "announced the rooms", &sql, &[&rooms]).await?;
    added.rows.insert("current_state_delta_stream".to_owned(), told);
    positions(client).await?;
    let sql = "INSERT INTO background_updates (update_name, progress_json)
               VALUES ('chain_cover', '{}') ON CONFLICT DO NOTHING";
    run(client, "asked for the index of auth chains", sql, &[]).await?;
    Ok(())
}

/// Other servers and application services are not sent what they had.
pub(super) async fn positions(client: &Client) -> Result<(), MergeError> {
    let sql = "
        UPDATE federation_stream_position
        SET stream_id = greatest(stream_id, (SELECT last_value FROM events_stream_seq))
        WHERE type = 'events';
        UPDATE appservice_stream_position
        SET stream_ordering =
            greatest(stream_ordering, (SELECT last_value FROM events_stream_seq))";
    Ok(batch(client, "moved the positions of receivers on", sql).await?)
}

/// Raises the sequences that clients and servers know numbers of, where those of the package are
/// ahead: tokens of its clients would else be from the future. Sequences follow no transaction.
///
/// # Errors
/// [`MergeError`] when the database refuses.
pub async fn raise_sequences(
    client: &Client,
    saved: &[SequenceState],
    margin: u64,
) -> Result<Vec<String>, MergeError> {
    let mut raised = Vec::new();
    for stand in sequences::stand(client).await?.iter().filter(|stand| stand.is_raised) {
        let state = saved.iter().find(|state| state.name == stand.name && state.is_called);
        let Some(state) = state.filter(|state| state.last_value > stand.last.unwrap_or(0)) else {
            continue;
        };
        let margin = i64::try_from(margin).unwrap_or(i64::MAX);
        // Some go into columns of 32 bits.
        let bound = i64::from(i32::MAX / 2).max(state.last_value);
        let next = state.last_value.saturating_add(margin).min(bound);
        let sql = "SELECT setval($1::text::regclass, $2)";
        ask(client, "raised a sequence", sql, &[&quoted(&stand.name), &next]).await?;
        raised.push(format!("{} raised from {} to {next}", stand.name, stand.last.unwrap_or(0)));
    }
    Ok(raised)
}

async fn counts(
    client: &Client,
    rooms: &[String],
    added: &mut RoomsAdded,
) -> Result<(), MergeError> {
    let sql = "SELECT room_id, count(*), min(min(stream_ordering)) OVER (),
                      max(max(stream_ordering)) OVER ()
               FROM events WHERE room_id = ANY($1) GROUP BY room_id";
    for row in ask(client, "counted the events", sql, &[&rooms]).await? {
        added.events.insert(row.get(0), row.get::<_, i64>(1).unsigned_abs());
        added.positions = (row.get(2), row.get(3));
    }
    Ok(())
}

//! Taking an import back: exactly what it added, as long as nothing new builds on it.

use lifeboat_package::id::Section;
use serde::{Deserialize, Serialize};
use tokio_postgres::Client;

use super::history::{Filled, NOTIFICATIONS, OF_EVENTS};
use super::journal::{self, Kind};
use super::{MergeError, ask, change, media, run, users};
use crate::postgres::columns::quoted;
use crate::synapse::catalogue::{Catalogue, Path};
use crate::synapse::check::tables;

/// Tables of which an import adds no rows, or rows that are told apart.
const STAYS: [&str; 2] = ["current_state_delta_stream", "delayed_events"];

/// What is noted of a room that was added.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoomNote {
    /// Its events.
    pub events: u64,
    /// The oldest position that was given, to any room of its batch.
    pub oldest: i64,
    /// The newest.
    pub newest: i64,
    /// Tables in which users kept something of it before: those stay.
    pub had: Vec<String>,
}

/// What is noted of an account that was added.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserNote {
    /// Its devices.
    pub devices: Vec<String>,
}

/// What was taken back.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Undone {
    /// Rooms.
    pub rooms: Vec<String>,
    /// Rooms whose old history went again.
    pub histories: Vec<String>,
    /// Accounts.
    pub users: Vec<String>,
    /// Media.
    pub media: Vec<String>,
    /// Rows.
    pub rows: u64,
}

/// What stands in the way of taking an import back, in words; nothing when it can be.
///
/// # Errors
/// [`MergeError`] when the database refuses.
pub async fn obstacles(client: &Client, id: &str) -> Result<Vec<String>, MergeError> {
    let rooms = journal::items::<RoomNote>(client, id, Kind::Room).await?;
    let names: Vec<String> = rooms.iter().map(|(room, _)| room.clone()).collect();
    let mut found = Vec::new();
    for (room, note) in &rooms {
        let sql = "SELECT count(*) FROM events WHERE room_id = $1 AND stream_ordering > $2";
        let rows = ask(client, "looked for newer events", sql, &[room, &note.newest]).await?;
        let newer: i64 = rows.first().map_or(0, |row| row.get(0));
        if newer > 0 {
            found.push(format!("room {room}: newer events: {newer}"));
        }
    }
    for (user, note) in journal::items::<UserNote>(client, id, Kind::User).await? {
        of_account(client, (&user, &note), &names, &mut found).await?;
    }
    for user in journal::names(client, id, Kind::Placeholder).await? {
        let sql = "SELECT FROM users WHERE name = $1 AND deactivated <> 1";
        if !ask(client, "looked at an account", sql, &[&user]).await?.is_empty() {
            found.push(format!("account {user}: it was given to somebody"));
        }
    }
    let mut all = names;
    all.extend(journal::names(client, id, Kind::History).await?);
    found.extend(change::obstacles(client, id).await?);
    for (name, later) in journal::built_upon(client, id, &all).await? {
        found.push(format!("room {name}: import {later} builds on it; take that back first"));
    }
    Ok(found)
}

async fn of_account(
    client: &Client,
    (user, note): (&str, &UserNote),
    rooms: &[String],
    found: &mut Vec<String>,
) -> Result<(), MergeError> {
    let sql = "SELECT count(*) FROM devices WHERE user_id = $1 AND device_id <> ALL($2)";
    let rows = ask(client, "looked for newer devices", sql, &[&user, &note.devices]).await?;
    let devices: i64 = rows.first().map_or(0, |row| row.get(0));
    if devices > 0 {
        found.push(format!("account {user}: newer devices: {devices}"));
    }
    let sql = "SELECT count(*) FROM local_current_membership
               WHERE user_id = $1 AND room_id <> ALL($2) AND membership = 'join'";
    let rows = ask(client, "looked for rooms of an account", sql, &[&user, &rooms]).await?;
    let joined: i64 = rows.first().map_or(0, |row| row.get(0));
    if joined > 0 {
        found.push(format!("account {user}: member of rooms that stay: {joined}"));
    }
    Ok(())
}

/// Takes an import back, inside the caller's transaction. See [`obstacles`] first. Files of the
/// media store are the caller's to remove.
///
/// # Errors
/// [`MergeError`] when the database refuses.
pub async fn undo(client: &Client, id: &str) -> Result<Undone, MergeError> {
    let mut undone = Undone { rows: change::undo(client, id).await?, ..Undone::default() };
    for (room, filled) in journal::items::<Filled>(client, id, Kind::History).await? {
        undone.rows += empty(client, &room, &filled).await?;
        undone.histories.push(room);
    }
    for (room, note) in journal::items::<RoomNote>(client, id, Kind::Room).await? {
        undone.rows += self::room(client, &room, &note).await?;
        undone.rooms.push(room);
    }
    undone.users = journal::names(client, id, Kind::User).await?;
    let placeholders = journal::names(client, id, Kind::Placeholder).await?;
    let accounts = [undone.users.as_slice(), placeholders.as_slice()].concat();
    undone.rows += users::remove(client, &accounts).await?;
    undone.media = journal::names(client, id, Kind::Media).await?;
    undone.rows += media::remove(client, &undone.media).await?;
    journal::undone(client, id).await?;
    Ok(undone)
}

/// Removes every row of a room: first what refers to others, in the end the room itself.
async fn room(client: &Client, room: &str, note: &RoomNote) -> Result<u64, MergeError> {
    let there = tables::names(client).await?;
    let known = Catalogue::known();
    let mut of_rooms: Vec<_> = known
        .tables()
        .filter(|table| table.section == Section::Rooms && there.iter().any(|t| t == table.name))
        .filter(|table| !STAYS.contains(&table.name) && !note.had.iter().any(|t| t == table.name))
        .collect();
    let rank = |table: &&crate::synapse::catalogue::Table| match (table.path, table.name) {
        (Path::Chain, _) => 0,
        (_, "events" | "state_groups" | "room_aliases") => 3,
        (_, "rooms") => 4,
        (Path::RoomId, _) => 2,
        _ => 1,
    };
    of_rooms.sort_by_key(rank);
    let mut removed = 0;
    for table in of_rooms {
        let (name, of_event) =
            (quoted(table.name), "SELECT event_id FROM events WHERE room_id = $1");
        let condition = match table.path {
            Path::RoomId => "room_id = $1".to_owned(),
            Path::Event => format!("event_id IN ({of_event})"),
            Path::StateGroup => {
                "state_group IN (SELECT id FROM state_groups WHERE room_id = $1)".to_owned()
            }
            Path::Chain => format!(
                "origin_chain_id IN (SELECT chain_id FROM event_auth_chains
                                     WHERE event_id IN ({of_event}))"
            ),
            Path::Alias => {
                "room_alias IN (SELECT room_alias FROM room_aliases WHERE room_id = $1)".to_owned()
            }
            Path::Media | Path::User(_) | Path::Whole => continue,
        };
        let sql = format!("DELETE FROM {name} WHERE {condition}");
        removed +=
            run(client, &format!("took rows of {} back", table.name), &sql, &[&room]).await?;
    }
    let sql = "DELETE FROM current_state_delta_stream
               WHERE room_id = $1 AND stream_id BETWEEN $2 AND $3";
    removed += run(client, "took rooms back", sql, &[&room, &note.oldest, &note.newest]).await?;
    Ok(removed)
}

/// Takes old history out of a living room again.
async fn empty(client: &Client, room: &str, filled: &Filled) -> Result<u64, MergeError> {
    let doing = "took old history back";
    let mut removed = 0;
    let both = [filled.added.as_slice(), filled.switched.as_slice()].concat();
    let sql = "DELETE FROM event_to_state_groups WHERE event_id = ANY($1)";
    removed += run(client, doing, sql, &[&both]).await?;
    for table in OF_EVENTS.iter().rev().chain([&NOTIFICATIONS]) {
        let sql = format!("DELETE FROM {table} WHERE event_id = ANY($1)");
        removed += run(client, doing, &sql, &[&filled.added]).await?;
    }
    for (table, column) in [
        ("state_groups_state", "state_group"),
        ("state_group_edges", "state_group"),
        ("state_groups", "id"),
    ] {
        let sql = format!("DELETE FROM {table} WHERE {column} = ANY($1)");
        removed += run(client, doing, &sql, &[&filled.groups]).await?;
    }
    let sql = "UPDATE events SET outlier = true WHERE event_id = ANY($1)";
    run(client, doing, sql, &[&filled.switched]).await?;
    let sql = "UPDATE event_json SET internal_metadata =
                   jsonb_set(internal_metadata::jsonb, '{outlier}', 'true')::text
               WHERE event_id = ANY($1)";
    run(client, doing, sql, &[&filled.switched]).await?;
    let (from, to): (Vec<_>, Vec<_>) = filled.edges.iter().cloned().unzip();
    let sql = "DELETE FROM event_edges e USING unnest($1::text[], $2::text[]) x (a, b)
               WHERE e.event_id = x.a AND e.prev_event_id = x.b";
    removed += run(client, doing, sql, &[&from, &to]).await?;
    let sql = "DELETE FROM event_backward_extremities WHERE room_id = $1 AND event_id = ANY($2)";
    removed += run(client, doing, sql, &[&room, &filled.opened]).await?;
    let sql = "INSERT INTO event_backward_extremities (event_id, room_id)
               SELECT id, $1 FROM unnest($2::text[]) id ON CONFLICT DO NOTHING";
    run(client, doing, sql, &[&room, &filled.closed]).await?;
    if let Some(depth) = filled.depth {
        let sql = "UPDATE room_depth SET min_depth = $2 WHERE room_id = $1";
        run(client, doing, sql, &[&room, &depth]).await?;
    }
    Ok(removed)
}

//! Rooms: events, members and size of the current state, in the package and in the target.

use std::collections::BTreeMap;

use serde::Deserialize;
use tokio_postgres::Client;

use super::Findings;
use super::run::Run;
use crate::postgres::PostgresError;
use crate::synapse::read::summary::RoomSummary;

/// Rooms that the target is asked for at a time.
const BATCH: usize = 1_000;

/// What is compared of a room.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RoomCounts {
    /// Events.
    pub events: u64,
    /// Joined members.
    pub members: u64,
    /// Entries of the current state.
    pub state: u64,
}

/// The rooms of one part of a package.
#[derive(Debug, Default)]
pub struct PackagedRooms(BTreeMap<String, RoomCounts>);

/// The member of a row that says which room it is of.
#[derive(Deserialize)]
struct OfRoom {
    room_id: String,
}

impl PackagedRooms {
    /// The name of the records that [`Self::add_summary`] takes.
    pub const SUMMARY: &'static str = "summary";
    /// The name of the records that [`Self::add_state`] takes.
    pub const STATE: &'static str = "current_state_events";

    /// Adds a summary.
    ///
    /// # Errors
    /// When the line is no summary.
    pub fn add_summary(&mut self, line: &[u8]) -> Result<(), serde_json::Error> {
        let summary: RoomSummary = serde_json::from_slice(line)?;
        let counts = self.0.entry(summary.room_id).or_default();
        (counts.events, counts.members) = (summary.events, summary.members);
        Ok(())
    }

    /// Adds a row of the current state.
    ///
    /// # Errors
    /// When the line is no such row.
    pub fn add_state(&mut self, line: &[u8]) -> Result<(), serde_json::Error> {
        let OfRoom { room_id } = serde_json::from_slice(line)?;
        self.0.entry(room_id).or_default().state += 1;
        Ok(())
    }

    /// Rooms that were counted already.
    pub fn counted(rooms: impl IntoIterator<Item = (String, RoomCounts)>) -> Self {
        Self(rooms.into_iter().collect())
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Compares each with the target.
    ///
    /// # Errors
    /// [`PostgresError`] when the server refuses or is lost.
    pub async fn compare(&self, client: &Client, run: Run) -> Result<Findings, PostgresError> {
        let mut findings = Findings::default();
        let rooms: Vec<(&String, &RoomCounts)> = self.0.iter().collect();
        for batch in rooms.chunks(BATCH) {
            let ids: Vec<&str> = batch.iter().map(|(id, _)| id.as_str()).collect();
            let found = counts(client, &ids).await?;
            for (id, packaged) in batch {
                findings.checked += 1;
                let found = found.get(id.as_str()).copied().unwrap_or_default();
                judge(id, **packaged, found, (run, &mut findings));
            }
        }
        Ok(findings)
    }
}

/// Judges a room. Pure.
pub(super) fn judge(
    room: &str,
    packaged: RoomCounts,
    found: RoomCounts,
    (run, findings): (Run, &mut Findings),
) {
    let pairs = [
        ("events", packaged.events, found.events),
        ("joined members", packaged.members, found.members),
        ("entries of current state", packaged.state, found.state),
    ];
    let differing = pairs.iter().filter(|(_, packaged, found)| packaged != found);
    let words: Vec<String> = differing
        .map(|(what, packaged, found)| format!("{found} {what}, the package has {packaged}"))
        .collect();
    if words.is_empty() {
        return;
    }
    let words = words.join("; ");
    // Rooms grow, people leave and the server with them; events stay unless somebody purges.
    let lives = run == Run::AfterFirstStart && found.events >= packaged.events;
    if lives {
        findings.note(format!("{room}: {words}: changed since the start"));
    } else {
        findings.problem(room, words);
    }
}

async fn counts(
    client: &Client,
    ids: &[&str],
) -> Result<BTreeMap<String, RoomCounts>, PostgresError> {
    let doing = |e| PostgresError::sorted("counted events and state of rooms", e);
    let mut rooms: BTreeMap<String, RoomCounts> = BTreeMap::new();
    let events = "SELECT room_id, count(*) FROM events WHERE room_id = ANY($1) GROUP BY room_id";
    for row in client.query(events, &[&ids]).await.map_err(doing)? {
        rooms.entry(row.get(0)).or_default().events = row.get::<_, i64>(1).unsigned_abs();
    }
    let state = "SELECT room_id, count(*),
            count(*) FILTER (WHERE type = 'm.room.member' AND membership = 'join')
        FROM current_state_events WHERE room_id = ANY($1) GROUP BY room_id";
    for row in client.query(state, &[&ids]).await.map_err(doing)? {
        let counts = rooms.entry(row.get(0)).or_default();
        counts.state = row.get::<_, i64>(1).unsigned_abs();
        counts.members = row.get::<_, i64>(2).unsigned_abs();
    }
    Ok(rooms)
}

//! What a package says about its rooms, as far as a plan needs it.

use std::collections::{BTreeMap, BTreeSet};

use super::MergeError;
use super::stage::{member, records};
use crate::synapse::check::rooms::RoomCounts;
use crate::synapse::pick::{ALIASES, CURRENT_STATE};
use crate::synapse::read::summary::RoomSummary;

/// The records that hold a summary a room.
pub const SUMMARY: &str = "summary";

const JOINING: &str = "partial_state_rooms";

/// The rooms of a package.
#[derive(Debug, Default)]
pub struct RoomsAbout {
    /// By id.
    pub rooms: BTreeMap<String, RoomSummary>,
    /// Rooms, by alias.
    pub aliases: BTreeMap<String, String>,
    /// Rooms with a join in progress.
    pub joining: BTreeSet<String>,
    /// Members of other servers, by room.
    pub remote: BTreeMap<String, u64>,
    /// Entries of the current state, by room.
    pub state: BTreeMap<String, u64>,
}

impl RoomsAbout {
    /// The names of records to hand to [`Self::take`].
    pub const WANTS: [&'static str; 3] = [ALIASES, JOINING, CURRENT_STATE];

    /// Takes the summaries of one entry; the ids of their rooms.
    ///
    /// # Errors
    /// [`MergeError`] when one cannot be read.
    pub fn take_summaries(&mut self, lines: &[u8]) -> Result<Vec<String>, MergeError> {
        let mut ids = Vec::new();
        for line in lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            let room: RoomSummary =
                serde_json::from_slice(line).map_err(|e| MergeError::Record(SUMMARY, e))?;
            ids.push(room.room_id.clone());
            self.rooms.insert(room.room_id.clone(), room);
        }
        Ok(ids)
    }

    /// What the package says that a room has.
    pub fn counts(&self, room: &str) -> RoomCounts {
        let summary = self.rooms.get(room);
        RoomCounts {
            events: summary.map_or(0, |room| room.events),
            members: summary.map_or(0, |room| room.members),
            state: self.state.get(room).copied().unwrap_or(0),
        }
    }

    /// Takes the records of one entry, in a package of `server`.
    ///
    /// # Errors
    /// [`MergeError`] when one cannot be read.
    pub fn take(&mut self, name: &str, server: &str, lines: &[u8]) -> Result<(), MergeError> {
        let ours = format!(":{server}");
        for row in records(name, lines)? {
            let text = |column| member(&row, column).unwrap_or_default();
            match name {
                ALIASES => {
                    self.aliases.insert(text("room_alias"), text("room_id"));
                }
                JOINING => {
                    self.joining.insert(text("room_id"));
                }
                _ => {
                    *self.state.entry(text("room_id")).or_default() += 1;
                    let joined = text("membership") == "join" && text("type") == "m.room.member";
                    if joined && !text("state_key").ends_with(&ours) {
                        *self.remote.entry(text("room_id")).or_default() += 1;
                    }
                }
            }
        }
        Ok(())
    }
}

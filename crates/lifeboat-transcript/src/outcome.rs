//! What came of it.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::event::Loss;

/// What was told.
#[derive(Debug, Clone, Default, Serialize)]
pub struct TranscriptOutcome {
    /// Package id.
    pub package: String,
    /// The server of the past.
    pub from: String,
    /// The server it is told on.
    pub to: String,
    /// Why the package is trusted.
    pub trust: String,
    /// The file of ids.
    pub id_map: String,
    /// Whether nothing was sent.
    pub dry_run: bool,
    /// Rooms.
    pub rooms: Vec<RoomTold>,
    /// Accounts of ghosts that were made.
    pub ghosts: u64,
    /// Files that were uploaded.
    pub files: u64,
    /// Events that are told now and were not before.
    pub told: u64,
    /// Events and files that are missing and should not be.
    pub gaps: u64,
    /// What else to know.
    pub warnings: Vec<String>,
    /// How long it took.
    pub seconds: i64,
}

/// One room.
#[derive(Debug, Clone, Default, Serialize)]
pub struct RoomTold {
    /// Its id before.
    pub old: String,
    /// Its id now.
    pub new: String,
    /// Its name.
    pub name: Option<String>,
    /// Messages and the like that were sent.
    pub messages: u64,
    /// State that was sent.
    pub state: u64,
    /// Redactions that were sent.
    pub redactions: u64,
    /// Events that an earlier run had sent.
    pub there: u64,
    /// Invitations and joins that were not in the past, so that somebody could speak.
    pub let_in: u64,
    /// Events that the application service sent, because their sender was not allowed to.
    pub stood_in: u64,
    /// Redactions whose date is now.
    pub undated: u64,
    /// Messages that were decrypted.
    pub decrypted: u64,
    /// Files that events name and that could not be brought.
    pub files_missing: u64,
    /// Events that were not told, by why.
    pub lost: BTreeMap<Loss, u64>,
    /// What the server said to the first of those that it refused.
    pub refusals: Vec<String>,
}

impl RoomTold {
    /// Events and files that are missing and should not be.
    pub fn gaps(&self) -> u64 {
        let lost = self.lost.iter().filter(|(loss, _)| loss.is_gap());
        lost.map(|(_, count)| count).sum::<u64>() + self.files_missing
    }

    /// Counts an event that is not told.
    pub fn lose(&mut self, loss: Loss) {
        *self.lost.entry(loss).or_default() += 1;
    }

    /// Keeps what the server said, for the first few.
    pub fn refused(&mut self, why: String) {
        /// Refusals that are kept.
        const KEPT: usize = 5;
        if self.refusals.len() < KEPT && !self.refusals.contains(&why) {
            self.refusals.push(why);
        }
    }
}

impl TranscriptOutcome {
    /// With the sums of its rooms, which are in order.
    #[must_use]
    pub fn summed(mut self) -> Self {
        self.rooms.sort_by(|a, b| a.old.cmp(&b.old));
        self.gaps = self.rooms.iter().map(RoomTold::gaps).sum();
        let told = |room: &RoomTold| room.messages + room.state + room.redactions;
        self.told = self.rooms.iter().map(told).sum();
        self
    }
}

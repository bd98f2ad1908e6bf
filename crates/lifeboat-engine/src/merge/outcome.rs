//! How an import into a living server ended.

use std::collections::BTreeMap;

use lifeboat_components::synapse::merge::belongings::Mapped;
use lifeboat_rules::plan::Plan;
use serde::Serialize;

use crate::import::ImportReport;

/// What was done, or would be.
#[derive(Debug, Clone, Default, Serialize)]
pub struct MergeOutcome {
    /// What `lifeboat import undo` takes; none when nothing was added.
    pub id: Option<String>,
    /// Whether nothing was kept.
    pub dry_run: bool,
    /// The file that the plan was written to; nothing else was done then.
    pub plan_file: Option<String>,
    /// Server.
    pub server_name: String,
    /// Package id.
    pub package: String,
    /// Who signed it, and why that is trusted.
    pub trust: String,
    /// Database and where it is.
    pub database: String,
    /// What was to be done.
    pub plan: Option<Plan>,
    /// Whether anything was added.
    pub changed: bool,
    /// Rooms that were added or got history back.
    pub rooms: Vec<RoomDone>,
    /// Accounts that were added.
    pub users: Vec<String>,
    /// Accounts whose belongings were replaced.
    pub replaced: Vec<String>,
    /// Accounts whose belongings went to others.
    pub mapped: Vec<Mapped>,
    /// Names of rooms that were added.
    pub aliases: Vec<String>,
    /// Accounts that keep a name: members without an account.
    pub placeholders: Vec<String>,
    /// Memberships without account that were dropped.
    pub dropped_memberships: u64,
    /// Media files that were written, and read back.
    pub media_written: u64,
    /// Media files that were there already.
    pub media_equal: u64,
    /// Rows that were added, by table.
    pub rows: BTreeMap<String, u64>,
    /// What differs, was left out, or could not be checked.
    pub warnings: Vec<String>,
    /// What the package lacks, and what was left out for a reason.
    pub gaps: u64,
    /// Seconds it took.
    pub seconds: i64,
    /// Rooms that were planned and of which there was nothing to add.
    pub left_out: Vec<String>,
    /// Whether Synapse was restarted after the import.
    pub restarted: bool,
    /// What was found when everything was looked at again; Matrix signed JSON by itself.
    pub report: Option<ImportReport>,
    /// What to do next.
    pub next: Vec<String>,
}

/// A room that something was added to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RoomDone {
    /// Room id.
    pub room_id: String,
    /// Its name.
    pub name: Option<String>,
    /// `added`, `stretch added` or `history filled`.
    pub what: &'static str,
    /// Events that were added.
    pub events: u64,
    /// Events that the package has of it and that belong in, all of which are there.
    pub complete: bool,
}

/// How taking an import back ended.
#[derive(Debug, Clone, Default, Serialize)]
pub struct UndoOutcome {
    /// Its id.
    pub id: String,
    /// Rooms that were taken out.
    pub rooms: Vec<String>,
    /// Rooms whose old history was taken out.
    pub histories: Vec<String>,
    /// Accounts that were taken out.
    pub users: Vec<String>,
    /// Media that were taken out.
    pub media: Vec<String>,
    /// Files of the media store that were removed.
    pub files: u64,
    /// Rows that were removed.
    pub rows: u64,
    /// What was left alone.
    pub warnings: Vec<String>,
    /// What to do next.
    pub next: Vec<String>,
}

//! When each scheduled thing last began of those that ended well, as a small file in the state
//! folder. Losing it makes everything due once.

use std::fs;
use std::io;
use std::path::Path;

use lifeboat_rules::schedule::{Cron, Zone};
use serde::{Deserialize, Serialize};

use crate::installation::Schedule;

const FILE: &str = "runs.json";
/// Bytes of it.
const FILE_BYTES: u64 = 64 << 10;

/// What can be scheduled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Task {
    /// `lifeboat backup run`.
    Backup,
    /// `lifeboat backup verify`.
    Verify,
    /// `lifeboat drill`.
    Drill,
}

/// When things that ended well last began, in seconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Runs {
    backup: Option<i64>,
    verify: Option<i64>,
    drill: Option<i64>,
}

/// One line of the schedule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Due {
    /// What.
    pub task: Task,
    /// As written; `None` when it runs by hand.
    pub cron: Option<String>,
    /// When it last began, seconds since 1970.
    pub last: Option<i64>,
    /// When it will be due, seconds since 1970.
    pub next: Option<i64>,
    /// Whether it is due now.
    pub is_due: bool,
}

impl Task {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Backup, Self::Verify, Self::Drill];

    /// Its name in `schedule:`.
    pub fn word(self) -> &'static str {
        match self {
            Self::Backup => "backup",
            Self::Verify => "verify",
            Self::Drill => "drill",
        }
    }

    fn cron(self, schedule: &Schedule) -> Option<&Cron> {
        match self {
            Self::Backup => schedule.backup.as_ref(),
            Self::Verify => schedule.verify.as_ref(),
            Self::Drill => schedule.drill.as_ref(),
        }
    }
}

impl Runs {
    /// Reads the file of a state folder; a missing or strange one says nothing. Blocks on the disk.
    pub fn read(state: &Path) -> Self {
        let bytes = lifeboat_config::read_small_file(&state.join(FILE), FILE_BYTES);
        bytes.ok().and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default()
    }

    /// When a task last began.
    pub fn last(&self, task: Task) -> Option<i64> {
        match task {
            Task::Backup => self.backup,
            Task::Verify => self.verify,
            Task::Drill => self.drill,
        }
    }
}

/// Notes that a task ended well, with the time it began at. Blocks on the disk.
///
/// # Errors
/// When the folder cannot be made or written to.
pub fn record(state: &Path, task: Task, began: i64) -> io::Result<()> {
    let mut runs = Runs::read(state);
    let last = match task {
        Task::Backup => &mut runs.backup,
        Task::Verify => &mut runs.verify,
        Task::Drill => &mut runs.drill,
    };
    *last = Some(began);
    fs::create_dir_all(state)?;
    let (fresh, path) = (state.join("runs.json.new"), state.join(FILE));
    fs::write(&fresh, serde_json::to_vec(&runs)?)?;
    fs::rename(fresh, path)
}

/// What is due, and when the rest will be.
pub fn due(schedule: &Schedule, runs: &Runs, now: i64) -> Vec<Due> {
    let zone: &Zone = &schedule.time_zone;
    let line = |task: Task| {
        let (cron, last) = (task.cron(schedule), runs.last(task));
        Due {
            task,
            cron: cron.map(ToString::to_string),
            last,
            next: cron.and_then(|cron| cron.next(now, zone)),
            is_due: cron.is_some_and(|cron| cron.is_due(last, now, zone)),
        }
    };
    Task::ALL.map(line).into()
}

#[cfg(test)]
mod tests;

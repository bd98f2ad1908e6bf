//! Which backups are kept: the newest of each hour, day, week, month and year, by a policy.
//!
//! Pure. What must never be forgotten is decided here, once: what is pinned, what is dated after
//! now (a clock was wrong, somewhere), and the newest backup that was verified.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::schedule::Zone;

/// How many of each are kept. A policy that keeps nothing is no policy: see [`Retention::is_none`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Retention {
    /// The newest, whatever their date.
    pub last: u32,
    /// The newest of each hour that has one.
    pub hourly: u32,
    /// Of each day.
    pub daily: u32,
    /// Of each week, from Monday.
    pub weekly: u32,
    /// Of each month.
    pub monthly: u32,
    /// Of each year.
    pub yearly: u32,
    /// Everything that is not older than this, in seconds before now.
    pub within_seconds: u64,
}

/// A backup, as far as keeping it goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dated {
    /// Its name.
    pub id: String,
    /// When it was made, seconds since 1970.
    pub at: i64,
    /// It was read whole and found good.
    pub verified: bool,
    /// Somebody said that it stays.
    pub pinned: bool,
}

/// What becomes of a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Verdict {
    /// Its name.
    pub id: String,
    /// Whether it stays.
    pub keep: bool,
    /// Why it stays, in words; empty when it goes.
    pub reasons: Vec<String>,
}

impl Retention {
    /// Whether it keeps nothing at all.
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }
}

//! Purged history that a backup brought back: what of it is purged again, so that what was purged
//! goes, and nothing else.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Where a purge of history ended.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Before {
    /// An event of the least depth that stayed.
    pub event: String,
    /// Its depth: what is less deep was purged, but for state.
    pub depth: i64,
    /// Whether what users of this server had sent was purged, too.
    pub own: bool,
    /// When that was done: milliseconds since 1970.
    pub at: i64,
}

/// History that was purged and is there, or may be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryLeft {
    /// The room.
    pub room: String,
    /// Up to where it was purged.
    pub before: Option<Before>,
    /// Why the server is not to be asked for it.
    pub doubt: Option<Doubt>,
}

/// Why it is not sure that a purge would take what was purged, and nothing else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Doubt {
    /// The list does not say.
    #[error("up to when is not known")]
    Unsaid,
    /// The event that it was purged up to is younger than the backup.
    #[error("it was purged up to an event that is not in the backup")]
    Younger,
    /// Events came after the purge that this one would take along.
    #[error("{0} events that came after that purge would go, too")]
    Later(i64),
}

impl Doubt {
    /// Whether the event that it was purged up to is there, and how many came after the purge.
    pub fn of(stayed: bool, later: i64) -> Option<Self> {
        match (stayed, later) {
            (false, _) => Some(Self::Younger),
            (true, 1..) => Some(Self::Later(later)),
            (true, _) => None,
        }
    }
}

/// What a task of Synapse that purges history was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Task {
    /// What is less deep is purged.
    pub depth: i64,
    /// The place in the stream of the event that was named.
    pub stream: i64,
    /// Whether what users of the server sent is purged, too.
    pub own: bool,
}

impl Task {
    /// Reads `{"token": "t<depth>-<stream>", "delete_local_events": …}`; None when it is not that.
    pub fn read(params: &str) -> Option<Self> {
        let params: Value = serde_json::from_str(params).ok()?;
        let (depth, stream) = params.get("token")?.as_str()?.strip_prefix('t')?.split_once('-')?;
        let own = params.get("delete_local_events")?.as_bool()?;
        let depth: u32 = depth.parse().ok()?;
        Some(Self { depth: depth.into(), stream: stream.parse().ok()?, own })
    }
}

/// Those that no other one makes needless.
pub fn uncovered(left: &[HistoryLeft]) -> Vec<HistoryLeft> {
    let is_covered = |one: &HistoryLeft| left.iter().any(|other| covers(other, one));
    left.iter().filter(|one| !is_covered(one)).cloned().collect()
}

/// Whether a purge takes all that another one of the same room does, and may be asked for.
fn covers(purge: &HistoryLeft, other: &HistoryLeft) -> bool {
    let (Some(wide), Some(narrow)) = (&purge.before, &other.before) else {
        return false;
    };
    let is_wider = wide.depth >= narrow.depth && (wide.own || !narrow.own);
    // Of two that took the same the later one counts.
    let is_same = (wide.depth, wide.own) == (narrow.depth, narrow.own);
    let is_later = (wide.at, &wide.event) > (narrow.at, &narrow.event);
    let is_possible = purge.doubt.is_none() || other.doubt.is_some();
    purge.room == other.room && is_possible && is_wider && (!is_same || is_later)
}

#[cfg(test)]
mod tests;

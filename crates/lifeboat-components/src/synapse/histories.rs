//! History that was purged: up to where, by Synapse's own task list, and what of it a database that
//! was put back has.
//!
//! Synapse purges what is less deep in a room than some event. That event stays, so its id and its
//! depth say it for good: an event's depth is part of the event. Retention policies purge without a
//! task; they do it again by themselves.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio_postgres::{Client, Row};

use super::erasures::{Purge, Purged};
use crate::postgres::PostgresError;

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

/// Purges of history that ended since a moment, in milliseconds since 1970.
pub(super) async fn since(client: &Client, from: i64) -> Result<Vec<Purge>, PostgresError> {
    let doing = |e| PostgresError::sorted("read which history was purged", e);
    let query = "SELECT resource_id, params, timestamp FROM scheduled_tasks
         WHERE action = 'purge_history' AND status = 'complete' AND timestamp >= $1
           AND resource_id IS NOT NULL";
    let mut found = Vec::new();
    for row in client.query(query, &[&from]).await.map_err(doing)? {
        let room: String = row.try_get(0).map_err(doing)?;
        let params: Option<&str> = row.try_get(1).map_err(doing)?;
        let at = row.try_get(2).map_err(doing)?;
        let before = match params.and_then(task) {
            Some(task) => stayed(client, &room, task).await?.map(|event| Before {
                event,
                depth: task.depth,
                own: task.own,
                at,
            }),
            None => None,
        };
        found.push(Purge { room, what: Purged::History, before });
    }
    Ok(found)
}

/// What a task was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Task {
    depth: i64,
    stream: i64,
    own: bool,
}

/// Reads what a task was told: `{"token": "t<depth>-<stream>", "delete_local_events": …}`.
fn task(params: &str) -> Option<Task> {
    let params: Value = serde_json::from_str(params).ok()?;
    let (depth, stream) = params.get("token")?.as_str()?.strip_prefix('t')?.split_once('-')?;
    let own = params.get("delete_local_events")?.as_bool()?;
    let depth: u32 = depth.parse().ok()?;
    Some(Task { depth: depth.into(), stream: stream.parse().ok()?, own })
}

/// An event of the depth that stayed: the one that was named, if it is there.
async fn stayed(
    client: &Client,
    room: &str,
    Task { depth, stream, .. }: Task,
) -> Result<Option<String>, PostgresError> {
    let doing = |e| PostgresError::sorted("looked up to which event history was purged", e);
    let query = "SELECT event_id FROM events
         WHERE room_id = $1 AND topological_ordering = $2 AND NOT outlier
         ORDER BY stream_ordering = $3 DESC, event_id LIMIT 1";
    let row = client.query_opt(query, &[&room, &depth, &stream]).await.map_err(doing)?;
    row.map(|row| row.try_get(0)).transpose().map_err(doing)
}

/// What is left of purged history. What another purge of the same room covers is looked at once.
pub(super) async fn left(
    client: &Client,
    purges: Vec<&Purge>,
) -> Result<Vec<HistoryLeft>, PostgresError> {
    let doing = |e| PostgresError::sorted("looked for purged history", e);
    let query = "SELECT count(*), count(*) FILTER (WHERE e.received_ts > $5),
             EXISTS (SELECT FROM events s WHERE s.event_id = $2 AND s.room_id = $1
                     AND s.topological_ordering = $3 AND NOT s.outlier)
         FROM events e
         WHERE e.room_id = $1 AND e.topological_ordering < $3
           AND NOT EXISTS (SELECT FROM state_events s WHERE s.event_id = e.event_id)
           AND ($4 OR NOT EXISTS (SELECT FROM users u WHERE u.name = e.sender))";
    let mut left: Vec<HistoryLeft> = Vec::new();
    for purge in purges {
        let found =
            |doubt| HistoryLeft { room: purge.room.clone(), before: purge.before.clone(), doubt };
        let Some(Before { event, depth, own, at }) = &purge.before else {
            left.push(found(Some(Doubt::Unsaid)));
            continue;
        };
        let asked = client.query_one(query, &[&purge.room, event, depth, own, at]).await;
        let get = |row: &Row| Ok((row.try_get(0)?, row.try_get(1)?, row.try_get(2)?));
        let (all, later, stayed): (i64, i64, bool) =
            asked.and_then(|row| get(&row)).map_err(doing)?;
        if all > 0 {
            let doubt = if !stayed {
                Some(Doubt::Younger)
            } else if later > 0 {
                Some(Doubt::Later(later))
            } else {
                None
            };
            left.push(found(doubt));
        }
    }
    let is_covered = |one: &HistoryLeft| left.iter().any(|other| covers(other, one));
    let covered: Vec<bool> = left.iter().map(is_covered).collect();
    let mut covered = covered.into_iter();
    left.retain(|_| covered.next() != Some(true));
    Ok(left)
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

//! History that was purged: up to where, by Synapse's own task list, and what of it a database that
//! was put back has.
//!
//! Synapse purges what is less deep in a room than some event. That event stays, so its id and its
//! depth say it for good: an event's depth is part of the event. Retention policies purge without a
//! task; they do it again by themselves.

pub use lifeboat_live::purges::{Before, Doubt, HistoryLeft};
use lifeboat_live::purges::{Task, uncovered};
use tokio_postgres::{Client, Row};

use super::erasures::{Purge, Purged};
use crate::postgres::PostgresError;

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
        let before = match params.and_then(Task::read) {
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
            left.push(found(Doubt::of(stayed, later)));
        }
    }
    Ok(uncovered(&left))
}

//! What was taken back for good: people who asked to be forgotten, accounts that were closed,
//! redacted events, purged rooms. A backup from before brings it back, so it is read from a server
//! that runs, kept apart from backups, and applied again to a database that was put back.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use tokio_postgres::Client;

use super::histories::{self, Before, HistoryLeft};
use super::leave::{hidden_condition, redacted};
use crate::postgres::PostgresError;

/// Events that are looked at in one question.
const AT_ONCE: usize = 1000;

/// What was erased on a server.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Erasures {
    /// People who asked to be forgotten: full user ids. All of them.
    pub erased: BTreeSet<String>,
    /// Accounts that are closed. All of them.
    pub deactivated: BTreeSet<String>,
    /// Events that were redacted in the span, by somebody who may.
    pub redacted: BTreeSet<String>,
    /// What an administrator purged in the span.
    pub purged: BTreeSet<Purge>,
}

/// What was purged.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Purge {
    /// The room.
    pub room: String,
    /// How much of it.
    pub what: Purged,
    /// Of history, up to where; None where nobody knows, and in lists that older writers made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Before>,
}

/// How much of a room was purged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Purged {
    /// All of it.
    Room,
    /// What was older than some event.
    History,
}

impl Erasures {
    /// Adds what another list has.
    pub fn add(&mut self, other: Self) {
        self.erased.extend(other.erased);
        self.deactivated.extend(other.deactivated);
        self.redacted.extend(other.redacted);
        self.purged.extend(other.purged);
    }
}

/// Reads what was erased since a moment, in milliseconds since 1970.
///
/// # Errors
/// [`PostgresError`] when the server refuses or is lost.
pub async fn since(client: &Client, from: i64) -> Result<Erasures, PostgresError> {
    // A list without what policies hide would say that nothing was taken back.
    let doing = |e| PostgresError::sorted("prepared a session", e);
    client.batch_execute("SET row_security = off").await.map_err(doing)?;
    let redactions = format!(
        "SELECT e.event_id FROM events e
         WHERE e.event_id IN (SELECT redacts FROM redactions WHERE received_ts >= {from})
           AND {}",
        hidden_condition()
    );
    Ok(Erasures {
        erased: ids(client, "SELECT user_id FROM erased_users").await?,
        deactivated: ids(client, "SELECT name FROM users WHERE deactivated = 1").await?,
        redacted: ids(client, &redactions).await?,
        purged: purges(client, from).await?,
    })
}

async fn purges(client: &Client, from: i64) -> Result<BTreeSet<Purge>, PostgresError> {
    let mut found = BTreeSet::new();
    // Before schema 80 nobody keeps what was purged.
    if !has_table(client, "scheduled_tasks").await? {
        return Ok(found);
    }
    // A room may also be shut down without being purged.
    let rooms = format!(
        "SELECT resource_id FROM scheduled_tasks
         WHERE action = 'shutdown_and_purge_room' AND status = 'complete' AND timestamp >= {from}
           AND resource_id IS NOT NULL AND params::jsonb -> 'purge' = 'true'"
    );
    let whole = |room| Purge { room, what: Purged::Room, before: None };
    found.extend(ids(client, &rooms).await?.into_iter().map(whole));
    found.extend(histories::since(client, from).await?);
    Ok(found)
}

async fn has_table(client: &Client, name: &str) -> Result<bool, PostgresError> {
    let found = client.query_one("SELECT to_regclass($1) IS NOT NULL", &[&name]).await;
    let doing = |e| PostgresError::sorted("looked for a table", e);
    found.map_err(doing)?.try_get(0).map_err(doing)
}

async fn ids(client: &Client, query: &str) -> Result<BTreeSet<String>, PostgresError> {
    let doing = |e| PostgresError::sorted("read what was erased", e);
    let rows = client.query(query, &[]).await.map_err(doing)?;
    rows.iter().map(|row| row.try_get(0).map_err(doing)).collect()
}

/// What was erased again.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Applied {
    /// People whose messages are hidden again.
    pub erased: u64,
    /// Accounts that are closed again: nobody can sign in, and Synapse has them leave their rooms
    /// when it starts.
    pub deactivated: Vec<String>,
    /// Events without their content again.
    pub redacted: u64,
    /// Rooms that are there again; the server itself has to purge them.
    pub rooms: BTreeSet<String>,
    /// History that is there again, or may be; the server itself has to purge it.
    pub histories: Vec<HistoryLeft>,
}

/// Erases again what a database holds of it, all or nothing. Synapse must not run on it.
///
/// # Errors
/// [`PostgresError`] when the server refuses or is lost; nothing is changed then.
pub async fn apply(client: &Client, erasures: &Erasures) -> Result<Applied, PostgresError> {
    let doing = |e| PostgresError::sorted("erased again", e);
    client.batch_execute("BEGIN").await.map_err(doing)?;
    let done = apply_all(client, erasures).await;
    let end = if done.is_ok() { "COMMIT" } else { "ROLLBACK" };
    client.batch_execute(end).await.map_err(doing)?;
    done
}

async fn apply_all(client: &Client, erasures: &Erasures) -> Result<Applied, PostgresError> {
    let doing = |e| PostgresError::sorted("erased again", e);
    let erased: Vec<&String> = erasures.erased.iter().collect();
    let forget = "INSERT INTO erased_users (user_id)
                  SELECT name FROM users WHERE name = ANY($1) ON CONFLICT DO NOTHING";
    let mut applied = Applied {
        redacted: redact(client, erasures).await?,
        erased: client.execute(forget, &[&erased]).await.map_err(doing)?,
        ..Applied::default()
    };
    let closed: Vec<&String> = erasures.deactivated.iter().collect();
    let close = "UPDATE users SET deactivated = 1, password_hash = NULL
                 WHERE name = ANY($1) AND deactivated = 0 RETURNING name";
    let rows = client.query(close, &[&closed]).await.map_err(doing)?;
    applied.deactivated = rows.iter().map(|row| row.get(0)).collect();
    for (table, column) in
        [("access_tokens", "user_id"), ("refresh_tokens", "user_id"), ("pushers", "user_name")]
    {
        if has_table(client, table).await? {
            let delete = format!("DELETE FROM {table} WHERE {column} = ANY($1)");
            client.execute(&delete, &[&applied.deactivated]).await.map_err(doing)?;
        }
    }
    let pending = "INSERT INTO users_pending_deactivation (user_id)
                   SELECT u FROM unnest($1::text[]) u WHERE NOT EXISTS
                       (SELECT FROM users_pending_deactivation p WHERE p.user_id = u)";
    client.execute(pending, &[&applied.deactivated]).await.map_err(doing)?;
    (applied.rooms, applied.histories) = purged(client, erasures).await?;
    Ok(applied)
}

/// What of a list is not erased in a database, and what only the server itself can erase.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Remaining {
    /// Purged rooms that are there.
    pub rooms: BTreeSet<String>,
    /// History that was purged and is there, or may be.
    pub histories: Vec<HistoryLeft>,
    /// Closed accounts that are open or have something left, and whether their owners asked to be
    /// forgotten.
    pub accounts: BTreeMap<String, bool>,
}

/// Looks for what remains of what was erased. Afterwards the same question says what was done.
///
/// # Errors
/// [`PostgresError`] when the server refuses or is lost.
pub async fn remaining(client: &Client, erasures: &Erasures) -> Result<Remaining, PostgresError> {
    let doing = |e| PostgresError::sorted("looked for what was erased", e);
    client.batch_execute("SET row_security = off").await.map_err(doing)?;
    let mut remaining = Remaining::default();
    (remaining.rooms, remaining.histories) = purged(client, erasures).await?;
    let closed: Vec<&String> = erasures.deactivated.iter().collect();
    let forgotten: Vec<&String> = erasures.erased.iter().collect();
    let left = "SELECT name, name = ANY($2) FROM users u
         WHERE name = ANY($1) AND (
             deactivated = 0
             OR (name = ANY($2) AND NOT EXISTS
                 (SELECT FROM erased_users e WHERE e.user_id = u.name))
             OR EXISTS (SELECT FROM devices d WHERE d.user_id = u.name
                        AND NOT coalesce(d.hidden, false))
             OR EXISTS (SELECT FROM user_threepids t WHERE t.user_id = u.name)
             OR EXISTS (SELECT FROM account_data a WHERE a.user_id = u.name)
             OR EXISTS (SELECT FROM room_account_data a WHERE a.user_id = u.name))";
    let rows = client.query(left, &[&closed, &forgotten]).await.map_err(doing)?;
    remaining.accounts = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
    Ok(remaining)
}

/// What is there of what was purged: rooms, and history of others.
async fn purged(
    client: &Client,
    erasures: &Erasures,
) -> Result<(BTreeSet<String>, Vec<HistoryLeft>), PostgresError> {
    let doing = |e| PostgresError::sorted("looked for what was purged", e);
    let rooms: Vec<&String> = erasures.purged.iter().map(|purge| &purge.room).collect();
    let there = "SELECT room_id FROM rooms WHERE room_id = ANY($1)";
    let rows = client.query(there, &[&rooms]).await.map_err(doing)?;
    let there: BTreeSet<String> = rows.iter().map(|row| row.get(0)).collect();
    let of = |what: Purged| {
        let of = erasures.purged.iter().filter(move |purge| purge.what == what);
        of.filter(|purge| there.contains(&purge.room))
    };
    let whole: BTreeSet<String> = of(Purged::Room).map(|purge| purge.room.clone()).collect();
    // A room that is purged whole has no history.
    let parts = of(Purged::History).filter(|purge| !whole.contains(&purge.room));
    let left = histories::left(client, parts.collect()).await?;
    Ok((whole, left))
}

/// Of how many closed accounts the server has yet to take the memberships away, which it does in
/// its own time, one room after the other.
///
/// # Errors
/// [`PostgresError`] when the server refuses or is lost.
pub async fn leaving(client: &Client, erasures: &Erasures) -> Result<i64, PostgresError> {
    let doing = |e| PostgresError::sorted("looked who is leaving rooms", e);
    let closed: Vec<&String> = erasures.deactivated.iter().collect();
    let query = "SELECT count(*) FROM users_pending_deactivation WHERE user_id = ANY($1)";
    Ok(client.query_one(query, &[&closed]).await.map_err(doing)?.get(0))
}

/// Takes the content of events away, as their room's version does; what Synapse knows to be
/// redacted it hides itself.
async fn redact(client: &Client, erasures: &Erasures) -> Result<u64, PostgresError> {
    let doing = |e| PostgresError::sorted("redacted events again", e);
    let query = format!(
        "SELECT e.event_id, j.json, r.room_version FROM events e
         JOIN event_json j ON j.event_id = e.event_id
         LEFT JOIN rooms r ON r.room_id = e.room_id
         WHERE e.event_id = ANY($1) AND NOT {}",
        hidden_condition()
    );
    let ids: Vec<&String> = erasures.redacted.iter().collect();
    let mut count = 0;
    for ids in ids.chunks(AT_ONCE) {
        let mut changed: Vec<String> = Vec::new();
        for row in client.query(&query, &[&ids]).await.map_err(doing)? {
            let (id, json): (String, &str) = (row.get(0), row.get(1));
            let bare = redacted(json.as_bytes(), row.get(2));
            let bare = String::from_utf8_lossy(&bare);
            let set = "UPDATE event_json SET json = $2 WHERE event_id = $1";
            client.execute(set, &[&id, &bare.as_ref()]).await.map_err(doing)?;
            changed.push(id);
        }
        for table in ["event_search", "event_relations"] {
            let delete = format!("DELETE FROM {table} WHERE event_id = ANY($1)");
            client.execute(&delete, &[&changed]).await.map_err(doing)?;
        }
        count += changed.len() as u64;
    }
    Ok(count)
}

//! The moment in which no writer of the guarded member can commit.

use std::time::Duration;

use futures_util::future::try_join_all;
use tokio::time::{Instant, timeout};
use tokio_postgres::Client;

use crate::PostgresError;
use crate::archive::FOREIGN_SCHEMAS;
use crate::columns::quoted;

use super::anchor::Anchor;
use super::{GroupError, Seen, WATCHDOG, WINDOW_LIMIT};

const NOT_ALLOWED: &str = "42501";

/// Opens all snapshots inside one barrier. Returns how long writers were held back.
///
/// However this ends, the barrier is gone: with its transaction, with the session when the future
/// is dropped, with the watchdog when nobody drops anything any more.
pub(super) async fn hold(
    anchors: &[Anchor<'_>],
    lock_timeout: Duration,
) -> Result<(Vec<Seen>, Duration), GroupError> {
    let Some(guarded) = anchors.iter().find(|anchor| anchor.member.guarded) else {
        return Err(GroupError::Unguarded { count: anchors.len(), guarded: 0 });
    };
    let at = GroupError::at(guarded.member);
    let doing = |e| PostgresError::sorted("held writers back", e);
    let session = guarded.member.connector.connect().await.map_err(&at)?;
    // To the server, nothing is no limit.
    let (wait, watchdog) = (lock_timeout.as_millis().max(1), WATCHDOG.as_millis());
    let limits = format!(
        "SET application_name = 'lifeboat barrier'; SET lock_timeout = {wait};
         SET statement_timeout = {wait}; SET idle_in_transaction_session_timeout = {watchdog}"
    );
    session.batch_execute(&limits).await.map_err(doing).map_err(&at)?;
    let tables = tables(&session).await.map_err(&at)?;
    try_join_all(anchors.iter().map(Anchor::begin)).await?;
    if !tables.is_empty() {
        // One statement, one limit: what it got while it waits for the rest is held no longer.
        let lock = format!("BEGIN READ WRITE; LOCK TABLE {} IN SHARE MODE", tables.join(", "));
        let locked = session.batch_execute(&lock).await.map_err(doing);
        locked.map_err(|source| match source.code() {
            Some(NOT_ALLOWED) => {
                GroupError::NotAllowed { member: guarded.member.name.clone(), source }
            }
            _ => at(source),
        })?;
    }
    let begun = Instant::now();
    let seen = timeout(WINDOW_LIMIT, try_join_all(anchors.iter().map(Anchor::see)));
    let seen = seen.await.map_err(|_| GroupError::Stalled)??;
    // An answer proves that the transaction, and so the barrier, was still there.
    session.batch_execute("SELECT 1; COMMIT").await.map_err(doing).map_err(&at)?;
    Ok((seen, begun.elapsed()))
}

/// All tables that have rows of their own.
async fn tables(session: &Client) -> Result<Vec<String>, PostgresError> {
    let statement = format!(
        "SELECT n.nspname::text, c.relname::text
         FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
         WHERE c.relkind = 'r' AND c.relpersistence <> 't' AND {FOREIGN_SCHEMAS}
           AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass
                           AND d.objid = c.oid AND d.deptype = 'e')
         ORDER BY c.oid"
    );
    let rows = session
        .query(statement.as_str(), &[])
        .await
        .map_err(|e| PostgresError::sorted("read the table list", e))?;
    let name =
        |row: &tokio_postgres::Row| format!("ONLY {}.{}", quoted(row.get(0)), quoted(row.get(1)));
    Ok(rows.iter().map(name).collect())
}

//! A cut: one exported snapshot of one database, which any number of lanes can read.

use tokio_postgres::Client;
use tokio_postgres::error::SqlState;

use super::PostgresError;
use super::columns::quoted;
use super::connect::Connector;

/// Settings every reading session gets, so that text forms never depend on the server's
/// configuration. A database without an encoding gives its bytes as they are.
const SESSION: &str = "SET standard_conforming_strings = on; SET bytea_output = 'hex';
    SET datestyle = 'ISO, YMD'; SET xmloption = 'content'; SET row_security = off; SET jit = off;
    SET timezone = 'UTC'; SET extra_float_digits = 1; SET intervalstyle = 'postgres';
    SET statement_timeout = 0; SET idle_in_transaction_session_timeout = 0;
    SET lock_timeout = '60s'; SET synchronize_seqscans = off;
    SELECT pg_catalog.set_config('client_encoding', 'SQL_ASCII', false)
    WHERE pg_catalog.current_setting('server_encoding') = 'SQL_ASCII'";

/// What the planner is told. A range of rooms is a small part of a large table: with the default
/// price of a random page the server would rather read and sort whole tables for each range, on
/// disk. Where the range is a good part of its tables, reading them whole and hashing the smaller
/// side is still found to be cheaper. Lanes are the parallelism; workers of the server's own would
/// only fight them for its cores.
const PLANNER: &str = "SET random_page_cost = 1.1; SET work_mem = '64MB';
    SET max_parallel_workers_per_gather = 0; SET enable_sort = off;";

/// How the transaction of a cut begins. Its first question fixes what it sees.
pub(crate) const BEGIN: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";

/// SQLSTATE of a table that is not there (PostgreSQL documentation, appendix A).
const UNDEFINED_TABLE: &str = "42P01";
/// SQLSTATEs of a snapshot that is not there, of older and newer servers.
const NO_SUCH_SNAPSHOT: &str = "22023";
const UNDEFINED_OBJECT: &str = "42704";
/// SQLSTATE of a lock that was not given in time.
pub(crate) const LOCK_NOT_AVAILABLE: &str = "55P03";

/// What became of a table that was to be held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hold {
    /// It stays until the snapshot ends.
    Held,
    /// It was dropped.
    Gone,
    /// Another session has it locked, as one that is about to drop it has.
    Locked,
}

/// An open snapshot. It lasts as long as this value.
pub struct Cut {
    anchor: Client,
    pub(crate) connector: Connector,
    /// The name `pg_export_snapshot` gave.
    pub snapshot: String,
    /// When it was opened, by the database's clock, RFC 3339 in UTC.
    pub opened_at: String,
}

impl Cut {
    /// Opens a read-only `REPEATABLE READ` transaction and exports its snapshot.
    ///
    /// # Errors
    /// [`PostgresError`] when the server cannot be reached or refuses.
    pub async fn open(connector: &Connector) -> Result<Self, PostgresError> {
        let anchor = connector.connect().await?;
        Self::settle(&anchor).await?;
        let doing = |e| PostgresError::sorted("opened a snapshot", e);
        anchor.batch_execute(BEGIN).await.map_err(doing)?;
        Self::export(anchor, connector).await
    }

    /// Prepares a session to become the anchor of a cut: then [`BEGIN`] and [`Self::export`].
    pub(crate) async fn settle(client: &Client) -> Result<(), PostgresError> {
        let doing = |e| PostgresError::sorted("prepared a session", e);
        client.batch_execute(SESSION).await.map_err(doing)
    }

    /// Makes a cut of the snapshot that a session's transaction has.
    pub(crate) async fn export(
        anchor: Client,
        connector: &Connector,
    ) -> Result<Self, PostgresError> {
        let doing = |e| PostgresError::sorted("opened a snapshot", e);
        let row = anchor
            .query_one(
                "SELECT pg_export_snapshot(),
                        to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"')",
                &[],
            )
            .await
            .map_err(doing)?;
        Ok(Self {
            anchor,
            connector: connector.clone(),
            snapshot: row.get(0),
            opened_at: row.get(1),
        })
    }

    /// The session that holds the snapshot, for small questions about it.
    pub fn anchor(&self) -> &Client {
        &self.anchor
    }

    /// Keeps a table from being dropped as long as the snapshot lasts. A snapshot shows that a
    /// table was there, and not its rows once it is dropped.
    ///
    /// A table that cannot be held for another reason counts as held; reading it will tell.
    ///
    /// # Errors
    /// [`PostgresError`] when the server is lost.
    pub async fn hold(&self, table: &str) -> Result<Hold, PostgresError> {
        self.hold_named(&format!("ONLY {}", quoted(table))).await
    }

    /// As [`Self::hold`] for one or more tables, written as SQL wants them.
    ///
    /// # Errors
    /// As [`Self::hold`].
    pub(crate) async fn hold_named(&self, tables: &str) -> Result<Hold, PostgresError> {
        let doing = |e| PostgresError::sorted("held a table", e);
        let lock = format!(
            "SAVEPOINT held; SET LOCAL lock_timeout = '5s';
             LOCK TABLE {tables} IN ACCESS SHARE MODE; RELEASE SAVEPOINT held"
        );
        let refused = match self.anchor.batch_execute(&lock).await.map_err(doing) {
            Ok(()) => return Ok(Hold::Held),
            Err(error @ PostgresError::Lost { .. }) => return Err(error),
            Err(refused) => refused,
        };
        self.anchor
            .batch_execute("ROLLBACK TO SAVEPOINT held; RELEASE SAVEPOINT held")
            .await
            .map_err(doing)?;
        Ok(match refused.code() {
            Some(UNDEFINED_TABLE) => Hold::Gone,
            Some(LOCK_NOT_AVAILABLE) => Hold::Locked,
            _ => Hold::Held,
        })
    }

    /// Another session on the same snapshot.
    ///
    /// # Errors
    /// [`PostgresError`] when the server cannot be reached or the snapshot is gone.
    pub async fn lane(&self) -> Result<Client, PostgresError> {
        let client = self.connector.connect().await?;
        let doing = |e| PostgresError::sorted("joined the snapshot", e);
        client.batch_execute(SESSION).await.map_err(doing)?;
        client.batch_execute(PLANNER).await.map_err(doing)?;
        let join = format!(
            "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET TRANSACTION SNAPSHOT '{}'",
            self.snapshot.replace('\'', "''")
        );
        // A snapshot that the server does not know went with the session that held it.
        client.batch_execute(&join).await.map_err(|source| {
            match source.code().map(SqlState::code) {
                Some(NO_SUCH_SNAPSHOT | UNDEFINED_OBJECT) => {
                    PostgresError::Lost { doing: "joined the snapshot".to_owned(), source }
                }
                _ => doing(source),
            }
        })?;
        Ok(client)
    }
}

//! Rooms and users of a package into a Synapse that lives.
//!
//! The package's rows go into temporary tables beside the server's ([`stage`]). From there they are
//! inserted with fresh positions and ids ([`insert`]), all that belongs together in one transaction
//! of the caller's: rooms ([`rooms`]), the history of a room that lost it ([`history`]), accounts
//! ([`users`]), media rows ([`media`]). To accounts and names that are there goes what belongs to
//! them ([`belongings`], [`aliases`]), and what they were is kept ([`change`]). What was added is
//! noted in our own schema ([`journal`]), so that it can be taken back ([`undo`]). The table
//! catalogue says which table is copied and which column gets a fresh value.
//!
//! Positions: events get new ones from the server's sequence in their old order. A client that was
//! there before sees a room as newly joined then, with all of its state.

pub mod about;
pub mod aliases;
pub mod belongings;
pub mod change;
pub mod history;
pub mod insert;
pub mod journal;
pub mod look;
pub mod media;
pub mod rooms;
pub mod slice;
pub mod stage;
pub mod undo;
pub mod users;

#[cfg(test)]
mod tests;

use thiserror::Error;
use tokio_postgres::Client;
use tokio_postgres::types::ToSql;

use super::write::WriteError;
use crate::postgres::PostgresError;

/// Why something could not be brought into a living server.
#[derive(Debug, Error)]
pub enum MergeError {
    /// A row, or the database.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// The target wants a value that the package does not have.
    #[error("the target wants {table}.{column}, which the package does not have")]
    Lacks {
        /// Table.
        table: String,
        /// Column.
        column: String,
    },
    /// A room's state cannot be told from what there is.
    #[error("{room}: {detail}")]
    Room {
        /// Room id.
        room: String,
        /// What is wrong, and what to do.
        detail: String,
    },
    /// A record of the package is not what the format says.
    #[error("a record of {0} cannot be read")]
    Record(&'static str, #[source] serde_json::Error),
}

impl From<PostgresError> for MergeError {
    fn from(error: PostgresError) -> Self {
        Self::Write(WriteError::Postgres(error))
    }
}

/// Runs one statement; the rows it touched.
async fn run(
    client: &Client,
    doing: &str,
    sql: &str,
    parameters: &[&(dyn ToSql + Sync)],
) -> Result<u64, PostgresError> {
    let done = client.execute(sql, parameters).await;
    done.map_err(|e| PostgresError::sorted(doing, e))
}

/// Asks for rows.
async fn ask(
    client: &Client,
    doing: &str,
    sql: &str,
    parameters: &[&(dyn ToSql + Sync)],
) -> Result<Vec<tokio_postgres::Row>, PostgresError> {
    client.query(sql, parameters).await.map_err(|e| PostgresError::sorted(doing, e))
}

/// Runs statements that take no values.
async fn batch(client: &Client, doing: &str, sql: &str) -> Result<(), PostgresError> {
    client.batch_execute(sql).await.map_err(|e| PostgresError::sorted(doing, e))
}

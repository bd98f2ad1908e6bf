//! Writing a Synapse: a whole server into an empty database and its media store.
//!
//! Until the last transaction the database lacks the table that Synapse looks at first, so a
//! half-filled server never looks whole: Synapse refuses to start on it, and the next import clears
//! it away and begins anew.

pub mod foresee;
pub mod media;
pub mod rows;
pub mod target;

use thiserror::Error;

use crate::postgres::PostgresError;
use crate::postgres::copy_in::RowError;

/// Why a server could not be written.
#[derive(Debug, Error)]
pub enum WriteError {
    /// The database.
    #[error(transparent)]
    Postgres(#[from] PostgresError),
    /// A record does not fit its table.
    #[error(transparent)]
    Row(#[from] RowError),
    /// A record is no JSON object.
    #[error("a record of {name} cannot be read")]
    Record {
        /// Name of the records.
        name: String,
        /// Cause.
        source: serde_json::Error,
    },
    /// The package has rows of a table that its list of tables lacks.
    #[error("the package holds rows of table {0} and does not describe it")]
    UnknownTable(String),
    /// The thread that made records into rows ended early.
    #[error("making records into rows was cut short")]
    Thread(#[source] tokio::task::JoinError),
    /// The server took another number of rows than were sent.
    #[error("table {table}: {sent} rows were sent, the database took {taken}")]
    RowCount {
        /// Table.
        table: String,
        /// Sent.
        sent: u64,
        /// Taken.
        taken: u64,
    },
}

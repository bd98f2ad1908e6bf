//! Checking a Synapse that was put back: its database and media store against the package it came
//! from.
//!
//! Nothing here writes: sessions are read-only. Whatever grows with the server is streamed or asked
//! for in batches, so memory stays flat. A check names the first few objects that are wrong and
//! counts all of them.

pub mod access;
pub mod events;
pub mod files;
pub mod keys;
pub mod positions;
pub mod rooms;
pub mod run;
pub mod tables;
#[cfg(test)]
mod tests;

use serde::Serialize;
use tokio_postgres::Client;

use crate::postgres::PostgresError;
use crate::postgres::connect::Connector;

/// Problems, and notes, of one check that are named; the others are only counted.
pub const NAMED: usize = 50;

/// Settings of every checking session.
const SESSION: &str =
    "SET default_transaction_read_only = on; SET standard_conforming_strings = on;
    SET bytea_output = 'hex'; SET datestyle = 'ISO, YMD'; SET timezone = 'UTC';
    SET statement_timeout = 0; SET lock_timeout = '60s'; SET row_security = off; SET jit = off;";

/// One object that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// What: a table, a room, an event, a file, a user, a setting.
    pub object: String,
    /// What is wrong with it.
    pub detail: String,
}

/// What a check found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Findings {
    /// Objects that were looked at.
    pub checked: u64,
    /// Objects that are wrong.
    pub wrong: u64,
    /// The first of them, at most [`NAMED`].
    pub problems: Vec<Problem>,
    /// What is to be known and is not wrong, at most [`NAMED`].
    pub notes: Vec<String>,
}

impl Findings {
    /// Counts and, among the first, names something wrong.
    pub fn problem(&mut self, object: impl Into<String>, detail: impl Into<String>) {
        self.wrong += 1;
        if self.problems.len() < NAMED {
            self.problems.push(Problem { object: object.into(), detail: detail.into() });
        }
    }

    /// Tells something that is not wrong.
    pub fn note(&mut self, text: impl Into<String>) {
        if self.notes.len() < NAMED {
            self.notes.push(text.into());
        }
    }

    /// Adds what another stretch of the same check found.
    pub fn add(&mut self, other: Self) {
        self.checked += other.checked;
        self.wrong += other.wrong;
        self.problems.extend(other.problems);
        self.problems.truncate(NAMED);
        self.notes.extend(other.notes);
        self.notes.truncate(NAMED);
    }
}

/// Opens a session that cannot change anything.
///
/// # Errors
/// [`PostgresError`] when the server cannot be reached.
pub async fn session(connector: &Connector) -> Result<Client, PostgresError> {
    let client = connector.connect().await?;
    let doing = |e| PostgresError::sorted("prepared a session", e);
    client.batch_execute(SESSION).await.map_err(doing)?;
    Ok(client)
}

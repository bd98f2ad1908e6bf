//! The schema's text, run over connections of ours.

use std::collections::VecDeque;
use std::sync::Mutex;

use futures_util::future::try_join_all;
use thiserror::Error;
use tokio_postgres::Client;

use crate::PostgresError;
use crate::connect::Connector;

use super::statements::{is_setting, phases, split};

/// How much of a statement names it in messages.
const LABEL_CHARS: usize = 80;

const NOT_ALLOWED: &str = "42501";
const UNDEFINED_OBJECT: &str = "42704";
const INVALID_VALUE: &str = "22023";
const DUPLICATE_SCHEMA: &str = "42P06";
const DEADLOCK: &str = "40P01";

/// What goes wrong when a schema is made.
#[derive(Debug, Error)]
pub enum RestoreError {
    /// An extension is not installed on the server, or only a superuser may make it.
    #[error(
        "the extension {name} cannot be made; install its package on the database server, have a \
         superuser run CREATE EXTENSION {name} in the database, and run the same command again"
    )]
    Extension {
        /// Its name, as SQL wants it.
        name: String,
        /// Cause.
        source: PostgresError,
    },
    /// Another statement failed.
    #[error("the database did not take the statement: {statement}")]
    Statement {
        /// Its beginning.
        statement: String,
        /// Cause.
        source: PostgresError,
    },
    /// The server cannot be reached.
    #[error(transparent)]
    Postgres(#[from] PostgresError),
}

/// A statement that was left out, because the role may not run it and nothing depends on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skipped {
    /// Its beginning.
    pub statement: String,
    /// The server's words.
    pub reason: String,
}

/// Runs the statements of a text one after the other.
///
/// Settings that a server of another version does not know are left out in silence; what else was
/// left out is returned: comments on things that belong to a superuser, policies for roles that
/// are not there, labels of modules that are not there.
///
/// # Errors
/// [`RestoreError`]; what ran before stays.
pub async fn run_schema(client: &Client, sql: &str) -> Result<Vec<Skipped>, RestoreError> {
    let mut skipped = Vec::new();
    for statement in split(sql) {
        skipped.extend(run(client, statement).await?);
    }
    Ok(skipped)
}

/// Runs the text that comes after the rows: keys and indexes on `lanes` sessions of their own,
/// those of the largest tables first, then everything else in order.
///
/// # Errors
/// [`RestoreError`]; what ran before stays.
pub async fn run_after(
    connector: &Connector,
    sql: &str,
    lanes: usize,
) -> Result<Vec<Skipped>, RestoreError> {
    let phases = phases(sql);
    let mut sessions = Vec::new();
    for _ in 0..lanes.max(1) {
        let session = super::lane(connector).await?;
        for setting in &phases.settings {
            run(&session, setting).await?;
        }
        if lanes > 1 {
            // Lanes are the parallelism; workers of the server's own would fight them.
            run(&session, "SET max_parallel_maintenance_workers = 0").await?;
        }
        sessions.push(session);
    }
    let first = &sessions[0];
    let keys = by_table(largest_first(first, phases.keys).await?);
    let mut later = in_parallel(&sessions, keys).await?;
    let indexes = largest_first(first, phases.indexes).await?;
    let indexes = indexes.into_iter().map(|(_, statement)| vec![statement]).collect();
    later.extend(in_parallel(&sessions, indexes).await?);
    let mut skipped = Vec::new();
    for statement in later.into_iter().chain(phases.rest) {
        skipped.extend(run(first, statement).await?);
    }
    Ok(skipped)
}

/// Statements with their tables, the largest table's first.
async fn largest_first<'a>(
    client: &Client,
    named: Vec<(&'a str, &'a str)>,
) -> Result<Vec<(&'a str, &'a str)>, RestoreError> {
    let tables: Vec<&str> = named.iter().map(|(table, _)| *table).collect();
    let rows = client
        .query(
            "SELECT coalesce(pg_table_size(to_regclass(name)), 0)
             FROM unnest($1::text[]) WITH ORDINALITY AS asked (name, place) ORDER BY place",
            &[&tables],
        )
        .await
        .map_err(|e| PostgresError::sorted("asked for the sizes of the tables", e))?;
    let mut sized: Vec<(i64, (&str, &str))> =
        rows.iter().map(|row| row.get(0)).zip(named).collect();
    sized.sort_by_key(|(size, _)| std::cmp::Reverse(*size));
    Ok(sized.into_iter().map(|(_, named)| named).collect())
}

/// One list of statements a table, in the order of the tables.
fn by_table<'a>(named: Vec<(&'a str, &'a str)>) -> VecDeque<Vec<&'a str>> {
    let mut lists: Vec<(&str, Vec<&str>)> = Vec::new();
    for (table, statement) in named {
        match lists.iter_mut().find(|(other, _)| *other == table) {
            Some((_, list)) => list.push(statement),
            None => lists.push((table, vec![statement])),
        }
    }
    lists.into_iter().map(|(_, list)| list).collect()
}

/// Shares lists of statements out; returns those that got in each other's way.
async fn in_parallel<'a>(
    sessions: &[Client],
    lists: VecDeque<Vec<&'a str>>,
) -> Result<Vec<&'a str>, RestoreError> {
    let queue = Mutex::new(lists);
    let next = || queue.lock().ok().and_then(|mut queue| queue.pop_front());
    let work = sessions.iter().map(|session| async {
        let mut again = Vec::new();
        while let Some(list) = next() {
            for statement in list {
                match run(session, statement).await {
                    Err(error) if error.code() == Some(DEADLOCK) => again.push(statement),
                    outcome => drop(outcome?),
                }
            }
        }
        Ok::<_, RestoreError>(again)
    });
    Ok(try_join_all(work).await?.concat())
}

/// Runs one statement.
async fn run(client: &Client, statement: &str) -> Result<Option<Skipped>, RestoreError> {
    let outcome = client.batch_execute(statement).await;
    let Err(source) = outcome.map_err(|e| PostgresError::sorted("made the schema", e)) else {
        return Ok(None);
    };
    let PostgresError::Refused { code, message, .. } = &source else { return Err(source.into()) };
    let begins = |words: &str| statement.starts_with(words);
    if let Some(rest) = statement.strip_prefix("CREATE EXTENSION ") {
        let rest = rest.strip_prefix("IF NOT EXISTS ").unwrap_or(rest);
        let name = rest.split([' ', ';']).next().unwrap_or_default().to_owned();
        return Err(RestoreError::Extension { name, source });
    }
    // What is quoted may be a password, as of a user mapping.
    let unquoted = statement.split('\'').next().unwrap_or_default();
    let label: String = unquoted.chars().take(LABEL_CHARS).collect();
    let is_idle_setting =
        is_setting(statement) && matches!(code.as_str(), UNDEFINED_OBJECT | INVALID_VALUE);
    let is_there = code == DUPLICATE_SCHEMA && begins("CREATE SCHEMA public;");
    let is_not_ours = code == NOT_ALLOWED
        && (begins("COMMENT ON EXTENSION ") || begins("COMMENT ON SCHEMA public "));
    if is_idle_setting || is_there {
        return Ok(None);
    }
    // A policy for a role that is not there, which `rights` tell of, or a label of a module that
    // is not there.
    let is_of_others = (code == UNDEFINED_OBJECT
        && (begins("CREATE POLICY ") || begins("COMMENT ON POLICY ")))
        || begins("SECURITY LABEL ");
    if is_not_ours || is_of_others {
        return Ok(Some(Skipped { statement: label, reason: message.clone() }));
    }
    Err(RestoreError::Statement { statement: label, source })
}

impl RestoreError {
    /// The SQLSTATE, where the server gave one.
    pub fn code(&self) -> Option<&str> {
        match self {
            Self::Extension { source, .. }
            | Self::Statement { source, .. }
            | Self::Postgres(source) => source.code(),
        }
    }
}

//! The schema's text, run over connections of ours.

use futures_util::future::try_join_all;
use thiserror::Error;
use tokio_postgres::Client;

use crate::PostgresError;
use crate::connect::Connector;

use super::board::{Board, Work};
use super::statements::{is_setting, split};

/// How much of a statement names it in messages.
const LABEL_CHARS: usize = 80;

const NOT_ALLOWED: &str = "42501";
const UNDEFINED_OBJECT: &str = "42704";
const INVALID_VALUE: &str = "22023";
const DUPLICATE_SCHEMA: &str = "42P06";
/// SQLSTATEs of a function, table or schema that is not found.
const NOT_FOUND: [&str; 3] = ["42883", "42P01", "3F000"];
/// What a superuser alone may make, and no rows need, nor other things.
const OF_SUPERUSERS: [&str; 4] =
    ["CREATE EVENT TRIGGER ", "COMMENT ON EVENT TRIGGER ", "CREATE CAST ", "COMMENT ON CAST "];
const DEADLOCK: &str = "40P01";
/// How often a statement may be the one that the server ends. Each time another one goes on.
const MOST_DEADLOCKS: usize = 20;

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
/// are not there, labels of modules that are not there, casts and event triggers that take a
/// superuser.
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

/// Does everything on a board, on `lanes` sessions for rows and as many for statements; returns
/// what was left out, as [`run_schema`] does.
///
/// # Errors
/// [`RestoreError`] as `fault` tells it, or what `rows` returns; what was done before stays.
pub async fn work_off<E>(
    (connector, lanes): (&Connector, usize),
    board: &Board<'_>,
    rows: impl AsyncFn(&Client, usize) -> Result<(), E>,
    fault: impl Fn(RestoreError) -> E,
) -> Result<Vec<Skipped>, E> {
    let work = (0..lanes.max(1)).map(|_| async {
        let filler = super::lane(connector).await.map_err(|e| fault(e.into()))?;
        let builder = builder(connector, board, lanes).await.map_err(&fault)?;
        let mut skipped = Vec::new();
        while let Some((number, work)) = board.next().await {
            match work {
                Work::Rows(table) => rows(&filler, table).await?,
                Work::Statements(list) => {
                    for statement in list {
                        let outcome = run_again(&builder, statement, board.path()).await;
                        skipped.extend(outcome.map_err(&fault)?);
                    }
                }
                Work::Analyze(shape) => {
                    let statement = format!("ANALYZE {}", shape.qualified());
                    run_again(&builder, &statement, board.path()).await.map_err(&fault)?;
                }
            }
            board.done(number);
        }
        Ok(skipped)
    });
    Ok(try_join_all(work).await?.concat())
}

/// A session for statements.
async fn builder(
    connector: &Connector,
    board: &Board<'_>,
    lanes: usize,
) -> Result<Client, RestoreError> {
    let session = super::lane(connector).await?;
    for setting in board.settings() {
        run(&session, setting).await?;
    }
    if lanes > 1 {
        // Lanes are the parallelism; workers of the server's own would fight them.
        run(&session, "SET max_parallel_maintenance_workers = 0").await?;
    }
    Ok(session)
}

/// Runs one statement, again where another lane was in its way and was let go first, and again
/// where a function in it leaves it to `path` where something is.
async fn run_again(
    client: &Client,
    statement: &str,
    path: &str,
) -> Result<Option<Skipped>, RestoreError> {
    for _ in 0..MOST_DEADLOCKS {
        match run(client, statement).await {
            Err(error) if error.code() == Some(DEADLOCK) => {}
            Err(error) if error.code().is_some_and(|code| NOT_FOUND.contains(&code)) => {
                search(client, path).await?;
                let outcome = run(client, statement).await;
                search(client, "").await?;
                return outcome.map_err(|_| error);
            }
            outcome => return outcome,
        }
    }
    run(client, statement).await
}

async fn search(client: &Client, path: &str) -> Result<(), PostgresError> {
    let set = "SELECT pg_catalog.set_config('search_path', $1, false)";
    let doing = |e| PostgresError::sorted("said where to look for names", e);
    client.execute(set, &[&path]).await.map(drop).map_err(doing)
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
    if code == NOT_ALLOWED && OF_SUPERUSERS.iter().any(|words| begins(words)) {
        let statement = statement.split_whitespace().collect::<Vec<_>>().join(" ");
        return Ok(Some(Skipped { statement, reason: message.clone() }));
    }
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
    Err(RestoreError::Statement { statement: label, source: source.wants_more_rights() })
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

//! The target database: is it fit, is it empty, is it half-filled; and the step that makes it a
//! server.

use serde::{Deserialize, Serialize};
use tokio_postgres::Client;

use crate::postgres::PostgresError;
use crate::postgres::columns::quoted;
use crate::postgres::connect::Connector;
use crate::postgres::restore;
use crate::synapse::catalogue::Catalogue;
use crate::synapse::layout::{Holds, STATE_UPDATES};
use crate::synapse::schema::SchemaStatement;

/// Settings of every writing session.
const SESSION: &str = "SET standard_conforming_strings = on; SET bytea_output = 'hex';
    SET datestyle = 'ISO, YMD'; SET client_min_messages = warning;
    SET timezone = 'UTC'; SET statement_timeout = 0; SET lock_timeout = '60s';
    SET idle_in_transaction_session_timeout = 0; SET synchronous_commit = off;
    SET maintenance_work_mem = '256MB'; SET check_function_bodies = off; SET row_security = off;";

/// The table whose absence keeps Synapse from starting on a half-filled database.
pub const LAST_TABLE: &str = "schema_version";

/// The class of the locks that tell two databases apart; any number of ours.
const SAME: i32 = 0x6c66_6274;

/// SQL: `c` of `pg_class` was not brought by an extension.
const NOT_EXTENSIONS: &str = "NOT EXISTS (SELECT FROM pg_depend x
    WHERE x.classid = 'pg_class'::regclass AND x.objid = c.oid AND x.deptype = 'e')";
/// The schema that holds our note of an import under way.
const NOTE_SCHEMA: &str = "lifeboat";

/// What is in the target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum State {
    /// Nothing.
    Empty,
    /// What an import of this package left when it was cut short.
    HalfFilled {
        /// The package.
        package: String,
        /// Which import: the same in both databases of a server that has two.
        run: Option<String>,
    },
    /// A finished import of this package.
    Imported {
        /// The package.
        package: String,
        /// Which import: the same in both databases of a server that has two.
        run: Option<String>,
    },
    /// Something else: its tables, the first few.
    Foreign(Vec<String>),
}

/// A fit or unfit target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fitness {
    /// PostgreSQL version number, for example 150018.
    pub server_version: i32,
    /// Encoding.
    pub encoding: String,
    /// Collation.
    pub collation: String,
    /// Character type.
    pub ctype: String,
    /// Whether the role may make objects in the current schema.
    pub may_create: bool,
    /// What is there.
    pub state: State,
}

/// Opens a writing session.
///
/// # Errors
/// [`PostgresError`].
pub async fn session(connector: &Connector) -> Result<Client, PostgresError> {
    let client = connector.connect().await?;
    let doing = |e| PostgresError::sorted("prepared a session", e);
    client.batch_execute(SESSION).await.map_err(doing)?;
    Ok(client)
}

/// Whether two sessions are on one database. Host names do not tell: one server has many.
///
/// # Errors
/// [`PostgresError`].
pub async fn is_same_database(one: &Client, other: &Client) -> Result<bool, PostgresError> {
    let doing = |e| PostgresError::sorted("looked whether two databases are one", e);
    // Advisory locks are of one database, and end with the session.
    let lock = "SELECT pg_backend_pid(), pg_advisory_lock($1, pg_backend_pid())";
    let pid: i32 = one.query_one(lock, &[&SAME]).await.map_err(doing)?.get(0);
    let attempt = "SELECT pg_try_advisory_lock($1, $2)";
    let is_free: bool = other.query_one(attempt, &[&SAME, &pid]).await.map_err(doing)?.get(0);
    Ok(!is_free)
}

/// Makes the database, as Synapse wants it, through the server's maintenance database. One that
/// was made meanwhile is no error, and may be another than Synapse wants.
///
/// # Errors
/// [`PostgresError`] when the role may not.
pub async fn create_database(connector: &Connector) -> Result<(), PostgresError> {
    let client = connector.to_database("postgres").connect().await?;
    let sql = format!(
        "CREATE DATABASE {} TEMPLATE template0 ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C'",
        quoted(&connector.database())
    );
    let doing = |e| PostgresError::sorted("made the database", e);
    match client.batch_execute(&sql).await.map_err(doing) {
        // An import that was killed while it asked for the database leaves the server to make it.
        Err(error) if matches!(error.code(), Some("42P04" | "23505")) => Ok(()),
        made => made,
    }
}

/// Looks at the target.
///
/// # Errors
/// [`PostgresError`].
pub async fn fitness(client: &Client) -> Result<Fitness, PostgresError> {
    let doing = |e| PostgresError::sorted("looked at the target database", e);
    let row = client
        .query_one(
            &format!(
                "SELECT current_setting('server_version_num')::int4,
                    pg_encoding_to_char(d.encoding)::text, d.datcollate::text, d.datctype::text,
                    coalesce(has_schema_privilege(current_schema(), 'CREATE'), false),
                    to_regclass('lifeboat.import') IS NOT NULL,
                    ARRAY(SELECT c.relname::text FROM pg_class c
                          WHERE c.relnamespace = current_schema()::regnamespace
                            AND c.relkind IN ('r', 'p', 'v', 'm', 'S', 'f') AND {NOT_EXTENSIONS}
                          ORDER BY 1 LIMIT 5),
                    EXISTS (SELECT FROM pg_class c
                            WHERE c.relnamespace = current_schema()::regnamespace
                              AND c.relname = $1::text)
             FROM pg_database d WHERE d.datname = current_database()"
            ),
            &[&LAST_TABLE],
        )
        .await
        .map_err(doing)?;
    let (noted, tables, has_last): (bool, Vec<String>, bool) = (row.get(5), row.get(6), row.get(7));
    let mut state = if tables.is_empty() { State::Empty } else { State::Foreign(tables) };
    if noted {
        let note = "SELECT package, finished, to_jsonb(import) ->> 'run' FROM lifeboat.import
                    ORDER BY began DESC LIMIT 1";
        if let Some(note) = client.query_opt(note, &[]).await.map_err(doing)? {
            let (package, run): (String, Option<String>) = (note.get(0), note.get(2));
            state = match (note.get(1), state) {
                (true, State::Foreign(_)) => State::Imported { package, run },
                (true, state) => state,
                (false, State::Foreign(tables)) if has_last && is_server(client).await? => {
                    State::Foreign(tables)
                }
                (false, _) => State::HalfFilled { package, run },
            };
        }
    }
    Ok(Fitness {
        server_version: row.get(0),
        encoding: row.get(1),
        collation: row.get(2),
        ctype: row.get(3),
        may_create: row.get(4),
        state,
    })
}

/// Whether Synapse made a server here. We fill the last table with the end of an import; a Synapse
/// that refuses to start on what was cut short makes it too, but leaves it empty.
async fn is_server(client: &Client) -> Result<bool, PostgresError> {
    let doing = |e| PostgresError::sorted("looked at the target database", e);
    let question = format!("SELECT EXISTS (SELECT FROM {LAST_TABLE})");
    Ok(client.query_one(&question, &[]).await.map_err(doing)?.get(0))
}

/// Claims the database for this session, until the session ends: two imports into one database
/// would clear away each other's rows. Waits a moment for one that was killed to be noticed.
///
/// Returns whether the claim was granted.
///
/// # Errors
/// [`PostgresError`].
pub async fn claim(client: &Client) -> Result<bool, PostgresError> {
    restore::claim(client, restore::CLAIM_PATIENCE).await
}

/// Notes that an import begins; `run` tells it from every other. From here on the database is ours
/// to clear.
///
/// # Errors
/// [`PostgresError`].
pub async fn note_begin(client: &Client, package: &str, run: &str) -> Result<(), PostgresError> {
    let doing = |e| PostgresError::sorted("noted the import in the target database", e);
    client
        .batch_execute(&format!(
            "CREATE SCHEMA IF NOT EXISTS {NOTE_SCHEMA};
             CREATE TABLE IF NOT EXISTS {NOTE_SCHEMA}.import (
                 package text NOT NULL,
                 run text NOT NULL,
                 began timestamptz NOT NULL DEFAULT clock_timestamp(),
                 finished boolean NOT NULL DEFAULT false)"
        ))
        .await
        .map_err(doing)?;
    client
        .execute("INSERT INTO lifeboat.import (package, run) VALUES ($1, $2)", &[&package, &run])
        .await
        .map_err(doing)?;
    Ok(())
}

/// Clears away what an import that was cut short left: everything in the current schema, and at the
/// end our note. What somebody puts into the database afterwards is not ours to clear.
///
/// # Errors
/// [`PostgresError`].
pub async fn clear(client: &Client) -> Result<(), PostgresError> {
    let doing = |e| PostgresError::sorted("cleared what an earlier import left", e);
    let rows = client
        .query(
            &format!(
                "SELECT CASE c.relkind WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END,
                        c.oid::regclass::text
                 FROM pg_class c
                 WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'S')
                   AND {NOT_EXTENSIONS}
                 ORDER BY c.relkind <> 'r'"
            ),
            &[],
        )
        .await
        .map_err(doing)?;
    for row in &rows {
        let (kind, name): (&str, &str) = (row.get(0), row.get(1));
        let drop = format!("DROP {kind} IF EXISTS {name} CASCADE");
        client.batch_execute(&drop).await.map_err(doing)?;
    }
    let functions = client
        .query(
            "SELECT p.oid::regprocedure::text FROM pg_proc p
             WHERE p.pronamespace = current_schema()::regnamespace
               AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = p.oid AND d.deptype = 'e')",
            &[],
        )
        .await
        .map_err(doing)?;
    for row in &functions {
        let drop = format!("DROP FUNCTION IF EXISTS {} CASCADE", row.get::<_, &str>(0));
        client.batch_execute(&drop).await.map_err(doing)?;
    }
    let note =
        format!("DROP TABLE IF EXISTS {NOTE_SCHEMA}.import; DROP SCHEMA IF EXISTS {NOTE_SCHEMA}");
    client.batch_execute(&note).await.map_err(doing)
}

/// Begins a transaction.
///
/// # Errors
/// [`PostgresError`].
pub async fn begin(client: &Client) -> Result<(), PostgresError> {
    let doing = |e| PostgresError::sorted("began a transaction", e);
    client.batch_execute("BEGIN").await.map_err(doing)
}

/// Ends a transaction: all of it is kept.
///
/// # Errors
/// [`PostgresError`]; nothing of it is kept then.
pub async fn commit(client: &Client) -> Result<(), PostgresError> {
    let doing = |e| PostgresError::sorted("ended a transaction", e);
    client.batch_execute("COMMIT").await.map_err(doing)
}

/// Throws a transaction away.
///
/// # Errors
/// [`PostgresError`]; nothing of it is kept then either.
pub async fn roll_back(client: &Client) -> Result<(), PostgresError> {
    let doing = |e| PostgresError::sorted("threw a transaction away", e);
    client.batch_execute("ROLLBACK").await.map_err(doing)
}

/// Whether a server is whole without what a statement makes: it is not Synapse's own. Others may
/// have put it into the database, with rights or types that the target does not have.
pub fn may_be_left_out(statement: &SchemaStatement) -> bool {
    let object = statement.table.as_deref().unwrap_or(&statement.name);
    Catalogue::known().get(object).is_none()
}

/// Runs one statement of the schema inside a transaction that goes on if it fails; why it did.
///
/// # Errors
/// [`PostgresError`] when the server is lost.
pub async fn attempt(
    client: &Client,
    statement: &SchemaStatement,
) -> Result<Option<PostgresError>, PostgresError> {
    let doing = |e| PostgresError::sorted("made the schema", e);
    client.batch_execute("SAVEPOINT attempt").await.map_err(doing)?;
    let failed = match run(client, statement).await {
        Ok(()) => None,
        Err(lost @ PostgresError::Lost { .. }) => return Err(lost),
        Err(failed) => Some(failed),
    };
    let back = if failed.is_some() { "ROLLBACK TO SAVEPOINT attempt; " } else { "" };
    client.batch_execute(&format!("{back}RELEASE SAVEPOINT attempt")).await.map_err(doing)?;
    Ok(failed)
}

/// Runs one statement of the schema.
///
/// # Errors
/// [`PostgresError`].
pub async fn run(client: &Client, statement: &SchemaStatement) -> Result<(), PostgresError> {
    let doing = |e| PostgresError::sorted(format!("made {}", statement.name), e);
    client.batch_execute(&statement.sql).await.map_err(doing)
}

/// Takes out the background updates that belong to the other database of a server that has two.
///
/// # Errors
/// [`PostgresError`].
pub async fn share_updates(client: &Client, holds: Holds) -> Result<(), PostgresError> {
    let others = match holds {
        Holds::Everything => return Ok(()),
        Holds::AllButState => "DELETE FROM background_updates WHERE update_name = ANY ($1)",
        Holds::StateStore => "DELETE FROM background_updates WHERE update_name <> ALL ($1)",
    };
    let doing = |e| PostgresError::sorted("shared out the background updates", e);
    client.execute(others, &[&STATE_UPDATES.as_slice()]).await.map_err(doing)?;
    Ok(())
}

/// Notes, inside the caller's last transaction, that the import is whole. Its commit waits for the
/// disk: of two databases on two machines, none may lose what the other builds on.
///
/// # Errors
/// [`PostgresError`].
pub async fn note_finished(client: &Client) -> Result<(), PostgresError> {
    let doing = |e| PostgresError::sorted("noted the end of the import", e);
    client
        .batch_execute(
            "SET LOCAL synchronous_commit = on;
             UPDATE lifeboat.import SET finished = true WHERE NOT finished",
        )
        .await
        .map_err(doing)
}

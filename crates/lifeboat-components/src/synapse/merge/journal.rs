//! What was added by which import: our own tables in our own schema of the target database.
//!
//! An entry is written in the transaction that adds the object, so that both are there or neither.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio_postgres::Client;

use super::{MergeError, ask, batch, run};
use crate::postgres::PostgresError;

const TABLES: &str = "
    CREATE SCHEMA IF NOT EXISTS lifeboat;
    CREATE TABLE IF NOT EXISTS lifeboat.merge (
        id text PRIMARY KEY,
        package text NOT NULL,
        began timestamptz NOT NULL DEFAULT clock_timestamp(),
        finished boolean NOT NULL DEFAULT false,
        undone timestamptz);
    CREATE TABLE IF NOT EXISTS lifeboat.merge_item (
        merge text NOT NULL REFERENCES lifeboat.merge,
        kind text NOT NULL,
        name text NOT NULL,
        facts text NOT NULL,
        PRIMARY KEY (merge, kind, name));";

/// What kind of object an entry is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A room that was added.
    Room,
    /// The history of a room.
    History,
    /// An account.
    User,
    /// An account that keeps a name.
    Placeholder,
    /// A media id.
    Media,
    /// A file of the media store, by path.
    File,
    /// Rows that became others.
    Change,
    /// A file of the media store that was set aside, by path.
    Aside,
}

impl Kind {
    fn word(self) -> &'static str {
        match self {
            Self::Room => "room",
            Self::History => "history",
            Self::User => "user",
            Self::Placeholder => "placeholder",
            Self::Media => "media",
            Self::File => "file",
            Self::Change => "change",
            Self::Aside => "aside",
        }
    }
}

/// An import that the journal knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// The package.
    pub package: String,
    /// Whether it ran to its end.
    pub finished: bool,
    /// Whether it was taken back.
    pub undone: bool,
}

/// Begins an import, or goes on with one of the same package that was cut short; its id.
///
/// # Errors
/// [`PostgresError`] when the server refuses or is lost.
pub async fn begin(client: &Client, package: &str, id: &str) -> Result<String, PostgresError> {
    batch(client, "made the journal of imports", TABLES).await?;
    let sql = "SELECT id FROM lifeboat.merge
               WHERE package = $1 AND NOT finished AND undone IS NULL ORDER BY began DESC LIMIT 1";
    let open = ask(client, "read the journal of imports", sql, &[&package]).await?;
    if let Some(row) = open.first() {
        return Ok(row.get(0));
    }
    let sql = "INSERT INTO lifeboat.merge (id, package) VALUES ($1, $2)";
    run(client, "noted the import", sql, &[&id, &package]).await?;
    Ok(id.to_owned())
}

/// Notes that it ran to its end.
///
/// # Errors
/// [`PostgresError`] when the server refuses or is lost.
pub async fn finish(client: &Client, id: &str) -> Result<(), PostgresError> {
    let sql = "UPDATE lifeboat.merge SET finished = true WHERE id = $1";
    run(client, "noted the end of the import", sql, &[&id]).await.map(drop)
}

/// Notes an object that was added.
///
/// # Errors
/// [`MergeError`] when the server refuses or is lost.
pub async fn note(
    client: &Client,
    id: &str,
    (kind, name): (Kind, &str),
    facts: &(impl Serialize + Sync),
) -> Result<(), MergeError> {
    let facts = serde_json::to_string(facts).map_err(|e| MergeError::Record("journal", e))?;
    let sql = "INSERT INTO lifeboat.merge_item (merge, kind, name, facts) VALUES ($1, $2, $3, $4)
               ON CONFLICT DO NOTHING";
    run(client, "noted what was added", sql, &[&id, &kind.word(), &name, &facts]).await?;
    Ok(())
}

/// A name that stands after all others of its kind.
pub(super) async fn next_name(
    client: &Client,
    id: &str,
    (kind, name): (Kind, &str),
) -> Result<String, MergeError> {
    let sql = "SELECT count(*) FROM lifeboat.merge_item WHERE merge = $1 AND kind = $2";
    let rows = ask(client, "read the journal of imports", sql, &[&id, &kind.word()]).await?;
    let number: i64 = rows.first().map_or(0, |row| row.get(0));
    Ok(format!("{number:010} {name}"))
}

/// Forgets an import that noted nothing; whether it did.
///
/// # Errors
/// [`PostgresError`] when the server refuses or is lost.
pub async fn forget_empty(client: &Client, id: &str) -> Result<bool, PostgresError> {
    let sql = "DELETE FROM lifeboat.merge m WHERE id = $1
                 AND NOT EXISTS (SELECT FROM lifeboat.merge_item i WHERE i.merge = m.id)";
    Ok(run(client, "looked whether anything was changed", sql, &[&id]).await? > 0)
}

/// Notes objects without more to say.
///
/// # Errors
/// [`MergeError`] when the server refuses or is lost.
pub async fn note_all(
    client: &Client,
    id: &str,
    (kind, names): (Kind, &[String]),
) -> Result<(), MergeError> {
    let sql = "INSERT INTO lifeboat.merge_item (merge, kind, name, facts)
               SELECT $1, $2, name, 'null' FROM unnest($3::text[]) name ON CONFLICT DO NOTHING";
    run(client, "noted what was added", sql, &[&id, &kind.word(), &names]).await?;
    Ok(())
}

/// Whether an import that was cut short is open for this package.
///
/// # Errors
/// [`PostgresError`] when the server refuses or is lost.
pub async fn open(client: &Client, package: &str) -> Result<Option<String>, PostgresError> {
    if !is_there(client).await? {
        return Ok(None);
    }
    let sql = "SELECT id FROM lifeboat.merge
               WHERE package = $1 AND NOT finished AND undone IS NULL ORDER BY began DESC LIMIT 1";
    let open = ask(client, "read the journal of imports", sql, &[&package]).await?;
    Ok(open.first().map(|row| row.get(0)))
}

/// The import of this id.
///
/// # Errors
/// [`PostgresError`] when the server refuses or is lost.
pub async fn find(client: &Client, id: &str) -> Result<Option<Known>, PostgresError> {
    if !is_there(client).await? {
        return Ok(None);
    }
    let sql = "SELECT package, finished, undone IS NOT NULL FROM lifeboat.merge WHERE id = $1";
    let rows = ask(client, "read the journal of imports", sql, &[&id]).await?;
    let known = |row: &tokio_postgres::Row| Known {
        package: row.get(0),
        finished: row.get(1),
        undone: row.get(2),
    };
    Ok(rows.first().map(known))
}

/// The ids of all imports that were not taken back, newest first.
///
/// # Errors
/// [`PostgresError`] when the server refuses or is lost.
pub async fn ids(client: &Client) -> Result<Vec<String>, PostgresError> {
    if !is_there(client).await? {
        return Ok(Vec::new());
    }
    let sql = "SELECT id FROM lifeboat.merge WHERE undone IS NULL ORDER BY began DESC";
    let rows = ask(client, "read the journal of imports", sql, &[]).await?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

/// The objects of one kind that an import added, with what was noted of each.
///
/// # Errors
/// [`MergeError`] when a note cannot be read or the server refuses.
pub(super) async fn items<T: DeserializeOwned>(
    client: &Client,
    id: &str,
    kind: Kind,
) -> Result<Vec<(String, T)>, MergeError> {
    let sql = "SELECT name, facts FROM lifeboat.merge_item WHERE merge = $1 AND kind = $2
               ORDER BY name";
    let rows = ask(client, "read the journal of imports", sql, &[&id, &kind.word()]).await?;
    let item = |row: &tokio_postgres::Row| {
        let facts = serde_json::from_str(row.get(1)).map_err(|e| MergeError::Record("journal", e));
        Ok((row.get(0), facts?))
    };
    rows.iter().map(item).collect()
}

/// The names of one kind.
///
/// # Errors
/// [`MergeError`] when the server refuses or is lost.
pub async fn names(client: &Client, id: &str, kind: Kind) -> Result<Vec<String>, MergeError> {
    let items = items::<Value>(client, id, kind).await?;
    Ok(items.into_iter().map(|(name, _)| name).collect())
}

/// Names of this kind that an import after this one added too, which was not taken back.
pub(super) async fn built_upon(
    client: &Client,
    id: &str,
    names: &[String],
) -> Result<Vec<(String, String)>, MergeError> {
    let sql = "SELECT DISTINCT i.name, i.merge FROM lifeboat.merge_item i
               JOIN lifeboat.merge m ON m.id = i.merge
               WHERE m.undone IS NULL AND i.name = ANY($2)
                 AND m.began > (SELECT began FROM lifeboat.merge WHERE id = $1)";
    let rows = ask(client, "read the journal of imports", sql, &[&id, &names]).await?;
    Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
}

/// Notes that an import was taken back.
pub(super) async fn undone(client: &Client, id: &str) -> Result<(), PostgresError> {
    let sql = "UPDATE lifeboat.merge SET undone = clock_timestamp() WHERE id = $1";
    run(client, "noted that the import was taken back", sql, &[&id]).await.map(drop)
}

async fn is_there(client: &Client) -> Result<bool, PostgresError> {
    let sql = "SELECT to_regclass('lifeboat.merge') IS NOT NULL";
    let rows = ask(client, "looked for the journal of imports", sql, &[]).await?;
    Ok(rows.first().is_some_and(|row| row.get(0)))
}

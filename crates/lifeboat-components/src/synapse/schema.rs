//! The schema of a PostgreSQL database as statements that make it anew, without `pg_dump`.
//!
//! Everything is read from the system catalogues of PostgreSQL 14 to 18, by any role that may log
//! in; reading the sequences needs SELECT on them. Tables have to be there before their rows, while
//! indexes and constraints are made faster after them, so each statement says on which side of the
//! rows it goes.
//!
//! Owners, rights and tablespaces are not captured: they belong to the machine, not to what it
//! holds. Objects that Synapse never makes (views, types, partitions, …) are named as gaps.

mod queries;
#[cfg(test)]
mod tests;

use lifeboat_package::flow::Gap;
use serde::{Deserialize, Serialize};
use thiserror::Error;
use tokio_postgres::{Client, Row};

use crate::postgres::PostgresError;

/// The schema could not be read.
#[derive(Debug, Error)]
pub enum SchemaError {
    /// The connection is not inside a transaction, so what is read could be of different instants.
    #[error("the schema must be read inside a transaction")]
    NoTransaction,
    /// The role's search path names no schema that exists.
    #[error("the database role has no current schema; set its search_path to Synapse's schema")]
    NoSchema,
    /// The database refused a query or went away; the role needs SELECT on all tables and
    /// sequences.
    #[error(transparent)]
    Postgres(#[from] PostgresError),
}

/// A schema, as far as it can be made anew.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schema {
    /// Statements in an order in which they can be run.
    pub statements: Vec<SchemaStatement>,
    /// One gap for each object that is left out.
    pub unsupported: Vec<Gap>,
}

/// One statement of a schema: the `schema` records of `docs/src/format.md` §7.2.
///
/// All names in it carry their schema. Run it as a simple query: some are two statements.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SchemaStatement {
    /// Before or after the rows.
    pub stage: Stage,
    /// What it makes.
    pub kind: Kind,
    /// The name of what it makes.
    pub name: String,
    /// The table it belongs to, if any.
    pub table: Option<String>,
    /// The statement, without semicolon at the end.
    pub sql: String,
}

/// On which side of the rows a statement is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// Before the first row.
    BeforeRows,
    /// After the last row.
    AfterRows,
}

/// What a statement makes, in the order in which the kinds are run.
///
/// After the rows, statements of one kind can run at the same time when they are of different
/// tables; each kind must be done before the next begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A schema other than `public`.
    Schema,
    /// An extension.
    Extension,
    /// A function or procedure.
    Function,
    /// A sequence that no identity column owns.
    Sequence,
    /// A table: columns, defaults, identities, storage options.
    Table,
    /// A column's statistics target, options, storage or compression.
    ColumnSetting,
    /// The column a sequence goes away with.
    SequenceOwner,
    /// A primary key, unique or exclusion constraint, with its index.
    Key,
    /// An index of no constraint.
    Index,
    /// Statistics of several columns, or of an index's expression.
    Statistics,
    /// A check, or a not-null constraint that was never validated.
    Check,
    /// A foreign key.
    ForeignKey,
    /// A trigger, with whether it is enabled.
    Trigger,
    /// Replica identity, or the index a table is clustered on.
    TableSetting,
    /// A comment.
    Comment,
}

/// Where a sequence stands: the `sequences` records of `docs/src/format.md` §7.2.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SequenceState {
    /// Its name.
    pub name: String,
    /// The last value it gave, or the first it will give.
    pub last_value: i64,
    /// Whether `last_value` was given already.
    pub is_called: bool,
}

/// Reads the current schema of the database that `client` is connected to.
///
/// For the moment of reading the search path is emptied, so that PostgreSQL prints names in full.
///
/// # Errors
/// When the connection is not inside a transaction, or a query fails.
pub async fn read_schema(client: &Client) -> Result<Schema, SchemaError> {
    let namespace = current_namespace(client).await?;
    let search_path = replace_search_path(client, "pg_catalog").await?;
    let (statements, mut unsupported) = read_statements(client, namespace).await?;
    unsupported.extend(read_unsupported(client, namespace).await?);
    replace_search_path(client, &search_path).await?;
    Ok(Schema { statements, unsupported })
}

/// Reads where the sequences of the current schema stand.
///
/// Sequences do not follow transactions: read them after the last row, so that none is behind the
/// rows.
///
/// # Errors
/// When a query fails or the role may not read a sequence.
pub async fn read_sequences(client: &Client) -> Result<Vec<SequenceState>, SchemaError> {
    let namespace = current_namespace(client).await?;
    let failed = |source| PostgresError::sorted("read the sequences", source);
    let names = client.query(queries::SEQUENCE_NAMES, &[&namespace]).await.map_err(failed)?;
    if names.is_empty() {
        return Ok(Vec::new());
    }
    let mut parts = Vec::with_capacity(names.len());
    for row in &names {
        parts.push(row.try_get::<_, &str>(0).map_err(failed)?);
    }
    let rows = client.query(&parts.join(" UNION ALL "), &[]).await.map_err(failed)?;
    let state = |row: &Row| {
        Ok(SequenceState {
            name: row.try_get(0)?,
            last_value: row.try_get(1)?,
            is_called: row.try_get(2)?,
        })
    };
    let states: Result<_, _> = rows.iter().map(state).collect();
    Ok(states.map_err(failed)?)
}

async fn current_namespace(client: &Client) -> Result<u32, SchemaError> {
    let failed = |source| PostgresError::sorted("read the current schema", source);
    let row = client.query_one(queries::CURRENT_SCHEMA, &[]).await.map_err(failed)?;
    row.try_get::<_, Option<u32>>(0).map_err(failed)?.ok_or(SchemaError::NoSchema)
}

/// Sets the search path until the transaction ends, and returns what it was.
async fn replace_search_path(client: &Client, path: &str) -> Result<String, SchemaError> {
    let failed = |source| PostgresError::sorted("read the search path", source);
    let show = "SELECT pg_catalog.current_setting('search_path')";
    let set = "SELECT pg_catalog.set_config('search_path', $1, true)";
    let before = client.query_one(show, &[]).await.map_err(failed)?;
    client.execute(set, &[&path]).await.map_err(failed)?;
    let after: String =
        client.query_one(show, &[]).await.and_then(|row| row.try_get(0)).map_err(failed)?;
    if after != path {
        return Err(SchemaError::NoTransaction);
    }
    Ok(before.try_get(0).map_err(failed)?)
}

/// The statements, and what was dropped while we read.
async fn read_statements(
    client: &Client,
    namespace: u32,
) -> Result<(Vec<SchemaStatement>, Vec<Gap>), SchemaError> {
    let (mut statements, mut gone) = (Vec::new(), Vec::new());
    for &(stage, kind, what, query) in &queries::STATEMENTS {
        let failed = |source| PostgresError::sorted(format!("read {what}"), source);
        let rows = client.query(query, &[&namespace]).await.map_err(failed)?;
        for row in &rows {
            let name: String = row.try_get(0).map_err(failed)?;
            let Some(sql) = row.try_get(2).map_err(failed)? else {
                gone.push(dropped(what, name));
                continue;
            };
            let table = row.try_get(1).map_err(failed)?;
            statements.push(SchemaStatement { stage, kind, name, table, sql });
        }
    }
    Ok((statements, gone))
}

fn dropped(what: &str, object: String) -> Gap {
    Gap {
        kind: "schema-object".to_owned(),
        detail: format!("{object}, among {what}, was dropped while the schema was read"),
        remedy: "nothing if that was meant; else make it again, then export again".to_owned(),
        object,
    }
}

async fn read_unsupported(client: &Client, namespace: u32) -> Result<Vec<Gap>, SchemaError> {
    let failed = |source| PostgresError::sorted("read other objects", source);
    let rows = client.query(queries::UNSUPPORTED, &[&namespace]).await.map_err(failed)?;
    let gaps: Result<_, _> = rows
        .iter()
        .map(|row| {
            let (what, object): (String, String) = (row.try_get(0)?, row.try_get(1)?);
            Ok(Gap {
                kind: "schema-object".to_owned(),
                detail: format!("{object} is {what}, which the exported schema does not have"),
                remedy: "if it is needed, make it by hand after a restore; Synapse makes none"
                    .to_owned(),
                object,
            })
        })
        .collect();
    Ok(gaps.map_err(failed)?)
}

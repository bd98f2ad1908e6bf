//! A database made again from what [`super::archive`] and [`super::schema_text`] kept.
//!
//! In this order: [`create_database`], [`run_schema`] with the text before the rows,
//! [`load_segment`] for each segment on any number of [`lane`]s, [`set_sequences`], [`run_after`]
//! with the text after the rows, [`apply_settings`], [`analyze`]; in the end what
//! [`super::rights`] kept. All of it works for a role that
//! owns the database, for a superuser who is [acting](Connector::acting_as) as that role, and into
//! a newer PostgreSQL. Nothing is one transaction: what breaks off is dropped and begun again.

use bytes::Bytes;
use futures_util::SinkExt;
use tokio_postgres::Client;

use super::PostgresError;
use super::archive::{SequenceValue, TableShape};
use super::columns::{literal, quoted};
use super::connect::Connector;

mod database;
mod schema;
pub(crate) mod statements;

pub use database::{
    Standing, apply_settings, clear, create_database, creation, drop_database,
    drop_unused_database, is_empty, is_marked, mark, name_before, rename_database, standing,
    things_in, unmark,
};
pub use schema::{RestoreError, Skipped, run_after, run_schema};

/// What a session that writes is told. Text forms are read as they were written; whoever loses
/// power before the end begins again anyway.
pub(crate) const SESSION: &str = "SET standard_conforming_strings = on; SET bytea_output = 'hex';
    SET datestyle = 'ISO, YMD'; SET xmloption = 'content'; SET intervalstyle = 'postgres';
    SET timezone = 'UTC'; SET client_encoding = 'UTF8'; SET search_path = '';
    SET statement_timeout = 0; SET idle_in_transaction_session_timeout = 0; SET lock_timeout = 0;
    SET synchronous_commit = off; SET check_function_bodies = off; SET row_security = off;
    SET maintenance_work_mem = '256MB';";
/// Bytes that go to the server in one message, at most.
const MESSAGE_BYTES: usize = 256 << 10;
/// Sequences set in one statement.
const AT_ONCE: usize = 200;

/// A session to write a database with.
///
/// # Errors
/// [`PostgresError`] when the server cannot be reached.
pub async fn lane(connector: &Connector) -> Result<Client, PostgresError> {
    let client = connector.connect().await?;
    let doing = |e| PostgresError::sorted("prepared a session", e);
    client.batch_execute(SESSION).await.map_err(doing)?;
    Ok(client)
}

/// Loads one segment into its table, whole or not at all, on a [`lane`] of this segment alone.
/// Returns how many rows the server took.
///
/// Rows lie in a table as they came. Where one lane brings all segments of a table, in order, the
/// next backup of the new database finds the segments of this one again.
///
/// # Errors
/// [`PostgresError`] when the rows do not fit the table, or the server is lost.
pub async fn load_segment(
    lane: &Client,
    shape: &TableShape,
    copy: Bytes,
) -> Result<u64, PostgresError> {
    if !shape.columns.iter().any(|column| column.as_text) {
        return fill(lane, shape, &shape.qualified(), copy).await;
    }
    let doing = |e| PostgresError::sorted(format!("filled {}", shape.label()), e);
    lane.batch_execute("BEGIN").await.map_err(doing)?;
    match load_by_text(lane, shape, copy).await {
        Ok(rows) => {
            lane.batch_execute("COMMIT").await.map_err(doing)?;
            Ok(rows)
        }
        Err(error) => {
            // A lost session has nothing to roll back; the first error tells.
            lane.batch_execute("ROLLBACK").await.ok();
            Err(error)
        }
    }
}

/// Rows with columns that travel as text go through a table of the session's own, which has text
/// in their place.
async fn load_by_text(
    lane: &Client,
    shape: &TableShape,
    copy: Bytes,
) -> Result<u64, PostgresError> {
    const STAGE: &str = "pg_temp.lifeboat_rows";
    let doing = |e| PostgresError::sorted(format!("filled {}", shape.label()), e);
    let types = lane
        .query(
            "SELECT attname::text, format_type(atttypid, atttypmod) FROM pg_attribute
             WHERE attrelid = $1::text::regclass AND attnum > 0 AND NOT attisdropped",
            &[&shape.qualified()],
        )
        .await
        .map_err(doing)?;
    let own_type = |name: &str| {
        types.iter().find(|row| row.get::<_, &str>(0) == name).map(|row| row.get::<_, String>(1))
    };
    let (mut staged, mut taken) = (Vec::new(), Vec::new());
    for column in &shape.columns {
        let name = quoted(&column.name);
        if column.as_text {
            let own = own_type(&column.name).unwrap_or_else(|| column.type_name.clone());
            staged.push(format!("{name}::text AS {name}"));
            taken.push(format!("{name}::{own}"));
        } else {
            staged.push(name.clone());
            taken.push(name);
        }
    }
    let table = shape.qualified();
    let make = format!(
        "CREATE TEMPORARY TABLE lifeboat_rows ON COMMIT DROP AS
         SELECT {} FROM ONLY {table} WITH NO DATA",
        staged.join(", ")
    );
    lane.batch_execute(&make).await.map_err(doing)?;
    fill(lane, shape, STAGE, copy).await?;
    let (columns, taken) = (shape.column_list(), taken.join(", "));
    let bring =
        format!("INSERT INTO {table}{columns} OVERRIDING SYSTEM VALUE SELECT {taken} FROM {STAGE}");
    lane.execute(bring.as_str(), &[]).await.map_err(doing)
}

async fn fill(
    lane: &Client,
    shape: &TableShape,
    table: &str,
    mut copy: Bytes,
) -> Result<u64, PostgresError> {
    let doing = |e| PostgresError::sorted(format!("filled {}", shape.label()), e);
    let columns = shape.column_list();
    let statement = format!("COPY {table}{columns} FROM STDIN (FORMAT binary)");
    let sink = lane.copy_in::<_, Bytes>(statement.as_str()).await.map_err(doing)?;
    let mut sink = std::pin::pin!(sink);
    while !copy.is_empty() {
        let message = copy.split_to(copy.len().min(MESSAGE_BYTES));
        sink.send(message).await.map_err(doing)?;
    }
    sink.finish().await.map_err(doing)
}

/// Sets sequences to where they stood.
///
/// # Errors
/// [`PostgresError`] when one is missing or the server is lost.
pub async fn set_sequences(
    client: &Client,
    sequences: &[SequenceValue],
) -> Result<(), PostgresError> {
    for some in sequences.chunks(AT_ONCE) {
        let set = |sequence: &SequenceValue| {
            let name = format!("{}.{}", quoted(&sequence.schema), quoted(&sequence.name));
            let (name, value, called) = (literal(&name), sequence.value, sequence.is_called);
            format!("pg_catalog.setval({name}::regclass, {value}, {called})")
        };
        let calls: Vec<String> = some.iter().map(set).collect();
        let statement = format!("SELECT {}", calls.join(", "));
        let doing = |e| PostgresError::sorted("set the sequences", e);
        client.batch_execute(&statement).await.map_err(doing)?;
    }
    Ok(())
}

/// Lets the server look at what was loaded, so that its first queries are planned well.
///
/// # Errors
/// [`PostgresError`] when the server is lost.
pub async fn analyze(client: &Client) -> Result<(), PostgresError> {
    let doing = |e| PostgresError::sorted("analysed the tables", e);
    client.batch_execute("ANALYZE").await.map_err(doing)
}

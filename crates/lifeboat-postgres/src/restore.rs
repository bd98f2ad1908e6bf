//! A database made again from what [`super::archive`] and [`super::schema_text`] kept.
//!
//! In this order: [`create_database`], [`run_schema`] with the text before the rows,
//! [`set_sequences`], [`work_off`] with a [`Board`] of the tables and the text after the rows,
//! which fills each table with [`begin_table`] and [`Filling::load`], [`apply_settings`]; in the
//! end what [`super::rights`] kept. All of it works for a role that owns the database, for a
//! superuser who is [acting](Connector::acting_as) as that role, and into a newer PostgreSQL. Not
//! all is one transaction: what breaks off is dropped and begun again.

use bytes::Bytes;
use futures_util::SinkExt;
use tokio_postgres::Client;

use super::PostgresError;
use super::archive::{DatabaseFacts, SequenceValue, TableShape};
use super::columns::{literal, quoted};
use super::connect::Connector;

mod board;
mod database;
mod schema;
pub(crate) mod statements;

pub use board::{Board, Wanted};
pub use database::{
    CLAIM_PATIENCE, Standing, apply_settings, claim, clear, create_database, creation,
    drop_database, drop_unused_database, is_empty, is_marked, mark, name_before, rename_database,
    reopen_database, standing, things_in, unmark,
};
pub use schema::{RestoreError, Skipped, run_schema, work_off};

/// What a session that writes is told. Text forms are read as they were written, and bytes of a
/// database without an encoding as they are; whoever loses power before the end begins again.
pub(crate) const SESSION: &str = "SET standard_conforming_strings = on; SET bytea_output = 'hex';
    SET datestyle = 'ISO, YMD'; SET xmloption = 'content'; SET intervalstyle = 'postgres';
    SET timezone = 'UTC'; SET client_encoding = 'UTF8'; SET search_path = '';
    SET statement_timeout = 0; SET idle_in_transaction_session_timeout = 0; SET lock_timeout = 0;
    SET default_transaction_read_only = off;
    SET synchronous_commit = off; SET check_function_bodies = off; SET row_security = off;
    SET maintenance_work_mem = '256MB';
    SELECT pg_catalog.set_config(name, '0', false) FROM pg_catalog.pg_settings
    WHERE name = 'idle_session_timeout';
    SELECT pg_catalog.set_config('client_encoding', 'SQL_ASCII', false)
    WHERE pg_catalog.current_setting('server_encoding') = 'SQL_ASCII'";
/// Bytes that go to the server in one message, at most.
const MESSAGE_BYTES: usize = 256 << 10;
/// Tells the transaction where to look for names, where rows of a table are checked or computed by
/// functions of the database's own.
const SEARCHING: &str = "
    SELECT pg_catalog.set_config('search_path', $2, true) WHERE EXISTS (
        SELECT FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_constraint c ON c.oid = d.objid
        WHERE d.classid = 'pg_constraint'::regclass AND d.refclassid = 'pg_proc'::regclass
        AND (c.conrelid = $1::text::regclass OR c.contypid IN (
            SELECT atttypid FROM pg_catalog.pg_attribute WHERE attrelid = $1::text::regclass))
        UNION ALL
        SELECT FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_attrdef a ON a.oid = d.objid
        WHERE d.classid = 'pg_attrdef'::regclass AND d.refclassid = 'pg_proc'::regclass
        AND a.adrelid = $1::text::regclass)";
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

/// A table that is filled on one session.
pub struct Filling<'a> {
    lane: &'a Client,
    /// The table through which the server finds the place of each row, where that is another.
    through: Option<String>,
    /// Whether the table was emptied in the transaction that fills it.
    in_transaction: bool,
}

/// The partitioned table, quoted, among whose partitions the rows of this one may lie otherwise
/// than they did. Rows are spread by a hash, and that of a value of an enum is of the number which
/// the database gave the value: another one in each database.
///
/// # Errors
/// [`PostgresError`] when the server is lost.
pub async fn spread_by(
    client: &Client,
    shape: &TableShape,
) -> Result<Option<String>, PostgresError> {
    const ROOT: &str = "SELECT quote_ident(n.nspname) || '.' || quote_ident(r.relname)
        FROM pg_class r JOIN pg_namespace n ON n.oid = r.relnamespace
        WHERE r.oid = pg_partition_root($1::text::regclass) AND EXISTS (
            SELECT FROM pg_partition_ancestors($1::text::regclass) a
            JOIN pg_partitioned_table p ON p.partrelid = a.relid AND p.partstrat = 'h'
            JOIN pg_opclass o ON o.oid = ANY (p.partclass)
            JOIN pg_opfamily f ON f.oid = o.opcfamily
            WHERE f.opfname IN
                ('enum_ops', 'array_ops', 'record_ops', 'range_ops', 'multirange_ops'))";
    let doing = |e| PostgresError::sorted(format!("looked at {}", shape.label()), e);
    let root = client.query_opt(ROOT, &[&shape.qualified()]).await.map_err(doing)?;
    Ok(root.map(|row| row.get(0)))
}

/// Begins a table, on a [`lane`] of this table alone. One of our own is emptied in the transaction
/// that fills it: then the server can write rows that need no second look, as whoever sees the
/// table sees them. An extension has put rows of its own into its tables, and a table that is
/// [spread](spread_by) may have rows of its neighbours. Functions of constraints look for names
/// where `facts` say that the database did.
///
/// # Errors
/// [`PostgresError`] when the table is missing, or the server is lost.
pub async fn begin_table<'a>(
    lane: &'a Client,
    (shape, facts): (&TableShape, &DatabaseFacts),
) -> Result<Filling<'a>, PostgresError> {
    const IS_OURS: &str = "SELECT pg_has_role(relowner, 'USAGE') AND NOT EXISTS (
            SELECT FROM pg_depend WHERE classid = 'pg_class'::regclass
            AND objid = pg_class.oid AND deptype = 'e')
        FROM pg_class WHERE oid = $1::text::regclass";
    let through = spread_by(lane, shape).await?;
    if through.is_some() {
        return Ok(Filling { lane, through, in_transaction: false });
    }
    let table = shape.qualified();
    let doing = |e| PostgresError::sorted(format!("emptied {}", shape.label()), e);
    let row = lane.query_one(IS_OURS, &[&table]).await.map_err(doing)?;
    let in_transaction: bool = row.get(0);
    if in_transaction {
        let begin = format!("BEGIN; TRUNCATE ONLY {table}");
        lane.batch_execute(&begin).await.map_err(doing)?;
        let path = facts.search_path();
        lane.execute(SEARCHING, &[&table, &path]).await.map_err(doing)?;
    }
    Ok(Filling { lane, through, in_transaction })
}

impl<'a> Filling<'a> {
    /// A table that has rows already, or is looked at by others: each segment stands for itself.
    pub fn of(lane: &'a Client) -> Self {
        Self { lane, through: None, in_transaction: false }
    }

    /// Loads one segment, whole or not at all; returns how many rows the server took.
    ///
    /// Rows lie in a table as they came. Where all segments of a table are brought in order, the
    /// next backup of the new database finds the segments of this one again.
    ///
    /// # Errors
    /// [`PostgresError`] when the rows do not fit the table, or the server is lost.
    pub async fn load(&self, shape: &TableShape, copy: Bytes) -> Result<u64, PostgresError> {
        let Self { lane, in_transaction, .. } = *self;
        let table = self.through.clone().unwrap_or_else(|| shape.qualified());
        if !shape.columns.iter().any(|column| column.as_text) {
            let how = if in_transaction { ", FREEZE" } else { "" };
            return fill(lane, shape, (&table, how), copy).await;
        }
        if in_transaction {
            return load_by_text(lane, (shape, &table), copy).await;
        }
        let doing = |e| PostgresError::sorted(format!("filled {}", shape.label()), e);
        lane.batch_execute("BEGIN").await.map_err(doing)?;
        match load_by_text(lane, (shape, &table), copy).await {
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

    /// Ends the transaction.
    ///
    /// # Errors
    /// [`PostgresError`] when the server is lost.
    pub async fn finish(self) -> Result<(), PostgresError> {
        let doing = |e| PostgresError::sorted("filled the tables", e);
        let end = if self.in_transaction { "COMMIT" } else { "" };
        self.lane.batch_execute(end).await.map_err(doing)
    }
}

/// Rows with columns that travel as text go through a table of the session's own, which has text
/// in their place.
async fn load_by_text(
    lane: &Client,
    (shape, table): (&TableShape, &str),
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
    let make = format!(
        "CREATE TEMPORARY TABLE lifeboat_rows ON COMMIT DROP AS
         SELECT {} FROM ONLY {} WITH NO DATA",
        staged.join(", "),
        shape.qualified()
    );
    lane.batch_execute(&make).await.map_err(doing)?;
    fill(lane, shape, (STAGE, ""), copy).await?;
    let (columns, taken) = (shape.column_list(), taken.join(", "));
    let bring =
        format!("INSERT INTO {table}{columns} OVERRIDING SYSTEM VALUE SELECT {taken} FROM {STAGE}");
    let rows = lane.execute(bring.as_str(), &[]).await.map_err(doing)?;
    lane.batch_execute(&format!("DROP TABLE {STAGE}")).await.map_err(doing)?;
    Ok(rows)
}

async fn fill(
    lane: &Client,
    shape: &TableShape,
    (table, how): (&str, &str),
    mut copy: Bytes,
) -> Result<u64, PostgresError> {
    let doing = |e| PostgresError::sorted(format!("filled {}", shape.label()), e);
    let columns = shape.column_list();
    let statement = format!("COPY {table}{columns} FROM STDIN (FORMAT binary{how})");
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

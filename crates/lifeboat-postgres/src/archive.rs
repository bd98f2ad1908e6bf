//! One database as a backup keeps it: which tables there are, their rows in segments, what is
//! around them.
//!
//! Everything is read under one [`Cut`], except the sequences, which no snapshot holds: they are
//! read after it, so that each is at or past every row of it. How the database is made again is
//! in [`super::restore`].

use serde::{Deserialize, Serialize};
use tokio_postgres::{Client, Row};

use super::PostgresError;
use super::columns::quoted;
use super::cut::{Cut, Hold};

mod facts;
mod readable;
mod segments;
mod sequences;
mod types;

pub use facts::{
    DatabaseFacts, Extension, LocaleProvider, TextOrder, facts, server_version, text_order,
};
pub use readable::{Unreadable, unreadable};
pub use segments::{ROW_LIMIT_BYTES, SEGMENT_LEAST_BYTES, SEGMENT_MOST_BYTES, Segment, Segments};
pub use sequences::{SequenceValue, sequences};

/// Which schemas, `n` of `pg_namespace`, are not the server's own.
pub(crate) const FOREIGN_SCHEMAS: &str =
    "n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'";

/// A table whose rows a backup keeps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TableShape {
    /// Its schema, unquoted.
    pub schema: String,
    /// Its name, unquoted.
    pub name: String,
    /// The columns that hold stored values, in order; generated columns are left out.
    pub columns: Vec<StoredColumn>,
    /// Its rows do not survive a crash of the server, and a standby cannot read them.
    #[serde(default, skip_serializing_if = "is_false")]
    pub unlogged: bool,
    /// Which rows are ours, as SQL, where an extension has rows of its own in this table.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub condition: Option<String>,
    /// Bytes on the server's disk, without indexes; to plan with, not kept.
    #[serde(skip)]
    pub bytes: u64,
}

/// One column of a [`TableShape`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StoredColumn {
    /// Its name, unquoted.
    pub name: String,
    /// Its type as `format_type` prints it, with the schema where that is not the system's.
    #[serde(rename = "type")]
    pub type_name: String,
    /// Its values travel as text, because their binary form holds numbers that only this database
    /// knows: arrays of its own types, composites, names of its objects.
    #[serde(default, skip_serializing_if = "is_false")]
    pub as_text: bool,
}

impl TableShape {
    /// `schema.name` for messages.
    pub fn label(&self) -> String {
        format!("{}.{}", self.schema, self.name)
    }

    /// `"schema"."name"` for statements.
    pub fn qualified(&self) -> String {
        format!("{}.{}", quoted(&self.schema), quoted(&self.name))
    }

    /// The names of the columns in parentheses, or nothing for a table without columns.
    pub(crate) fn column_list(&self) -> String {
        if self.columns.is_empty() {
            return String::new();
        }
        let names: Vec<String> = self.columns.iter().map(|c| quoted(&c.name)).collect();
        format!(" ({})", names.join(", "))
    }

    /// The statement that reads its rows, in the order in which they lie.
    fn copy_statement(&self) -> String {
        let as_text = self.columns.iter().any(|column| column.as_text);
        if !as_text && self.condition.is_none() {
            let (table, columns) = (self.qualified(), self.column_list());
            return format!("COPY {table}{columns} TO STDOUT (FORMAT binary)");
        }
        let selected: Vec<String> = self
            .columns
            .iter()
            .map(|c| format!("{}{}", quoted(&c.name), if c.as_text { "::text" } else { "" }))
            .collect();
        // The server keeps the condition with its leading WHERE.
        let condition = self.condition.as_deref().unwrap_or_default();
        format!(
            "COPY (SELECT {} FROM ONLY {} {condition}) TO STDOUT (FORMAT binary)",
            selected.join(", "),
            self.qualified()
        )
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde wants a reference")]
fn is_false(flag: &bool) -> bool {
    !*flag
}

/// A table in the catalogue, with what tells that it is still the same.
#[derive(PartialEq, Eq)]
struct Found {
    shape: TableShape,
    oid: u32,
    /// The file of its rows, which a truncation or a rewriting replaces.
    file: u32,
}

/// Every ordinary table with rows of its own, in all schemas that are not the server's, held
/// until the cut ends.
///
/// Partitions are tables; partitioned tables, views and foreign tables have no rows of their own.
/// Tables of an extension are left out, except those of which it says that they hold the user's
/// rows.
///
/// # Errors
/// [`PostgresError::Moved`] when a table was changed, emptied or dropped between the snapshot and
/// now, so that the snapshot would not show its rows: open another cut. Else [`PostgresError`] when
/// the server refuses or is lost.
pub async fn tables(cut: &Cut) -> Result<Vec<TableShape>, PostgresError> {
    let doing = |e| PostgresError::sorted("read the table list", e);
    let anchor = cut.anchor();
    anchor.batch_execute(QUIET).await.map_err(doing)?;
    let mut found = read(anchor).await?;
    anchor.batch_execute("ROLLBACK TO SAVEPOINT quiet").await.map_err(doing)?;
    hold_all(cut, &found).await?;
    // What a session of now sees cannot change any more, and must be what the snapshot sees.
    let now = cut.connector.connect().await?;
    let begin = format!("BEGIN READ ONLY; {QUIET}");
    now.batch_execute(&begin).await.map_err(doing)?;
    let present = read(&now).await?;
    for table in &found {
        let same = present.iter().find(|other| other.oid == table.oid);
        if !same.is_some_and(|same| same.is_as(table)) {
            return Err(PostgresError::Moved { table: table.shape.label() });
        }
    }
    measure(anchor, &mut found).await?;
    Ok(found.into_iter().map(|table| table.shape).collect())
}

/// Asks how large tables are, which waits for whoever has one locked: so not before they are held.
async fn measure(client: &Client, found: &mut [Found]) -> Result<(), PostgresError> {
    let oids: Vec<u32> = found.iter().map(|table| table.oid).collect();
    let rows = client
        .query(
            "SELECT coalesce(pg_table_size(oid), 0)
             FROM unnest($1::oid[]) WITH ORDINALITY AS asked (oid, place) ORDER BY place",
            &[&oids],
        )
        .await
        .map_err(|e| PostgresError::sorted("asked for the sizes of the tables", e))?;
    for (table, row) in found.iter_mut().zip(&rows) {
        table.shape.bytes = row.get::<_, i64>(0).unsigned_abs();
    }
    Ok(())
}

/// Names of types are printed with their schemas.
const QUIET: &str = "SAVEPOINT quiet; SET LOCAL search_path = ''";

impl Found {
    fn is_as(&self, other: &Self) -> bool {
        self.file == other.file && self.shape.columns == other.shape.columns
    }
}

async fn hold_all(cut: &Cut, found: &[Found]) -> Result<(), PostgresError> {
    if found.is_empty() {
        return Ok(());
    }
    let all: Vec<String> =
        found.iter().map(|table| format!("ONLY {}", table.shape.qualified())).collect();
    if cut.hold_named(&all.join(", ")).await? == Hold::Held {
        return Ok(());
    }
    for table in found {
        match cut.hold_named(&format!("ONLY {}", table.shape.qualified())).await? {
            Hold::Held => {}
            Hold::Gone => return Err(PostgresError::Moved { table: table.shape.label() }),
            Hold::Locked => return Err(PostgresError::Busy { table: table.shape.label() }),
        }
    }
    Ok(())
}

async fn read(client: &Client) -> Result<Vec<Found>, PostgresError> {
    let doing = |e| PostgresError::sorted("read the table list", e);
    let types = types::Types::read(client).await?;
    let statement = format!(
        "SELECT n.nspname::text, c.relname::text, c.relpersistence = 'u', c.oid, c.relfilenode,
                nullif(o.condition, '')
         FROM pg_class c
         JOIN pg_namespace n ON n.oid = c.relnamespace
         LEFT JOIN LATERAL (
             SELECT array_position(e.extconfig, c.oid) IS NOT NULL AS kept,
                    e.extcondition[array_position(e.extconfig, c.oid)] AS condition
             FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid
             WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid
               AND d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e'
         ) o ON true
         WHERE c.relkind = 'r' AND c.relpersistence <> 't' AND {FOREIGN_SCHEMAS}
           AND o.kept IS NOT false
         ORDER BY n.nspname COLLATE \"C\", c.relname COLLATE \"C\""
    );
    let rows = client.query(statement.as_str(), &[]).await.map_err(doing)?;
    // A database whose encoding is SQL_ASCII can have names that are no text.
    let table = |row: &Row| -> Result<Found, tokio_postgres::Error> {
        let shape = TableShape {
            schema: row.try_get(0)?,
            name: row.try_get(1)?,
            columns: Vec::new(),
            unlogged: row.try_get(2)?,
            condition: row.try_get(5)?,
            bytes: 0,
        };
        Ok(Found { shape, oid: row.try_get(3)?, file: row.try_get(4)? })
    };
    let mut found: Vec<Found> = rows.iter().map(table).collect::<Result<_, _>>().map_err(doing)?;
    let by_oid: std::collections::HashMap<u32, usize> =
        found.iter().enumerate().map(|(at, table)| (table.oid, at)).collect();
    let statement = format!(
        "SELECT c.oid, a.attname::text, format_type(a.atttypid, a.atttypmod), a.atttypid
         FROM pg_class c
         JOIN pg_namespace n ON n.oid = c.relnamespace
         JOIN pg_attribute a ON a.attrelid = c.oid
         WHERE c.relkind = 'r' AND c.relpersistence <> 't' AND {FOREIGN_SCHEMAS}
           AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
         ORDER BY c.oid, a.attnum"
    );
    for row in &client.query(statement.as_str(), &[]).await.map_err(doing)? {
        if let Some(at) = by_oid.get(&row.get(0)) {
            found[*at].shape.columns.push(StoredColumn {
                name: row.try_get(1).map_err(doing)?,
                type_name: row.get(2),
                as_text: !types.is_portable(row.get(3)),
            });
        }
    }
    Ok(found)
}

//! The columns of a table, as `COPY` binary carries them and as records hold them.

use tokio_postgres::Client;

use super::PostgresError;

/// How a column's value travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Carrier {
    /// `boolean`: one byte; JSON `true` or `false`.
    Bool,
    /// `smallint`: JSON number.
    Int2,
    /// `integer`: JSON number.
    Int4,
    /// `bigint`: JSON number.
    Int8,
    /// `text`, `character varying`, `character`: JSON string.
    Text,
    /// `bytea`: JSON string, `\x` and hexadecimal.
    Bytea,
    /// Any other type: cast to `text` by the server on the way out, taken as text on the way in.
    Cast,
}

/// One column of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// Name, unquoted.
    pub name: String,
    /// Type as `format_type` prints it.
    pub type_name: String,
    /// How its values travel.
    pub carrier: Carrier,
}

impl Column {
    /// A column of the type that `format_type` calls `type_name`.
    pub fn new(name: &str, type_name: &str) -> Self {
        let bare = type_name.split('(').next().unwrap_or(type_name).trim_end();
        let carrier = match bare {
            "boolean" => Carrier::Bool,
            "smallint" => Carrier::Int2,
            "integer" => Carrier::Int4,
            "bigint" => Carrier::Int8,
            "text" | "character varying" | "character" => Carrier::Text,
            "bytea" => Carrier::Bytea,
            _ => Carrier::Cast,
        };
        Self { name: name.to_owned(), type_name: type_name.to_owned(), carrier }
    }

    /// The expression that selects the column from `alias`.
    pub fn selected(&self, alias: &str) -> String {
        let name = quoted(&self.name);
        match self.carrier {
            Carrier::Cast => format!("{alias}.{name}::text"),
            Carrier::Bool
            | Carrier::Int2
            | Carrier::Int4
            | Carrier::Int8
            | Carrier::Text
            | Carrier::Bytea => format!("{alias}.{name}"),
        }
    }
}

/// A table as the database describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// Name, unquoted, in the current schema.
    pub name: String,
    /// Columns that hold stored values, in order; generated columns are left out.
    pub columns: Vec<Column>,
    /// Estimated rows, from the statistics; 0 when never analysed.
    pub rows_estimate: u64,
    /// Bytes of the table without indexes, TOAST included.
    pub bytes: u64,
    /// Pages of the main fork.
    pub pages: u64,
    /// Tables that a foreign key of this one points to, itself left out.
    pub refers_to: Vec<String>,
}

/// Reads all ordinary tables of the current schema from the system catalogue. One that is dropped
/// meanwhile may still be among them, without bytes.
///
/// # Errors
/// [`PostgresError`] when the server refuses or is lost.
pub async fn read_tables(client: &Client) -> Result<Vec<Table>, PostgresError> {
    let doing = |e| PostgresError::sorted("read the table list", e);
    let rows = client
        .query(
            "SELECT c.relname::text,
                    greatest(c.reltuples, 0)::int8,
                    coalesce(pg_table_size(c.oid), 0),
                    coalesce(pg_relation_size(c.oid), 0) / current_setting('block_size')::int8,
                    ARRAY(SELECT DISTINCT p.relname::text FROM pg_constraint f
                          JOIN pg_class p ON p.oid = f.confrelid
                          WHERE f.conrelid = c.oid AND f.contype = 'f' AND f.confrelid <> c.oid)
             FROM pg_class c
             WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind = 'r'
               AND c.relpersistence <> 't'
             ORDER BY c.relname COLLATE \"C\"",
            &[],
        )
        .await
        .map_err(doing)?;
    let mut tables: Vec<Table> = rows
        .iter()
        .map(|row| Table {
            name: row.get(0),
            columns: Vec::new(),
            rows_estimate: row.get::<_, i64>(1).unsigned_abs(),
            bytes: row.get::<_, i64>(2).unsigned_abs(),
            pages: row.get::<_, i64>(3).unsigned_abs(),
            refers_to: row.get(4),
        })
        .collect();
    let columns = client
        .query(
            "SELECT c.relname::text, a.attname::text, format_type(a.atttypid, a.atttypmod)
             FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
             WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind = 'r'
               AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
             ORDER BY c.relname COLLATE \"C\", a.attnum",
            &[],
        )
        .await
        .map_err(doing)?;
    for row in &columns {
        let name: &str = row.get(0);
        if let Ok(at) = tables.binary_search_by(|table| table.name.as_str().cmp(name)) {
            tables[at].columns.push(Column::new(row.get(1), row.get(2)));
        }
    }
    Ok(tables)
}

/// An SQL identifier in double quotes.
pub fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// An SQL string literal. Safe for any text: backslashes are taken literally
/// (`standard_conforming_strings`, which [`super::connect`] sets).
pub fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

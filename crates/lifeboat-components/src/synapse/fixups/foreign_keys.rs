//! Rows that point at rows which are not there.
//!
//! A package that was resumed holds tables of two snapshots: a row of the later one may point at a
//! row that the earlier one did not have yet. Such a row is dropped, and counted.

use tokio_postgres::Client;

use crate::postgres::PostgresError;
use crate::postgres::columns::quoted;

/// A foreign key: columns of a table that must be in columns of another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForeignKey {
    /// The table whose rows point.
    pub table: String,
    /// Its columns.
    pub columns: Vec<String>,
    /// The table pointed at.
    pub referenced: String,
    /// Its columns, in the order of `columns`.
    pub referenced_columns: Vec<String>,
}

impl ForeignKey {
    /// The foreign key of this name on a table of the current schema, validated or not.
    ///
    /// # Errors
    /// [`PostgresError`] when the server refuses or is lost.
    pub async fn named(
        client: &Client,
        table: &str,
        name: &str,
    ) -> Result<Option<Self>, PostgresError> {
        let query = "
            SELECT r.relname::text,
              ARRAY(
                SELECT a.attname::text
                FROM unnest(k.conkey) WITH ORDINALITY u (attnum, position)
                JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.attnum
                ORDER BY u.position),
              ARRAY(
                SELECT a.attname::text
                FROM unnest(k.confkey) WITH ORDINALITY u (attnum, position)
                JOIN pg_attribute a ON a.attrelid = k.confrelid AND a.attnum = u.attnum
                ORDER BY u.position)
            FROM pg_constraint k
            JOIN pg_class c ON c.oid = k.conrelid
            JOIN pg_namespace n ON n.oid = c.relnamespace
            JOIN pg_class r ON r.oid = k.confrelid
            WHERE n.nspname = current_schema()
              AND c.relname = $1
              AND k.conname = $2
              AND k.contype = 'f'";
        let row = client
            .query_opt(query, &[&table, &name])
            .await
            .map_err(|e| PostgresError::sorted(format!("read foreign key {name}"), e))?;
        Ok(row.map(|row| Self {
            table: table.to_owned(),
            columns: row.get(1),
            referenced: row.get(0),
            referenced_columns: row.get(2),
        }))
    }

    /// The statement that deletes the rows which point at nothing. A null in any column points
    /// nowhere and is right (`MATCH SIMPLE`).
    fn delete_dangling(&self) -> String {
        let points: Vec<String> =
            self.columns.iter().map(|c| format!("d.{} IS NOT NULL", quoted(c))).collect();
        let meets: Vec<String> = self
            .columns
            .iter()
            .zip(&self.referenced_columns)
            .map(|(from, to)| format!("r.{} = d.{}", quoted(to), quoted(from)))
            .collect();
        format!(
            "DELETE FROM {} d WHERE {} AND NOT EXISTS (SELECT FROM {} r WHERE {})",
            quoted(&self.table),
            points.join(" AND "),
            quoted(&self.referenced),
            meets.join(" AND ")
        )
    }
}

/// Deletes the rows that point at nothing, and returns how many they were.
///
/// When the table points at itself, rows that pointed at deleted ones go too.
///
/// # Errors
/// [`PostgresError`] when the server refuses, also when another foreign key holds on to such a row,
/// or is lost.
pub async fn drop_dangling(client: &Client, key: &ForeignKey) -> Result<u64, PostgresError> {
    let delete = key.delete_dangling();
    let mut dropped = 0;
    loop {
        let rows = client.execute(&delete, &[]).await.map_err(|e| {
            PostgresError::sorted(format!("dropped rows of {} that point nowhere", key.table), e)
        })?;
        dropped += rows;
        if rows == 0 || key.table != key.referenced {
            return Ok(dropped);
        }
    }
}

/// Makes a foreign key that the database refused with SQLSTATE 23503: drops the rows it refused.
///
/// `add` is the statement that was refused (`ALTER TABLE … ADD CONSTRAINT …`) for constraint `name`
/// of `table`. The session must be able to go on: outside a transaction, or back at a savepoint.
/// Returns how many rows were dropped.
///
/// # Errors
/// [`PostgresError`] when the server refuses or is lost.
pub async fn mend_foreign_key(
    client: &Client,
    table: &str,
    name: &str,
    add: &str,
) -> Result<u64, PostgresError> {
    let doing = |e| PostgresError::sorted(format!("made foreign key {name} of {table}"), e);
    // Added without a look at the rows, the key tells its own columns.
    client.batch_execute(&format!("{add} NOT VALID")).await.map_err(doing)?;
    let dropped = match ForeignKey::named(client, table, name).await? {
        Some(key) => drop_dangling(client, &key).await?,
        None => 0,
    };
    let validate = format!("ALTER TABLE {} VALIDATE CONSTRAINT {}", quoted(table), quoted(name));
    client.batch_execute(&validate).await.map_err(doing)?;
    Ok(dropped)
}

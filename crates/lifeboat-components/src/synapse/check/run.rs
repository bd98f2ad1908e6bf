//! Has Synapse been started since the import? Then it has changed things, as it should.

use serde::{Deserialize, Serialize};
use tokio_postgres::Client;

use crate::postgres::PostgresError;
use crate::postgres::columns::{literal, quoted};

/// When the check is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Run {
    /// Before Synapse's first start on the data: everything is as it was written.
    BeforeFirstStart,
    /// Synapse has run, or runs: rows were added, short-lived ones went.
    AfterFirstStart,
}

impl Run {
    /// In words.
    pub fn words(self) -> &'static str {
        match self {
            Self::BeforeFirstStart => "before first start",
            Self::AfterFirstStart => "after first start",
        }
    }
}

/// The sign that Synapse has worked on the database since the import, `None` when there is none.
///
/// The import sets each sequence; PostgreSQL notes beside it how many numbers were drawn since. A
/// process that runs, or was killed, leaves locks, which no package holds.
///
/// # Errors
/// [`PostgresError`] when the server refuses or is lost.
pub async fn sign_of_start(client: &Client) -> Result<Option<String>, PostgresError> {
    let doing = |e| PostgresError::sorted("looked whether Synapse was started", e);
    let names = client
        .query(
            "SELECT schemaname::text, sequencename::text FROM pg_sequences
             WHERE schemaname = current_schema() ORDER BY sequencename",
            &[],
        )
        .await
        .map_err(doing)?;
    let drawn = names.iter().map(|row| {
        let (schema, name): (&str, &str) = (row.get(0), row.get(1));
        let from = format!("{}.{}", quoted(schema), quoted(name));
        format!("SELECT {} WHERE (SELECT log_cnt FROM {from}) > 0", literal(name))
    });
    let drawn: Vec<String> = drawn.collect();
    if !drawn.is_empty() {
        let query = format!("{} LIMIT 1", drawn.join(" UNION ALL "));
        if let Some(row) = client.query_opt(&query, &[]).await.map_err(doing)? {
            let name: &str = row.get(0);
            return Ok(Some(format!("numbers were drawn from {name} since the import")));
        }
    }
    for table in ["worker_locks", "worker_read_write_locks"] {
        let exists = format!("SELECT to_regclass({}) IS NOT NULL", literal(table));
        let is_there: bool = client.query_one(&exists, &[]).await.map_err(doing)?.get(0);
        let rows = format!("SELECT FROM {table} LIMIT 1");
        if is_there && client.query_opt(&rows, &[]).await.map_err(doing)?.is_some() {
            return Ok(Some(format!("{table} holds locks")));
        }
    }
    Ok(None)
}

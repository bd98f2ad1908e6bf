//! Which tables and columns the current schema has: schema versions differ.

use std::collections::HashMap;

use tokio_postgres::Client;

use crate::postgres::PostgresError;

/// The tables of the current schema, with the types of their columns.
pub(in crate::synapse) struct Present(HashMap<String, HashMap<String, String>>);

impl Present {
    /// Reads them from the system catalogue.
    pub(in crate::synapse) async fn read(client: &Client) -> Result<Self, PostgresError> {
        let rows = client
            .query(
                "SELECT c.relname::text, a.attname::text, format_type(a.atttypid, -1)
                 FROM pg_class c
                 JOIN pg_namespace n ON n.oid = c.relnamespace
                 JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0
                 WHERE n.nspname = current_schema()
                   AND c.relkind IN ('r', 'p')
                   AND NOT a.attisdropped",
                &[],
            )
            .await
            .map_err(|e| PostgresError::sorted("read which tables there are", e))?;
        let mut tables: HashMap<String, HashMap<String, String>> = HashMap::new();
        for row in &rows {
            tables.entry(row.get(0)).or_default().insert(row.get(1), row.get(2));
        }
        Ok(Self(tables))
    }

    /// Whether there is such a table.
    pub(in crate::synapse) fn has(&self, table: &str) -> bool {
        self.0.contains_key(table)
    }

    /// The type of a column, if there is one, as `format_type` prints it.
    pub(in crate::synapse) fn type_of(&self, table: &str, column: &str) -> Option<&str> {
        self.0.get(table)?.get(column).map(String::as_str)
    }
}

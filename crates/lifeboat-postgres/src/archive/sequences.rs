//! Where the sequences of a database stand.

use serde::{Deserialize, Serialize};
use tokio_postgres::Client;

use crate::PostgresError;
use crate::columns::{literal, quoted};

use super::FOREIGN_SCHEMAS;

/// How often the list is read again when a sequence is dropped while we read.
const TRIES: u32 = 5;
/// SQLSTATE of a relation that is not there.
const UNDEFINED_TABLE: &str = "42P01";
/// Sequences asked for in one statement.
const AT_ONCE: usize = 200;

/// Where a sequence stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SequenceValue {
    /// Its schema, unquoted.
    pub schema: String,
    /// Its name, unquoted.
    pub name: String,
    /// The value it gave last, or gives first.
    pub value: i64,
    /// It gave `value` already.
    pub is_called: bool,
}

/// Where all sequences stand that are not the server's or an extension's own, by schema and name.
///
/// Sequences are in no snapshot. Read after the cut was opened, on a session of its own (a lane or
/// the anchor would do as well, as long as it comes later), each is at or past every row of the
/// cut.
///
/// # Errors
/// [`PostgresError`] when the server refuses or is lost.
pub async fn sequences(client: &Client) -> Result<Vec<SequenceValue>, PostgresError> {
    let mut tries = 1;
    loop {
        match read(client).await {
            Err(refused) if refused.code() == Some(UNDEFINED_TABLE) && tries < TRIES => tries += 1,
            outcome => return outcome,
        }
    }
}

async fn read(client: &Client) -> Result<Vec<SequenceValue>, PostgresError> {
    let doing = |e| PostgresError::sorted("read the sequences", e);
    let list = format!(
        "SELECT n.nspname::text, c.relname::text
         FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
         WHERE c.relkind = 'S' AND c.relpersistence <> 't' AND {FOREIGN_SCHEMAS}
           AND NOT EXISTS (
               SELECT FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid
               WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e'
                 AND d.refclassid = 'pg_extension'::regclass
                 AND array_position(e.extconfig, c.oid) IS NULL)
         ORDER BY n.nspname COLLATE \"C\", c.relname COLLATE \"C\""
    );
    let names: Vec<(String, String)> = client
        .query(list.as_str(), &[])
        .await
        .map_err(doing)?
        .iter()
        .map(|row| Ok((row.try_get(0)?, row.try_get(1)?)))
        .collect::<Result<_, tokio_postgres::Error>>()
        .map_err(doing)?;
    let mut values = Vec::with_capacity(names.len());
    for some in names.chunks(AT_ONCE) {
        let question = |(schema, name): &(String, String)| {
            format!(
                "SELECT {}, {}, last_value, is_called FROM {}.{}",
                literal(schema),
                literal(name),
                quoted(schema),
                quoted(name)
            )
        };
        let questions: Vec<String> = some.iter().map(question).collect();
        let statement = questions.join(" UNION ALL ");
        let rows = client.query(statement.as_str(), &[]).await.map_err(doing)?;
        values.extend(rows.iter().map(|row| SequenceValue {
            schema: row.get(0),
            name: row.get(1),
            value: row.get(2),
            is_called: row.get(3),
        }));
    }
    Ok(values)
}

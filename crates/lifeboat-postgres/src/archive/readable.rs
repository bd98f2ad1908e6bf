//! What the role may not read: rows that it does not see would be missing without a word.

use tokio_postgres::Client;

use crate::PostgresError;

use super::FOREIGN_SCHEMAS;

/// What cannot be read of a database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreadable {
    /// How many tables and sequences, and whatever else was asked for.
    pub count: u64,
    /// One of them, with its schema, quoted.
    pub first: String,
    /// Those of them of which row security hides rows.
    pub filtered: u64,
}

/// What the session's role may not read of these kinds of relations (`pg_class.relkind`), where
/// there is anything. What an extension has for itself is left out.
///
/// # Errors
/// [`PostgresError`] when the server refuses or is lost.
pub async fn unreadable(
    client: &Client,
    kinds: &[&str],
) -> Result<Option<Unreadable>, PostgresError> {
    let statement = format!(
        "SELECT count(*), min(format('%I.%I', n.nspname, c.relname)),
                count(*) FILTER (WHERE c.relkind <> 'S' AND row_security_active(c.oid))
         FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
         WHERE c.relkind::text = ANY ($1) AND {FOREIGN_SCHEMAS}
           AND NOT EXISTS (
               SELECT FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid
               WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid
                 AND d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e'
                 AND array_position(e.extconfig, c.oid) IS NULL)
           AND (NOT has_schema_privilege(n.oid, 'USAGE')
                OR CASE WHEN c.relkind = 'S' THEN NOT has_sequence_privilege(c.oid, 'SELECT')
                        ELSE NOT has_table_privilege(c.oid, 'SELECT')
                             OR row_security_active(c.oid) END)"
    );
    let doing = |e| PostgresError::sorted("looked for what the role may not read", e);
    let row = client.query_one(&statement, &[&kinds]).await.map_err(doing)?;
    let (count, first, filtered): (i64, Option<String>, i64) = (row.get(0), row.get(1), row.get(2));
    let (count, filtered) = (count.unsigned_abs(), filtered.unsigned_abs());
    Ok(first.map(|first| Unreadable { count, first, filtered }))
}

impl Unreadable {
    /// What there is to do about it, for whoever owns the database's server.
    pub fn remedy(&self) -> String {
        let remedy = "grant the role SELECT on all of them, and USAGE on their schemas";
        if self.filtered == 0 {
            return remedy.to_owned();
        }
        let filtered = self.filtered;
        format!("row security hides rows of {filtered} of them: ALTER ROLE … BYPASSRLS; {remedy}")
    }
}

//! The report under way: what each fix-up asks the database, and the lines it leaves.

use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Row};

use super::present::Present;
use super::{Done, FixupLine, Rule};
use crate::postgres::PostgresError;

/// How many rows of one kind are named before the rest is only counted.
pub(super) const NAMED: usize = 20;

/// How many characters of an id or a name from the database go into a line.
const CLIPPED: usize = 48;

/// Parameters of a statement.
pub(super) type Values<'a> = &'a [&'a (dyn ToSql + Sync)];

/// The session, what it can see, and the lines so far.
pub(super) struct Steps<'a> {
    client: &'a Client,
    pub(super) present: Present,
    lines: Vec<FixupLine>,
}

impl<'a> Steps<'a> {
    pub(super) async fn begin(client: &'a Client) -> Result<Self, PostgresError> {
        Ok(Self { client, present: Present::read(client).await?, lines: Vec::new() })
    }

    pub(super) fn finish(self) -> Vec<FixupLine> {
        self.lines
    }

    /// Adds a line.
    pub(super) fn say(&mut self, rule: Rule, done: Done, rows: u64, detail: impl Into<String>) {
        self.lines.push(FixupLine { rule, done, detail: detail.into(), rows });
    }

    /// Whether the schema has the table; if not, says that the rule was skipped.
    pub(super) fn has(&mut self, rule: Rule, table: &str) -> bool {
        let there = self.present.has(table);
        if !there {
            self.say(rule, Done::Nothing, 0, format!("no table {table} in this schema: skipped"));
        }
        there
    }

    /// Runs a statement and returns how many rows it changed.
    pub(super) async fn change(
        &self,
        doing: &str,
        sql: &str,
        values: Values<'_>,
    ) -> Result<u64, PostgresError> {
        self.client.execute(sql, values).await.map_err(|e| PostgresError::sorted(doing, e))
    }

    /// Runs a query.
    pub(super) async fn rows(
        &self,
        doing: &str,
        sql: &str,
        values: Values<'_>,
    ) -> Result<Vec<Row>, PostgresError> {
        self.client.query(sql, values).await.map_err(|e| PostgresError::sorted(doing, e))
    }

    /// Runs a query whose columns are all counts, in one row.
    pub(super) async fn counts<const N: usize>(
        &self,
        doing: &str,
        sql: &str,
        values: Values<'_>,
    ) -> Result<[u64; N], PostgresError> {
        let row = self
            .client
            .query_one(sql, values)
            .await
            .map_err(|e| PostgresError::sorted(doing, e))?;
        Ok(std::array::from_fn(|at| row.get::<_, i64>(at).unsigned_abs()))
    }
}

/// A name from the database, short enough for a line and without characters that would break it.
pub(super) fn clipped(name: &str) -> String {
    let clean = |c: char| if c.is_control() { '\u{fffd}' } else { c };
    let mut text: String = name.chars().take(CLIPPED).map(clean).collect();
    if name.chars().nth(CLIPPED).is_some() {
        text.push('…');
    }
    text
}

/// `1 row`, `2 rows`.
pub(super) fn counted(count: u64, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

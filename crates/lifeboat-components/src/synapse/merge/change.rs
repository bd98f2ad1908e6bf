//! Rows of something that was there before: what they were and what they became is noted, so that
//! exactly that can be taken back.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use tokio_postgres::Client;

use super::journal::{self, Kind};
use super::{MergeError, ask, run};
use crate::postgres::columns::quoted;
use crate::synapse::catalogue::{Catalogue, Class};

/// Which rows: those of a table that have this owner in this column.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owned {
    /// Table.
    pub table: String,
    /// Column.
    pub column: String,
    /// Account, alias, media id.
    pub owner: String,
}

/// What became of them: rows as JSON, as PostgreSQL writes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// Which.
    pub of: Owned,
    /// Rows that are there no more.
    pub gone: Vec<String>,
    /// Rows that are new.
    pub new: Vec<String>,
}

impl Owned {
    /// Names rows.
    pub fn new(table: &str, column: &str, owner: &str) -> Self {
        let (table, column, owner) = (table.to_owned(), column.to_owned(), owner.to_owned());
        Self { table, column, owner }
    }

    /// The rows as they are now.
    ///
    /// # Errors
    /// [`MergeError`] when the database refuses.
    pub async fn rows(&self, client: &Client) -> Result<BTreeSet<String>, MergeError> {
        let (table, column) = (quoted(&self.table), quoted(&self.column));
        let sql = format!("SELECT to_jsonb(t)::text FROM {table} t WHERE {column} = $1");
        let rows = ask(client, "read rows that are to change", &sql, &[&self.owner]).await?;
        Ok(rows.iter().map(|row| row.get(0)).collect())
    }

    /// Removes the rows.
    ///
    /// # Errors
    /// [`MergeError`] when the database refuses.
    pub async fn remove(&self, client: &Client) -> Result<u64, MergeError> {
        let (table, column) = (quoted(&self.table), quoted(&self.column));
        let sql = format!("DELETE FROM {table} WHERE {column} = $1");
        Ok(run(client, "removed rows that are replaced", &sql, &[&self.owner]).await?)
    }

    /// Notes in import `id` what the rows became that were `before`; how many are new.
    ///
    /// # Errors
    /// [`MergeError`] when the database refuses.
    pub async fn note(
        self,
        client: &Client,
        id: &str,
        before: &BTreeSet<String>,
    ) -> Result<u64, MergeError> {
        let after = self.rows(client).await?;
        let gone = before.difference(&after).cloned().collect();
        let change = Change { gone, new: after.difference(before).cloned().collect(), of: self };
        if change.gone.is_empty() && change.new.is_empty() {
            return Ok(0);
        }
        let name = journal::next_name(client, id, (Kind::Change, &change.of.words())).await?;
        journal::note(client, id, (Kind::Change, &name), &change).await?;
        Ok(change.new.len() as u64)
    }

    fn words(&self) -> String {
        format!("{} of {}", self.table, self.owner)
    }
}

/// Changes that cannot be taken back: a row that became what it is then has become another since.
pub(super) async fn obstacles(client: &Client, id: &str) -> Result<Vec<String>, MergeError> {
    let mut found = Vec::new();
    let changes = journal::items::<Change>(client, id, Kind::Change).await?;
    let mut taken: Vec<(Owned, BTreeSet<String>)> = Vec::new();
    for (_, change) in changes.into_iter().rev() {
        let at = taken.iter().position(|(of, _)| *of == change.of);
        let mut now = match at {
            Some(at) => taken.swap_remove(at).1,
            None => change.of.rows(client).await?,
        };
        let lost = change.new.iter().filter(|row| !now.remove(*row)).count();
        // What was only added and is not there any more needs no taking back.
        let is_away = change.gone.is_empty() && now.is_empty();
        if lost > 0 && !is_away && !is_derived(&change.of.table) {
            found.push(format!("{}: rows that changed since: {lost}", change.of.words()));
        }
        now.extend(change.gone);
        taken.push((change.of, now));
    }
    Ok(found)
}

/// Makes the rows what they were, the last change first; how many it touched.
pub(super) async fn undo(client: &Client, id: &str) -> Result<u64, MergeError> {
    let mut touched = 0;
    let changes = journal::items::<Change>(client, id, Kind::Change).await?;
    for (_, Change { of, gone, new }) in changes.into_iter().rev() {
        let (table, column) = (quoted(&of.table), quoted(&of.column));
        let sql = format!(
            "DELETE FROM {table} t WHERE {column} = $1 AND ($3 OR to_jsonb(t)::text = ANY($2))"
        );
        let all = is_derived(&of.table);
        touched += run(client, "took changes back", &sql, &[&of.owner, &new, &all]).await?;
        let sql = format!(
            "INSERT INTO {table} OVERRIDING SYSTEM VALUE
             SELECT r.* FROM unnest($1::text[]) j
             CROSS JOIN LATERAL jsonb_populate_record(NULL::{table}, j::jsonb) r"
        );
        touched += run(client, "took changes back", &sql, &[&gone]).await?;
    }
    Ok(touched)
}

/// Whether Synapse writes a table anew from others, so that its rows may be others at any time.
fn is_derived(table: &str) -> bool {
    Catalogue::known().get(table).is_some_and(|known| known.class == Class::Derived)
}

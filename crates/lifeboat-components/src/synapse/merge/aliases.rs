//! Names of rooms: they go to rooms that are there, also in place of what they led to, or under
//! another name.

use tokio_postgres::Client;

use super::change::Owned;
use super::insert::insert_where;
use super::stage::{Stage, staged};
use super::{MergeError, run};
use crate::postgres::columns::literal;

/// The table of aliases.
pub const TABLE: &str = "room_aliases";
/// The table of the servers through which an alias can be joined.
pub const SERVERS: &str = "room_alias_servers";

/// One alias that is to lead to its room.
#[derive(Debug, Clone, Copy)]
pub struct Naming<'a> {
    /// In the package.
    pub alias: &'a str,
    /// On the target.
    pub named: &'a str,
    /// Whether what it leads to there is forgotten.
    pub replaces: bool,
}

/// Makes an alias lead to its room, inside the caller's transaction; the rows of the package are
/// staged. Rows that are new.
///
/// # Errors
/// [`MergeError`] when the database refuses.
pub async fn add(
    client: &Client,
    stage: &Stage,
    id: &str,
    alias: Naming<'_>,
) -> Result<u64, MergeError> {
    let mut rows = 0;
    for table in [TABLE, SERVERS].into_iter().filter(|table| stage.takes(table)) {
        let of = Owned::new(table, "room_alias", alias.named);
        let before = of.rows(client).await?;
        // Synapse's purge of a room leaves the servers of its alias behind.
        if alias.replaces || table == SERVERS {
            of.remove(client).await?;
        }
        stage.rename(client, (table, "room_alias"), (alias.alias, alias.named)).await?;
        let condition = format!("s.room_alias = {}", literal(alias.named));
        insert_where(client, stage, table, (&condition, true)).await?;
        rows += of.note(client, id, &before).await?;
        // Another alias of the package may have this name.
        let sql = format!("DELETE FROM {} WHERE room_alias = $1", staged(table));
        run(client, "chose an alias", &sql, &[&alias.named]).await?;
    }
    Ok(rows)
}

//! Rows of each table: what the package holds, what the target has.

use tokio_postgres::Client;

use super::run::Run;
use crate::postgres::PostgresError;
use crate::postgres::columns::{quoted, read_tables};
use crate::synapse::catalogue::{Catalogue, Restore};

/// Tables from which Synapse takes nothing away unless somebody purges a room or its history.
const LASTING: [&str; 20] = [
    "event_auth",
    "event_edges",
    "event_json",
    "event_relations",
    "event_to_state_groups",
    "events",
    "local_current_membership",
    "profiles",
    "redactions",
    "rejections",
    "room_depth",
    "room_memberships",
    "rooms",
    "server_signature_keys",
    "state_events",
    "state_group_edges",
    "state_groups",
    "state_groups_state",
    "user_filters",
    "users",
];

/// Tables from which the rules of an import take rows whose files the package does not hold.
const REMOTE_MEDIA: [&str; 2] = ["remote_media_cache", "remote_media_cache_thumbnails"];

/// What the package says of a table, and what is to be known to judge it.
#[derive(Debug, Clone, Copy)]
pub struct Expected<'a> {
    /// Its name.
    pub table: &'a str,
    /// Rows in the package.
    pub rows: u64,
    /// Whether Synapse has run since.
    pub run: Run,
    /// Whether the package lacks files of other servers' media.
    pub lacks_remote_media: bool,
    /// Whether it was cut under more than one snapshot, so that rows without the row they refer to
    /// were dropped.
    pub torn: bool,
}

/// What a count means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Meaning {
    /// As in the package.
    Equal,
    /// Another, and that is right; why.
    Explained(String),
    /// Wrong; what.
    Wrong(String),
}

/// The names of the target's tables.
///
/// # Errors
/// [`PostgresError`] when the server refuses or is lost.
pub async fn names(client: &Client) -> Result<Vec<String>, PostgresError> {
    Ok(read_tables(client).await?.into_iter().map(|table| table.name).collect())
}

/// Counts the rows of a table.
///
/// # Errors
/// [`PostgresError`] when the server refuses or is lost.
pub async fn count(client: &Client, table: &str) -> Result<u64, PostgresError> {
    let query = format!("SELECT count(*) FROM ONLY {}", quoted(table));
    let row = client
        .query_one(&query, &[])
        .await
        .map_err(|e| PostgresError::sorted(format!("counted the rows of {table}"), e))?;
    Ok(row.get::<_, i64>(0).unsigned_abs())
}

/// Why the catalogue wants a table empty after a restore, if it does.
pub fn must_be_empty(table: &str) -> Option<&'static str> {
    match Catalogue::known().get(table)?.restore {
        Restore::Empty(reason) => Some(reason),
        Restore::Keep => None,
    }
}

/// Judges a count. Pure.
pub fn judge(expected: Expected<'_>, found: u64) -> Meaning {
    let Expected { table, rows, run, lacks_remote_media, torn } = expected;
    let counts = format!("rows: {found}, in the package: {rows}");
    if let Some(reason) = must_be_empty(table) {
        return match (found, run) {
            (0, _) => Meaning::Equal,
            (_, Run::BeforeFirstStart) => {
                Meaning::Wrong(format!("rows: {found}, it must be empty: {reason}"))
            }
            (_, Run::AfterFirstStart) => {
                Meaning::Explained(format!("rows: {found}, since the start"))
            }
        };
    }
    if found == rows {
        return Meaning::Equal;
    }
    if found < rows && lacks_remote_media && REMOTE_MEDIA.contains(&table) {
        return Meaning::Explained(format!("{counts}: rows without their file were dropped"));
    }
    if found < rows && torn && !LASTING.contains(&table) {
        return Meaning::Explained(format!(
            "{counts}: it was cut twice, rows of the other cut went"
        ));
    }
    match run {
        Run::BeforeFirstStart if found > rows && is_position(table) => {
            Meaning::Explained(format!("{counts}: what it needs was put back"))
        }
        Run::BeforeFirstStart => Meaning::Wrong(counts),
        Run::AfterFirstStart if found < rows && LASTING.contains(&table) => {
            Meaning::Wrong(format!("{counts}: Synapse takes nothing away here but by a purge"))
        }
        Run::AfterFirstStart => Meaning::Explained(format!("{counts}: changed since the start")),
    }
}

/// Whether the import puts back rows that are missing.
fn is_position(table: &str) -> bool {
    is_single_row(table) || table == super::positions::FEDERATION
}

/// Whether Synapse keeps exactly one row in a table: a position with the column `lock`.
pub(super) fn is_single_row(table: &str) -> bool {
    use crate::synapse::catalogue::Class::Bookkeeping;
    let known = Catalogue::known().get(table);
    known.is_some_and(|table| table.class == Bookkeeping && table.column("lock").is_some())
}

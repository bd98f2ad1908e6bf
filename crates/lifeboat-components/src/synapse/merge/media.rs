//! Rows of the media that selected rooms and users name.

use std::collections::BTreeMap;

use tokio_postgres::Client;

use super::change::Owned;
use super::insert::{Added, insert};
use super::stage::{Stage, member, records, staged};
use super::{MergeError, ask, run};
use crate::postgres::PostgresError;
use crate::postgres::columns::literal;
use crate::postgres::members::{Member, Members};

/// The table of uploaded files.
pub const FILES: &str = "local_media_repository";
/// The table of their thumbnails.
pub const THUMBNAILS: &str = "local_media_repository_thumbnails";

/// The media of a package.
///
/// # Errors
/// [`MergeError`] when a record cannot be read.
pub fn packaged(lines: &[u8]) -> Result<Vec<Packaged>, MergeError> {
    let rows = records(FILES, lines)?;
    let row = |row: &Members<'_>| Packaged {
        id: member(row, "media_id").unwrap_or_default(),
        is_preview: member(row, "url_cache").is_some(),
        is_uploaded: row
            .find(0, "media_length")
            .is_some_and(|length| length != Member::Json("null")),
        sha256: member(row, "sha256"),
    };
    Ok(rows.iter().map(row).collect())
}

/// A row of media in a package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packaged {
    /// Media id.
    pub id: String,
    /// Whether it is a preview of a page, which is made again.
    pub is_preview: bool,
    /// Whether there ever was a file: a place can be taken before it is filled.
    pub is_uploaded: bool,
    /// SHA-256 of the file, where the server knew it.
    pub sha256: Option<String>,
}

/// The kinds of files that belong to what users upload.
pub const KINDS: [&str; 2] = [ORIGINAL, "local_thumbnail"];

/// The kind of what users upload, as it came.
pub const ORIGINAL: &str = "local";

/// Media that the target has: id, and the SHA-256 of the file where it is known.
///
/// # Errors
/// [`PostgresError`] when the server refuses or is lost.
pub async fn there(
    client: &Client,
    ids: &[String],
) -> Result<BTreeMap<String, Option<String>>, PostgresError> {
    let sql = "SELECT media_id, sha256 FROM local_media_repository WHERE media_id = ANY($1)";
    let rows = ask(client, "looked for media", sql, &[&ids]).await?;
    Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
}

/// Adds the staged rows of these media, inside the caller's transaction.
///
/// # Errors
/// [`MergeError`] when the database refuses.
pub async fn add(client: &Client, stage: &Stage, ids: &[String]) -> Result<Added, MergeError> {
    let mut added = Added::new();
    for table in [FILES, THUMBNAILS].into_iter().filter(|table| stage.takes(table)) {
        let sql = format!("DELETE FROM {} WHERE media_id <> ALL($1)", staged(table));
        run(client, "chose the media", &sql, &[&ids]).await?;
        let rows = insert(client, stage, table, "true").await?;
        if rows > 0 {
            added.insert(table.to_owned(), rows);
        }
    }
    Ok(added)
}

/// Puts the staged rows of a file in place of those that are there, inside the caller's
/// transaction; rows that are new.
///
/// # Errors
/// [`MergeError`] when the database refuses.
pub async fn replace(
    client: &Client,
    stage: &Stage,
    (id, media_id): (&str, &str),
) -> Result<u64, MergeError> {
    let mut rows = 0;
    for table in [FILES, THUMBNAILS].into_iter().filter(|table| stage.takes(table)) {
        let of = Owned::new(table, "media_id", media_id);
        let before = of.rows(client).await?;
        of.remove(client).await?;
        let condition = format!("s.media_id = {}", literal(media_id));
        insert(client, stage, table, &condition).await?;
        rows += of.note(client, id, &before).await?;
    }
    Ok(rows)
}

/// Gives the staged files of one account to another.
///
/// # Errors
/// [`MergeError`] when the database refuses.
pub async fn rename(client: &Client, stage: &Stage, names: (&str, &str)) -> Result<(), MergeError> {
    stage.rename(client, (FILES, "user_id"), names).await
}

/// Removes rows that were added.
///
/// # Errors
/// [`MergeError`] when the database refuses.
pub(super) async fn remove(client: &Client, ids: &[String]) -> Result<u64, MergeError> {
    let mut removed = 0;
    for table in [THUMBNAILS, FILES] {
        let sql = format!("DELETE FROM {table} WHERE media_id = ANY($1)");
        removed += run(client, "took media back", &sql, &[&ids]).await?;
    }
    Ok(removed)
}

//! The media that the rows of a cut name, for whoever backs up the whole media store: is each file
//! there?

use futures_util::TryStreamExt;
use tokio_postgres::Client;
use tokio_postgres::types::ToSql;

use super::media_path::MediaFile;
use crate::postgres::PostgresError;

/// Media that rows name and that have no file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MissingMedia {
    /// Uploads of this server: nobody else has them.
    pub local: Vec<MediaFile>,
    /// How many files of other servers: Synapse fetches one when its row is gone and somebody asks.
    pub remote: u64,
    /// The first of them.
    pub remote_example: Option<MediaFile>,
}

/// Asks of the file of every row whether it is there. Thumbnails and pictures of link previews do
/// not count: a homeserver makes them again.
///
/// A row without a length was created and never uploaded, one in quarantine keeps its file. A
/// database without these tables names no media.
///
/// # Errors
/// [`PostgresError`] when the server refuses or is lost.
pub async fn missing(
    lane: &Client,
    server: &str,
    is_there: impl Fn(&MediaFile) -> bool,
) -> Result<MissingMedia, PostgresError> {
    let mut found = MissingMedia::default();
    if has_table(lane, "local_media_repository").await? {
        let query = "SELECT coalesce(media_id, '') FROM local_media_repository
                     WHERE media_length IS NOT NULL AND url_cache IS NULL";
        each(lane, query, |row| {
            let file = MediaFile::local(server, row.get(0), false);
            if !file.is_inside() || !is_there(&file) {
                found.local.push(file);
            }
        })
        .await?;
    }
    if has_table(lane, "remote_media_cache").await? {
        // Several rows may name one file.
        let query = "SELECT coalesce(media_origin, ''), coalesce(min(media_id), ''),
                            coalesce(filesystem_id, '')
                     FROM remote_media_cache GROUP BY media_origin, filesystem_id";
        each(lane, query, |row| {
            let file = MediaFile::remote(row.get(0), row.get(1), row.get(2));
            if !file.is_inside() || !is_there(&file) {
                found.remote += 1;
                found.remote_example.get_or_insert(file);
            }
        })
        .await?;
    }
    Ok(found)
}

async fn has_table(lane: &Client, table: &str) -> Result<bool, PostgresError> {
    let doing = |e| PostgresError::sorted("looked for the media tables", e);
    let row = lane.query_one("SELECT to_regclass($1) IS NOT NULL", &[&table]).await;
    Ok(row.map_err(doing)?.get(0))
}

async fn each(
    lane: &Client,
    query: &str,
    mut take: impl FnMut(&tokio_postgres::Row),
) -> Result<(), PostgresError> {
    let doing = |e| PostgresError::sorted("read the list of media", e);
    let none: [&(dyn ToSql + Sync); 0] = [];
    let rows = lane.query_raw(query, none).await.map_err(doing)?;
    let mut rows = std::pin::pin!(rows);
    while let Some(row) = rows.try_next().await.map_err(doing)? {
        take(&row);
    }
    Ok(())
}

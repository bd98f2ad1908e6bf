//! Rows about other servers' media whose files were not restored.
//!
//! Synapse answers "not found" for ever when it has the row and not the file; without the row it
//! fetches the file again. Rows of quarantined media stay: they keep it from being fetched and
//! shown again, and no file is needed for that. Thumbnails are made anew from the file, row or no
//! row.

use super::steps::{Steps, counted};
use super::{Done, RemoteFile, RemoteMedia, Rule};
use crate::postgres::PostgresError;

const CACHE: &str = "remote_media_cache";
const THUMBNAILS: &str = "remote_media_cache_thumbnails";

/// Files in one statement.
const CHUNK: usize = 10_000;

/// Removes the rows whose files are not there.
pub(super) async fn drop_rows(
    steps: &mut Steps<'_>,
    media: &RemoteMedia,
) -> Result<(), PostgresError> {
    steps.say(Rule::Thumbnails, Done::Nothing, 0, "missing ones are made again by Synapse");
    let rule = Rule::RemoteMedia;
    if !(steps.has(rule, CACHE) && steps.has(rule, THUMBNAILS)) {
        return Ok(());
    }
    let dropped = match media {
        RemoteMedia::All => 0,
        RemoteMedia::NoneRestored => drop_all(steps).await?,
        RemoteMedia::Missing(files) => drop_these(steps, files).await?,
    };
    let query = "SELECT count(*), count(quarantined_by) FROM remote_media_cache";
    let [left, quarantined] = steps.counts("counted the remote media", query, &[]).await?;
    if dropped == 0 {
        let detail =
            format!("{}, every file is there or quarantined", counted(left, "row", "rows"));
        steps.say(rule, Done::Nothing, 0, detail);
        return Ok(());
    }
    let rows = counted(dropped, "row", "rows");
    let detail =
        format!("{rows} without file removed, fetched anew; {quarantined} quarantined kept");
    steps.say(rule, Done::Applied, dropped, detail);
    Ok(())
}

async fn drop_all(steps: &Steps<'_>) -> Result<u64, PostgresError> {
    let doing = "removed the rows of remote media";
    steps.change(doing, "DELETE FROM remote_media_cache_thumbnails", &[]).await?;
    let delete = "DELETE FROM remote_media_cache WHERE quarantined_by IS NULL";
    steps.change(doing, delete, &[]).await
}

async fn drop_these(steps: &Steps<'_>, files: &[RemoteFile]) -> Result<u64, PostgresError> {
    let doing = "removed the rows of missing remote media";
    let mut dropped = 0;
    for chunk in files.chunks(CHUNK) {
        let origins: Vec<&str> = chunk.iter().map(|file| file.origin.as_str()).collect();
        let ids: Vec<&str> = chunk.iter().map(|file| file.media_id.as_str()).collect();
        let thumbnails = "
            DELETE FROM remote_media_cache_thumbnails t
            USING unnest($1::text[], $2::text[]) missing (origin, media_id)
            WHERE t.media_origin = missing.origin
              AND t.media_id = missing.media_id";
        steps.change(doing, thumbnails, &[&origins, &ids]).await?;
        let rows = "
            DELETE FROM remote_media_cache m
            USING unnest($1::text[], $2::text[]) missing (origin, media_id)
            WHERE m.media_origin = missing.origin
              AND m.media_id = missing.media_id
              AND m.quarantined_by IS NULL";
        dropped += steps.change(doing, rows, &[&origins, &ids]).await?;
    }
    Ok(dropped)
}

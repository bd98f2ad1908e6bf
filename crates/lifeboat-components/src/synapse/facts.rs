//! What a plan and an estimate need to know of a real Synapse database.

use lifeboat_package::selection::MediaScope;
use serde::{Deserialize, Serialize};
use tokio_postgres::Client;

use super::plan::{KeyRange, MediaOrigin, MediaRanges, RoomSize};
use crate::postgres::PostgresError;
use crate::postgres::copy_out::RowStream;

/// Versions that an import must fit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Versions {
    /// PostgreSQL server version.
    pub postgresql: String,
    /// Synapse's schema version.
    pub schema: i64,
    /// The oldest schema version whose Synapse can use this database.
    pub schema_compat: i64,
    /// Background updates that are not done.
    pub pending_updates: i64,
    /// Encoding, collation and character type of the database.
    pub locale: [String; 3],
}

/// Reads the versions.
///
/// # Errors
/// [`PostgresError`] when the server refuses or is lost.
pub async fn versions(client: &Client) -> Result<Versions, PostgresError> {
    let row = client
        .query_one(
            "SELECT current_setting('server_version'),
                    coalesce((SELECT max(version) FROM schema_version), 0)::bigint,
                    coalesce((SELECT max(compat_version) FROM schema_compat_version), 0)::bigint,
                    (SELECT count(*) FROM background_updates),
                    pg_encoding_to_char(d.encoding)::text, d.datcollate::text, d.datctype::text
             FROM pg_database d WHERE d.datname = current_database()",
            &[],
        )
        .await
        .map_err(|e| PostgresError::sorted("read the schema version", e))?;
    Ok(Versions {
        postgresql: row.get(0),
        schema: row.get(1),
        schema_compat: row.get(2),
        pending_updates: row.get(3),
        locale: [row.get(4), row.get(5), row.get(6)],
    })
}

/// An account, the first or the last by name, that is of another server: Synapse would not start
/// with this server name.
///
/// # Errors
/// [`PostgresError`] when the server refuses or is lost.
pub async fn account_of_another(
    client: &Client,
    server: &str,
) -> Result<Option<String>, PostgresError> {
    let question = "SELECT name FROM ((SELECT name FROM users ORDER BY name LIMIT 1)
                    UNION ALL (SELECT name FROM users ORDER BY name DESC LIMIT 1)) u
                    WHERE right(name, length($1) + 1) <> ':' || $1 LIMIT 1";
    let row = client
        .query_opt(question, &[&server])
        .await
        .map_err(|e| PostgresError::sorted("read whose accounts these are", e))?;
    Ok(row.and_then(|row| row.get(0)))
}

/// The newest event position in the snapshot.
///
/// # Errors
/// [`PostgresError`] when the server refuses or is lost.
pub async fn position(client: &Client) -> Result<i64, PostgresError> {
    let row = client
        .query_one("SELECT coalesce(max(stream_ordering), 0) FROM events", &[])
        .await
        .map_err(|e| PostgresError::sorted("read the newest event position", e))?;
    Ok(row.get(0))
}

/// Rooms with events newer than `position`, at most `limit`.
///
/// # Errors
/// [`PostgresError`] when the server refuses or is lost.
pub async fn rooms_changed_since(
    client: &Client,
    position: i64,
    limit: i64,
) -> Result<Vec<String>, PostgresError> {
    let rows = client
        .query(
            "SELECT DISTINCT room_id FROM events WHERE stream_ordering > $1 ORDER BY 1 LIMIT $2",
            &[&position, &limit],
        )
        .await
        .map_err(|e| PostgresError::sorted("read which rooms changed", e))?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

/// How many events each room has, in order of room id.
///
/// # Errors
/// [`PostgresError`] when the server refuses or is lost.
pub async fn room_sizes(client: &Client) -> Result<Vec<RoomSize>, PostgresError> {
    let query =
        "SELECT room_id, count(*) FROM events GROUP BY room_id ORDER BY room_id COLLATE \"C\"";
    let mut rows = RowStream::start(client, "events", query).await?;
    let mut rooms = Vec::new();
    while let Some(row) = rows.next().await? {
        let room_id = String::from_utf8_lossy(row.field(0).unwrap_or_default()).into_owned();
        rooms.push(RoomSize { room_id, events: number(row.field(1)) });
    }
    Ok(rooms)
}

/// The ranges of media that `scope` wants, with the bytes in each.
///
/// # Errors
/// [`PostgresError`] when the server refuses or is lost.
pub async fn media_ranges(
    client: &Client,
    scope: MediaScope,
) -> Result<Vec<(MediaOrigin, KeyRange, u64)>, PostgresError> {
    let local = (
        MediaOrigin::Local,
        "SELECT media_id, coalesce(media_length, 0)::bigint FROM local_media_repository
         ORDER BY media_id COLLATE \"C\"",
    );
    let remote = (
        MediaOrigin::Remote,
        "SELECT media_origin || '/' || media_id, coalesce(media_length, 0)::bigint
         FROM remote_media_cache ORDER BY media_origin COLLATE \"C\", media_id COLLATE \"C\"",
    );
    let wanted = match scope {
        MediaScope::All => vec![local, remote],
        MediaScope::Local => vec![local],
        MediaScope::None => Vec::new(),
    };
    let mut ranges = Vec::new();
    for (origin, query) in wanted {
        let mut rows = RowStream::start(client, "the list of media", query).await?;
        let mut found = MediaRanges::default();
        while let Some(row) = rows.next().await? {
            let key = String::from_utf8_lossy(row.field(0).unwrap_or_default());
            found.add(&key, number(row.field(1)));
        }
        ranges.extend(found.finish().into_iter().map(|(range, bytes)| (origin, range, bytes)));
    }
    Ok(ranges)
}

fn number(field: Option<&[u8]>) -> u64 {
    field
        .and_then(|bytes| bytes.try_into().ok())
        .map_or(0, |bytes| i64::from_be_bytes(bytes).unsigned_abs())
}

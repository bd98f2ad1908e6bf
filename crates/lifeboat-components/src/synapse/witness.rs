//! Events that bear witness to the server's signing key: its own, the newest first.

use tokio_postgres::Client;

use crate::postgres::PostgresError;

/// Events that are enough to bear witness.
pub const EVENTS: u32 = 5;

/// An event as it is stored.
pub struct OwnEvent {
    /// Its JSON.
    pub json: Vec<u8>,
    /// The version of its room.
    pub room_version: String,
}

/// At most `count` of the newest events that users of `server` sent.
///
/// # Errors
/// [`PostgresError`] when the server refuses or is lost.
pub async fn own_events(
    client: &Client,
    server: &str,
    count: u32,
) -> Result<Vec<OwnEvent>, PostgresError> {
    const QUERY: &str = "
        SELECT j.json, r.room_version
        FROM events e
        JOIN event_json j ON j.event_id = e.event_id
        JOIN rooms r ON r.room_id = e.room_id
        WHERE NOT e.outlier
          AND right(e.sender, length($1) + 1) = ':' || $1
          AND r.room_version IS NOT NULL
        ORDER BY e.stream_ordering DESC
        LIMIT $2";
    let sorted = |error| PostgresError::sorted("looked for the server's own events", error);
    let rows = client.query(QUERY, &[&server, &i64::from(count)]).await.map_err(sorted)?;
    let event = |row: &tokio_postgres::Row| {
        let json: String = row.try_get(0).map_err(sorted)?;
        Ok(OwnEvent { json: json.into_bytes(), room_version: row.try_get(1).map_err(sorted)? })
    };
    rows.iter().map(event).collect()
}

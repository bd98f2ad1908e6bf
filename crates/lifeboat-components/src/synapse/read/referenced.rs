//! Which media a part of a server needs: what its events and profiles point to, and what its
//! accounts uploaded.
//!
//! In encrypted rooms the addresses lie inside of the ciphertext. What members of this server
//! uploaded while the events were sent may be theirs; which of it is, only clients can tell.

use std::collections::BTreeSet;

use lifeboat_package::flow::{FlowError, Sink};
use lifeboat_package::selection::{MediaFilter, MediaScope, Pattern, Profile, Selection, UserPick};
use tokio_postgres::Client;

use super::Reading;
use super::closure::{texts, wanted_and_seen};
use super::media::{Conditions, pour_files};
use super::tables::pour_query;
use crate::postgres::PostgresError;
use crate::postgres::columns::{literal, quoted};
use crate::synapse::leave::selected_leaving;

/// Tables that describe this server's media, and those that describe other servers'.
const ROWS: [(&str, bool); 4] = [
    ("local_media_repository", true),
    ("local_media_repository_thumbnails", true),
    ("remote_media_cache", false),
    ("remote_media_cache_thumbnails", false),
];

/// Pours the media that chosen rooms and accounts need: rows, index, files.
///
/// # Errors
/// [`super::ReadError`] inside, or the sink's.
pub(super) async fn pour(
    lane: &Client,
    reading: &Reading,
    (rooms, users): (&[String], &[String]),
    sink: &mut dyn Sink,
) -> Result<(), FlowError> {
    let selection = &reading.selection;
    let conditions = conditions(lane, reading, (rooms, users)).await.map_err(FlowError::new)?;
    for (name, is_local) in ROWS {
        let Some(table) = reading.layout.table(name) else { continue };
        let condition = if is_local { &conditions.local } else { &conditions.remote };
        let condition = condition.as_deref().unwrap_or("false");
        let columns = selected_leaving(table, "t", selection);
        let query = format!("SELECT {columns} FROM {} t WHERE {condition}", quoted(name));
        pour_query(lane, table, &query, sink).await?;
    }
    pour_files(lane, reading, &conditions, sink).await
}

/// Which rows of the media tables chosen rooms and accounts need.
///
/// # Errors
/// [`PostgresError`] when the server refuses or is lost.
pub(super) async fn conditions(
    lane: &Client,
    reading: &Reading,
    chosen: (&[String], &[String]),
) -> Result<Conditions, PostgresError> {
    let selection = &reading.selection;
    let server = reading.config.server_name.as_str();
    let found = find(lane, (server, selection), chosen).await?;
    Ok(Conditions {
        local: Some(found.local_condition(selection)),
        remote: Some(found.remote_condition(selection)),
    })
}

/// Bytes of the media that chosen rooms and accounts need, by the media tables; equal contents are
/// counted twice.
///
/// # Errors
/// [`PostgresError`] when the server refuses or is lost.
pub async fn referenced_bytes(
    client: &Client,
    (server, selection): (&str, &Selection),
    (rooms, users): (&[String], &[String]),
) -> Result<u64, PostgresError> {
    let found = find(client, (server, selection), (rooms, users)).await?;
    let query = format!(
        "SELECT coalesce(sum(media_length), 0)::bigint FROM (
             SELECT media_length FROM local_media_repository WHERE {}
             UNION ALL SELECT media_length FROM remote_media_cache WHERE {}) m",
        found.local_condition(selection),
        found.remote_condition(selection)
    );
    let doing = |e| PostgresError::sorted("summed up the media of the selection", e);
    let row = client.query_one(&query, &[]).await.map_err(doing)?;
    Ok(row.try_get::<_, i64>(0).map_err(doing)?.unsigned_abs())
}

/// Media by address.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Referenced {
    /// Media ids of this server.
    pub local: BTreeSet<String>,
    /// Server and media id.
    pub remote: BTreeSet<(String, String)>,
}

impl Referenced {
    /// The condition for `media_id` in the tables of this server's media.
    fn local_condition(&self, selection: &Selection) -> String {
        let ids: Vec<&String> = self.local.iter().collect();
        let filter = filter_condition(&selection.media_filter, "user_id");
        let quarantined =
            if selection.leave.quarantined { "" } else { " AND quarantined_by IS NULL" };
        format!(
            "media_id IN (SELECT media_id FROM local_media_repository
             WHERE media_id = ANY({}) AND {filter}{quarantined})",
            texts(&ids)
        )
    }

    /// The condition for `(media_origin, media_id)` in the tables of other servers' media.
    fn remote_condition(&self, selection: &Selection) -> String {
        let pairs: Vec<String> = self
            .remote
            .iter()
            .map(|(origin, id)| format!("({},{})", literal(origin), literal(id)))
            .collect();
        if pairs.is_empty() {
            return "false".to_owned();
        }
        let filter = filter_condition(&selection.media_filter, "NULL::text");
        let quarantined =
            if selection.leave.quarantined { "" } else { " AND quarantined_by IS NULL" };
        format!(
            "(media_origin, media_id) IN (SELECT media_origin, media_id FROM remote_media_cache
             WHERE (media_origin, media_id) IN (VALUES {}) AND {filter}{quarantined})",
            pairs.join(",")
        )
    }
}

/// The condition that a row of a media table passes the filter.
pub(super) fn filter_condition(filter: &MediaFilter, uploader: &str) -> String {
    let mut conditions = vec!["true".to_owned()];
    conditions.extend(filter.max_bytes.map(|max| format!("coalesce(media_length, 0) <= {max}")));
    let like = |column: &str, patterns: Vec<&Pattern>| {
        let likes: Vec<String> = patterns.iter().map(|pattern| pattern.to_like()).collect();
        (!likes.is_empty()).then(|| format!("{column} LIKE ANY({})", texts(&likes)))
    };
    conditions.extend(like("media_type", filter.types.iter().collect()));
    conditions.extend(like(uploader, filter.uploaders.iter().map(UserPick::pattern).collect()));
    conditions.join(" AND ")
}

/// Finds the media of the chosen rooms and accounts.
pub(super) async fn find(
    client: &Client,
    (server, selection): (&str, &Selection),
    (rooms, users): (&[String], &[String]),
) -> Result<Referenced, PostgresError> {
    let mut found = Referenced::default();
    if selection.media == MediaScope::None {
        return Ok(found);
    }
    let (wanted, _) = wanted_and_seen(client, rooms, selection).await?;
    // What others show in a room is not what a person provided.
    let of_state = if selection.profile == Some(Profile::Portability) { &[] } else { rooms };
    let addresses = format!(
        "SELECT DISTINCT m[1] FROM events e JOIN event_json j ON j.event_id = e.event_id,
             LATERAL regexp_matches(j.json, '{ADDRESS}', 'g') m
         WHERE {wanted} AND j.json LIKE '%mxc://%'
         UNION SELECT DISTINCT m[1] FROM current_state_events c
             JOIN event_json j ON j.event_id = c.event_id,
             LATERAL regexp_matches(j.json, '{ADDRESS}', 'g') m
         WHERE c.room_id = ANY({rooms}) AND j.json LIKE '%mxc://%'
         UNION SELECT avatar_url FROM profiles
         WHERE full_user_id = ANY({users}) AND avatar_url IS NOT NULL",
        rooms = texts(of_state),
        users = texts(users)
    );
    for address in strings(client, &addresses).await? {
        found.add(&address, server, selection.media);
    }
    // What others may have uploaded for another room is not handed to one person.
    let guessed = if selection.profile.is_some() { &[] } else { rooms };
    let uploads = format!(
        "SELECT media_id FROM local_media_repository
         WHERE user_id = ANY({}) AND url_cache IS NULL
         UNION SELECT l.media_id FROM current_state_events c
         JOIN room_memberships m ON m.room_id = c.room_id
         JOIN local_media_repository l ON l.user_id = m.user_id AND l.url_cache IS NULL
         JOIN LATERAL (SELECT min(e.origin_server_ts) AS first, max(e.origin_server_ts) AS last
                       FROM events e WHERE {wanted} AND e.room_id = c.room_id
                         AND e.type = 'm.room.encrypted') span
              ON l.created_ts BETWEEN span.first - {LEAD_MS} AND span.last + {LEAD_MS}
         WHERE c.room_id = ANY({}) AND c.type = 'm.room.encryption'",
        texts(users),
        texts(guessed)
    );
    found.local.extend(strings(client, &uploads).await?);
    Ok(found)
}

/// The chosen rooms that are encrypted: what their events point to cannot be read.
///
/// # Errors
/// [`PostgresError`] when the server refuses or is lost.
pub async fn encrypted(client: &Client, rooms: &[String]) -> Result<Vec<String>, PostgresError> {
    let query = format!(
        "SELECT DISTINCT room_id FROM current_state_events
         WHERE room_id = ANY({}) AND type = 'm.room.encryption' ORDER BY 1",
        texts(rooms)
    );
    strings(client, &query).await
}

/// Server and id of an address, as they may occur anywhere in an event.
const ADDRESS: &str = "mxc://([A-Za-z0-9.:-]+/[A-Za-z0-9_=-]+)";

/// A file is uploaded before its event is sent, by clocks that may differ.
const LEAD_MS: i64 = 3_600_000;

impl Referenced {
    fn add(&mut self, address: &str, server: &str, scope: MediaScope) {
        let address = address.strip_prefix("mxc://").unwrap_or(address);
        let Some((origin, id)) = address.split_once('/') else { return };
        if origin == server {
            self.local.insert(id.to_owned());
        } else if scope == MediaScope::All {
            self.remote.insert((origin.to_owned(), id.to_owned()));
        }
    }
}

async fn strings(client: &Client, query: &str) -> Result<Vec<String>, PostgresError> {
    let doing = |e| PostgresError::sorted("looked for the media of the selection", e);
    let rows = client.query(query, &[]).await.map_err(doing)?;
    rows.iter().map(|row| row.try_get(0).map_err(doing)).collect()
}

//! From a selection to the rooms and accounts of one real server.
//!
//! Aliases, spaces, members and names are resolved once, in the snapshot; what is poured afterwards
//! goes by ids only, so that everything is taken from the same rooms.

use std::collections::BTreeSet;

use lifeboat_package::selection::{RoomPick, Scope, Selection, UserPick};
use serde::Deserialize;
use thiserror::Error;
use tokio_postgres::Client;
use tokio_postgres::types::ToSql;

use super::archive::ROOM_KEYS;
use super::plan::RoomSize;
use crate::postgres::PostgresError;

/// How deep spaces may lie in each other.
const SPACE_DEPTH: usize = 64;

/// What was asked for cannot be found.
#[derive(Debug, Error)]
pub enum ChooseError {
    /// The database.
    #[error(transparent)]
    Postgres(#[from] PostgresError),
    /// A pick that fits no room.
    #[error("{0} fits no room of this server")]
    NoRoom(String),
    /// A pick that fits no account.
    #[error("{0} fits no account of this server")]
    NoUser(String),
    /// Neither a room nor an account is left.
    #[error("the selection leaves neither rooms nor accounts")]
    Nothing,
}

/// The rooms and accounts that a partial export takes, in order of their ids.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Chosen {
    /// Rooms, with how many events each has.
    pub rooms: Vec<RoomSize>,
    /// Accounts: full user ids.
    pub users: Vec<String>,
}

/// How many keys of chosen rooms lie in key backups of accounts that were not chosen, by room. A
/// purge deletes them with the room.
///
/// # Errors
/// [`PostgresError`] when the server refuses or is lost.
pub async fn keys_left_out(
    client: &Client,
    chosen: &Chosen,
) -> Result<Vec<(String, i64)>, PostgresError> {
    let rooms: Vec<&str> = chosen.rooms.iter().map(|room| room.room_id.as_str()).collect();
    let doing = |e| PostgresError::sorted("looked for keys of the chosen rooms", e);
    // The keys have an index by account alone. The inner query must not be joined to them before
    // it is known how few accounts there are.
    let query = format!(
        "SELECT m.room_id, sum(k.keys)::int8
         FROM (SELECT DISTINCT c.room_id, c.user_id FROM local_current_membership c
               JOIN current_state_events s ON s.room_id = c.room_id
                    AND s.type = 'm.room.encryption' AND s.state_key = ''
               WHERE c.room_id = ANY($1) AND c.user_id <> ALL($2) OFFSET 0) m
         CROSS JOIN LATERAL (SELECT count(*) AS keys FROM {ROOM_KEYS} r
                             WHERE r.user_id = m.user_id AND r.room_id = m.room_id) k
         WHERE k.keys > 0 GROUP BY m.room_id ORDER BY m.room_id"
    );
    let found = client.query(&query, &[&rooms, &chosen.users]).await.map_err(doing)?;
    let pair = |row: &tokio_postgres::Row| Ok((row.try_get(0)?, row.try_get(1)?));
    found.iter().map(pair).collect::<Result<_, _>>().map_err(doing)
}

/// Resolves a selection.
///
/// # Errors
/// [`ChooseError`] for a pick that fits nothing: a typing error must not look like an empty room.
pub async fn choose(client: &Client, selection: &Selection) -> Result<Chosen, ChooseError> {
    let rooms = match &selection.rooms {
        Scope::None => Vec::new(),
        Scope::All => ids(client, "SELECT room_id FROM rooms", &[]).await?,
        Scope::Only(picks) => {
            let mut rooms = BTreeSet::new();
            for pick in picks {
                let found = rooms_of(client, pick).await?;
                if found.is_empty() {
                    return Err(ChooseError::NoRoom(pick.to_string()));
                }
                rooms.extend(found);
            }
            rooms.into_iter().collect()
        }
    };
    let users = match &selection.users {
        Scope::None => Vec::new(),
        Scope::All => ids(client, "SELECT name FROM users", &[]).await?,
        Scope::Only(picks) => users_of(client, picks).await?,
    };
    if rooms.is_empty() && users.is_empty() {
        return Err(ChooseError::Nothing);
    }
    Ok(Chosen { rooms: sizes(client, rooms).await?, users })
}

async fn rooms_of(client: &Client, pick: &RoomPick) -> Result<BTreeSet<String>, ChooseError> {
    Ok(match pick {
        RoomPick::Id(id) => known(client, std::slice::from_ref(id)).await?,
        RoomPick::Alias(alias) => of_alias(client, alias).await?,
        RoomPick::Of(user) => {
            // A room that was left stays in one of the two tables at least.
            let query = "SELECT room_id FROM room_memberships WHERE user_id = $1
                         UNION SELECT room_id FROM local_current_membership WHERE user_id = $1";
            let found = ids(client, query, &[user]).await?;
            known(client, &found).await?
        }
        RoomPick::Space(space) => of_space(client, space).await?,
        RoomPick::Name(pattern) => named(client, |name| pattern.fits(name)).await?,
    })
}

/// Those of `rooms` that this server has.
async fn known(client: &Client, rooms: &[String]) -> Result<BTreeSet<String>, PostgresError> {
    let query = "SELECT room_id FROM rooms WHERE room_id = ANY($1)";
    Ok(ids(client, query, &[&rooms]).await?.into_iter().collect())
}

/// The room an alias of this server points to, or one that calls itself so.
async fn of_alias(client: &Client, alias: &str) -> Result<BTreeSet<String>, PostgresError> {
    let query = "SELECT room_id FROM room_aliases WHERE room_alias = $1
                 UNION SELECT room_id FROM room_stats_state WHERE canonical_alias = $1";
    let found = ids(client, query, &[&alias]).await?;
    known(client, &found).await
}

/// A space, and the rooms of this server that lie in it at any depth.
async fn of_space(client: &Client, space: &str) -> Result<BTreeSet<String>, PostgresError> {
    let mut found = if space.starts_with('#') {
        of_alias(client, space).await?
    } else {
        known(client, &[space.to_owned()]).await?
    };
    let mut newest: Vec<String> = found.iter().cloned().collect();
    for _ in 0..SPACE_DEPTH {
        if newest.is_empty() {
            break;
        }
        let children = children_of(client, &newest).await?;
        let children = known(client, &children).await?;
        newest = children.into_iter().filter(|room| found.insert(room.clone())).collect();
    }
    Ok(found)
}

/// The rooms that `spaces` name as children: an `m.space.child` without `via` takes a child out
/// again (Matrix specification, client-server API, "m.space.child").
async fn children_of(client: &Client, spaces: &[String]) -> Result<Vec<String>, PostgresError> {
    #[derive(Deserialize)]
    struct Child {
        content: Content,
    }
    #[derive(Deserialize)]
    struct Content {
        #[serde(default)]
        via: Vec<String>,
    }
    let query = "SELECT c.state_key, j.json
                 FROM current_state_events c JOIN event_json j ON j.event_id = c.event_id
                 WHERE c.room_id = ANY($1) AND c.type = 'm.space.child'";
    let doing = |e| PostgresError::sorted("read the rooms of a space", e);
    let rows = client.query(query, &[&spaces]).await.map_err(doing)?;
    let is_child = |json: &str| {
        serde_json::from_str::<Child>(json).is_ok_and(|child| !child.content.via.is_empty())
    };
    Ok(rows.iter().filter(|row| is_child(row.get(1))).map(|row| row.get(0)).collect())
}

async fn named(
    client: &Client,
    fits: impl Fn(&str) -> bool,
) -> Result<BTreeSet<String>, PostgresError> {
    // By way of the rooms: there is no index by type, and far fewer rooms than members.
    let query = "SELECT c.room_id, j.json
                 FROM rooms r
                 JOIN current_state_events c ON c.room_id = r.room_id
                      AND c.type = 'm.room.name' AND c.state_key = ''
                 JOIN event_json j ON j.event_id = c.event_id";
    let doing = |e| PostgresError::sorted("read the names of the rooms", e);
    let rows = client.query(query, &[]).await.map_err(doing)?;
    let has_name = |json: &str| name_in(json).is_some_and(|name| fits(&name));
    Ok(rows.iter().filter(|row| has_name(row.get(1))).map(|row| row.get(0)).collect())
}

/// The name that an event gives its room.
pub(super) fn name_in(json: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Named {
        content: Content,
    }
    #[derive(Deserialize)]
    struct Content {
        name: String,
    }
    serde_json::from_str::<Named>(json).ok().map(|event| event.content.name)
}

async fn users_of(client: &Client, picks: &[UserPick]) -> Result<Vec<String>, ChooseError> {
    let mut users = BTreeSet::new();
    for pick in picks {
        let like = pick.pattern().to_like();
        let found = match pick.pattern().plain() {
            Some(id) => ids(client, "SELECT name FROM users WHERE name = $1", &[&id]).await?,
            None => ids(client, "SELECT name FROM users WHERE name LIKE $1", &[&like]).await?,
        };
        if found.is_empty() {
            return Err(ChooseError::NoUser(pick.to_string()));
        }
        users.extend(found);
    }
    Ok(users.into_iter().collect())
}

/// The first column, which holds ids, in their order.
async fn ids(
    client: &Client,
    query: &str,
    with: &[&(dyn ToSql + Sync)],
) -> Result<Vec<String>, PostgresError> {
    let doing = |e| PostgresError::sorted("looked for what was selected", e);
    let rows = client.query(query, with).await.map_err(doing)?;
    let mut ids: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
    ids.sort();
    Ok(ids)
}

/// How many events each of these rooms has, in order of room id.
async fn sizes(client: &Client, rooms: Vec<String>) -> Result<Vec<RoomSize>, PostgresError> {
    let query = "SELECT room_id, count(*) FROM events WHERE room_id = ANY($1) GROUP BY room_id";
    let doing = |e| PostgresError::sorted("counted the events of the rooms", e);
    let rows = client.query(query, &[&rooms]).await.map_err(doing)?;
    let counted: std::collections::BTreeMap<String, i64> =
        rows.iter().map(|row| (row.get(0), row.get(1))).collect();
    let size = |room_id: String| {
        let events = counted.get(&room_id).copied().unwrap_or_default().unsigned_abs();
        RoomSize { room_id, events }
    };
    Ok(rooms.into_iter().map(size).collect())
}

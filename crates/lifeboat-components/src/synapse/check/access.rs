//! Access of a sample of users: who is in a room is let in by its state, and nobody else is.

use std::collections::BTreeSet;

use tokio_postgres::Client;
use zeroize::Zeroizing;

use super::Findings;
use crate::postgres::PostgresError;
use crate::postgres::columns::literal;
use crate::postgres::copy_out::{Row, RowStream};
use lifeboat_live::ask::{self, Answer, Door};

/// Users that are looked at, at most.
pub const USERS: i64 = 50;

/// What was found, and how many memberships that was.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AccessFindings {
    /// Users, and what is wrong.
    pub users: Findings,
    /// Memberships looked at: joined.
    pub joined: u64,
    /// Memberships looked at: left, invited, banned.
    pub others: u64,
}

/// Draws active users of this server by `seed`.
///
/// # Errors
/// [`PostgresError`] when the server refuses or is lost.
pub async fn sample(client: &Client, seed: i64) -> Result<Vec<String>, PostgresError> {
    let query = "SELECT name FROM users WHERE coalesce(deactivated, 0) = 0
        ORDER BY hashtextextended(name, $1), name LIMIT $2";
    let rows = client
        .query(query, &[&seed, &USERS])
        .await
        .map_err(|e| PostgresError::sorted("drew a sample of users", e))?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

/// Draws, by `seed`, active users of this server among `users` and the members of `rooms`.
///
/// # Errors
/// [`PostgresError`] when the server refuses or is lost.
pub async fn sample_of(
    client: &Client,
    seed: i64,
    (users, rooms): (&[String], &[String]),
) -> Result<Vec<String>, PostgresError> {
    let query = "SELECT name FROM users u WHERE coalesce(deactivated, 0) = 0
          AND (name = ANY($3) OR EXISTS (SELECT FROM local_current_membership m
                                         WHERE m.user_id = name AND m.room_id = ANY($4)))
        ORDER BY hashtextextended(name, $1), name LIMIT $2";
    let rows = client
        .query(query, &[&seed, &USERS, &users, &rooms])
        .await
        .map_err(|e| PostgresError::sorted("drew a sample of users", e))?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

/// Compares what Synapse lists as the users' rooms with the state of those rooms, both ways; of all
/// their rooms, or of some.
///
/// # Errors
/// [`PostgresError`] when the server refuses or is lost.
pub async fn check(
    client: &Client,
    users: &[String],
    rooms: Option<&[String]>,
) -> Result<AccessFindings, PostgresError> {
    let mut findings = AccessFindings::default();
    findings.users.checked = users.len() as u64;
    if users.is_empty() {
        return Ok(findings);
    }
    let users: Vec<String> = users.iter().map(|user| literal(user)).collect();
    let users = users.join(", ");
    let some = rooms.map_or_else(String::new, |rooms| {
        let rooms: Vec<String> = rooms.iter().map(|room| literal(room)).collect();
        format!(" AND room_id = ANY(ARRAY[{}]::text[])", rooms.join(", "))
    });
    let listed = format!(
        "SELECT m.user_id, m.room_id, m.membership, c.membership,
                EXISTS (SELECT FROM current_state_events s WHERE s.room_id = m.room_id
                        AND s.type = 'm.room.create' AND s.state_key = ''),
                EXISTS (SELECT FROM event_json j WHERE j.event_id = m.event_id)
         FROM (SELECT * FROM local_current_membership WHERE user_id IN ({users}){some}) m
         LEFT JOIN current_state_events c ON c.room_id = m.room_id
           AND c.type = 'm.room.member' AND c.state_key = m.user_id"
    );
    let mut rows = RowStream::start(client, "the memberships of users", &listed).await?;
    while let Some(row) = rows.next().await? {
        judge(&membership(&row), &mut findings);
    }
    let unlisted = format!(
        "SELECT c.state_key, c.room_id
         FROM (SELECT * FROM current_state_events
               WHERE type = 'm.room.member' AND membership = 'join'
                 AND state_key IN ({users}){some}) c
         WHERE NOT EXISTS (SELECT FROM local_current_membership m
                           WHERE m.room_id = c.room_id AND m.user_id = c.state_key)"
    );
    let mut rows = RowStream::start(client, "the state of rooms", &unlisted).await?;
    while let Some(row) = rows.next().await? {
        let (user, room) = (text(&row, 0).unwrap_or_default(), text(&row, 1).unwrap_or_default());
        let detail = format!("{room}: the room's state says join, Synapse does not list the room");
        findings.users.problem(user, detail);
    }
    Ok(findings)
}

/// Users whose clients are imitated, at most.
pub const CLIENTS: i64 = 10;

/// Asks the running server for the rooms of some of these users, each by one of the user's own
/// access tokens, and compares with what the database lists.
///
/// # Errors
/// [`PostgresError`] when the server refuses or is lost.
pub async fn ask_as_clients(
    client: &Client,
    users: &[String],
    at: impl Into<Door<'_>>,
) -> Result<Findings, PostgresError> {
    let query = "SELECT DISTINCT ON (t.user_id) t.user_id, t.token,
               ARRAY(SELECT m.room_id FROM local_current_membership m
                     WHERE m.user_id = t.user_id AND m.membership = 'join')
        FROM access_tokens t
        WHERE t.user_id = ANY($1) AND t.puppets_user_id IS NULL
          AND coalesce(t.valid_until_ms, 9223372036854775807)
              > extract(epoch FROM now()) * 1000
        ORDER BY t.user_id, t.id DESC LIMIT $2";
    let doing = |e| PostgresError::sorted("drew access tokens of users", e);
    let rows = client.query(query, &[&users, &CLIENTS]).await.map_err(doing)?;
    let (at, mut findings) = (at.into(), Findings::default());
    for row in &rows {
        let user: &str = row.get(0);
        let token = Zeroizing::new(row.get::<_, String>(1));
        let listed: BTreeSet<String> = row.get::<_, Vec<String>>(2).into_iter().collect();
        findings.checked += 1;
        match ask::joined_rooms(at, &token) {
            Ok(Answer::Rooms(rooms)) if rooms == listed => {}
            Ok(Answer::Rooms(rooms)) => {
                let detail = format!(
                    "a client sees {} rooms, the database lists {}",
                    rooms.len(),
                    listed.len()
                );
                findings.problem(user, detail);
            }
            Ok(Answer::Refused(_, code)) if code == "M_USER_LOCKED" => {
                findings.note(format!("{user} is locked"));
            }
            Ok(Answer::Refused(status, code)) => {
                findings.problem(user, format!("a token of this user is refused: {status} {code}"));
            }
            Err(error) => findings.problem(user, format!("the server did not answer: {error}")),
        }
    }
    Ok(findings)
}

/// Asks the running server who is in some of these rooms, each as one member, who has to be told,
/// and as one user who is no member and must not be, by their own access tokens.
///
/// # Errors
/// [`PostgresError`] when the server refuses or is lost.
pub async fn ask_about_rooms(
    client: &Client,
    seed: i64,
    rooms: &[String],
    port: u16,
) -> Result<Findings, PostgresError> {
    let query = "WITH t AS MATERIALIZED (
            SELECT DISTINCT ON (t.user_id) t.user_id, t.token
            FROM access_tokens t JOIN users u ON u.name = t.user_id
            WHERE t.puppets_user_id IS NULL AND NOT coalesce(u.locked, false)
              AND coalesce(t.valid_until_ms, 9223372036854775807)
                  > extract(epoch FROM now()) * 1000
            ORDER BY t.user_id, t.id DESC LIMIT 1000)
        SELECT r.room, i.user_id, i.token, o.user_id, o.token
        FROM (SELECT room FROM unnest($1::text[]) room
              ORDER BY hashtextextended(room, $2) LIMIT $3) r
        LEFT JOIN LATERAL (SELECT t.* FROM t JOIN local_current_membership m USING (user_id)
                           WHERE m.room_id = r.room AND m.membership = 'join' LIMIT 1) i ON true
        LEFT JOIN LATERAL (SELECT t.* FROM t
                           WHERE NOT EXISTS (SELECT FROM local_current_membership m
                                             WHERE m.user_id = t.user_id AND m.room_id = r.room
                                               AND m.membership = 'join') LIMIT 1) o ON true";
    let doing = |e| PostgresError::sorted("drew members of rooms", e);
    let rows = client.query(query, &[&rooms, &seed, &CLIENTS]).await.map_err(doing)?;
    let mut findings = Findings::default();
    for row in &rows {
        let room: &str = row.get(0);
        for (at, wanted, who) in [(1, 200, "a member"), (3, 403, "no member")] {
            let (user, token) =
                (row.get::<_, Option<&str>>(at), row.get::<_, Option<String>>(at + 1));
            let (Some(user), Some(token)) = (user, token.map(Zeroizing::new)) else { continue };
            findings.checked += 1;
            match ask::members_of(port, &token, room) {
                Ok(status) if status == wanted => {}
                Ok(status) => {
                    let detail = format!("{user}, {who}, gets {status} instead of {wanted}");
                    findings.problem(room, detail);
                }
                Err(error) => findings.problem(room, format!("the server did not answer: {error}")),
            }
        }
    }
    Ok(findings)
}

/// A user's membership in a room, as listed and as the room's state has it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Membership {
    pub(super) user: String,
    pub(super) room: String,
    pub(super) listed: String,
    pub(super) in_state: Option<String>,
    pub(super) has_state: bool,
    pub(super) has_event: bool,
}

/// Judges a membership. Pure.
pub(super) fn judge(membership: &Membership, findings: &mut AccessFindings) {
    let Membership { user, room, listed, in_state, has_state, has_event } = membership;
    let is_joined = listed == "join";
    *(if is_joined { &mut findings.joined } else { &mut findings.others }) += 1;
    let joined_by_state = in_state.as_deref() == Some("join");
    let wrong = match (is_joined, joined_by_state) {
        (true, _) if !has_state => Some("the room's state is missing".to_owned()),
        (true, _) if !has_event => Some("the membership event is missing".to_owned()),
        (true, false) => {
            let state = in_state.as_deref().unwrap_or("nothing");
            Some(format!("joined, but the room's state says {state}"))
        }
        (false, true) => Some(format!("{listed}, but the room's state says join")),
        (true, true) | (false, false) => None,
    };
    if let Some(wrong) = wrong {
        findings.users.problem(user, format!("{room}: {wrong}"));
    }
}

fn membership(row: &Row<'_>) -> Membership {
    let is = |at| row.field(at) == Some([1].as_slice());
    Membership {
        user: text(row, 0).unwrap_or_default(),
        room: text(row, 1).unwrap_or_default(),
        listed: text(row, 2).unwrap_or_default(),
        in_state: text(row, 3),
        has_state: is(4),
        has_event: is(5),
    }
}

fn text(row: &Row<'_>, at: usize) -> Option<String> {
    row.field(at).map(|bytes| String::from_utf8_lossy(bytes).into_owned())
}

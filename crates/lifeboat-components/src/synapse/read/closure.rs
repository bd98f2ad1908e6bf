//! What events need to be imported alone: the state around them and what authorises both.
//!
//! Of a room that is cut by dates, types or senders, the events asked for are N. Their state groups
//! with all groups those build on are G; the state events of G and the authorising events of all
//! are needed as well, and come along marked as such (`docs/src/format.md` §7.3).

use lifeboat_package::selection::{Clock, Pattern, Profile, Selection, UserPick};
use tokio_postgres::Client;

use super::Lane;
use super::visible::Sight;
use crate::postgres::PostgresError;
use crate::postgres::columns::literal;

/// Ids in one list of SQL.
pub(super) const IDS_IN_QUERY: usize = 5_000;

/// What comes along.
#[derive(Debug, Clone, Default)]
pub(super) struct Closure {
    /// State groups, in order.
    pub groups: Vec<i64>,
    /// Events that were not asked for themselves, in order.
    pub events: Vec<String>,
}

/// The condition that event `e` was asked for and, in a package that answers a person, seen by
/// that person; and what that person could see.
pub(super) async fn wanted_and_seen(
    client: &Client,
    rooms: &[String],
    selection: &Selection,
) -> Result<(String, Option<Sight>), PostgresError> {
    let wanted = wanted(rooms, selection);
    match (selection.profile, selection.person()) {
        (Some(Profile::Access), Some(person)) => {
            let sight = Sight::of(client, person, rooms).await?;
            Ok((format!("{wanted} AND {}", sight.condition()), Some(sight)))
        }
        _ => Ok((wanted, None)),
    }
}

fn wanted(rooms: &[String], selection: &Selection) -> String {
    let mut conditions = vec![format!("e.room_id = ANY({})", texts(rooms))];
    if selection.is_cut() {
        conditions.push("NOT e.outlier AND e.rejection_reason IS NULL".to_owned());
    }
    let moment = moment(selection);
    conditions.extend(selection.range.since.map(|since| format!("{moment} >= {since}")));
    conditions.extend(selection.range.until.map(|until| format!("{moment} < {until}")));
    conditions.extend(of_types(selection));
    conditions.extend(of_senders(selection));
    conditions.join(" AND ")
}

/// When event `e` happened, by the clock that counts.
pub(super) fn moment(selection: &Selection) -> &'static str {
    match selection.range.by {
        Clock::Sent => "e.origin_server_ts",
        Clock::Received => "coalesce(e.received_ts, e.origin_server_ts)",
    }
}

/// The condition that event `e` is of a type that was asked for, where types were.
pub(super) fn of_types(selection: &Selection) -> Option<String> {
    like("e.type", selection.event_types.iter())
}

/// The condition that event `e` is of a sender that was asked for, where senders were.
pub(super) fn of_senders(selection: &Selection) -> Option<String> {
    like("e.sender", selection.senders.iter().map(UserPick::pattern))
}

fn like<'a>(column: &str, patterns: impl Iterator<Item = &'a Pattern>) -> Option<String> {
    let likes: Vec<String> = patterns.map(Pattern::to_like).collect();
    (!likes.is_empty()).then(|| format!("{column} LIKE ANY({})", texts(&likes)))
}

/// An SQL array of texts.
pub(super) fn texts<T: AsRef<str>>(list: &[T]) -> String {
    let quoted: Vec<String> = list.iter().map(|text| literal(text.as_ref())).collect();
    format!("ARRAY[{}]::text[]", quoted.join(","))
}

/// An SQL array of numbers.
pub(super) fn numbers(list: &[i64]) -> String {
    let list: Vec<String> = list.iter().map(i64::to_string).collect();
    format!("ARRAY[{}]::bigint[]", list.join(","))
}

/// Computes the closure of the events that `wanted` takes of `rooms`.
pub(super) async fn compute(
    lane: Lane<'_>,
    rooms: &[String],
    wanted: &str,
) -> Result<Closure, PostgresError> {
    let seeds = format!(
        "SELECT DISTINCT s.state_group FROM events e
         JOIN event_to_state_groups s ON s.event_id = e.event_id WHERE {wanted}"
    );
    let seeds: Vec<i64> = column(lane.main, &seeds, "read the state of the events").await?;
    let groups = format!(
        "WITH RECURSIVE g(id) AS (
             SELECT unnest({})
             UNION SELECT x.prev_state_group
                   FROM g JOIN state_group_edges x ON x.state_group = g.id)
         SELECT id FROM g ORDER BY id",
        numbers(&seeds)
    );
    let groups: Vec<i64> = column(lane.state, &groups, "followed the state groups").await?;
    let state = format!(
        "SELECT DISTINCT event_id FROM state_groups_state WHERE state_group = ANY({})",
        numbers(&groups)
    );
    let state: Vec<String> = column(lane.state, &state, "read the state of the rooms").await?;
    let events = format!(
        "WITH RECURSIVE a(id) AS (
             (SELECT unnest({state}) UNION
              SELECT x.auth_id FROM events e JOIN event_auth x ON x.event_id = e.event_id
              WHERE {wanted})
             UNION SELECT x.auth_id FROM a JOIN event_auth x ON x.event_id = a.id)
         SELECT e.event_id FROM a JOIN events e ON e.event_id = a.id
         WHERE NOT coalesce(({wanted}), false) AND e.room_id = ANY({rooms})
         ORDER BY e.event_id",
        state = texts(&state),
        rooms = texts(rooms)
    );
    let events = column(lane.main, &events, "followed what authorises the events").await?;
    Ok(Closure { groups, events })
}

async fn column<T>(
    client: &Client,
    query: &str,
    doing: &'static str,
) -> Result<Vec<T>, PostgresError>
where
    T: for<'a> tokio_postgres::types::FromSql<'a>,
{
    let fail = |e| PostgresError::sorted(doing, e);
    let rows = client.query(query, &[]).await.map_err(fail)?;
    rows.iter().map(|row| row.try_get(0).map_err(fail)).collect()
}

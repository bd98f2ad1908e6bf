//! What of a room one person could see (Matrix specification, client-server API, "Room history
//! visibility").

use std::collections::BTreeMap;

use serde::Deserialize;
use tokio_postgres::Client;

use super::closure::texts;
use crate::postgres::PostgresError;
use crate::postgres::columns::literal;

/// Positions from the first (inclusive) to the second (exclusive).
pub(super) type Span = (i64, i64);

/// The spans of stream positions that a person could see, by room.
#[derive(Debug, Clone, Default)]
pub(super) struct Sight {
    rooms: BTreeMap<String, Vec<Span>>,
    person: String,
}

/// A change of the room that matters to what the person sees.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Change {
    /// The person's membership became this.
    Membership(String),
    /// The room's history visibility became this.
    Visibility(String),
}

impl Sight {
    /// Reads what `person` could see of `rooms`. A purge of history leaves the state behind as
    /// outliers, which count; those that were fetched later than what came after them do not.
    pub(super) async fn of(
        client: &Client,
        person: &str,
        rooms: &[String],
    ) -> Result<Self, PostgresError> {
        let query = format!(
            "SELECT room_id, stream_ordering, type, json
             FROM (SELECT s.room_id, e.stream_ordering, s.type, j.json, e.outlier, e.depth,
                       max(e.depth) OVER (PARTITION BY s.room_id ORDER BY e.stream_ordering) deepest
                   FROM state_events s JOIN events e ON e.event_id = s.event_id
                   JOIN event_json j ON j.event_id = s.event_id
                   WHERE s.room_id = ANY({}) AND e.room_id = ANY({0}) AND e.rejection_reason IS NULL
                     AND ((s.type = 'm.room.member' AND s.state_key = {})
                          OR (s.type = 'm.room.history_visibility' AND s.state_key = ''))) state
             WHERE NOT outlier OR depth = deepest ORDER BY room_id, stream_ordering",
            texts(rooms),
            literal(person)
        );
        let doing = |e| PostgresError::sorted("read what the person could see", e);
        let mut changes: BTreeMap<String, Vec<(i64, Change)>> = BTreeMap::new();
        for row in client.query(&query, &[]).await.map_err(doing)? {
            let Some(change) = change(row.get(2), row.get(3)) else { continue };
            changes.entry(row.get(0)).or_default().push((row.get(1), change));
        }
        let rooms = changes.into_iter().map(|(room, changes)| (room, spans(&changes))).collect();
        Ok(Self { rooms, person: person.to_owned() })
    }

    /// The condition that the person could see event `e`, or sent it.
    pub(super) fn condition(&self) -> String {
        let mut either = vec![format!("e.sender = {}", literal(&self.person))];
        for (room, spans) in &self.rooms {
            let within = |(from, to): &Span| {
                format!("(e.stream_ordering >= {from} AND e.stream_ordering < {to})")
            };
            let spans: Vec<String> = spans.iter().map(within).collect();
            if !spans.is_empty() {
                let (room, spans) = (literal(room), spans.join(" OR "));
                either.push(format!("(e.room_id = {room} AND ({spans}))"));
            }
        }
        format!("({})", either.join(" OR "))
    }

    /// Whether the person could see an event, or sent it.
    pub(super) fn includes(&self, room: &str, position: i64, sender: &str) -> bool {
        let spans = self.rooms.get(room).map(Vec::as_slice).unwrap_or_default();
        sender == self.person || spans.iter().any(|(from, to)| (*from..*to).contains(&position))
    }
}

fn change(kind: &str, json: &str) -> Option<Change> {
    #[derive(Deserialize)]
    struct Event {
        content: Content,
    }
    #[derive(Deserialize)]
    struct Content {
        membership: Option<String>,
        history_visibility: Option<String>,
    }
    let content = serde_json::from_str::<Event>(json).ok()?.content;
    match kind {
        "m.room.member" => content.membership.map(Change::Membership),
        _ => content.history_visibility.map(Change::Visibility),
    }
}

/// From changes in order of position to what was to be seen between them.
fn spans(changes: &[(i64, Change)]) -> Vec<Span> {
    let joins: Vec<i64> = changes
        .iter()
        .filter(|(_, change)| *change == Change::Membership("join".to_owned()))
        .map(|(position, _)| *position)
        .collect();
    // Of history that was fetched later, the state may not be here: it was as strict as the first
    // that is. The specification's default is for rooms that never say.
    let first = changes.iter().find_map(|(_, change)| match change {
        Change::Visibility(first) if first != "world_readable" => Some(first.as_str()),
        _ => None,
    });
    let (mut visibility, mut membership) = (first.unwrap_or("shared"), "leave");
    let mut spans: Vec<Span> = Vec::new();
    let mut from = i64::MIN;
    let ends = changes.iter().map(|(position, _)| *position).chain([i64::MAX]);
    let mut following = changes.iter();
    for to in ends {
        let joined_later = joins.iter().any(|join| *join >= from);
        let seen = match visibility {
            _ if membership == "join" => true,
            "world_readable" => true,
            "shared" => joined_later,
            "invited" => membership == "invite" && joined_later,
            _ => false,
        };
        if seen {
            // The event that ends a membership is the last that is seen.
            let last = to.saturating_add(1);
            match spans.last_mut() {
                Some((_, end)) if *end >= from => *end = last,
                _ => spans.push((from, last)),
            }
        }
        from = to;
        match following.next() {
            Some((_, Change::Membership(now))) => membership = now,
            Some((_, Change::Visibility(now))) => visibility = now,
            None => {}
        }
    }
    spans
}

#[cfg(test)]
#[path = "visible_tests.rs"]
mod tests;

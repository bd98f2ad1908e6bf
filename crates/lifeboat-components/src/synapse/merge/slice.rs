//! A stretch of a room: the events inside go in as they are, what they stand on goes in beside the
//! timeline, and the ends of the room and its state are worked out for the last event inside.
//!
//! It works on the staged rows; afterwards they are those of a room that never had more.

use tokio_postgres::Client;

use super::stage::staged;
use super::{MergeError, ask, batch, run};

/// Rows that speak of one event, which has to be inside.
const OF_ONE_EVENT: [&str; 9] = [
    "event_edges",
    "event_relations",
    "event_to_state_groups",
    "event_search",
    "event_push_actions",
    "event_labels",
    "event_expiry",
    "receipts_linearized",
    "thread_subscriptions",
];

const TEMPORARY: &str = "
    CREATE TEMP TABLE IF NOT EXISTS lifeboat_inside (event_id text PRIMARY KEY);
    CREATE TEMP TABLE IF NOT EXISTS lifeboat_beside (event_id text PRIMARY KEY);
    CREATE TEMP TABLE IF NOT EXISTS lifeboat_groups (id bigint PRIMARY KEY);";

/// Whether rooms among the staged ones have only a stretch of their events.
///
/// # Errors
/// [`MergeError`] when the database refuses.
pub async fn cut_rooms(client: &Client) -> Result<Vec<String>, MergeError> {
    let sql = format!("SELECT DISTINCT room_id FROM {} WHERE closure ORDER BY 1", staged("events"));
    let rows = ask(client, "looked for stretches of rooms", &sql, &[]).await?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

/// Whether any staged event of a room is inside the stretch.
///
/// # Errors
/// [`MergeError`] when the database refuses.
pub async fn has_inside(client: &Client, room: &str) -> Result<bool, MergeError> {
    let sql = format!(
        "SELECT EXISTS (SELECT FROM {} WHERE room_id = $1 AND NOT closure AND NOT outlier
                          AND rejection_reason IS NULL)",
        staged("events")
    );
    let rows = ask(client, "looked into a stretch of a room", &sql, &[&room]).await?;
    Ok(rows.first().is_some_and(|row| row.get(0)))
}

/// Makes the staged rows of `room` those of the stretch; see [`has_inside`] first.
///
/// # Errors
/// [`MergeError`] when the state at the end cannot be told or the database refuses.
pub async fn derive(client: &Client, room: &str, server: &str) -> Result<(), MergeError> {
    batch(client, "made room for a stretch of a room", TEMPORARY).await?;
    let sql = "TRUNCATE lifeboat_inside, lifeboat_beside, lifeboat_groups";
    batch(client, "made room for a stretch of a room", sql).await?;
    let events = staged("events");
    let sql = format!(
        "INSERT INTO lifeboat_inside SELECT event_id FROM {events}
         WHERE room_id = $1 AND NOT closure AND NOT outlier AND rejection_reason IS NULL"
    );
    run(client, "chose the stretch of a room", &sql, &[&room]).await?;
    foundations(client).await?;
    let at_the_end = state_at_the_end(client, room).await?;
    ends(client, room).await?;
    current_state(client, (room, server), at_the_end).await?;
    leave_out(client, room).await?;
    beside(client, room).await
}

/// State groups with those they are differences from, the state events in them, and everything that
/// authorises those and the events inside.
async fn foundations(client: &Client) -> Result<(), MergeError> {
    let sql = format!(
        "INSERT INTO lifeboat_groups
         WITH RECURSIVE g (id) AS (
             SELECT t.state_group FROM {to_groups} t JOIN lifeboat_inside i USING (event_id)
             UNION
             SELECT e.prev_state_group FROM {edges} e JOIN g ON e.state_group = g.id)
         SELECT id FROM g;
         INSERT INTO lifeboat_beside
         WITH RECURSIVE a (event_id) AS (
             (SELECT event_id FROM lifeboat_inside
              UNION
              SELECT s.event_id FROM {state} s JOIN lifeboat_groups g ON g.id = s.state_group)
             UNION
             SELECT x.auth_id FROM {auth} x JOIN a USING (event_id))
         SELECT event_id FROM a
         WHERE event_id NOT IN (SELECT event_id FROM lifeboat_inside)",
        to_groups = staged("event_to_state_groups"),
        edges = staged("state_group_edges"),
        state = staged("state_groups_state"),
        auth = staged("event_auth"),
    );
    Ok(batch(client, "gathered what a stretch stands on", &sql).await?)
}

/// The state group that holds at the end. Several ends: that of the message that joins them again.
async fn state_at_the_end(client: &Client, room: &str) -> Result<i64, MergeError> {
    let (edges, groups) = (staged("event_edges"), staged("event_to_state_groups"));
    let last = format!(
        "SELECT i.event_id FROM lifeboat_inside i
         WHERE NOT EXISTS (SELECT FROM {edges} e JOIN lifeboat_inside c ON c.event_id = e.event_id
                           WHERE e.prev_event_id = i.event_id)"
    );
    let sql = format!("SELECT DISTINCT t.state_group FROM {groups} t WHERE t.event_id IN ({last})");
    let found = ask(client, "looked for the state at the end", &sql, &[]).await?;
    if let [one] = found.as_slice() {
        return Ok(one.get(0));
    }
    let sql = format!(
        "WITH last AS ({last})
         SELECT t.state_group FROM {edges} e
         JOIN {groups} t USING (event_id)
         WHERE e.prev_event_id IN (SELECT event_id FROM last)
           AND NOT EXISTS (SELECT FROM lifeboat_inside i WHERE i.event_id = e.event_id)
           AND NOT EXISTS (SELECT FROM {state} s WHERE s.event_id = e.event_id)
         GROUP BY e.event_id, t.state_group HAVING count(*) = (SELECT count(*) FROM last) LIMIT 1",
        state = staged("state_events"),
    );
    let joined = ask(client, "looked for the state at the end", &sql, &[]).await?;
    let Some(row) = joined.first() else {
        let room = room.to_owned();
        let detail = "the stretch has several ends with different state, which only the server \
                      can resolve: choose a later or earlier end, or the whole room";
        return Err(MergeError::Room { room, detail: detail.to_owned() });
    };
    let group: i64 = row.get(0);
    let sql = format!(
        "INSERT INTO lifeboat_groups
         WITH RECURSIVE g (id) AS (
             SELECT $1::bigint
             UNION SELECT e.prev_state_group FROM {} e JOIN g ON e.state_group = g.id)
         SELECT id FROM g ON CONFLICT DO NOTHING",
        staged("state_group_edges")
    );
    run(client, "gathered the state at the end", &sql, &[&group]).await?;
    let sql = format!(
        "INSERT INTO lifeboat_beside
         WITH RECURSIVE a (event_id) AS (
             SELECT s.event_id FROM {} s JOIN lifeboat_groups g ON g.id = s.state_group
             UNION SELECT x.auth_id FROM {} x JOIN a USING (event_id))
         SELECT event_id FROM a WHERE event_id NOT IN (SELECT event_id FROM lifeboat_inside)
         ON CONFLICT DO NOTHING",
        staged("state_groups_state"),
        staged("event_auth"),
    );
    run(client, "gathered the state at the end", &sql, &[]).await?;
    Ok(group)
}

/// Where the room goes on, and where its history begins.
async fn ends(client: &Client, room: &str) -> Result<(), MergeError> {
    let (edges, events) = (staged("event_edges"), staged("events"));
    let (forward, backward) =
        (staged("event_forward_extremities"), staged("event_backward_extremities"));
    for table in [&forward, &backward] {
        let sql = format!("DELETE FROM {table} WHERE room_id = $1");
        run(client, "worked out the ends of a stretch", &sql, &[&room]).await?;
    }
    let sql = format!(
        "INSERT INTO {forward} (event_id, room_id)
         SELECT i.event_id, $1 FROM lifeboat_inside i
         WHERE NOT EXISTS (SELECT FROM {edges} e JOIN lifeboat_inside c ON c.event_id = e.event_id
                           WHERE e.prev_event_id = i.event_id)"
    );
    run(client, "worked out the ends of a stretch", &sql, &[&room]).await?;
    let sql = format!(
        "INSERT INTO {backward} (event_id, room_id)
         SELECT DISTINCT e.prev_event_id, $1 FROM {edges} e JOIN lifeboat_inside i USING (event_id)
         WHERE e.prev_event_id NOT IN (SELECT event_id FROM lifeboat_inside)"
    );
    run(client, "worked out the ends of a stretch", &sql, &[&room]).await?;
    let depth = staged("room_depth");
    let sql = format!("DELETE FROM {depth} WHERE room_id = $1");
    run(client, "worked out the ends of a stretch", &sql, &[&room]).await?;
    let sql = format!(
        "INSERT INTO {depth} (room_id, min_depth)
         SELECT $1, min(e.depth) FROM {events} e JOIN lifeboat_inside i USING (event_id)"
    );
    run(client, "worked out the ends of a stretch", &sql, &[&room]).await?;
    Ok(())
}

/// Current state and memberships, from a state group.
async fn current_state(
    client: &Client,
    (room, server): (&str, &str),
    group: i64,
) -> Result<(), MergeError> {
    let (current, local) = (staged("current_state_events"), staged("local_current_membership"));
    for table in [&current, &local] {
        let sql = format!("DELETE FROM {table} WHERE room_id = $1");
        run(client, "worked out the state of a stretch", &sql, &[&room]).await?;
    }
    let sql = format!(
        "INSERT INTO {current}
             (event_id, room_id, type, state_key, membership, event_stream_ordering)
         WITH RECURSIVE g (id, far) AS (
             SELECT $2::bigint, 0
             UNION ALL
             SELECT e.prev_state_group, g.far + 1
             FROM {} e JOIN g ON e.state_group = g.id),
         held AS (
             SELECT DISTINCT ON (s.type, s.state_key) s.type, s.state_key, s.event_id
             FROM g JOIN {} s ON s.state_group = g.id ORDER BY s.type, s.state_key, g.far)
         SELECT h.event_id, $1, h.type, h.state_key, m.membership, e.stream_ordering
         FROM held h JOIN {} e ON e.event_id = h.event_id
         LEFT JOIN {} m ON m.event_id = h.event_id AND h.type = 'm.room.member'",
        staged("state_group_edges"),
        staged("state_groups_state"),
        staged("events"),
        staged("room_memberships"),
    );
    run(client, "worked out the state of a stretch", &sql, &[&room, &group]).await?;
    let sql = format!(
        "INSERT INTO {local} (room_id, user_id, event_id, membership, event_stream_ordering)
         SELECT $1, state_key, event_id, membership, event_stream_ordering FROM {current}
         WHERE room_id = $1 AND type = 'm.room.member'
           AND substring(state_key FROM position(':' IN state_key) + 1) = $2"
    );
    run(client, "worked out the memberships of a stretch", &sql, &[&room, &server]).await?;
    Ok(())
}

/// What speaks of events that are not inside goes.
async fn leave_out(client: &Client, room: &str) -> Result<(), MergeError> {
    let doing = "left out what is not in a stretch";
    let (events, outside) = (
        staged("events"),
        "NOT EXISTS (SELECT FROM lifeboat_inside i WHERE i.event_id = t.event_id)",
    );
    let of_room = |table: &str| {
        let by_room = ["event_push_actions", "receipts_linearized", "thread_subscriptions"];
        if by_room.contains(&table) {
            return "t.room_id = $1".to_owned();
        }
        format!("EXISTS (SELECT FROM {events} e WHERE e.event_id = t.event_id AND e.room_id = $1)")
    };
    for table in OF_ONE_EVENT {
        let sql = format!("DELETE FROM {} t WHERE {} AND {outside}", staged(table), of_room(table));
        run(client, doing, &sql, &[&room]).await?;
    }
    let others = [
        ("timeline_gaps", "true".to_owned()),
        (
            "threads",
            "NOT (thread_id IN (SELECT event_id FROM lifeboat_inside)
                          AND latest_event_id IN (SELECT event_id FROM lifeboat_inside))"
                .to_owned(),
        ),
        (
            "room_ban_redactions",
            "redacting_event_id NOT IN (SELECT event_id FROM lifeboat_inside)".to_owned(),
        ),
        (
            "receipts_graph",
            format!(
                "NOT EXISTS (SELECT FROM {} l WHERE l.room_id = t.room_id AND l.user_id = t.user_id
                           AND l.receipt_type = t.receipt_type
                           AND l.thread_id IS NOT DISTINCT FROM t.thread_id)",
                staged("receipts_linearized")
            ),
        ),
        ("state_groups", "id NOT IN (SELECT id FROM lifeboat_groups)".to_owned()),
        (
            "room_memberships",
            "event_id NOT IN (SELECT event_id FROM lifeboat_inside
                              UNION SELECT event_id FROM lifeboat_beside)"
                .to_owned(),
        ),
        (
            "room_retention",
            "event_id NOT IN (SELECT event_id FROM lifeboat_inside
                            UNION SELECT event_id FROM lifeboat_beside)"
                .to_owned(),
        ),
    ];
    for (table, condition) in others {
        let sql = format!("DELETE FROM {} t WHERE room_id = $1 AND ({condition})", staged(table));
        run(client, doing, &sql, &[&room]).await?;
    }
    Ok(())
}

/// The other events go, but those that the stretch stands on: they become such as are beside the
/// timeline.
async fn beside(client: &Client, room: &str) -> Result<(), MergeError> {
    let (events, contents) = (staged("events"), staged("event_json"));
    let sql = format!(
        "SELECT event_id FROM lifeboat_beside b
         WHERE NOT EXISTS (SELECT FROM {events} e WHERE e.event_id = b.event_id) LIMIT 1"
    );
    let lost = ask(client, "looked whether a stretch is whole", &sql, &[]).await?;
    if let Some(row) = lost.first() {
        let detail =
            format!("the package lacks {}, which its state stands on", row.get::<_, &str>(0));
        return Err(MergeError::Room { room: room.to_owned(), detail });
    }
    let sql = format!(
        "DELETE FROM {events} e WHERE room_id = $1
           AND NOT EXISTS (SELECT FROM lifeboat_inside i WHERE i.event_id = e.event_id)
           AND NOT EXISTS (SELECT FROM lifeboat_beside b WHERE b.event_id = e.event_id)"
    );
    run(client, "left out what is not in a stretch", &sql, &[&room]).await?;
    let sql = format!(
        "UPDATE {events} e SET outlier = true, closure = true
         FROM lifeboat_beside b WHERE b.event_id = e.event_id"
    );
    run(client, "put events beside the timeline", &sql, &[]).await?;
    let sql = format!(
        "UPDATE {contents} j
         SET internal_metadata = jsonb_set(j.internal_metadata::jsonb, '{{outlier}}', 'true')::text
         FROM lifeboat_beside b WHERE b.event_id = j.event_id"
    );
    run(client, "put events beside the timeline", &sql, &[]).await?;
    Ok(())
}

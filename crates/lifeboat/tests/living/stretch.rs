//! A stretch of rooms by date, into a server that does not have them.

use serde_json::Value;

use crate::history::timeline;
use crate::port::{Port, signer};
use crate::program::DONE;

/// Rooms of several versions.
const ROOMS: [&str; 3] = ["chat-0", "chat-1", "chat-2"];

/// From the first fourth of the events of the rooms to the last.
fn range(port: &Port, rooms: &[String; 3]) -> [String; 2] {
    let ids = rooms.join("', '");
    let at = |part: &str| {
        let sql = format!(
            "SELECT to_char(to_timestamp(percentile_disc({part})
                 WITHIN GROUP (ORDER BY origin_server_ts) / 1000.0) AT TIME ZONE 'UTC',
                 'YYYY-MM-DD\"T\"HH24:MI:SS.MSZ')
             FROM events WHERE type = 'm.room.message' AND room_id IN ('{ids}')"
        );
        port.sql(&port.world.server, &sql)
    };
    [at("0.25"), at("0.75")]
}

/// A room that goes on from two ends for a while.
const FORKED: &str = "six";

/// Makes the last change of a room's state one that did not know of the event before it, as other
/// servers send such; from that event to just after the change.
fn forked(port: &Port, room: &str) -> [String; 2] {
    let server = &port.world.server;
    let sql = format!(
        "WITH last AS (
             SELECT s.event_id, x.prev_event_id, e.origin_server_ts FROM state_events s
             JOIN events e USING (event_id) JOIN event_edges x USING (event_id)
             WHERE s.room_id = '{room}' AND NOT e.outlier ORDER BY e.depth DESC LIMIT 1),
         moved AS (
             UPDATE event_edges x SET prev_event_id = before.prev_event_id
             FROM last JOIN event_edges before ON before.event_id = last.prev_event_id
             WHERE x.event_id = last.event_id RETURNING x.event_id)
         SELECT e.origin_server_ts, last.origin_server_ts + 1 FROM last
         JOIN events e ON e.event_id = last.prev_event_id JOIN moved ON true"
    );
    let times = port.sql(server, &sql);
    let (since, until) = times.trim().split_once('|').unwrap_or_else(|| panic!("{times}"));
    [since, until].map(|time| {
        let sql = format!(
            "SELECT to_char(to_timestamp({time} / 1000.0) AT TIME ZONE 'UTC',
                            'YYYY-MM-DD\"T\"HH24:MI:SS.MSZ')"
        );
        port.sql(server, &sql)
    })
}

#[test]
fn stretch_of_rooms_lives_in_a_fresh_server_from_a_part_or_a_whole() {
    let port = Port::open();
    let rooms = ROOMS.map(|name| port.room(name));
    let [since, until] = range(&port, &rooms);
    let mut words: Vec<&str> = rooms.iter().flat_map(|room| ["--room", room.as_str()]).collect();
    words.extend(["--user", "@*:lifeboat.test", "--since", &since, "--until", &until]);
    let fork = forked(&port, &port.room(FORKED));
    let whole = port.export("whole.lifeboat", &[]);
    let secret = [&words[..], &["--include-secrets"]].concat();
    let partial = port.export("part.lifeboat", &secret);
    let key = signer(&port.world.server);
    for (database, package, more) in
        [("from_a_whole", &whole, words.clone()), ("from_a_part", &partial, Vec::new())]
    {
        let mut fresh = port.fresh(database);
        let words = [&["--accept-signer", key.as_str()], &more[..]].concat();
        let outcome = port.import(&fresh, package, &words).result(DONE);
        let done: Vec<&Value> =
            outcome["rooms"].as_array().unwrap().iter().map(|room| &room["what"]).collect();
        assert_eq!(done, ["stretch added"; 3], "{outcome}");
        fresh.start().unwrap();
        for room in &rooms {
            let sql = format!(
                "SELECT string_agg(event_id, ' ' ORDER BY topological_ordering, stream_ordering)
                 FROM events WHERE room_id = '{room}' AND NOT outlier
                   AND origin_server_ts >= extract(epoch FROM timestamptz '{since}') * 1000
                   AND origin_server_ts < extract(epoch FROM timestamptz '{until}') * 1000"
            );
            let wanted = port.sql(&port.world.server, &sql);
            assert_eq!(timeline(&port, &fresh, room).join(" "), wanted, "{database} {room}");
            let members = format!(
                "SELECT count(*) FROM current_state_events WHERE room_id = '{room}'
                   AND membership = 'join'"
            );
            let there = port.sql(&fresh, &members);
            assert_eq!(there, port.sql(&port.world.server, &members), "{database} {room}");
            port.say(&fresh, (0, room), "it goes on");
        }
        assert_eq!(fresh.errors_in_log().unwrap(), Vec::<String>::new());
        fresh.stop();
        if package == &whole {
            let words = ["--accept-signer", &key, "--room", &port.room(FORKED)];
            let words = [&words[..], &["--since", &fork[0], "--until", &fork[1]]].concat();
            let refused = port.import(&fresh, package, &words);
            assert_eq!(refused.exit, 1, "{refused:?}");
            assert!(refused.stdout.contains("several ends with different state"), "{refused:?}");
            let there = format!("SELECT count(*) FROM events WHERE room_id = '{}'", words[3]);
            assert_eq!(port.sql(&fresh, &there), "0");
        }
    }
}

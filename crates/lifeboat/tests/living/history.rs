//! History that was purged from a room that lives on.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::Duration;

use lifeboat_testing::wait;
use serde_json::{Value, json};

use crate::port::{Port, call, escaped, undo};
use crate::program::{DONE, GAPS, lifeboat};

/// The message in the middle of a room's timeline.
fn middle(port: &Port, room: &str) -> String {
    let sql = format!(
        "SELECT event_id FROM events WHERE room_id = '{room}' AND type = 'm.room.message'
           AND NOT outlier ORDER BY topological_ordering
         OFFSET (SELECT count(*) * 2 / 3 FROM events
                 WHERE room_id = '{room}' AND type = 'm.room.message') LIMIT 1"
    );
    port.sql(&port.world.server, &sql)
}

/// Purges what is older than the middle of a room, as an administrator does.
pub(crate) fn purge_history(port: &Port, room: &str) {
    purge_before(port, room, &middle(port, room));
}

/// Purges what is older than an event.
pub(crate) fn purge_before(port: &Port, room: &str, event: &str) {
    let server = &port.world.server;
    let path = format!("/_synapse/admin/v1/purge_history/{}/{}", escaped(room), escaped(event));
    let body = json!({"delete_local_events": true}).to_string();
    let id = port.ask(server, ("POST", &path), Some(&body))["purge_id"].clone();
    let path = format!("/_synapse/admin/v1/purge_history_status/{}", id.as_str().unwrap());
    let gone = wait::until(Duration::from_mins(1), || {
        Ok(port.ask(server, ("GET", &path), None)["status"] == "complete")
    });
    assert!(gone.unwrap(), "the history of {room} is still being purged");
}

/// Ids of a whole timeline, oldest first, as a member reads it.
pub(crate) fn timeline(
    port: &Port,
    server: &lifeboat_testing::Homeserver,
    room: &str,
) -> Vec<String> {
    let (mut ids, mut from) = (Vec::new(), String::new());
    loop {
        let path =
            format!("/_matrix/client/v3/rooms/{}/messages?dir=b&limit=100{from}", escaped(room));
        let answer = call(server, ("GET", &path), Some(port.token(0)), None);
        assert_eq!(answer.status, 200, "{}", answer.text());
        let page: Value = serde_json::from_slice(&answer.body).unwrap();
        let chunk = page["chunk"].as_array().unwrap();
        ids.extend(chunk.iter().map(|event| event["event_id"].as_str().unwrap().to_owned()));
        match page["end"].as_str() {
            Some(end) if !chunk.is_empty() => from = format!("&from={end}"),
            _ => break,
        }
    }
    ids.reverse();
    ids
}

#[test]
fn purged_history_of_a_living_room_comes_back_and_can_be_taken_out_again() {
    let mut port = Port::open();
    let before = port.facts(&port.world.server, "before");
    let package = port.export("server.lifeboat", &[]);
    let rooms = ["chat-0", "chat-1", "chat-2"].map(|name| port.room(name));
    let whole = rooms.each_ref().map(|room| timeline(&port, &port.world.server, room));
    for room in &rooms {
        purge_history(&port, room);
    }
    port.world.server.stop();
    let purged = port.rows(&port.world.server);

    let picks: Vec<&str> = rooms.iter().flat_map(|room| ["--room", room.as_str()]).collect();
    let outcome = port.import(&port.world.server, &package, &picks).result(DONE);
    let what: Vec<&Value> =
        outcome["rooms"].as_array().unwrap().iter().map(|room| &room["what"]).collect();
    assert_eq!(what, ["history filled"; 3], "{outcome}");
    let id = outcome["id"].as_str().unwrap();
    undo(&port.world.server, id).result(DONE);
    assert_eq!(port.rows(&port.world.server), purged);
    port.import(&port.world.server, &package, &picks).result(DONE);

    port.world.server.start().unwrap();
    let server = &port.world.server;
    for (room, whole) in rooms.iter().zip(&whole) {
        assert_eq!(timeline(&port, server, room), *whole, "{room}");
    }
    let after = port.facts(server, "after");
    let report =
        port.world.compare(&before, &after, &["unread/*"]).unwrap_or_else(|e| panic!("{e}"));
    assert!(report.contains("0 different"), "{report}");
    for room in &rooms {
        port.say(server, (0, room), "it goes on");
    }
    assert_eq!(server.errors_in_log().unwrap(), Vec::<String>::new());
}

#[test]
fn what_a_person_could_see_is_theirs_after_a_purge_of_history_as_before() {
    let port = Port::open();
    let person = port.state["people"][1]["user_id"].as_str().unwrap();
    let room = port.room("chat-0");
    let messages = |name: &str| -> BTreeSet<String> {
        let wish = ["--profile", "access", "--user", person, "--room", &room];
        let package = port.export(&format!("{name}.lifeboat"), &wish);
        let folder = port.world.directory().join(name);
        let words = [Path::new("unpack"), &package, Path::new("-i"), &port.identity];
        let said = lifeboat(words.into_iter().chain([Path::new("-d"), &folder]));
        assert!([DONE, GAPS].contains(&said.exit), "{said:?}");
        let text = fs::read_to_string(folder.join("rooms/events.jsonl")).unwrap();
        let events = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let shown = events.filter(|event| event.get("closure").is_none());
        shown.map(|event| event["event_id"].as_str().unwrap().to_owned()).collect()
    };
    let before = messages("before");
    purge_history(&port, &room);
    let timeline = timeline(&port, &port.world.server, &room);
    let kept: BTreeSet<String> = timeline.into_iter().filter(|id| before.contains(id)).collect();
    assert!(kept.len() > 5, "{kept:?}");
    let after = messages("after");
    assert!(after.is_superset(&kept), "{:?}", kept.difference(&after));
}

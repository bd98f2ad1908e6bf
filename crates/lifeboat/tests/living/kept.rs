//! What the target keeps: dry runs, plans, second runs, runs that were killed, imports taken back.

use std::fs;
use std::process::Stdio;
use std::time::Duration;

use lifeboat_testing::wait;
use serde_json::{Value, json};

use crate::port::{Port, undo};
use crate::program::{DONE, NOT_VALID, program};
use crate::report;

/// A port whose lobby and chat are gone, with the package of the time before.
fn after_a_purge() -> (Port, std::path::PathBuf, [String; 2]) {
    let mut port = Port::open();
    let package = port.export("server.lifeboat", &[]);
    let rooms = ["lobby", "chat-0"].map(|name| port.room(name));
    for room in &rooms {
        port.purge(room);
    }
    port.world.server.stop();
    (port, package, rooms)
}

#[test]
fn dry_run_changes_nothing_and_an_import_that_is_taken_back_leaves_nothing() {
    let (mut port, package, rooms) = after_a_purge();
    let picks = ["--room", &rooms[0], "--room", &rooms[1]];
    let before = port.rows(&port.world.server);
    let dry = [&picks[..], &["--dry-run"]].concat();
    let outcome = port.import(&port.world.server, &package, &dry).result(DONE);
    assert_eq!(outcome["rooms"].as_array().unwrap().len(), 2, "{outcome}");
    assert_eq!((&outcome["changed"], &outcome["id"]), (&json!(false), &Value::Null), "{outcome}");
    assert_eq!(port.rows(&port.world.server), before);
    let journal = "SELECT to_regclass('lifeboat.merge') IS NULL";
    assert_eq!(port.sql(&port.world.server, journal), "t");

    let outcome = port.import(&port.world.server, &package, &picks).result(DONE);
    let id = outcome["id"].as_str().unwrap().to_owned();
    let again = port.import(&port.world.server, &package, &picks).result(DONE);
    assert_eq!((&again["changed"], &again["id"]), (&json!(false), &Value::Null), "{again}");
    undo(&port.world.server, &id).result(DONE);
    assert_eq!(differences(&before, &port.rows(&port.world.server)), MAY_STAY);
    let twice = undo(&port.world.server, &id);
    assert_eq!(twice.exit, 2, "{twice:?}");

    let outcome = port.import(&port.world.server, &package, &picks).result(DONE);
    port.world.server.start().unwrap();
    port.say(&port.world.server, (0, &rooms[1]), "something new");
    let refused = undo(&port.world.server, outcome["id"].as_str().unwrap());
    assert_eq!(refused.exit, 1, "{refused:?}");
    assert!(refused.stdout.contains("newer events: 1"), "{refused:?}");
}

/// Tables that need not be as before: leftovers of Synapse's purge are cleared, and what Synapse is
/// asked to do stays.
const MAY_STAY: [&str; 6] = [
    "background_updates 0",
    "event_expiry 1",
    "event_labels 2",
    "room_ban_redactions 1",
    "room_retention 1",
    "threads 7",
];

fn differences<'a>(before: &'a str, after: &str) -> Vec<&'a str> {
    before.lines().filter(|line| !after.lines().any(|other| other == *line)).collect()
}

/// A message is forged, and a member is not listed any more.
fn harm(port: &Port, room: &str) {
    let forged = format!(
        "UPDATE event_json SET json = jsonb_set(json::jsonb, '{{content,body}}', '\"forged\"')::text
         WHERE event_id = (SELECT event_id FROM events WHERE type = 'm.room.message'
                             AND room_id = '{room}' ORDER BY stream_ordering LIMIT 1)"
    );
    let unlisted = format!(
        "DELETE FROM local_current_membership WHERE room_id = '{room}' AND user_id =
             (SELECT min(user_id) FROM local_current_membership JOIN users ON name = user_id
              WHERE room_id = '{room}' AND membership = 'join' AND deactivated = 0)"
    );
    port.sql(&port.world.server, &forged);
    port.sql(&port.world.server, &unlisted);
}

#[test]
fn plan_is_written_edited_and_followed() {
    let (port, package, rooms) = after_a_purge();
    let server = &port.world.server;
    let joining = port.room("chat-1");
    let join = format!(
        "INSERT INTO partial_state_rooms
             (room_id, device_lists_stream_id, join_event_id, joined_via)
         SELECT room_id, 1, event_id, 'far.test' FROM local_current_membership
         WHERE room_id = '{joining}' LIMIT 1"
    );
    port.sql(server, &join);
    let before = port.rows(server);
    let file = port.world.directory().join("plan.yaml");
    let mut picks = vec!["--plan", file.to_str().unwrap()];
    for room in [&rooms[0], &rooms[1], &joining] {
        picks.extend(["--room", room.as_str()]);
    }
    let outcome = port.import(server, &package, &picks).result(DONE);
    assert_eq!(outcome["changed"], false, "{outcome}");
    assert_eq!(port.rows(server), before);
    let plan = fs::read_to_string(&file).unwrap();
    assert_eq!(plan.matches("state: purged").count(), 2, "{plan}");
    let refused =
        plan.replace("state: joining\n    action: skip", "state: joining\n    action: add");
    fs::write(&file, refused).unwrap();
    let refused = port.import(server, &package, &picks);
    let why = format!("room {joining} is joining on the target: add cannot be done");
    assert!(refused.exit == 1 && refused.stdout.contains(&why), "{refused:?}");

    let first = plan.find("action: add").unwrap();
    let stop = format!("{}action: stop{}", &plan[..first], &plan[first + 11..]);
    fs::write(&file, stop).unwrap();
    let stopped = port.import(server, &package, &picks);
    assert_eq!(stopped.exit, 1, "{stopped:?}");
    let skip = format!("{}action: skip{}", &plan[..first], &plan[first + 11..]);
    fs::write(&file, skip).unwrap();
    let outcome = port.import(server, &package, &picks);
    let outcome: Value = serde_json::from_str(outcome.stdout.lines().last().unwrap()).unwrap();
    assert_eq!(outcome["outcome"]["rooms"].as_array().unwrap().len(), 1, "{outcome}");
    fs::write(&file, plan.replace("action: add", "action: fill_history")).unwrap();
    let refused = port.import(server, &package, &picks);
    assert!(refused.exit == 1 && refused.stdout.contains("cannot be done"), "{refused:?}");
}

#[test]
fn import_that_was_killed_is_gone_on_with_by_the_same_command() {
    let (port, package, rooms) = after_a_purge();
    let server = &port.world.server;
    port.sql(server, "DELETE FROM users WHERE name = '@heidi:lifeboat.test'");
    let picks = ["--room", &rooms[0], "--room", &rooms[1], "--user", "@heidi:lifeboat.test"];
    let cluster = &port.world.cluster;
    let held = cluster.hold("synapse", "BEGIN; LOCK TABLE room_depth IN SHARE MODE").unwrap();
    let mut words = port.import_words(server, &package, &picks);
    words.push("--quiet".into());
    let mut child = program().args(words).stdout(Stdio::null()).spawn().unwrap();
    let waits = wait::until(Duration::from_mins(1), || {
        let sql = "SELECT count(*) FROM pg_stat_activity
                   WHERE wait_event_type = 'Lock' AND datname = 'synapse'";
        Ok(cluster.psql("postgres", sql)? == "1")
    });
    child.kill().unwrap();
    child.wait().unwrap();
    drop(held);
    assert!(waits.unwrap());
    let there = "SELECT (SELECT count(*) FROM users WHERE name = '@heidi:lifeboat.test'),
                        (SELECT count(*) FROM rooms WHERE room_id IN ('{}', '{}'))";
    let there = there.replacen("{}", &rooms[0], 1).replacen("{}", &rooms[1], 1);
    assert_eq!(port.sql(server, &there), "1|0");
    let open = port.sql(server, "SELECT id FROM lifeboat.merge WHERE NOT finished");
    let outcome = port.import(server, &package, &picks).result(DONE);
    assert_eq!(outcome["id"], open, "{outcome}");
    assert_eq!(port.sql(server, &there), "1|2");
    report::demand(&outcome, &[("client access", "not-checked")]);
    harm(&port, &rooms[0]);
    let said = port.import(server, &package, &picks);
    let outcome = said.result(NOT_VALID);
    assert_eq!(outcome["changed"], false, "{outcome}");
    for name in ["events", "access"] {
        assert_eq!(report::check(&outcome, name)["wrong"], 1, "{outcome:#}");
    }
}

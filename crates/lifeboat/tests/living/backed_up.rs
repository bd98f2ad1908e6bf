//! Rooms that were purged by mistake, out of the backup of last night, while the server lives on.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::history::{purge_before, purge_history};
use crate::person::lose_upload;
use crate::port::{Port, call};
use crate::program::{DONE, GAPS, lifeboat};
use crate::report;

const PURGED: [&str; 3] = ["lobby", "encrypted", "twelve"];

/// See the same list in [`crate::purged`].
const MAY_DIFFER: [&str; 3] = ["to-device/@alice:*", "unread/*", "search/boat"];

/// Describes the server in a `lifeboat.yaml`, and backs it up.
pub(crate) fn back_up(port: &Port) -> PathBuf {
    let folder = port.world.directory();
    let configs = port.world.server.config_paths();
    let configs: Vec<String> = configs.iter().map(|path| path.display().to_string()).collect();
    let yaml = folder.join("lifeboat.yaml");
    let text = format!(
        "server_name: {server}\nvault: {folder}/vault\nrecipients: [{recipient}]\n\
         state: {folder}/state\ncomponents:\n  - kind: synapse\n    config: [{configs}]\n",
        server = port.world.server.server_name(),
        folder = folder.display(),
        recipient = port.recipient,
        configs = configs.join(", "),
    );
    fs::write(&yaml, text).unwrap();
    let role = port.world.server.role().name.as_str();
    port.world.cluster.psql("postgres", &format!("ALTER ROLE {role} CREATEDB")).unwrap();
    lifeboat(["backup", "run", "--json", "-c", yaml.to_str().unwrap()]).result(DONE);
    yaml
}

/// Takes rooms out of the newest backup.
fn taken_out(port: &Port, yaml: &Path, (rooms, more): (&[String], &[&str])) -> (PathBuf, Value) {
    let package = port.world.directory().join(format!("rooms{}.lifeboat", more.len()));
    let mut words = vec!["backup", "export", "--json", "-c", yaml.to_str().unwrap()];
    words.extend(["-i", port.identity.to_str().unwrap(), "-o", package.to_str().unwrap()]);
    words.extend(rooms.iter().flat_map(|room| ["--room", room.as_str()]));
    words.extend(more);
    let said = lifeboat(words);
    assert!([DONE, GAPS].contains(&said.exit), "{said:?}");
    (package, said.result(said.exit))
}

/// Restores the newest backup, and starts nothing.
fn restored(port: &Port, yaml: &Path, more: &[&str]) -> Value {
    let mut words = vec!["restore", "run", "--json", "--no-start", "-c", yaml.to_str().unwrap()];
    words.extend(["-i", port.identity.to_str().unwrap()]);
    words.extend(more);
    lifeboat(words).result(GAPS)
}

/// What the step that takes back again said.
fn taken_back(outcome: &Value) -> (String, String) {
    let steps = outcome["steps"].as_array().unwrap();
    let is_it = |step: &&Value| step[0]["name"] == "erasures/synapse";
    let done = &steps.iter().find(is_it).unwrap()[1];
    (done["lines"].to_string(), done["gaps"].to_string())
}

#[test]
fn what_was_taken_back_after_a_backup_is_taken_back_again_by_its_restore() {
    const WORDS: &str = "words that were taken back";
    let mut port = Port::open();
    let server = &port.world.server;
    let (lobby, purged) = (port.room("lobby"), port.room("twelve"));
    let said = port.say(server, (1, &lobby), WORDS);
    let yaml = back_up(&port);
    let path = format!("/_matrix/client/v3/rooms/{lobby}/redact/{said}/1");
    let answer = call(server, ("PUT", &path), Some(port.token(1)), Some("{}"));
    assert_eq!(answer.status, 200, "{}", answer.text());
    port.purge(&purged);
    let cut = port.room("chat-0");
    let whole = messages(&port, &cut);
    purge_history(&port, &cut);
    let kept = messages(&port, &cut);
    let young = port.room("chat-1");
    purge_before(&port, &young, &port.say(server, (0, &young), "said after the backup"));
    assert!(!kept.is_empty() && kept.len() < whole.len(), "{kept:?} of {whole:?}");
    let person = port.state["people"][3]["user_id"].as_str().unwrap().to_owned();
    let path = format!("/_synapse/admin/v1/deactivate/{person}");
    port.ask(server, ("POST", &path), Some("{\"erase\": true}"));
    let note =
        || lifeboat(["backup", "erasures", "--json", "-c", yaml.to_str().unwrap()]).result(DONE);
    let noted = note();
    // A list goes back some minutes, in which the server may have been seeded.
    let some = |what: &str| noted[what].as_u64().is_some_and(|count| count >= 1);
    assert!(some("redacted") && some("purged"), "{noted}");
    assert_eq!(note()["is_news"], false, "it was listed before");

    let folder = port.world.directory().to_owned();
    let words = format!("SELECT count(*) FROM event_json WHERE json LIKE '%{WORDS}%'");
    let (lists, away) = (folder.join("vault/erasures"), folder.join("erasures"));
    fs::rename(&lists, &away).unwrap();
    let root = folder.join("bare");
    let beside = ["--beside", "_bare", "--root", root.to_str().unwrap()];
    let (_, gaps) = taken_back(&restored(&port, &yaml, &beside));
    assert!(gaps.contains("nothing in the vault says"), "{gaps}");
    let bare = format!("{}_bare", server.database());
    assert_eq!(port.world.cluster.psql(&bare, &words).unwrap(), "1", "a backup brings them back");
    fs::rename(&away, &lists).unwrap();

    port.world.server.stop();
    let (lines, gaps) = taken_back(&restored(&port, &yaml, &["--replace"]));
    let all = "1 people forgotten again, 1 accounts closed again, 1 events redacted again";
    assert!(lines.contains(all), "{lines}");
    assert!(gaps.contains(&person) && gaps.contains(&format!("{purged} was purged")), "{gaps}");
    port.world.server.start().unwrap();
    let server = &port.world.server;
    assert_eq!(port.sql(server, &words), "0");
    let found = "SELECT count(*) FROM event_search WHERE vector @@ to_tsquery('english', 'taken')";
    assert_eq!(port.sql(server, found), "0");
    let path = format!("/_matrix/client/v3/rooms/{lobby}/event/{said}");
    let answer = call(server, ("GET", &path), Some(port.token(0)), None);
    assert!(answer.text().contains("\"content\":{}"), "{}", answer.text());
    let path = "/_matrix/client/v3/account/whoami";
    assert_eq!(call(server, ("GET", path), Some(port.token(3)), None).status, 401);
    assert_eq!(call(server, ("GET", path), Some(port.token(1)), None).status, 200);
    assert_eq!(messages(&port, &cut), whole, "the backup brought it back");
    let late = [port.sql(server, &late(&cut, "e.received_ts")), "4102444800000".to_owned()];
    port.sql(server, &arrived(&cut, &late[1]));
    done_again(&port, &yaml, (&purged, &person));
    assert_eq!(messages(&port, &cut), whole, "what came after the purge is not purged");
    port.sql(server, &arrived(&cut, &late[0]));
    let young_whole = messages(&port, &young);
    assert!(young_whole.len() > 1, "{young_whole:?}");
    cut_again(&port, &yaml, (&cut, &kept));
    assert_eq!(messages(&port, &young), young_whole, "up to where is not in the backup");
    note();
    let count = || fs::read_dir(&lists).unwrap().count();
    let before = count();
    lifeboat(["backup", "run", "--json", "-c", yaml.to_str().unwrap()]).result(DONE);
    assert_eq!(count(), before + 1, "each backup is followed by a list, of nothing new too");
    assert_eq!(server.errors_in_log().unwrap(), Vec::<String>::new());
}

/// The messages of a room, in their order.
fn messages(port: &Port, room: &str) -> Vec<String> {
    let sql = format!(
        "SELECT event_id FROM events WHERE room_id = '{room}' AND type = 'm.room.message'
         ORDER BY topological_ordering, stream_ordering"
    );
    port.sql(&port.world.server, &sql).lines().map(str::to_owned).collect()
}

/// Asks about the oldest message of a room.
fn late(room: &str, what: &str) -> String {
    format!(
        "SELECT {what} FROM events e WHERE e.room_id = '{room}' AND e.type = 'm.room.message'
         ORDER BY e.topological_ordering, e.stream_ordering LIMIT 1"
    )
}

/// Says when the oldest message of a room came.
fn arrived(room: &str, at: &str) -> String {
    let oldest = late(room, "e.event_id");
    format!("UPDATE events SET received_ts = {at} WHERE event_id = ({oldest})")
}

/// Has history purged again: what was purged, and nothing else.
fn cut_again(port: &Port, yaml: &Path, (room, kept): (&str, &[String])) {
    let said = port.say(&port.world.server, (0, room), "said after the restore");
    let token = port.world.directory().join("token.txt");
    let mut words = vec!["restore", "erasures", "latest", "--json", "-c", yaml.to_str().unwrap()];
    words.extend(["-i", port.identity.to_str().unwrap()]);
    words.extend(["--yes", "--admin-token-file", token.to_str().unwrap()]);
    let said_of = |outcome: &Value| {
        let things = outcome["things"].as_array().unwrap().clone();
        things.into_iter().find(|thing| thing["id"] == room)
    };
    let answer = lifeboat(words.clone());
    let outcome = answer.result(answer.exit);
    let thing = said_of(&outcome).unwrap_or_else(|| panic!("{outcome}"));
    assert_eq!((&thing["what"], &thing["done"]), (&"purge-history".into(), &true.into()));
    let expected: Vec<String> = kept.iter().cloned().chain([said]).collect();
    assert_eq!(messages(port, room), expected);
    let answer = lifeboat(words);
    let outcome = answer.result(answer.exit);
    assert_eq!(said_of(&outcome), None, "nothing is left of it: {outcome}");
}

/// Has a room purged and an account closed again by the Synapse that was restored.
fn done_again(port: &Port, yaml: &Path, (room, person): (&str, &str)) {
    let server = &port.world.server;
    let rows = |table: &str, column: &str, id: &str| {
        port.sql(server, &format!("SELECT count(*) FROM {table} WHERE {column} = '{id}'"))
    };
    assert_ne!(rows("events", "room_id", room), "0", "the backup brought it back");
    let token = port.world.directory().join("token.txt");
    let said = |who: Option<usize>| {
        let mut words =
            vec!["restore", "erasures", "latest", "--json", "-c", yaml.to_str().unwrap()];
        words.extend(["-i", port.identity.to_str().unwrap()]);
        if let Some(who) = who {
            fs::write(&token, format!("{}\n", port.token(who))).unwrap();
            words.extend(["--yes", "--admin-token-file", token.to_str().unwrap()]);
        }
        lifeboat(words)
    };
    // History of another room is left open: one of its events came after the purge.
    let is_other_history = |thing: &Value| thing["what"] == "purge-history" && thing["id"] != room;
    let redo = |who: Option<usize>| {
        let said = said(who);
        let outcome = said.result(said.exit);
        let things = outcome["things"].as_array().unwrap();
        let is_open = things.iter().any(|thing| thing["done"] == false);
        assert_eq!(said.exit, if is_open { GAPS } else { DONE }, "{outcome}");
        outcome
    };
    let listed = redo(None);
    let open = |outcome: &Value, what: &str, id: &str, done: bool| {
        let things = outcome["things"].as_array().unwrap().clone();
        let is_it = |thing: &&Value| thing["what"] == what && thing["id"] == id;
        let thing = things.iter().find(is_it).unwrap_or_else(|| panic!("{outcome}"));
        assert_eq!(thing["done"], done, "{outcome}");
    };
    open(&listed, "purge-room", room, false);
    open(&listed, "erase", person, false);
    assert_eq!(listed["acted"], false);
    assert!(listed.to_string().contains("an event that is not in the backup"), "{listed}");
    assert!(listed.to_string().contains("1 events that came after that purge"), "{listed}");
    let refused = said(Some(1));
    assert!(refused.exit == 1 && refused.stdout.contains("users.admin = 1"), "{refused:?}");
    assert_ne!(rows("events", "room_id", room), "0", "nothing was done by somebody else");
    assert_ne!(rows("devices", "user_id", person), "0", "what a restore alone leaves");

    let outcome = redo(Some(0));
    open(&outcome, "purge-room", room, true);
    open(&outcome, "erase", person, true);
    for (table, column, id) in [
        ("events", "room_id", room),
        ("rooms", "room_id", room),
        ("event_json", "room_id", room),
        ("account_data", "user_id", person),
        ("user_threepids", "user_id", person),
        ("access_tokens", "user_id", person),
    ] {
        assert_eq!(rows(table, column, id), "0", "{table}");
    }
    let admin = |path: &str| call(server, ("GET", path), Some(port.token(0)), None);
    assert_eq!(admin(&format!("/_synapse/admin/v1/rooms/{room}")).status, 404);
    let account = port.ask(server, ("GET", &format!("/_synapse/admin/v2/users/{person}")), None);
    let is = (account["deactivated"].clone(), account["erased"].clone());
    assert_eq!(is, (true.into(), true.into()), "{account}");
    let name = account["displayname"].as_str().unwrap_or_default();
    assert_eq!(name, "", "who is erased has no name: {account}");
    let again = redo(Some(0));
    let things = again["things"].as_array().unwrap();
    assert!(things.iter().all(is_other_history), "{again}");
    assert_eq!(again["acted"], !things.is_empty());
    for what in ["rooms_gone", "accounts_closed"] {
        let count = |outcome: &Value| outcome[what].as_u64().unwrap();
        assert_eq!(count(&again), count(&listed) + 1, "{what}: {again} after {listed}");
    }
}

#[test]
fn purged_rooms_and_a_lost_upload_come_back_out_of_a_backup_into_the_living_server() {
    let mut port = Port::open();
    let before = port.facts(&port.world.server, "before");
    let yaml = back_up(&port);
    let rooms: Vec<String> = PURGED.iter().map(|name| port.room(name)).collect();
    let (path, bytes) = lose_upload(&port, &rooms[0]);
    for room in &rooms {
        port.purge(room);
    }

    let (_, outcome) = taken_out(&port, &yaml, (&rooms, &[]));
    let gaps = outcome["gaps"].to_string();
    assert!(gaps.contains("2 of its keys lie in key backups"), "a purge deleted them: {gaps}");
    let everybody = ["--user", "@*:lifeboat.test"];
    let (package, outcome) = taken_out(&port, &yaml, (&rooms, &everybody));
    assert_eq!(outcome["rooms"], 3, "{outcome}");
    assert!(outcome["recovery_point"].as_str().unwrap().starts_with("20"), "{outcome}");
    assert_eq!(outcome["left"], serde_json::json!([]), "{outcome}");
    let gaps = outcome["gaps"].to_string();
    assert!(!gaps.contains("media-missing") && !gaps.contains("keys"), "{gaps}");
    let names = port.world.cluster.psql("postgres", "SELECT datname FROM pg_database").unwrap();
    assert!(!names.contains("_export"), "{names}");
    assert!(!port.world.directory().join("state/export").exists());

    let picks: Vec<&str> = rooms.iter().flat_map(|room| ["--room", room]).collect();
    let outcome = port.import(&port.world.server, &package, &picks).result(DONE);
    report::demand(&outcome, &[("client access", "not-checked")]);
    assert_eq!(fs::read(path).unwrap(), bytes);
    port.world.server.stop();
    port.world.server.start().unwrap();
    let after = port.facts(&port.world.server, "after");
    let report = port.world.compare(&before, &after, &MAY_DIFFER).unwrap_or_else(|e| panic!("{e}"));
    assert!(report.contains(" 0 different"), "{report}");
    assert_eq!(port.world.server.errors_in_log().unwrap(), Vec::<String>::new());
}

//! What belongs to people and names: put back in place of what is there, or given to another
//! account of the same person; and everybody gets back what they had when it is taken back.

use std::fs;
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::port::{Port, call, escaped, undo};
use crate::program::{DONE, GAPS};
use crate::report;

const ALICE: &str = "@alice:lifeboat.test";
const BOB: &str = "@bob:lifeboat.test";
/// Who was Bob.
const ROBERT: &str = "@robert:lifeboat.test";
/// Whose account is lost.
const LOST: &str = "@heidi:lifeboat.test";
const MAPPED: &str = "#harbour:lifeboat.test";

/// What was changed on the server after the export.
struct Changed {
    room: String,
    lobby: String,
    /// The alias that leads elsewhere, and the one that is given another name.
    aliases: [String; 2],
    /// A file that became another: id, place, its bytes.
    media: (String, PathBuf, Vec<u8>),
    /// What the new account logs in with.
    token: String,
}

fn put(port: &Port, path: &str, body: &Value) {
    port.ask(&port.world.server, ("PUT", path), Some(&body.to_string()));
}

/// Alice is set up in another way, an alias leads elsewhere, a file is another, Bob has a new
/// account, Heidi has none, a room is gone.
fn change(port: &mut Port) -> Changed {
    let [room, lobby] = ["chat-0", "lobby"].map(|name| port.room(name));
    port.purge(&room);
    let token = people(port);
    let sql = format!("SELECT room_alias FROM room_aliases WHERE room_id = '{lobby}' ORDER BY 1");
    let aliases = port.sql(&port.world.server, &sql);
    let aliases: Vec<String> = aliases.lines().map(str::to_owned).collect();
    let [moved, renamed] = aliases.try_into().unwrap();
    for alias in [&moved, &renamed] {
        let path = format!("/_matrix/client/v3/directory/room/{}", escaped(alias));
        port.ask(&port.world.server, ("DELETE", &path), None);
    }
    let path = format!("/_matrix/client/v3/directory/room/{}", escaped(&moved));
    put(port, &path, &json!({"room_id": port.room("chat-1")}));
    port.world.server.stop();
    port.sql(&port.world.server, &format!("DELETE FROM users WHERE name = '{LOST}'"));
    let media = replaced_file(port);
    lose_upload(port, &lobby);
    Changed { room, lobby, aliases: [moved, renamed], media, token }
}

/// What the new account of Bob logs in with.
fn people(port: &Port) -> String {
    let path = format!("/_synapse/admin/v2/users/{ROBERT}");
    let body = json!({"password": "Robert 1"}).to_string();
    let made = call(&port.world.server, ("PUT", &path), Some(port.token(0)), Some(&body));
    assert_eq!(made.status, 201, "{}", made.text());
    let path = format!("/_synapse/admin/v1/users/{ROBERT}/login");
    let login = port.ask(&port.world.server, ("POST", &path), Some("{}"));
    let of_alice = format!("/_matrix/client/v3/user/{ALICE}/account_data");
    put(port, &format!("{of_alice}/org.example.new"), &json!({"stays": true}));
    put(port, &format!("{of_alice}/com.example.odd"), &json!({"was": "changed"}));
    let path = format!("/_matrix/client/v3/profile/{ALICE}/displayname");
    put(port, &path, &json!({"displayname": "Somebody else"}));
    login["access_token"].as_str().unwrap().to_owned()
}

fn replaced_file(port: &Port) -> (String, PathBuf, Vec<u8>) {
    let server = &port.world.server;
    let sql = format!(
        "SELECT media_id FROM local_media_repository WHERE user_id = '{ALICE}' AND url_cache IS NULL
           AND sha256 IS NOT NULL ORDER BY 1 LIMIT 1"
    );
    let id = port.sql(server, &sql);
    let place = server.media_store().join("local_content");
    let place = place.join(&id[..2]).join(&id[2..4]).join(&id[4..]);
    let bytes = fs::read(&place).unwrap();
    fs::write(&place, "other bytes").unwrap();
    let sql = format!(
        "UPDATE local_media_repository
         SET sha256 = encode(sha256('other bytes'), 'hex'), media_length = 11
         WHERE media_id = '{id}'"
    );
    port.sql(server, &sql);
    (id, place, bytes)
}

/// A file that Bob sent to a room is gone, with its row; where it was, and what was in it.
pub(crate) fn lose_upload(port: &Port, room: &str) -> (PathBuf, Vec<u8>) {
    let server = &port.world.server;
    let sql = format!(
        "SELECT m.media_id FROM local_media_repository m
         JOIN event_json j ON j.room_id = '{room}' AND strpos(j.json, m.media_id) > 0
         WHERE m.user_id = '{BOB}' ORDER BY 1 LIMIT 1"
    );
    let id = port.sql(server, &sql);
    let place = server.media_store().join("local_content");
    let path = place.join(&id[..2]).join(&id[2..4]).join(&id[4..]);
    let bytes = fs::read(&path).unwrap();
    fs::remove_file(&path).unwrap();
    for table in ["local_media_repository_thumbnails", "local_media_repository"] {
        port.sql(server, &format!("DELETE FROM {table} WHERE media_id = '{id}'"));
    }
    (path, bytes)
}

/// Changes the block of `id` in a plan.
fn edit(plan: &mut String, id: &str, from: &str, to: &str) {
    let at = plan.find(&format!("- id: \"{id}\"")).unwrap_or_else(|| panic!("{id}: {plan}"));
    let end = plan[at + 1..].find("  - id:").map_or(plan.len(), |end| at + 1 + end);
    let block = plan[at..end].replacen(from, to, 1);
    assert_ne!(block, plan[at..end], "{from}");
    plan.replace_range(at..end, &block);
}

#[test]
fn belongings_are_replaced_or_go_to_another_account_and_come_back_when_taken_back() {
    let mut port = Port::open();
    let package = port.export("server.lifeboat", &[]);
    let changed = change(&mut port);
    let before = port.content(&port.world.server);
    let file = port.world.directory().join("plan.yaml");
    let mapped = format!("{BOB}={ROBERT}");
    let picks = [
        ["--room", &changed.room],
        ["--room", &changed.lobby],
        ["--user", ALICE],
        ["--map-user", &mapped],
        ["--plan", file.to_str().unwrap()],
    ]
    .concat();
    port.import(&port.world.server, &package, &picks).result(DONE);
    let mut plan = fs::read_to_string(&file).unwrap();
    edit(&mut plan, ALICE, "action: skip", "action: replace");
    edit(&mut plan, &changed.aliases[0], "action: skip", "action: replace");
    let map = format!("action: map\n    to: \"{MAPPED}\"");
    edit(&mut plan, &changed.aliases[1], "action: add", &map);
    edit(&mut plan, &changed.media.0, "action: skip", "action: replace");
    let plan = plan.replace("missing_members: placeholder", "missing_members: drop");
    fs::write(&file, plan).unwrap();

    let outcome = port.import(&port.world.server, &package, &picks).result(DONE);
    report::demand(&outcome, &[("client access", "not-checked")]);
    assert_eq!(outcome["dropped_memberships"], 1, "{outcome}");
    let told = &outcome["mapped"][0];
    assert!(told["events"].as_u64().unwrap() > 0, "{told}");
    assert!(told["rows"]["room_tags"].as_u64().unwrap() > 0, "{told}");
    assert!(told["stays"]["e2e_device_keys_json"].as_u64().unwrap() > 0, "{told}");
    assert_eq!(fs::read(&changed.media.1).unwrap(), changed.media.2);
    let sql = format!(
        "SELECT (SELECT count(*) FROM local_media_repository WHERE user_id = '{ROBERT}'),
                (SELECT count(*) > 0 FROM receipts_linearized WHERE user_id = '{ROBERT}'
                   AND room_id = '{}')",
        changed.room
    );
    assert_eq!(port.sql(&port.world.server, &sql), "1|t");
    let rows = port.content(&port.world.server);
    let again = port.import(&port.world.server, &package, &picks);
    let again = again.result(again.exit);
    assert_eq!((&again["changed"], &again["id"]), (&json!(false), &Value::Null), "{again}");
    assert_eq!(differing(&rows, &port.content(&port.world.server)), [""; 0]);
    let nobody = format!("@nobody:lifeboat.test={ROBERT}");
    let wish = ["--room", &changed.lobby, "--user", ALICE, "--dry-run", "--map-user", &nobody];
    let told = port.import(&port.world.server, &package, &wish).result(GAPS);
    assert!(told["warnings"].to_string().contains("nothing of @nobody:lifeboat.test"), "{told}");

    undo(&port.world.server, outcome["id"].as_str().unwrap()).result(DONE);
    assert_eq!(differing(&before, &port.content(&port.world.server)), MAY_STAY);
    assert_eq!(fs::read(&changed.media.1).unwrap(), b"other bytes");

    port.import(&port.world.server, &package, &picks).result(DONE);
    port.world.server.start().unwrap();
    seen(&port, &changed);
    port.world.server.stop();
    // A running Synapse lists people anew, which is in nobody's way.
    let server = &port.world.server;
    let id = port.sql(server, "SELECT id FROM lifeboat.merge WHERE undone IS NULL");
    undo(server, &id).result(DONE);
    let outcome = port.import(server, &package, &picks).result(DONE);
    let sql = format!(
        "UPDATE account_data SET content = '{{}}'
         WHERE user_id = '{ALICE}' AND account_data_type = 'com.example.odd'"
    );
    port.sql(server, &sql);
    let refused = undo(server, outcome["id"].as_str().unwrap());
    assert_eq!(refused.exit, 1, "{refused:?}");
    let obstacle = "account_data of @alice:lifeboat.test: rows that changed since: 1";
    assert!(refused.stdout.contains(obstacle), "{refused:?}");
    assert_eq!(server.errors_in_log().unwrap(), Vec::<String>::new());
}

/// Tables that need not be as before: positions stay moved on, what Synapse is asked to do stays
/// asked, and the leftovers of its purge stay cleared.
const MAY_STAY: [&str; 5] = [
    "appservice_stream_position",
    "background_updates",
    "federation_stream_position",
    "room_ban_redactions",
    "threads",
];

/// The tables whose content is another.
fn differing<'a>(before: &'a str, after: &str) -> Vec<&'a str> {
    let differing = before.lines().filter(|line| !after.lines().any(|other| other == *line));
    differing.filter_map(|line| line.split(' ').next()).collect()
}

/// Clients see what the package has, under the names that the plan gave.
fn seen(port: &Port, changed: &Changed) {
    let server = &port.world.server;
    let of = |token: &str, path: &str| -> Value {
        let path = format!("/_matrix/client/v3/{path}");
        let answer = call(server, ("GET", &path), Some(token), None);
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        serde_json::from_slice(&answer.body).unwrap()
    };
    let alice = port.token(0);
    let profile = of(alice, &format!("profile/{ALICE}"));
    assert_ne!(profile["displayname"], "Somebody else", "{profile}");
    let odd = of(alice, &format!("user/{ALICE}/account_data/com.example.odd"));
    assert_eq!(odd["was"], Value::Null, "{odd}");
    let new = of(alice, &format!("user/{ALICE}/account_data/org.example.new"));
    assert_eq!(new, json!({"stays": true}));
    for alias in [changed.aliases[0].as_str(), MAPPED] {
        let found = of(alice, &format!("directory/room/{}", escaped(alias)));
        assert_eq!(found["room_id"], changed.lobby, "{alias}");
    }
    let odd = of(&changed.token, &format!("user/{ROBERT}/account_data/com.example.odd"));
    assert_eq!(odd, of(port.token(1), &format!("user/{BOB}/account_data/com.example.odd")));
    let tags = |user: &str, token: &str| {
        of(token, &format!("user/{user}/rooms/{}/tags", escaped(&changed.lobby)))
    };
    assert_eq!(tags(ROBERT, &changed.token), tags(BOB, port.token(1)));
    let sql = format!(
        "SELECT count(*) FROM events WHERE room_id = '{}' AND sender = '{BOB}'",
        changed.room
    );
    assert_ne!(port.sql(server, &sql), "0");
}

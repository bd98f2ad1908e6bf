//! Rooms told again on a server of another name say the same: who, what, when, and about what.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use lifeboat_testing::{Homeserver, ServerOptions, wait};
use serde_json::{Value, json};

use crate::port::{Port, call, escaped, signer};
use crate::program::{DONE, GAPS, Said, lifeboat};

const NAME: &str = "new.test";
const BOT: &str = "@_lb_:new.test";

/// A homeserver of another name, and what tells rooms there.
struct Elsewhere {
    server: Homeserver,
    registration: PathBuf,
    token: String,
    package: PathBuf,
    identity: PathBuf,
    ids: PathBuf,
    signer: String,
}

/// A registration as the program writes it, and the token in it.
fn registration(path: &Path) -> String {
    let words = ["import".as_ref(), "--json".as_ref(), "--as-transcript".as_ref()];
    let said =
        lifeboat(words.into_iter().chain(["--write-registration".as_ref(), path.as_os_str()]));
    said.result(DONE);
    let text = fs::read_to_string(path).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix("as_token: ")).unwrap();
    assert!(!said.stdout.contains(line));
    line.to_owned()
}

impl Elsewhere {
    fn open(port: &Port) -> Self {
        let role = port.world.server.role().clone();
        let cluster = &port.world.cluster;
        cluster.create_database("elsewhere", &role).unwrap();
        let directory = port.world.directory().join("elsewhere");
        let options = ServerOptions {
            server_name: NAME.to_owned(),
            database: "elsewhere".to_owned(),
            state_database: None,
            role,
        };
        let tools = port.world.tools();
        let mut server = Homeserver::prepare(tools, &directory, cluster, options).unwrap();
        server.make_signing_key().unwrap();
        let path = directory.join("appservices/lifeboat.yaml");
        let token = registration(&path);
        let services = format!("app_service_config_files: [\"{}\"]\n", path.display());
        fs::write(directory.join("conf.d/30-transcript.yaml"), services).unwrap();
        server.start().unwrap();
        Self {
            server,
            registration: path,
            token,
            package: port.export("server.lifeboat", &[]),
            identity: port.identity.clone(),
            ids: port.world.directory().join("ids.jsonl"),
            signer: signer(&port.world.server),
        }
    }

    /// Has the server let few messages through from now on.
    fn hold_back(&mut self) {
        self.server.stop();
        let text = fs::read_to_string(&self.registration).unwrap();
        let limited = text.replace("rate_limited: false", "rate_limited: true");
        assert_ne!(text, limited);
        fs::write(&self.registration, limited).unwrap();
        let path = self.server.directory().join("conf.d/40-slow.yaml");
        fs::write(path, "rc_message: {per_second: 4, burst_count: 1}\n").unwrap();
        self.server.start().unwrap();
    }

    fn words(&self, rooms: &[String], more: &[&str]) -> Vec<OsString> {
        let mut words: Vec<OsString> = vec!["import".into(), self.package.clone().into()];
        words.extend(["--json", "--quiet", "--as-transcript", "-i"].map(Into::into));
        words.push(self.identity.clone().into());
        words.extend(["--accept-signer".into(), self.signer.clone().into()]);
        words.extend(["--id-map".into(), self.ids.clone().into()]);
        words.extend(["--homeserver".into(), self.server.base_url().into()]);
        words.extend(["--registration".into(), self.registration.clone().into()]);
        words.extend(rooms.iter().flat_map(|room| ["--room".into(), room.into()]));
        words.extend(more.iter().map(Into::into));
        words
    }

    fn tell(&self, rooms: &[String], more: &[&str]) -> Said {
        lifeboat(self.words(rooms, more))
    }

    /// Tells rooms and is killed when so many events are told.
    fn tell_until(&self, rooms: &[String], events: usize) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_lifeboat"));
        command.env_clear().stdin(Stdio::null()).stdout(Stdio::null());
        let mut child = command.args(self.words(rooms, &[])).spawn().unwrap();
        let told = || fs::read_to_string(&self.ids).unwrap_or_default().matches("event").count();
        let in_time = wait::until(Duration::from_mins(2), || Ok(told() >= events)).unwrap();
        child.kill().unwrap();
        let status = child.wait().unwrap();
        assert!(in_time && status.code().is_none(), "{status}");
    }

    fn ask(&self, path: &str) -> Value {
        let answer = call(&self.server, ("GET", path), Some(&self.token), None);
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        serde_json::from_slice(&answer.body).unwrap()
    }

    /// Rooms before and now, by what they say themselves.
    fn rooms(&self) -> BTreeMap<String, String> {
        let mut rooms = BTreeMap::new();
        let joined = self.ask("/_matrix/client/v3/joined_rooms");
        for room in joined["joined_rooms"].as_array().unwrap() {
            let room = room.as_str().unwrap();
            let path = format!("/_matrix/client/v3/rooms/{}/state/m.room.create/", escaped(room));
            let old = self.ask(&path)["org.lifeboat.original"]["room_id"].clone();
            let before = rooms.insert(old.as_str().unwrap().to_owned(), room.to_owned());
            assert_eq!(before, None, "made twice: {old}");
        }
        rooms
    }

    fn timeline(&self, room: &str) -> Vec<Value> {
        let path = "/messages?dir=f&limit=1000";
        said(&self.ask(&format!("/_matrix/client/v3/rooms/{}{path}", escaped(room))))
    }

    fn state(&self, room: &str, kind: &str) -> Value {
        self.ask(&format!("/_matrix/client/v3/rooms/{}/state/{kind}/", escaped(room)))
    }
}

/// The events of an answer of `/messages` that are no state.
fn said(answer: &Value) -> Vec<Value> {
    let chunk = answer["chunk"].as_array().unwrap();
    assert!(chunk.len() < 1000, "one page is all");
    chunk.iter().filter(|event| event.get("state_key").is_none()).cloned().collect()
}

/// The ghost of a person of the seeded world, whose names have no capitals.
fn ghost(person: &str) -> String {
    let escaped = person.trim_start_matches('@').replace('_', "__").replace(':', "=3a");
    format!("@_lb_{escaped}:{NAME}")
}

/// Where in a timeline the event is that this one is about.
fn about(timeline: &[Value], event: &Value) -> Vec<Option<usize>> {
    let relation = &event["content"]["m.relates_to"];
    let named = [
        &relation["event_id"],
        &relation["m.in_reply_to"]["event_id"],
        &event["redacts"],
        &event["content"]["redacts"],
    ];
    let named = named.into_iter().filter_map(Value::as_str);
    let mut places: Vec<Option<usize>> =
        named.map(|id| timeline.iter().position(|event| event["event_id"] == id)).collect();
    places.dedup();
    places
}

fn is_redacted(event: &Value) -> bool {
    event["unsigned"].get("redacted_because").is_some()
}

/// A file, as a server gives it out.
fn file(server: &Homeserver, token: &str, address: &str) -> Vec<u8> {
    let rest = address.strip_prefix("mxc://").unwrap();
    let path = format!("/_matrix/client/v1/media/download/{rest}");
    let answer = call(server, ("GET", &path), Some(token), None);
    assert_eq!(answer.status, 200, "{address}: {}", answer.text());
    answer.body
}

/// What a content says besides what has to be another: relations, addresses, people.
fn words(event: &Value) -> Value {
    let mut content = event["content"].clone();
    let members = content.as_object_mut().unwrap();
    for key in ["org.lifeboat.original", "m.relates_to", "m.mentions", "url", "redacts"] {
        members.remove(key);
    }
    content
}

/// Compares a room event by event; how many of which kind there were.
fn compare(
    port: &Port,
    there: &Elsewhere,
    (at, old, new): (usize, &str, &str),
    seen: &mut BTreeMap<&'static str, usize>,
) {
    let path = format!("/_matrix/client/v3/rooms/{}/messages?dir=f&limit=1000", escaped(old));
    let source = &port.world.server;
    let answer = call(source, ("GET", &path), Some(port.token(at)), None);
    let before = said(&serde_json::from_slice(&answer.body).unwrap());
    let after = there.timeline(new);
    let texts = |events: &[Value]| -> Vec<String> {
        events.iter().map(|event| format!("{} {}", event["type"], words(event))).collect()
    };
    assert_eq!(texts(&before), texts(&after));
    for (was, is) in before.iter().zip(&after) {
        assert_eq!(was["origin_server_ts"], is["origin_server_ts"], "{was} {is}");
        // Who was banned cannot take back what they said: the application service does.
        let stands_in = was["type"] == "m.room.redaction" && is["sender"] == BOT;
        let who = if stands_in { BOT.to_owned() } else { ghost(was["sender"].as_str().unwrap()) };
        assert_eq!(is["sender"], who, "{was} {is}");
        assert_eq!(is_redacted(was), is_redacted(is), "{was} {is}");
        assert_eq!(about(&before, was), about(&after, is), "{was} {is}");
        if let Some(address) = was["content"]["url"].as_str() {
            let new = is["content"]["url"].as_str().unwrap();
            assert!(new.starts_with("mxc://new.test/"), "{is}");
            let bytes = file(source, port.token(at), address);
            let copied = file(&there.server, &there.token, new);
            let lengths = (bytes.len(), copied.len());
            assert!(bytes == copied, "{lengths:?} {was} {is}");
            *seen.entry("files").or_default() += 1;
        }
        if let Some(mentioned) = was["content"]["m.mentions"]["user_ids"].as_array() {
            let ghosts: Vec<Value> =
                mentioned.iter().map(|user| ghost(user.as_str().unwrap()).into()).collect();
            assert_eq!(is["content"]["m.mentions"]["user_ids"], Value::from(ghosts));
            *seen.entry("mentions").or_default() += 1;
        }
        let way = was["content"]["m.relates_to"]["rel_type"].as_str();
        *seen.entry("redacted").or_default() += usize::from(is_redacted(was));
        *seen.entry("edits").or_default() += usize::from(way == Some("m.replace"));
        *seen.entry("threads").or_default() += usize::from(way == Some("m.thread"));
        *seen.entry("reactions").or_default() += usize::from(was["type"] == "m.reaction");
        *seen.entry("votes").or_default() += usize::from(was["type"] == "m.poll.response");
        let answers = was["content"]["m.relates_to"].get("m.in_reply_to").is_some();
        *seen.entry("replies").or_default() += usize::from(answers);
    }
    compare_members(port, there, (at, old, new));
}

fn compare_members(port: &Port, there: &Elsewhere, (at, old, new): (usize, &str, &str)) {
    let members = |answer: Value| -> BTreeMap<String, (String, Value)> {
        let chunk = answer["chunk"].as_array().unwrap().clone();
        let member = |event: Value| {
            let content = &event["content"];
            let membership = content["membership"].as_str().unwrap().to_owned();
            let user = event["state_key"].as_str().unwrap().to_owned();
            (user, (membership, content["displayname"].clone()))
        };
        chunk.into_iter().map(member).collect()
    };
    let path = |room: &str| format!("/_matrix/client/v3/rooms/{}/members", escaped(room));
    let answer = call(&port.world.server, ("GET", &path(old)), Some(port.token(at)), None);
    let before = members(serde_json::from_slice(&answer.body).unwrap());
    let before: BTreeMap<String, (String, Value)> =
        before.into_iter().map(|(user, how)| (ghost(&user), how)).collect();
    let mut after = members(there.ask(&path(new)));
    assert_eq!(after.remove(BOT).unwrap().0, "join");
    after.retain(|user, _| user.starts_with("@_lb_"));
    for (user, (membership, name)) in &before {
        let (now, called) = &after[user];
        assert_eq!(membership, now, "{user}");
        // Who leaves has no name in the past and may have the profile's now.
        assert!(membership != "join" || name == called, "{user}: {name} {called}");
    }
    assert_eq!(before.len(), after.len());
}

fn refuses(port: &Port, there: &Elsewhere) {
    let lobby = [port.room("lobby")];
    // Everything, of which some is encrypted.
    let sealed = there.tell(&[], &[]);
    assert_eq!(sealed.exit, 2, "{sealed:?}");
    assert!(sealed.stdout.contains(&port.room("encrypted")), "{sealed:?}");
    let source = &port.world.server;
    let mut same = there.words(&lobby, &[]);
    let own = source.directory().join("appservices/importer.yaml");
    same.extend(["--homeserver".into(), source.base_url().into()]);
    same.extend(["--registration".into(), own.into()]);
    let same: Vec<OsString> = without_first(&same, &["--homeserver", "--registration"]);
    let same = lifeboat(same);
    assert_eq!(same.exit, 2, "{same:?}");
    assert!(same.stdout.contains("nothing has to be told again"), "{same:?}");
    let unknown = port.world.directory().join("unknown.yaml");
    registration(&unknown);
    let mut words = there.words(&lobby, &[]);
    words.extend(["--registration".into(), unknown.into()]);
    let said = lifeboat(without_first(&words, &["--registration"]));
    assert_eq!(said.exit, 1, "{said:?}");
    assert!(said.stdout.contains("app_service_config_files"), "{said:?}");
    let mut words = there.words(&lobby, &[]);
    words.retain(|word| word != "--accept-signer" && *word != *there.signer);
    let said = lifeboat(words);
    assert_eq!(said.exit, 4, "{said:?}");
    let planned = there.tell(&lobby, &["--dry-run"]).result(DONE);
    assert!(planned["told"].as_u64().unwrap() > 50, "{planned}");
    assert!(!there.ids.exists());
    assert_eq!(there.rooms(), BTreeMap::new());
}

/// The words without the first use of each of these flags.
fn without_first(words: &[OsString], flags: &[&str]) -> Vec<OsString> {
    let mut left = words.to_vec();
    for flag in flags {
        let at = left.iter().position(|word| word == flag).unwrap();
        left.drain(at..at + 2);
    }
    left
}

#[test]
fn rooms_say_the_same_on_a_server_of_another_name() {
    let port = Port::open();
    let mut there = Elsewhere::open(&port);
    refuses(&port, &there);
    // Who reads a room before: the one who made it.
    let labels = [
        ("lobby", 0),
        ("private", 1),
        ("chat-0", 0),
        ("chat-1", 1),
        ("chat-2", 2),
        ("knock", 1),
        ("old-days", 0),
        ("space", 0),
    ];
    let rooms: Vec<String> = labels.iter().map(|(label, _)| port.room(label)).collect();
    there.tell_until(&rooms, 70);
    let owner = format!("@warden:{NAME}");
    let outcome = there.tell(&rooms, &["--owner", &owner]).result(DONE);
    let there_before: u64 =
        outcome["rooms"].as_array().unwrap().iter().map(|r| r["there"].as_u64().unwrap()).sum();
    assert!(there_before >= 60, "{outcome}");
    let now = there.rooms();
    assert_eq!(now.len(), rooms.len());
    let mut seen = BTreeMap::new();
    for (label, at) in labels {
        let old = port.room(label);
        compare(&port, &there, (at, &old, &now[&old]), &mut seen);
    }
    assert!(seen.len() == 8 && seen.values().all(|count| *count > 0), "{seen:?}");
    state_is_brought(&port, &there, &now);
    nothing_is_told_twice(&there, &rooms, &now);
    who_was_erased_is_not_quoted(&there);
    there.hold_back();
    sealed_rooms_come_with_keys(&port, &there);
    assert_eq!(there.server.errors_in_log().unwrap(), Vec::<String>::new());
}

fn state_is_brought(port: &Port, there: &Elsewhere, now: &BTreeMap<String, String>) {
    let lobby = &now[&port.room("lobby")];
    assert_eq!(there.state(lobby, "m.room.name")["name"], "Lobby");
    assert_eq!(there.state(lobby, "m.room.join_rules")["join_rule"], "invite");
    let events = there.timeline(lobby);
    let pinned = there.state(lobby, "m.room.pinned_events")["pinned"].clone();
    let first = |at: usize| events[at]["event_id"].clone();
    assert_eq!(pinned, json!([first(0), first(1)]));
    let picture = there.state(lobby, "m.room.avatar")["url"].clone();
    file(&there.server, &there.token, picture.as_str().unwrap());
    let levels = there.state(&now[&port.room("private")], "m.room.power_levels");
    assert_eq!(levels["users"][ghost("@carol:lifeboat.test")], 50);
    assert_eq!(levels["events"]["com.example.rare"], 75);
    assert_eq!(levels["users"][format!("@warden:{NAME}")], 100);
    let space = &now[&port.room("space")];
    let child = format!(
        "/_matrix/client/v3/rooms/{}/state/m.space.child/{}",
        escaped(space),
        escaped(lobby)
    );
    assert_eq!(there.ask(&child)["via"], json!([NAME]));
}

fn nothing_is_told_twice(there: &Elsewhere, rooms: &[String], now: &BTreeMap<String, String>) {
    let timelines = || -> Vec<Value> {
        let events = now.values().flat_map(|room| there.timeline(room));
        events.map(|event| event["event_id"].clone()).collect()
    };
    let before = timelines();
    let again = there.tell(rooms, &[]).result(DONE);
    assert_eq!((&again["told"], &again["files"]), (&json!(0), &json!(0)), "{again}");
    // Without the file of ids the rooms themselves say what they are.
    fs::remove_file(&there.ids).unwrap();
    let again = there.tell(rooms, &[]).result(DONE);
    assert_eq!(again["told"], 0, "{again}");
    assert_eq!(timelines(), before);
    assert_eq!(there.rooms(), *now);
}

fn who_was_erased_is_not_quoted(there: &Elsewhere) {
    let told = there.tell(&["name:Room of the erased".to_owned()], &[]).result(DONE);
    let room = &told["rooms"][0];
    assert_eq!((&room["lost"]["erased"], &room["messages"]), (&json!(1), &json!(0)), "{told}");
    assert_eq!(there.timeline(room["new"].as_str().unwrap()), Vec::<Value>::new());
}

fn sealed_rooms_come_with_keys(port: &Port, there: &Elsewhere) {
    let alice = &port.state["people"][0];
    let keys = port.world.directory().join("recovery.txt");
    let key = alice["backup"]["key"].as_str().unwrap();
    fs::write(&keys, crate::recovery::written(key)).unwrap();
    let room = port.room("encrypted");
    let cut = port.room("cut");
    let with_keys = ["--keys", keys.to_str().unwrap()];
    let told = there.tell(&[room.clone(), cut.clone()], &with_keys).result(GAPS);
    assert!(told["warnings"].to_string().contains("rate_limited: false"), "{told}");
    let rooms = there.rooms();
    let bodies: Vec<String> = there
        .timeline(&rooms[&room])
        .iter()
        .filter_map(|event| event["content"]["body"].as_str().map(str::to_owned))
        .collect();
    let sessions = port.state["megolm_sessions"].as_array().unwrap();
    let first = sessions.iter().find(|session| session["sender"] == alice["user_id"]).unwrap();
    let plain = first["plain"].as_object().unwrap().values();
    let plain: Vec<&str> = plain.filter_map(|content| content["body"].as_str()).collect();
    assert!(plain.len() > 4, "{first}");
    for body in plain {
        assert!(bodies.iter().any(|told| told == body), "{body}");
    }
    let state =
        format!("/_matrix/client/v3/rooms/{}/state/m.room.encryption/", escaped(&rooms[&room]));
    assert_eq!(call(&there.server, ("GET", &state), Some(&there.token), None).status, 404);
    let sealed = told["rooms"].as_array().unwrap().iter().find(|told| told["old"] == room);
    assert!(sealed.unwrap()["lost"]["sealed"].as_u64().unwrap() > 0, "{told}");
    // A room whose beginning was purged has its state all the same.
    assert_eq!(there.state(&rooms[&cut], "m.room.name")["name"], "Cut");
    assert_eq!(there.timeline(&rooms[&cut]).len(), 6);
}

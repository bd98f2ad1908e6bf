//! A part of a server leaves alone: what was chosen, what it needs, nothing else.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use lifeboat_testing::World;
use serde_json::Value;

use crate::harbour::{Harbour, harbour, recipient};
use crate::program::{DONE, GAPS, Said, lifeboat, server_words};

/// Exports a part, checks the package and unpacks it; the folder.
pub(crate) fn part(harbour: &Harbour, name: &str, wish: &[&str]) -> PathBuf {
    let directory = harbour.world.directory();
    let package = directory.join(format!("{name}.lifeboat"));
    let said = export_part(harbour, &package, wish);
    assert!([DONE, GAPS].contains(&said.exit), "{said:?}");
    let (package, identity) = (package.as_os_str(), harbour.identity.as_os_str());
    let words = ["verify".as_ref(), package, "-i".as_ref(), identity];
    assert_eq!(lifeboat(words).exit, DONE);
    let folder = directory.join(name);
    let words = ["unpack".as_ref(), package, "-i".as_ref(), identity, "-d".as_ref()];
    let said = lifeboat(words.into_iter().chain([folder.as_os_str()]));
    assert!([DONE, GAPS].contains(&said.exit), "{said:?}");
    folder
}

fn export_part(harbour: &Harbour, package: &Path, wish: &[&str]) -> Said {
    let recipient = recipient(&harbour.identity);
    let mut words = vec!["export".into(), "--json".into(), "-r".into(), recipient.into()];
    words.extend(["-o".into(), package.as_os_str().to_owned()]);
    words.extend(server_words(&harbour.world.server));
    words.extend(wish.iter().map(Into::into));
    lifeboat(words)
}

/// The records of a name, none where there is no such file.
pub(crate) fn records(folder: &Path, name: &str) -> Vec<Value> {
    let text = fs::read_to_string(folder.join(format!("{name}.jsonl"))).unwrap_or_default();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn texts(records: &[Value], key: &str) -> BTreeSet<String> {
    records.iter().map(|record| record[key].as_str().unwrap().to_owned()).collect()
}

/// The lines of a query's first column.
fn column(world: &World, sql: &str) -> BTreeSet<String> {
    let lines = world.cluster.psql(world.server.database(), sql).unwrap();
    lines.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect()
}

fn room(world: &World, alias: &str) -> String {
    let sql = format!("SELECT room_id FROM room_aliases WHERE room_alias = '{alias}'");
    column(world, &sql).pop_first().expect("a room of this alias")
}

/// Unpacks some of the whole server's package; the folder.
fn unpack_part(harbour: &Harbour, name: &str, wish: &[&str]) -> PathBuf {
    let folder = harbour.world.directory().join(name);
    let mut words = vec!["unpack".into(), harbour.package.as_os_str().to_owned(), "-i".into()];
    words.extend([harbour.identity.as_os_str().to_owned(), "-d".into()]);
    words.push(folder.as_os_str().to_owned());
    words.extend(wish.iter().map(Into::into));
    let said = lifeboat(words);
    assert_eq!(said.exit, GAPS, "{said:?}");
    folder
}

/// Everything in a folder, as one text.
fn everything(folder: &Path) -> String {
    let mut found = String::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.push_str(&everything(&path));
        } else {
            found.push_str(&String::from_utf8_lossy(&fs::read(path).unwrap()));
        }
    }
    found
}

#[test]
fn one_room_leaves_whole_and_no_other_room_with_it() {
    let harbour = harbour();
    let world = &harbour.world;
    let room = room(world, "#lobby:lifeboat.test");
    let folder = part(harbour, "lobby", &["--room", "#lobby:lifeboat.test"]);
    let events = records(&folder, "rooms/events");
    assert_eq!(texts(&events, "room_id"), BTreeSet::from([room.clone()]));
    let expected = format!("SELECT event_id FROM events WHERE room_id = '{room}'");
    assert_eq!(texts(&events, "event_id"), column(world, &expected));
    assert!(events.iter().all(|event| event.get("closure").is_none()));
    for name in ["rooms", "current_state_events", "room_memberships", "receipts_linearized"] {
        let found = texts(&records(&folder, &format!("rooms/{name}")), "room_id");
        assert_eq!(found, BTreeSet::from([room.clone()]), "{name}");
    }
    let tags = format!("SELECT tag FROM room_tags WHERE room_id = '{room}'");
    assert_eq!(texts(&records(&folder, "rooms/room_tags"), "tag"), column(world, &tags));
    // Members are shown by name, and no account comes along.
    let members = format!("SELECT user_id FROM room_memberships WHERE room_id = '{room}'");
    let profiles = texts(&records(&folder, "users/profiles"), "full_user_id");
    assert!(!profiles.is_empty() && profiles.is_subset(&column(world, &members)));
    assert!(records(&folder, "users/users").is_empty());
    assert!(!folder.join("config").exists() && !folder.join("server/schema.jsonl").exists());
    let manifest = fs::read(folder.join("manifest.json")).unwrap();
    let manifest: Value = serde_json::from_slice(&manifest).unwrap();
    assert_eq!(manifest["metadata"]["export_type"], "partial");
    assert_eq!(manifest["selection"]["rooms"]["only"][0], "#lobby:lifeboat.test");
}

#[test]
fn a_slice_has_the_events_asked_for_and_what_they_need() {
    let harbour = harbour();
    let world = &harbour.world;
    let room = room(world, "#lobby:lifeboat.test");
    let dates = format!(
        "SELECT origin_server_ts FROM events WHERE room_id = '{room}' AND type = 'm.room.message'"
    );
    let dates: Vec<i64> = column(world, &dates).iter().map(|ts| ts.parse().unwrap()).collect();
    let (since, until) = (dates[dates.len() / 3], dates[dates.len() * 2 / 3]);
    let [since_text, until_text] = [since, until].map(|ms| {
        let sql = format!(
            "SELECT to_char(to_timestamp({ms} / 1000.0) AT TIME ZONE 'UTC',
                            'YYYY-MM-DD\"T\"HH24:MI:SS.MS')"
        );
        column(world, &sql).pop_first().unwrap()
    });
    let wish = ["--room", &room, "--since", &since_text, "--until", &until_text];
    let folder = part(harbour, "slice", &wish);
    let events = records(&folder, "rooms/events");
    let (along, asked): (Vec<Value>, Vec<Value>) =
        events.iter().cloned().partition(|event| event["closure"] == true);
    let expected = format!(
        "SELECT event_id FROM events WHERE room_id = '{room}' AND NOT outlier
         AND rejection_reason IS NULL
         AND origin_server_ts >= {since} AND origin_server_ts < {until}"
    );
    assert_eq!(texts(&asked, "event_id"), column(world, &expected));
    assert!(!along.is_empty());
    let all = texts(&events, "event_id");
    for event in &events {
        for auth in event["pdu"]["auth_events"].as_array().unwrap() {
            assert!(all.contains(auth.as_str().unwrap()), "{auth} of {event}");
        }
    }
    let groups = texts_of_numbers(&records(&folder, "rooms/state_groups"), "id");
    for group in records(&folder, "rooms/event_to_state_groups") {
        assert!(groups.contains(&group["state_group"].as_i64().unwrap()), "{group}");
    }
    let state = records(&folder, "rooms/state_groups_state");
    assert!(!state.is_empty() && texts(&state, "event_id").is_subset(&all));
    let read = world.directory().join("slice-read");
    let (package, identity) = (world.directory().join("slice.lifeboat"), &harbour.identity);
    let words = ["render".as_ref(), package.as_os_str(), "-i".as_ref(), identity.as_os_str()];
    let to = ["-d".as_ref(), read.as_os_str(), "--format".as_ref(), "csv".as_ref()];
    assert!([DONE, GAPS].contains(&lifeboat(words.into_iter().chain(to)).exit));
    let table = everything(&read);
    let is_told = |event: &&Value| table.contains(event["event_id"].as_str().unwrap());
    let is_said = |event: &&Value| event["pdu"]["type"] != "m.room.redaction";
    let own = |event: &&Value| event["pdu"]["content"]["m.relates_to"].is_null();
    assert!(asked.iter().filter(is_said).filter(own).all(|event| is_told(&event)));
    assert!(!along.iter().any(|event| is_told(&event)));
}

fn texts_of_numbers(records: &[Value], key: &str) -> BTreeSet<i64> {
    records.iter().map(|record| record[key].as_i64().unwrap()).collect()
}

#[test]
fn no_secret_and_no_redacted_text_leaves_with_a_part_unless_asked_for() {
    let harbour = harbour();
    let world = &harbour.world;
    let decent = ["--user", "@*:lifeboat.test", "--room", "name:*", "--media", "none"];
    // Both as Synapse stores it, with escapes, and as it reads.
    let redacted = column(
        world,
        r#"SELECT unnest(ARRAY[(regexp_match(j.json, '"body":"([^"]{8,})"'))[1],
                               j.json::json -> 'content' ->> 'body'])
           FROM redactions d
           JOIN events r ON r.event_id = d.event_id AND r.rejection_reason IS NULL
           JOIN event_json j ON j.event_id = d.redacts
           JOIN events e ON e.event_id = d.redacts AND e.type = 'm.room.message'"#,
    );
    let tokens = column(world, "SELECT token FROM access_tokens");
    let hashes = column(world, "SELECT password_hash FROM users WHERE password_hash > ''");
    assert!(redacted.len() > 2 && tokens.len() > 2 && hashes.len() > 2, "{redacted:?}");
    let kept_back = everything(&part(harbour, "decent", &decent));
    for secret in redacted.iter().chain(&tokens).chain(&hashes) {
        assert!(!kept_back.contains(secret.as_str()), "{secret}");
    }
    assert!(!kept_back.contains("\"ip\":\"1"));
    let more = ["--include-secrets", "--include-redacted"];
    let all = everything(&part(harbour, "indecent", &[&decent[..], &more].concat()));
    for secret in tokens.iter().chain(&hashes) {
        assert!(all.contains(secret.as_str()), "{secret}");
    }
    assert!(redacted.iter().any(|text| all.contains(text.as_str())));
}

#[test]
fn what_fits_nothing_is_told_and_nothing_is_written() {
    let harbour = harbour();
    let package = harbour.world.directory().join("nothing.lifeboat");
    for wish in ["!nowhere:lifeboat.test", "#nobody:lifeboat.test", "name:No such room"] {
        let said = export_part(harbour, &package, &["--room", wish]);
        assert_eq!(said.exit, 2, "{said:?}");
        assert!(said.last_json()["what"].as_str().unwrap().contains(wish), "{said:?}");
        assert!(!package.exists());
    }
}

#[test]
fn rooms_of_which_no_event_fits_leave_with_a_gap_that_says_why() {
    let harbour = harbour();
    let world = &harbour.world;
    let check = |name: &str, wish: &[&str], rooms: &str, expected: Option<&str>| {
        let package = world.directory().join(format!("{name}.lifeboat"));
        let said = export_part(harbour, &package, wish);
        let gaps = said.last_json()["outcome"]["gaps"].to_string();
        let Some(expected) = expected else {
            assert!(!gaps.contains("nothing-fits"), "{gaps}");
            return;
        };
        assert_eq!(said.exit, GAPS, "{said:?}");
        assert!(gaps.contains("nothing-fits") && gaps.contains(rooms), "{gaps}");
        assert!(gaps.contains(expected), "{expected}: {gaps}");
        let words = ["verify".as_ref(), package.as_os_str(), "-i".as_ref()];
        assert_eq!(lifeboat(words.into_iter().chain([harbour.identity.as_os_str()])).exit, DONE);
    };
    let lobby = room(world, "#lobby:lifeboat.test");
    let count = |condition: &str| {
        let sql = format!(
            "SELECT count(*) FROM events WHERE room_id = '{lobby}' AND NOT outlier
             AND rejection_reason IS NULL AND {condition}"
        );
        column(world, &sql).pop_first().unwrap()
    };
    let (all, messages) = (count("true"), count("type = 'm.room.message'"));
    let whole = format!("none of {all} events was asked for");
    let early = ["--room", &lobby, "--until", "1999-01-01"];
    check("too-early", &early, "1 room", Some(&format!("{whole}: {all} not before --until")));
    let late = ["--room", "name:*", "--since", "2999-01-01"];
    let clause = "before --since";
    check("too-late", &late, " rooms", Some(clause));
    let nobody = ["--room", &lobby, "--type", "m.room.message", "--sender", "@nobody:far.test"];
    let why = format!("{whole}: {messages} of --type, 0 of --sender");
    check("of-nobody", &nobody, "1 room", Some(&why));
    check("of-somebody", &nobody[..4], "1 room", None);
}

#[test]
fn media_of_a_room_come_along_and_no_others() {
    let harbour = harbour();
    let folder = part(harbour, "shown", &["--room", "#lobby:lifeboat.test"]);
    let index = records(&folder, "media/index");
    let events = fs::read_to_string(folder.join("rooms/events.jsonl")).unwrap();
    let profiles = fs::read_to_string(folder.join("users/profiles.jsonl")).unwrap();
    assert!(!index.is_empty());
    for file in &index {
        let mxc = file["mxc"].as_str().unwrap();
        assert!(events.contains(mxc) || profiles.contains(mxc), "{file}");
        let path = folder.join("media/files").join(file["path"].as_str().unwrap());
        assert_eq!(fs::metadata(&path).unwrap().len(), file["length"].as_u64().unwrap(), "{file}");
    }
    let small = part(
        harbour,
        "images",
        &["--room", "#lobby:lifeboat.test", "--media-type", "image/*", "--no-thumbnails"],
    );
    let images = records(&small, "media/index");
    assert!(!images.is_empty() && images.len() < index.len(), "{images:?}");
    assert!(images.iter().all(|file| !file["kind"].as_str().unwrap().contains("thumbnail")));
}

#[test]
fn a_room_taken_out_of_the_whole_package_is_the_room_that_leaves_alone() {
    let harbour = harbour();
    let wish = ["--room", "#lobby:lifeboat.test"];
    let (alone, out) = (part(harbour, "alone", &wish), unpack_part(harbour, "out", &wish));
    for name in
        ["events", "summary", "event_auth", "event_edges", "state_groups_state", "room_aliases"]
    {
        let found = |folder: &Path| -> BTreeSet<String> {
            let records = records(folder, &format!("rooms/{name}"));
            // What was redacted leaves a whole server as it is, and a part of one without its text.
            records
                .into_iter()
                .map(|mut record| {
                    record.as_object_mut().unwrap().remove("pdu");
                    record.to_string()
                })
                .collect()
        };
        let (alone, out) = (found(&alone), found(&out));
        assert!(!alone.is_empty(), "{name}");
        assert_eq!(alone, out, "{name}");
    }
    let files = |folder: &Path| texts(&records(folder, "media/index"), "path");
    assert_eq!(files(&alone), files(&out));
    assert!(!out.join("server").exists() && !out.join("config").exists());
}

#[test]
fn rooms_of_a_package_are_found_by_alias_name_member_and_space() {
    let harbour = harbour();
    let listed = |pick: &str| -> BTreeSet<String> {
        let identity = harbour.identity.as_os_str();
        let mut words = vec!["inspect".as_ref(), "--json".as_ref(), harbour.package.as_os_str()];
        words.extend(["-i".as_ref(), identity, "--room".as_ref(), pick.as_ref()]);
        let outcome = lifeboat(words).result(DONE);
        texts(outcome["content"]["rooms"].as_array().unwrap(), "room_id")
    };
    let world = &harbour.world;
    let lobby = room(world, "#lobby:lifeboat.test");
    assert_eq!(listed("#lobby:lifeboat.test"), BTreeSet::from([lobby.clone()]));
    assert!(listed("name:Lob*").contains(&lobby));
    let of_bob =
        "SELECT DISTINCT room_id FROM room_memberships WHERE user_id = '@bob:lifeboat.test'";
    assert_eq!(listed("@bob:lifeboat.test"), column(world, of_bob));
    let spaces = "SELECT room_id FROM room_stats_state WHERE room_type = 'm.space'";
    let space = column(world, spaces).pop_first().unwrap();
    let children = format!(
        "SELECT state_key FROM current_state_events
         JOIN rooms ON rooms.room_id = state_key
         WHERE type = 'm.space.child' AND current_state_events.room_id = '{space}'"
    );
    let found = listed(&format!("space:{space}"));
    assert!(found.contains(&space) && found.len() > 1, "{found:?}");
    assert!(found.is_superset(&column(world, &children)), "{found:?}");
}

#[test]
fn what_a_person_provided_is_theirs_alone() {
    let harbour = harbour();
    let person = "@bob:lifeboat.test";
    let folder = part(harbour, "portable", &["--profile", "portability", "--user", person]);
    let events = records(&folder, "rooms/events");
    assert!(events.len() > 5);
    assert!(events.iter().all(|event| event["events"]["sender"] == person), "{events:?}");
    for name in ["rooms/receipts_linearized", "rooms/room_account_data", "users/devices"] {
        let of = texts(&records(&folder, name), "user_id");
        assert_eq!(of, BTreeSet::from([person.to_owned()]), "{name}");
    }
    let profiles = texts(&records(&folder, "users/profiles"), "full_user_id");
    assert_eq!(profiles, BTreeSet::from([person.to_owned()]));
    let readme = fs::read_to_string(folder.join("README.txt")).unwrap();
    assert!(readme.contains(person) && readme.contains("Article 20"), "{readme}");
}

#[test]
fn what_is_held_about_a_person_shows_of_others_only_what_the_person_could_see() {
    let harbour = harbour();
    let world = &harbour.world;
    let person = "@bob:lifeboat.test";
    let folder = part(harbour, "held", &["--profile", "access", "--user", person]);
    let events = records(&folder, "rooms/events");
    let seen: Vec<&Value> = events.iter().filter(|event| event.get("closure").is_none()).collect();
    assert!(seen.iter().any(|event| event["events"]["sender"] != person));
    // Where the person never was nor is asked to be, nothing was to be seen.
    let rooms: BTreeSet<String> =
        events.iter().map(|event| event["room_id"].as_str().unwrap().to_owned()).collect();
    let theirs =
        format!("SELECT DISTINCT room_id FROM room_memberships WHERE user_id = '{person}'");
    assert!(rooms.is_subset(&column(world, &theirs)), "{rooms:?}");
    // Of a room with visibility from joining on, nothing before the person came.
    let late = format!(
        "SELECT e.event_id FROM events e
         JOIN state_events v ON v.room_id = e.room_id AND v.type = 'm.room.history_visibility'
         JOIN event_json j ON j.event_id = v.event_id AND j.json LIKE '%\"joined\"%'
         WHERE e.stream_ordering < (SELECT min(m.event_stream_ordering) FROM room_memberships m
                                    WHERE m.room_id = e.room_id AND m.user_id = '{person}'
                                      AND m.membership = 'join')
           AND e.sender <> '{person}'
           AND e.stream_ordering > (SELECT event_stream_ordering FROM room_memberships
                                    WHERE event_id = v.event_id UNION SELECT stream_ordering
                                    FROM events x WHERE x.event_id = v.event_id LIMIT 1)"
    );
    let unseen = column(world, &late);
    let seen: BTreeSet<String> =
        seen.iter().map(|event| event["event_id"].as_str().unwrap().to_owned()).collect();
    assert!(seen.is_disjoint(&unseen), "{unseen:?}");
    // What others uploaded, and no event shows, may be for rooms the person is not in.
    let told = everything(&folder.join("rooms")) + &everything(&folder.join("users"));
    for file in records(&folder, "media/local_media_repository") {
        let id = file["media_id"].as_str().unwrap();
        assert!(file["user_id"] == person || told.contains(&format!("/{id}")), "{file}");
    }
    // Traces are told, secrets are not.
    let devices = records(&folder, "users/devices");
    assert!(devices.iter().any(|device| device["last_seen"].is_number()), "{devices:?}");
    let tokens = records(&folder, "users/access_tokens");
    assert!(!tokens.is_empty() && tokens.iter().all(|token| token["token"].is_null()));
    assert!(fs::read_to_string(folder.join("README.txt")).unwrap().contains("Article 15"));
}

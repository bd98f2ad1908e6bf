//! A part taken out of a backup is the part that leaves the server itself, record by record,
//! although no more of the backup is put back than it needs.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::path::Path;

use lifeboat_testing::World;
use serde_json::Value;

use crate::backed_up::back_up;
use crate::port::Port;
use crate::program::{DONE, GAPS, Said, lifeboat, server_words};

/// What is said when only some rows are put back.
const SOME: &str = " were put back";

/// Every file of a package, unpacked: its records in order, or its bytes in hexadecimal.
type Unpacked = BTreeMap<String, Vec<String>>;

fn done(words: Vec<OsString>) -> Said {
    let said = lifeboat(words);
    assert!([DONE, GAPS].contains(&said.exit), "{said:?}");
    said
}

fn words(some: &[&str], picks: &[String], package: &Path) -> Vec<OsString> {
    let mut words: Vec<OsString> = some.iter().map(Into::into).collect();
    words.extend(picks.iter().map(Into::into));
    words.extend(["--json".into(), "-o".into(), package.as_os_str().to_owned()]);
    words
}

/// What an outcome tells of the content.
fn told(said: &Said) -> Vec<Value> {
    let outcome = said.result(said.exit);
    let mut gaps = outcome["gaps"]["first"].as_array().cloned().unwrap_or_default();
    gaps.sort_by_key(Value::to_string);
    let counts = ["rooms", "events", "rows", "media_files"].map(|name| outcome[name].clone());
    counts.into_iter().chain(gaps).collect()
}

fn unpacked(port: &Port, package: &Path) -> Unpacked {
    let folder = package.with_extension("d");
    let start = ["unpack".into(), package.into(), "-i".into(), port.identity.clone().into()];
    done([&start[..], &["-d".into(), folder.clone().into()]].concat());
    let mut files = Unpacked::new();
    let mut folders = vec![folder.clone()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let bytes = fs::read(&path).unwrap();
            let mut lines = match String::from_utf8(bytes) {
                Ok(text) => text.lines().map(str::to_owned).collect(),
                Err(e) => vec![format!("{:02x?}", e.as_bytes())],
            };
            lines.sort();
            files.insert(path.strip_prefix(&folder).unwrap().display().to_string(), lines);
        }
    }
    files
}

/// What a manifest says of the content: it also says when and of what the package was made.
fn content(manifest: &[String]) -> Value {
    let manifest: Value = serde_json::from_str(&manifest.concat()).unwrap();
    serde_json::json!(["gaps", "selection", "tables"].map(|name| manifest[name].clone()))
}

/// Takes a part out of the backup and out of the server, and compares.
fn is_the_same(port: &Port, yaml: &Path, (name, picks): (&str, &[String])) -> (Unpacked, Said) {
    let folder = port.world.directory();
    let (one, other) = (folder.join(format!("{name}-1")), folder.join(format!("{name}-2")));
    let (one, other) = (one.with_extension("lifeboat"), other.with_extension("lifeboat"));
    let start = ["backup", "export", "-c", yaml.to_str().unwrap()];
    let identity = port.identity.to_str().unwrap();
    let from_backup = done(words(&[&start[..], &["-i", identity]].concat(), picks, &one));
    let mut direct = words(&["export", "-r", &port.recipient], picks, &other);
    direct.extend(server_words(&port.world.server));
    let from_server = done(direct);
    assert_eq!(told(&from_backup), told(&from_server), "{name}");
    let (found, expected) = (unpacked(port, &one), unpacked(port, &other));
    let names = |files: &Unpacked| files.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&found), names(&expected), "{name}");
    assert_eq!(content(&found["manifest.json"]), content(&expected["manifest.json"]), "{name}");
    for (file, records) in expected.iter().filter(|(file, _)| *file != "manifest.json") {
        assert!(found[file] == *records, "{name}: {file}: {:?}\n{records:?}", found[file]);
    }
    (found, from_backup)
}

fn rooms(port: &Port, names: &[&str]) -> Vec<String> {
    names.iter().flat_map(|name| ["--room".to_owned(), port.room(name)]).collect()
}

fn strings(words: &[&str]) -> Vec<String> {
    words.iter().map(|&word| word.to_owned()).collect()
}

#[test]
fn part_out_of_a_backup_is_the_part_that_leaves_the_server() {
    let mut port = Port::open();
    port.world.server.stop();
    // No restore brings these back, and whoever asks for all that is held of them gets them.
    port.sql(&port.world.server, "DELETE FROM e2e_one_time_keys_json");
    let yaml = back_up(&port);
    let lobby = rooms(&port, &["lobby"]);
    let with = |more: &[&str]| [lobby.clone(), strings(more)].concat();
    let user = "@alice:lifeboat.test";
    let parts: [(&str, Vec<String>); 10] = [
        ("one", lobby.clone()),
        ("two", rooms(&port, &["twelve", "chat-1"])),
        ("encrypted", [rooms(&port, &["encrypted"]), strings(&["--user", user])].concat()),
        ("people", with(&["--user", "@*:lifeboat.test", "--include-secrets"])),
        ("account", strings(&["--user", user])),
        (
            "members",
            strings(&["--room", "#old-pier:lifeboat.test", "--room", "@dave:lifeboat.test"]),
        ),
        ("name", strings(&["--room", "name:Lob*"])),
        ("space", strings(&["--room", "space:#fleet:lifeboat.test"])),
        (
            "words",
            with(&["--type", "m.room.message", "--since", "2026-01-02", "--include-redacted"]),
        ),
        ("access", strings(&["--profile", "access", "--user", user])),
    ];
    for (name, picks) in &parts {
        let (found, said) = is_the_same(&port, &yaml, (name, picks));
        assert!(said.stderr.contains(SOME) || said.stdout.contains(SOME), "{name}: {said:?}");
        let has = |file: &str| found.get(file).is_some_and(|records| !records.is_empty());
        assert!(*name == "account" || has("rooms/events.jsonl"), "{name}: {:?}", found.keys());
        assert!(!port.world.directory().join("state/export").exists());
    }
    // Of all rooms nothing can be left out.
    let (_, said) = is_the_same(&port, &yaml, ("all", &strings(&["--until", "2026-01-02"])));
    assert!(!said.stderr.contains(SOME) && !said.stdout.contains(SOME), "{said:?}");
    let said = lifeboat(words(
        &["backup", "export", "-c", yaml.to_str().unwrap(), "-i", port.identity.to_str().unwrap()],
        &strings(&["--room", "!nothing:lifeboat.test"]),
        &port.world.directory().join("nothing.lifeboat"),
    ));
    assert_eq!(said.exit, 2, "{said:?}");
}

#[test]
fn part_out_of_a_backup_of_two_databases_is_the_part_that_leaves_the_server() {
    let mut port = Port::of(World::split().unwrap());
    port.world.server.stop();
    let yaml = back_up(&port);
    let picks = rooms(&port, &["lobby", "encrypted"]);
    let (found, said) = is_the_same(&port, &yaml, ("split", &picks));
    assert!(said.stderr.contains(SOME) || said.stdout.contains(SOME), "{said:?}");
    assert!(!found["rooms/state_groups_state.jsonl"].is_empty());
}

//! The readable archive has what the package has, leads nowhere else, and opens what keys open.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::harbour::{Harbour, harbour};
use crate::program::{DONE, GAPS, NOT_VALID, Said, lifeboat};
use crate::recovery;

/// Renders the shared package; the folder and what was said.
fn render(harbour: &Harbour, name: &str, more: &[&str]) -> (PathBuf, Said) {
    let folder = harbour.world.directory().join(name);
    let (package, identity) = (harbour.package.as_os_str(), harbour.identity.as_os_str());
    let words = ["render".as_ref(), package, "--json".as_ref(), "-i".as_ref(), identity];
    let words = words.into_iter().chain(["-d".as_ref(), folder.as_os_str()]);
    let said = lifeboat(words.chain(more.iter().map(AsRef::as_ref)));
    (folder, said)
}

/// The events of the shared package.
fn events(harbour: &Harbour, name: &str) -> Vec<Value> {
    let folder = harbour.world.directory().join(name);
    let (package, identity) = (harbour.package.as_os_str(), harbour.identity.as_os_str());
    let words = ["unpack".as_ref(), package, "-i".as_ref(), identity, "-d".as_ref()];
    let said = lifeboat(words.into_iter().chain([folder.as_os_str()]));
    assert!([DONE, GAPS].contains(&said.exit), "{said:?}");
    let text = fs::read_to_string(folder.join("rooms/events.jsonl")).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).map(with_pdu).collect()
}

/// An event that JSON could not hold is kept as text.
fn with_pdu(mut event: Value) -> Value {
    if let Some(text) = event["pdu"].as_str() {
        event["pdu"] = serde_json::from_str(text).unwrap();
    }
    event
}

fn files(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path, ending));
        } else if path.to_str().unwrap().ends_with(ending) {
            found.push(path);
        }
    }
    found
}

fn unescaped(html: &str) -> String {
    let pairs = [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&#39;", "'"), ("&amp;", "&")];
    pairs.iter().fold(html.to_owned(), |text, (from, to)| text.replace(from, to))
}

/// The stretches of a text that are shown as they are: no controls, no marks of direction.
fn plain_stretches(text: &str) -> impl Iterator<Item = &str> {
    let is_mark = |c: char| matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    text.split(move |c: char| (c.is_control() && c != '\n' && c != '\t') || is_mark(c))
}

/// What an event says that is to be found on its room's pages; nothing, when it was taken back or
/// edited, or says nothing of its own.
fn spoken(event: &Value, replaced: &BTreeSet<&str>) -> Option<String> {
    let (pdu, id) = (&event["pdu"], event["event_id"].as_str().unwrap());
    if pdu["type"] != "m.room.message" || replaced.contains(id) {
        return None;
    }
    let content = &pdu["content"];
    let now = content.get("m.new_content").unwrap_or(content);
    match now["formatted_body"].as_str() {
        // The formatted texts of the seeded world are one bold word or more.
        Some(formatted) => Some(formatted.replace("<b>", "").replace("</b>", "")),
        None => now["body"].as_str().map(str::to_owned),
    }
}

/// Events that were redacted, and those of which a later edit is read.
fn replaced(events: &[Value]) -> BTreeSet<&str> {
    let mut replaced = BTreeSet::new();
    let mut edits: BTreeMap<&str, (i64, &str)> = BTreeMap::new();
    for event in events {
        let pdu = &event["pdu"];
        let of = &pdu["content"]["m.relates_to"];
        if pdu["type"] == "m.room.redaction" {
            let inside = pdu["content"]["redacts"].as_str();
            replaced.extend(pdu["redacts"].as_str().or(inside));
        }
        if of["rel_type"] == "m.replace" {
            let target = of["event_id"].as_str().unwrap();
            let this = (pdu["depth"].as_i64().unwrap(), event["event_id"].as_str().unwrap());
            replaced.insert(target);
            if let Some(before) = edits.insert(target, this) {
                let last = before.max(this);
                replaced.insert(if last == this { before.1 } else { this.1 });
                edits.insert(target, last);
            }
        }
    }
    // An edit of what was redacted is read no more.
    let redactions = events.iter().filter(|event| event["pdu"]["type"] == "m.room.redaction");
    let redacted: BTreeSet<&str> = redactions
        .filter_map(|event| {
            let pdu = &event["pdu"];
            pdu["redacts"].as_str().or(pdu["content"]["redacts"].as_str())
        })
        .collect();
    replaced.extend(edits.iter().filter(|(of, _)| redacted.contains(*of)).map(|(_, edit)| edit.1));
    replaced
}

#[test]
fn every_message_is_on_a_page_of_its_room_and_no_redacted_one_is() {
    let harbour = harbour();
    let (folder, said) = render(harbour, "archive", &[]);
    let outcome = said.result(GAPS);
    let all = events(harbour, "archive-records");
    let mut rooms: BTreeMap<String, String> = BTreeMap::new();
    for front in files(&folder.join("rooms"), "index.html") {
        let pages = files(front.parent().unwrap(), ".html");
        let text: String = pages.iter().map(|page| fs::read_to_string(page).unwrap()).collect();
        let text = unescaped(&text);
        let id = text.split("<dt>Room id</dt><dd><bdi>").nth(1).unwrap();
        rooms.insert(id.split('<').next().unwrap().to_owned(), text);
    }
    assert_eq!(outcome["rooms"], rooms.len());
    let replaced = replaced(&all);
    let everything = fs::read_to_string(folder.join("everything.txt")).unwrap();
    let erased = "SELECT user_id FROM erased_users";
    let world = &harbour.world;
    let erased = world.cluster.psql(world.server.database(), erased).unwrap();
    let mut found = 0;
    for event in &all {
        let counts = event["events"]["outlier"] == false
            && event["events"]["rejection_reason"].is_null()
            && !erased.contains(event["pdu"]["sender"].as_str().unwrap());
        let Some(text) = spoken(event, &replaced).filter(|_| counts) else { continue };
        let page = &rooms[event["room_id"].as_str().unwrap()];
        for stretch in plain_stretches(&text) {
            assert!(page.contains(stretch), "{stretch:?} of {event}");
        }
        found += 1;
    }
    assert!(found > 100, "{found}");
    let takes_back = all.iter().filter(|event| event["pdu"]["type"] == "m.room.redaction");
    let mut gone = 0;
    for redaction in takes_back {
        let inside = &redaction["pdu"]["content"]["redacts"];
        let id = redaction["pdu"]["redacts"].as_str().or(inside.as_str()).unwrap();
        let target = all.iter().find(|event| event["event_id"] == id).unwrap();
        let body = target["pdu"]["content"]["body"].as_str().filter(|body| body.len() > 30);
        if let Some(body) = body {
            assert!(!everything.contains(body), "{target}");
            assert!(rooms.values().all(|page| !page.contains(body)), "{target}");
            gone += 1;
        }
    }
    assert!(gone > 0);
}

/// The values of an attribute.
fn values<'a>(page: &'a str, attribute: &str) -> Vec<&'a str> {
    let mark = format!(" {attribute}=\"");
    page.split(mark.as_str()).skip(1).filter_map(|rest| rest.split('"').next()).collect()
}

#[test]
fn every_link_leads_to_what_is_there_and_nothing_is_loaded_from_elsewhere() {
    let harbour = harbour();
    let (folder, said) = render(harbour, "archive-links", &[]);
    let outcome = said.result(GAPS);
    let (mut links, mut loads) = (0, 0);
    for path in files(&folder, ".html") {
        let page = fs::read_to_string(&path).unwrap();
        assert!(!page.to_lowercase().contains("<script"), "{path:?}");
        assert!(page.contains("default-src 'none'"), "{path:?}");
        for loaded in values(&page, "src") {
            assert!(path.with_file_name(loaded).is_file(), "{loaded} in {path:?}");
            loads += 1;
        }
        for link in values(&page, "href").into_iter().filter(|link| !link.starts_with("http")) {
            let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
            let target = if file.is_empty() { path.clone() } else { path.with_file_name(file) };
            assert!(target.is_file(), "{link} in {path:?}");
            if !anchor.is_empty() {
                let there = fs::read_to_string(&target).unwrap();
                assert!(there.contains(&format!("id=\"{anchor}\"")), "{link} in {path:?}");
            }
            links += 1;
        }
    }
    assert!(links > 500 && loads > 0, "{links} {loads}");
    let media = fs::read_dir(folder.join("media")).unwrap().count();
    assert_eq!(outcome["media_files"], media);
}

#[test]
fn one_room_comes_as_text_and_as_a_table() {
    let harbour = harbour();
    let pick = ["--room", "#lobby:lifeboat.test", "--format"];
    for (format, list) in [("txt", "rooms.txt"), ("csv", "rooms.csv")] {
        let (folder, said) = render(harbour, format, &[&pick[..], &[format]].concat());
        assert_eq!(said.result(GAPS)["rooms"], 1);
        let all = files(&folder.join("rooms"), format);
        assert_eq!(all.len(), 1);
        let text = fs::read_to_string(&all[0]).unwrap();
        assert!(text.contains("in the thread") && text.contains("Alice"), "{text}");
        assert!(fs::read_to_string(folder.join(list)).unwrap().contains("Lobby"));
        assert!(files(&folder, ".html").is_empty());
    }
    let (_, said) = render(harbour, "nothing", &["--room", "#nowhere:lifeboat.test"]);
    assert_eq!(said.exit, 2, "{said:?}");
}

#[test]
fn the_recovery_key_opens_what_its_backup_holds_and_without_it_nothing_is_read() {
    let harbour = harbour();
    let state: Value =
        serde_json::from_str(&fs::read_to_string(harbour.world.state()).unwrap()).unwrap();
    let alice = &state["people"][0];
    let keys = harbour.world.directory().join("recovery.txt");
    fs::write(&keys, recovery::written(alice["backup"]["key"].as_str().unwrap())).unwrap();
    // The first of a sender's sessions are backed up; a later one is not.
    let sessions = state["megolm_sessions"].as_array().unwrap();
    let said_by_alice: Vec<&str> = sessions
        .iter()
        .filter(|session| session["sender"] == alice["user_id"])
        .take(1)
        .flat_map(|session| session["plain"].as_object().unwrap().values())
        .filter_map(|content| content["body"].as_str())
        .collect();
    assert!(said_by_alice.len() > 4);

    let (sealed, said) = render(harbour, "sealed", &["--format", "txt"]);
    let outcome = said.result(GAPS);
    assert_eq!(outcome["decrypted"], 0);
    let (opened, said) =
        render(harbour, "opened", &["--format", "txt", "--keys", keys.to_str().unwrap()]);
    let with_keys = said.result(GAPS);
    let decrypted = with_keys["decrypted"].as_u64().unwrap();
    assert!(decrypted >= said_by_alice.len() as u64, "{with_keys}");
    let both = decrypted + with_keys["encrypted"].as_u64().unwrap();
    assert_eq!(both, outcome["encrypted"].as_u64().unwrap());
    let text = |folder: &Path| -> String {
        files(folder, ".txt").iter().map(|file| fs::read_to_string(file).unwrap()).collect()
    };
    let (sealed, opened) = (text(&sealed), text(&opened));
    for body in said_by_alice {
        assert!(opened.contains(body), "{body}");
        assert!(!sealed.contains(body), "{body}");
    }
    assert!(sealed.contains("[Encrypted message, session "));

    fs::write(&keys, "EsTc not a recovery key").unwrap();
    let (folder, said) = render(harbour, "refused", &["--keys", keys.to_str().unwrap()]);
    assert_eq!(said.exit, 1, "{said:?}");
    assert!(!folder.exists());
}

#[test]
fn package_that_turns_out_to_be_damaged_leaves_nothing_in_the_open() {
    let harbour = harbour();
    let scratch = harbour.world.directory().join("damaged");
    fs::create_dir(&scratch).unwrap();
    let package = scratch.join("damaged.lifeboat");
    let mut bytes = fs::read(&harbour.package).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&package, &bytes).unwrap();
    let folder = scratch.join("new/opened");
    let words = ["unpack".as_ref(), package.as_os_str(), "--json".as_ref(), "-i".as_ref()];
    let words = words.into_iter().chain([harbour.identity.as_os_str()]);
    let said = lifeboat(words.chain(["-d".as_ref(), folder.as_os_str()]));
    assert_eq!(said.exit, NOT_VALID, "{said:?}");
    let began = said.stdout.lines().any(|line| line.contains(r#""name":"unpack""#));
    assert!(began, "nothing was written yet: {said:?}");
    assert!(!scratch.join("new").exists());
}

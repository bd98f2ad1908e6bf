//! Rooms that an administrator purged by mistake.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::port::{Port, Unread, quiet};
use crate::program::{DONE, GAPS, NOT_VALID, Said, lifeboat};
use crate::report::{self, check};

/// Rooms of every version that is seeded, with threads, polls, encryption, several ends.
const PURGED: [&str; 9] = [
    "lobby",
    "twelve",
    "six",
    "nine",
    "encrypted",
    "encrypted-twelve",
    "direct",
    "space",
    "chat-0",
];

/// Who reads, who speaks, in which room, and how much is unread then; what others say after that
/// comes on top of it.
const UNREAD: [Unread; 4] = [
    Unread { reader: 1, speaker: 0, room: "chat-0", messages: 2 },
    Unread { reader: 0, speaker: 1, room: "chat-0", messages: 3 },
    Unread { reader: 1, speaker: 0, room: "six", messages: 4 },
    Unread { reader: 3, speaker: 1, room: "six", messages: 1 },
];

/// A client that went on with its sync token has fetched what waited for it.
/// What is unread is summed up by Synapse in its own time, and then one more or less than it was,
/// also in rooms that nothing was done to; some rooms are counted exactly.
/// Synapse goes on finding a redacted message by its old words; a part of a server leaves without
/// them.
const MAY_DIFFER: [&str; 3] = ["to-device/@alice:*", "unread/*", "search/boat"];

#[test]
fn purged_rooms_come_back_as_they_were_and_running_clients_see_them() {
    let mut port = Port::open();
    for unread in &UNREAD {
        port.unread(&port.world.server, unread);
    }
    let unread = |port: &Port| {
        let of = |unread: &Unread| {
            port.unread_of(&port.world.server, unread.reader, &port.room(unread.room))
        };
        UNREAD.each_ref().map(of)
    };
    // Until then Synapse may count what was read just now.
    port.settle(&port.world.server);
    let unread_before = unread(&port);
    let at_least = UNREAD.each_ref().map(|unread| unread.messages);
    let fits = unread_before.iter().zip(at_least).all(|(count, least)| *count >= least);
    assert!(fits, "{unread_before:?} {at_least:?}");
    let before = port.settled_facts();
    let first = port.sync(&port.world.server, 0, None)["rooms"]["join"].clone();
    let rooms: Vec<String> = PURGED.iter().map(|name| port.room(name)).collect();
    let picks = |rooms: &[String]| -> Vec<String> {
        rooms.iter().flat_map(|room| ["--room".to_owned(), room.clone()]).collect()
    };
    // Some come back out of a package of their own, the others out of the whole server's.
    let (some, others) = rooms.split_at(PURGED.len() / 2);
    let rooms_alone = port.export("rooms.lifeboat", &words(&picks(some)));
    let package = port.export("server.lifeboat", &[]);
    for room in &rooms {
        port.purge(room);
    }
    // A client that runs on has seen the rooms go.
    let since = port.sync(&port.world.server, 0, None)["next_batch"].as_str().unwrap().to_owned();
    port.sync(&port.world.server, 1, None);

    let said = port.import(&port.world.server, &rooms_alone, &[]);
    let outcome = brought(&said, some.len());
    assert!(outcome["next"][0].as_str().unwrap().contains("restart Synapse"), "{outcome}");
    // Clients of a server that runs are asked when it was restarted.
    report::demand(&outcome, &[("client access", "not-checked")]);
    // One that was not restarted answers out of its memory, and we say what to do about it.
    let said = port.import(&port.world.server, &rooms_alone, &[]);
    let next = said.result(NOT_VALID)["next"].to_string();
    assert!(next.contains("if Synapse was not restarted"), "{next}");
    let file = port.world.directory().join("report.json");
    let mut picked = picks(others);
    picked.extend(["--report".to_owned(), file.display().to_string()]);
    let said = restarting(&mut port, &package, &words(&picked));
    let outcome = brought(&said, others.len());
    assert_eq!(outcome["restarted"], true, "{outcome}");
    assert!(said.stdout.contains("it was restarted"), "{said:?}");
    report::demand(&outcome, &[]);
    assert!(check(&outcome, "client access")["checked"].as_u64().unwrap() > 10, "{outcome}");
    report::demand_signature(&port, &port.world.server, "report.json");

    let server = &port.world.server;
    let update = port.sync(server, 0, Some(&since));
    for (name, room) in PURGED.iter().zip(&rooms) {
        if first.get(room).is_none() {
            continue;
        }
        let joined = &update["rooms"]["join"][room];
        let state = joined["state"]["events"].as_array().map_or(0, Vec::len);
        assert!(state > 0, "{name} is not seen as newly joined with its state: {joined}");
    }
    port.settle(server);
    assert_eq!(unread(&port), unread_before);
    let after = port.facts(server, "after");
    let report = port.world.compare(&before, &after, &MAY_DIFFER).unwrap_or_else(|e| panic!("{e}"));
    assert!(report.contains(" 0 different"), "{report}");
    for room in rooms.iter().filter(|room| first.get(room.as_str()).is_some()) {
        port.say(server, (0, room), "it is back");
    }
    assert_eq!(server.errors_in_log().unwrap(), Vec::<String>::new());
}

/// The outcome of an import that brought so many rooms.
fn brought(said: &Said, rooms: usize) -> Value {
    assert!([DONE, GAPS].contains(&said.exit), "{said:?}");
    let outcome = said.result(said.exit);
    assert_eq!(outcome["changed"], true, "{outcome}");
    assert_eq!(outcome["rooms"].as_array().unwrap().len(), rooms, "{outcome}");
    assert!(check(&outcome, "events")["checked"].as_u64().unwrap() > 100, "{outcome}");
    outcome
}

/// Imports with a command that has the server restarted by whoever started it, which is us.
fn restarting(port: &mut Port, package: &Path, words: &[&str]) -> Said {
    let folder = port.world.directory();
    let [asked, done] = ["asked", "done"].map(|name| folder.join(name));
    for pipe in [&asked, &done] {
        assert!(Command::new("mkfifo").arg(pipe).status().unwrap().success());
    }
    let (to, from) = (asked.display(), done.display());
    let command = format!("sh -c 'echo restart > \"{to}\"; cat \"{from}\"'");
    let words = [words, &["--restart-command", &command]].concat();
    let words = port.import_words(&port.world.server, package, &words);
    let import = std::thread::spawn(move || quiet(lifeboat(words)));
    assert_eq!(fs::read_to_string(&asked).unwrap(), "restart\n");
    port.world.server.stop();
    port.world.server.start().unwrap();
    fs::write(&done, "it was restarted\n").unwrap();
    import.join().unwrap()
}

fn words(owned: &[String]) -> Vec<&str> {
    owned.iter().map(String::as_str).collect()
}

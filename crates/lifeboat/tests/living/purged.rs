//! Rooms that an administrator purged by mistake.

use crate::port::{DONE, GAPS, Port};
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

/// A client that went on with its sync token has fetched what waited for it.
/// What is unread is summed up by Synapse in its own time, and then one more or less than it was,
/// also in rooms that nothing was done to; one chat is counted exactly.
/// Synapse goes on finding a redacted message by its old words; a part of a server leaves without
/// them.
const MAY_DIFFER: [&str; 3] = ["to-device/@alice:*", "unread/*", "search/boat"];

#[test]
fn purged_rooms_come_back_as_they_were_and_running_clients_see_them() {
    let mut port = Port::open();
    let news = port.unread(&port.world.server, 3);
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

    for (package, picks, brought) in
        [(&rooms_alone, Vec::new(), some), (&package, picks(others), others)]
    {
        let said = port.import(&port.world.server, package, &words(&picks));
        assert!([DONE, GAPS].contains(&said.exit), "{said:?}");
        let outcome = said.result(said.exit);
        assert_eq!(outcome["changed"], true, "{outcome}");
        assert_eq!(outcome["rooms"].as_array().unwrap().len(), brought.len(), "{outcome}");
        // Clients of a server that runs are asked when it was restarted.
        report::demand(&outcome, &[("client access", "not-checked")]);
        let events = check(&outcome, "events")["checked"].as_u64().unwrap();
        assert!(events > 100, "{outcome}");
        assert!(outcome["next"][0].as_str().unwrap().contains("restart Synapse"), "{outcome}");
    }

    port.world.server.stop();
    port.world.server.start().unwrap();
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
    let file = port.world.directory().join("report.json");
    let mut picked = picks(others);
    picked.extend(["--report".to_owned(), file.display().to_string()]);
    let said = port.import(server, &package, &words(&picked));
    let again = said.result(said.exit);
    assert_eq!(again["changed"], false, "{again}");
    report::demand(&again, &[]);
    assert!(check(&again, "client access")["checked"].as_u64().unwrap() > 10, "{again}");
    report::demand_signature(&port, server, "report.json");

    port.settle(server);
    assert_eq!(port.unread_of(server, &news), 3);
    let after = port.facts(server, "after");
    let report = port.world.compare(&before, &after, &MAY_DIFFER).unwrap_or_else(|e| panic!("{e}"));
    assert!(report.contains(" 0 different"), "{report}");
    for room in rooms.iter().filter(|room| first.get(room.as_str()).is_some()) {
        port.say(server, (0, room), "it is back");
    }
    assert_eq!(server.errors_in_log().unwrap(), Vec::<String>::new());
}

fn words(owned: &[String]) -> Vec<&str> {
    owned.iter().map(String::as_str).collect()
}

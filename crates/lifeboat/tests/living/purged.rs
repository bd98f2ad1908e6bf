//! Rooms that an administrator purged by mistake.

use crate::port::{DONE, Port};

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
const MAY_DIFFER: [&str; 2] = ["to-device/@alice:*", "unread/*"];

#[test]
fn purged_rooms_come_back_as_they_were_and_running_clients_see_them() {
    let mut port = Port::open();
    let news = port.unread(&port.world.server, 3);
    let before = port.settled_facts();
    let first = port.sync(&port.world.server, 0, None)["rooms"]["join"].clone();
    let package = port.export("server.lifeboat", &[]);
    let rooms: Vec<String> = PURGED.iter().map(|name| port.room(name)).collect();
    for room in &rooms {
        port.purge(room);
    }
    // A client that runs on has seen the rooms go.
    let since = port.sync(&port.world.server, 0, None)["next_batch"].as_str().unwrap().to_owned();
    port.sync(&port.world.server, 1, None);

    let picks: Vec<&str> = rooms.iter().flat_map(|room| ["--room", room.as_str()]).collect();
    let outcome = port.import(&port.world.server, &package, &picks).result(DONE);
    assert_eq!(outcome["changed"], true, "{outcome}");
    assert_eq!(outcome["rooms"].as_array().unwrap().len(), rooms.len(), "{outcome}");
    assert!(outcome["events_checked"].as_u64().unwrap() > 250, "{outcome}");
    assert!(outcome["next"][0].as_str().unwrap().contains("restart Synapse"), "{outcome}");

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

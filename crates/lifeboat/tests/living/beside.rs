//! Rooms and accounts into another server of the same name: begun anew, with a key of its own.

use serde_json::{Value, json};

use crate::port::{Port, signer};
use crate::program::{DONE, GAPS};
use crate::report;

/// The rooms that go first, by their names in the seeding.
const FIRST: [&str; 5] = ["lobby", "twelve", "six", "encrypted", "chat-1"];

/// What belongs to a server and not to its rooms and accounts: reports, tokens, blocks, what was
/// fetched from others; and what is unread, which Synapse sums up in its own time.
const OF_THE_SERVER: [&str; 15] = [
    "account in full/@notices:*",
    "account/@notices:*",
    "rate limit/@notices:*",
    "block/*",
    "delayed events/*",
    "media usage/@alice:*",
    "media/mxc://far.test/*",
    "thumbnail/mxc://far.test/*",
    "upload/@alice:*/2026-08-01_previewpicture",
    "registration token/*",
    "report/*",
    "server keys",
    // Support staff, whom nobody else lists.
    "user directory/lifeboat",
    "unread/*",
    "notification/*",
];

#[test]
fn everything_goes_in_two_steps_into_a_server_with_other_ids_and_another_key() {
    let port = Port::open();
    let before = port.facts(&port.world.server, "before");
    let package = port.export("server.lifeboat", &[]);
    let key = signer(&port.world.server);
    let mut fresh = port.fresh("fresh");

    let refused = port.import(&fresh, &package, &[]);
    assert_eq!(refused.exit, 4, "{refused:?}");
    let rooms = FIRST.map(|name| port.room(name));
    let mut words = vec!["--accept-signer", key.as_str(), "--user", "@*:lifeboat.test"];
    words.extend(rooms.iter().flat_map(|room| ["--room", room.as_str()]));
    let outcome = port.import(&fresh, &package, &words).result(DONE);
    assert_eq!(outcome["rooms"].as_array().unwrap().len(), FIRST.len(), "{outcome}");
    assert!(outcome["warnings"].to_string().contains("old_signing_keys"), "{outcome}");
    report::demand(&outcome, &[("client access", "not-checked")]);
    fresh.start().unwrap();
    use_up_ids(&port, &fresh);

    // The rest, while the server runs.
    let plain = port.import(&fresh, &package, &["--accept-signer", &key]);
    assert_eq!(plain.exit, 1, "{plain:?}");
    let rest = ["--accept-signer", key.as_str(), "--merge"];
    let outcome = port.import(&fresh, &package, &rest).result(GAPS);
    assert_eq!(outcome["users"], json!([]), "{outcome}");
    assert!(outcome["rooms"].as_array().unwrap().len() > 20, "{outcome}");
    fresh.stop();
    let rows = port.rows(&fresh);
    let again = port.import(&fresh, &package, &rest).result(GAPS);
    assert_eq!((&again["changed"], &again["id"]), (&json!(false), &Value::Null), "{again}");
    assert_eq!(port.rows(&fresh), rows);
    report::demand(&again, &[("client access", "not-checked")]);
    fresh.start().unwrap();
    port.settle(&fresh);
    let after = port.facts(&fresh, "after");
    let report = port.world.compare(&before, &after, &OF_THE_SERVER);
    let report = report.unwrap_or_else(|e| panic!("{e}"));
    assert!(report.contains(" 0 different"), "{report}");
    assert_eq!(fresh.errors_in_log().unwrap(), Vec::<String>::new());
}

/// A room is made, talked in and taken away: numbers that the package's rows have are given out.
fn use_up_ids(port: &Port, server: &lifeboat_testing::Homeserver) {
    let body = json!({"preset": "public_chat"}).to_string();
    let made = port.ask(server, ("POST", "/_matrix/client/v3/createRoom"), Some(&body));
    let room = made["room_id"].as_str().unwrap();
    for number in 0..20 {
        port.say(server, (0, room), &format!("number {number}"));
    }
    port.purge_of(server, room);
}

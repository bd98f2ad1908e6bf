//! Clients that saw what happened after the export, which is lost, miss nothing that comes later.

use serde_json::{Value, json};

use crate::clients;
use crate::harbour::harbour;

/// The client saw the lost window on the old server and goes on on the new one.
fn goes_on(database: &str, more: &[&str]) -> Value {
    let harbour = harbour();
    let world = &harbour.world;
    let kept = world.directory().join(format!("{database}.since.json"));
    let lost = clients::lost_window("lose", world, &world.server, &kept);
    assert_eq!(lost, json!({"messages": 30, "to_device": 5}));
    let mut server = harbour.landed(database, more);
    server.start().unwrap();
    clients::lost_window("go-on", world, &server, &kept)
}

#[test]
fn client_with_a_sync_token_from_after_the_export_misses_no_later_message() {
    let seen = goes_on("token", &[]);
    assert_eq!((&seen["messages"], &seen["to_device"]), (&json!(50), &json!(10)), "{seen}");
    assert_eq!(seen["from_the_lost_window"], 0, "{seen}");
}

#[test]
fn the_same_client_misses_messages_where_sequences_are_not_raised() {
    let seen = goes_on("token_unraised", &["--sequence-margin", "0"]);
    assert!(seen["messages"].as_u64().unwrap() < 50, "{seen}");
    assert!(seen["to_device"].as_u64().unwrap() < 10, "{seen}");
}

//! A device that used up its one-time keys after the export can read those who write to it now.

use std::fs;

use lifeboat_testing::{Homeserver, World};
use serde_json::{Value, json};

use crate::clients;
use crate::harbour::harbour;

#[test]
fn device_that_lived_through_the_loss_reads_a_new_sender() {
    let harbour = harbour();
    let world = &harbour.world;
    let store = harbour.survivor("survivor-lost.json");
    let lost = clients::survivor("lose", world, &world.server, &store);
    assert_eq!(lost["keys"], json!(vec!["one-time"; 10]), "{lost}");
    assert_eq!(lost["read"].as_array().map(Vec::len), Some(10), "{lost}");
    let store_of_control = store.with_file_name("survivor-control.json");
    fs::copy(&store, &store_of_control).unwrap();

    let mut server = harbour.landed("survivor", &[]);
    let mut control = copy_of(world, &server, "survivor_control");
    server.start().unwrap();
    let seen = clients::survivor("go-on", world, &server, &store);
    server.stop();
    assert_eq!((&seen["early_key"], &seen["left"]), (&json!("fallback"), &json!(0)), "{seen}");
    assert_eq!(seen["unreadable"], json!([]), "{seen}");
    assert_eq!(texts(&seen, "read"), 9, "{seen}");

    // The control: the same server with the keys that were there when it was exported.
    world.cluster.psql(control.database(), &harbour.one_time_keys).unwrap();
    control.start().unwrap();
    let seen = clients::survivor("go-on", world, &control, &store_of_control);
    assert_eq!(seen["left"], 9, "{seen}");
    assert_eq!((texts(&seen, "read"), texts(&seen, "unreadable")), (0, 9), "{seen}");
}

fn texts(seen: &Value, name: &str) -> usize {
    seen[name].as_array().unwrap().len()
}

/// A second server on a copy of a database; with the signing key, without media.
fn copy_of(world: &World, server: &Homeserver, database: &str) -> Homeserver {
    let copy = world.empty_server(database).unwrap();
    world.cluster.drop_database(database).unwrap();
    let (owner, template) = (&server.role().name, server.database());
    let sql = format!("CREATE DATABASE \"{database}\" OWNER \"{owner}\" TEMPLATE \"{template}\"");
    world.cluster.psql("postgres", &sql).unwrap();
    fs::copy(server.signing_key(), copy.signing_key()).unwrap();
    copy
}

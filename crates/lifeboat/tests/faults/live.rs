//! A source that lives on between the kill and the next run.

use std::collections::BTreeSet;
use std::fs;

use lifeboat_testing::World;
use lifeboat_testing::http::Request;
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::conversation::{Running, files_under, lifeboat, run};
use crate::harbour::harbour;
use crate::moments::{Berth, volumes_so_far};

/// A client of the seeded server: the first of its people.
struct Client {
    port: u16,
    token: String,
    user: String,
}

impl Client {
    fn of(world: &World) -> Self {
        let state: Value = serde_json::from_slice(&fs::read(world.state()).unwrap()).unwrap();
        let person = &state["people"][0];
        let text = |key: &str| person[key].as_str().unwrap().to_owned();
        Self { port: world.server.port(), token: text("access_token"), user: text("user_id") }
    }

    fn ask(&self, method: &str, path: &str, body: &Value) -> Value {
        let body = body.to_string();
        let request =
            Request { port: self.port, method, path, token: Some(&self.token), json: Some(&body) };
        let answer = request.send().unwrap();
        assert_eq!(answer.status, 200, "{}", answer.text());
        serde_json::from_slice(&answer.body).unwrap()
    }

    /// Makes a room and says something in it; the room's id.
    fn make_room(&self) -> String {
        let made = self.ask("POST", "/_matrix/client/v3/createRoom", &json!({"name": "late"}));
        let room = made["room_id"].as_str().unwrap().to_owned();
        self.speak(&room);
        room
    }

    fn speak(&self, room: &str) {
        let path =
            format!("/_matrix/client/v3/rooms/{room}/send/m.room.message/late-{}", room.len());
        self.ask("PUT", &path, &json!({"msgtype": "m.text", "body": "said between two cuts"}));
    }

    /// The rooms that this person is in.
    fn rooms(&self) -> BTreeSet<String> {
        let joined = self.ask("GET", "/_matrix/client/v3/joined_rooms", &json!({}));
        let rooms = joined["joined_rooms"].as_array().unwrap().iter();
        rooms.map(|room| room.as_str().unwrap().to_owned()).collect()
    }
}

/// Exports the living server up to a number of volumes, and kills the export.
fn killed_export(berth: &Berth, world: &World, volumes: usize) {
    let database = world.server.database();
    let mut command = harbour().export_of(world, database, &berth.folder, &berth.target);
    let mut running = Running::start(&mut command);
    assert!(running.watch(|| volumes_so_far(&berth.journal()) >= volumes));
    running.signal(Signal::KILL);
    running.end();
}

#[test]
fn rooms_that_changed_between_two_cuts_are_named_and_the_package_can_be_imported() {
    let berth = Berth::archive();
    let mut world = harbour().whole_world();
    world.server.start().unwrap();
    let client = Client::of(&world);
    killed_export(&berth, &world, 4);
    let old = client.rooms().pop_first().unwrap();
    client.speak(&old);
    killed_export(&berth, &world, 14);
    let new = client.make_room();
    let database = world.server.database();
    let said = run(&mut harbour().export_of(&world, database, &berth.folder, &berth.target));
    assert_eq!(said.exit, Some(3), "{said:?}");
    assert_eq!(said.outcome()["cuts"], 3);
    assert!(said.notes().contains("going on"), "{said:?}");
    berth.assert_only_package();
    harbour().assert_valid(&berth.target, &[]);
    assert_cuts(&berth, &old, &new);
    assert_importable(&berth, &world, &client, &new);
    // As the other tests expect it.
    world.server.stop();
}

/// The manifest says which rooms changed after which cut.
fn assert_cuts(berth: &Berth, old: &str, new: &str) {
    let opened = harbour().folder();
    let said = run(harbour().about("unpack", &berth.target).arg("-d").arg(&opened));
    assert_eq!(said.exit, Some(3), "{said:?}");
    assert!(files_under(&opened).contains(&"manifest.json".to_owned()));
    let manifest = fs::read(opened.join("manifest.json")).unwrap();
    let manifest: Value = serde_json::from_slice(&manifest).unwrap();
    let cuts = manifest["cuts"].as_array().unwrap();
    let changed: Vec<&Value> = cuts.iter().map(|cut| &cut["changed_rooms"]).collect();
    assert_eq!(changed, [&json!([old]), &json!([new]), &json!([])]);
    let positions: Vec<_> = cuts.iter().map(|cut| cut["position"].as_u64().unwrap()).collect();
    assert!(positions.is_sorted() && positions[0] < positions[2], "{positions:?}");
}

/// Rows of three cuts fit together: all constraints hold, and a server starts on them.
fn assert_importable(berth: &Berth, world: &World, client: &Client, new: &str) {
    let mut restored = world.empty_server("restored").unwrap();
    let mut command = lifeboat();
    command.arg("import").arg(&berth.target).arg("-i").arg(&harbour().identity);
    for path in restored.config_paths() {
        command.arg("--synapse").arg(path);
    }
    command.args(["--accept-signer", "lifeboat.test"]);
    command.arg("--synapse-python").arg(world.tools().synapse_python());
    let said = run(&mut command);
    assert!(matches!(said.exit, Some(0 | 3)), "{said:?}");
    restored.start().unwrap();
    let there =
        Client { port: restored.port(), token: client.token.clone(), user: client.user.clone() };
    assert_eq!(
        there.ask("GET", "/_matrix/client/v3/account/whoami", &json!({}))["user_id"],
        there.user
    );
    // What was read before the last cut is as it was then: whether the newest room is there depends
    // on when its memberships were read, and the manifest names it.
    let (mut expected, mut found) = (client.rooms(), there.rooms());
    assert!(expected.remove(new));
    found.remove(new);
    assert_eq!(found, expected);
    assert_eq!(restored.errors_in_log().unwrap(), Vec::<String>::new());
    restored.stop();
}

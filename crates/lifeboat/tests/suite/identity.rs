//! A real identity server, lost and put back.

use std::fmt::Write as _;
use std::fs;

use lifeboat_testing::http::Request;
use lifeboat_testing::world::say_on_stderr;
use lifeboat_testing::{Neighbour, Part, Tools};
use serde_json::{Value, json};

use crate::harbour::{suite, world};

/// What it says to a `GET`.
fn get(port: u16, path: &str) -> Value {
    let path = format!("/_matrix/identity/api/v1/{path}");
    let answer = Request::get(port, &path).send().unwrap();
    assert_eq!(answer.status, 200, "{path}: {}", answer.text());
    serde_json::from_slice(&answer.body).unwrap()
}

#[test]
fn sydent_that_was_lost_has_its_key_and_its_addresses_again() {
    Tools::ready(&[Part::Neighbours], &say_on_stderr).unwrap();
    let (world, suite) = (world(), suite("identity"));
    let home = suite.folder.join("identity");
    let mut sydent = Neighbour::sydent(world.tools(), &home, "lifeboat.test").unwrap();
    let mut yaml = fs::read_to_string(&suite.yaml).unwrap();
    let config = home.join("sydent.conf");
    writeln!(yaml, "  - {{kind: sydent, name: identity, config: {}}}", config.display()).unwrap();
    fs::write(&suite.yaml, yaml).unwrap();
    sydent.launch().unwrap();
    sydent.wait_ready().unwrap();
    let bind = json!({"medium": "email", "address": "alice@harbour.test", "mxid": "@alice:x.test"});
    let bound = Request {
        port: sydent.inner_port(),
        method: "POST",
        path: "/_matrix/identity/internal/bind",
        token: None,
        json: Some(&bind.to_string()),
    };
    assert_eq!(bound.send().unwrap().status, 200);
    let seen = |sydent: &Neighbour| {
        let found = get(sydent.port(), "lookup?medium=email&address=alice@harbour.test");
        (get(sydent.port(), "pubkey/ed25519:0"), found)
    };
    let before = seen(&sydent);
    assert_eq!(before.1["mxid"], "@alice:x.test");
    suite.lifeboat(&["backup", "run", "--component", "identity"]).result(0);
    sydent.kill();
    fs::remove_dir_all(&home).unwrap();
    // Its configuration is gone, so lifeboat.yaml cannot be read: the vault is named, and that
    // nothing was stopped is a gap.
    let (vault, state) = (suite.vault.to_str().unwrap(), suite.folder.join("state"));
    let words = ["--no-start", "--vault", vault, "--state", state.to_str().unwrap()];
    let words = ["restore", "run", "--component", "identity"].into_iter().chain(words);
    suite.lifeboat_opened(&words.collect::<Vec<_>>()).result(3);
    sydent.launch().unwrap();
    sydent.wait_ready().unwrap();
    assert_eq!(seen(&sydent), before);
}

//! Whoever has the recovery key reads the old encrypted messages: from a new device, or rendered
//! from the package.

use std::fs;
use std::path::Path;

use lifeboat_package::digest::Digest;
use lifeboat_testing::world::say_on_stderr;
use lifeboat_testing::{Part, Tools, World};
use serde_json::Value;

use crate::clients;
use crate::harbour::Harbour;
use crate::program::{GAPS, lifeboat};

#[test]
fn fresh_device_reads_encrypted_history_with_the_recovery_key_and_not_without() {
    Tools::ready(&[Part::Node], &say_on_stderr).unwrap();
    let world = World::small().unwrap();
    let kept = world.directory().join("history.json");
    let state = world.state();
    let written = clients::history("write", &world, &world.server, &[&state, &kept]);
    assert_eq!(written["written"], 4, "{written}");
    let mut harbour = Harbour::of(world);
    rendered_with_the_key_of_secret_storage(&harbour, &kept);
    let mut server = harbour.landed("history", &[]);
    // Nothing may come from the old server.
    harbour.world.server.stop();
    server.start().unwrap();

    let peeked = clients::history("peek", &harbour.world, &server, &[&kept]);
    assert_eq!((&peeked["restored"], &peeked["read"]), (&0.into(), &0.into()), "{peeked}");
    assert_eq!(peeked["attachment"], false, "{peeked}");
    let read = clients::history("read", &harbour.world, &server, &[&kept]);
    assert_eq!((&read["read"], &read["attachment"]), (&4.into(), &true.into()), "{read}");
    assert!(read["restored"].as_u64().unwrap() >= 1, "{read}");
}

/// What another implementation wrote, sealed and backed up is on the page, its attachment beside.
fn rendered_with_the_key_of_secret_storage(harbour: &Harbour, kept: &Path) {
    let kept: Value = serde_json::from_slice(&fs::read(kept).unwrap()).unwrap();
    let keys = harbour.world.directory().join("recovery.txt");
    fs::write(&keys, kept["recovery"].as_str().unwrap()).unwrap();
    let folder = harbour.world.directory().join("read-in-peace");
    let (package, identity) = (harbour.package.as_os_str(), harbour.identity.as_os_str());
    let words = ["render".as_ref(), package, "--json".as_ref(), "-i".as_ref(), identity];
    let room = ["--room".as_ref(), kept["room"].as_str().unwrap().as_ref(), "--keys".as_ref()];
    let to = [keys.as_os_str(), "-d".as_ref(), folder.as_os_str()];
    let outcome = lifeboat(words.into_iter().chain(room).chain(to)).result(GAPS);
    assert_eq!((&outcome["decrypted"], &outcome["encrypted"]), (&5.into(), &0.into()), "{outcome}");
    let text = fs::read_to_string(folder.join("everything.txt")).unwrap();
    for said in kept["events"].as_object().unwrap().values() {
        assert!(text.contains(said.as_str().unwrap()), "{said} in {text}");
    }
    let mut media = fs::read_dir(folder.join("media")).unwrap();
    let attachment = fs::read(media.next().unwrap().unwrap().path()).unwrap();
    assert_eq!(Digest::of(&attachment).to_string(), kept["sha256"].as_str().unwrap());
    assert!(media.next().is_none());
}

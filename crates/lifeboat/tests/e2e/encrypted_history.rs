//! Whoever has the recovery key reads the old encrypted messages from a new device.

use lifeboat_testing::world::say_on_stderr;
use lifeboat_testing::{Part, Tools, World};

use crate::clients;
use crate::harbour::Harbour;

#[test]
fn fresh_device_reads_encrypted_history_with_the_recovery_key_and_not_without() {
    Tools::ready(&[Part::Node], &say_on_stderr).unwrap();
    let world = World::small().unwrap();
    let kept = world.directory().join("history.json");
    let state = world.state();
    let written = clients::history("write", &world, &world.server, &[&state, &kept]);
    assert_eq!(written["written"], 4, "{written}");
    let mut harbour = Harbour::of(world);
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

//! Any text as a configuration, a connection string, a signing key: never a panic, and what was
//! understood comes back from its records.
#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use lifeboat_config::records::{from_records, to_records};
use lifeboat_config::target::{DatabaseTarget, Surroundings};
use lifeboat_config::{Document, SynapseConfig};
use lifeboat_matrix::parse_signing_keys;

fuzz_target!(|text: &str| {
    let around = Surroundings::default();
    drop((DatabaseTarget::parse(text, &around), parse_signing_keys(text)));
    let document = Document { path: "/etc/homeserver.yaml".into(), text };
    let Ok(config) = SynapseConfig::parse(&[document], Path::new("/")) else { return };
    drop((config.databases(&around), config.old_signing_keys()));
    let back = from_records(&to_records(&config.kept)).expect("our own records are good");
    // Keys, not values: a float of 17 digits may come back one bit off.
    assert!(back.settings.keys().eq(config.kept.settings.keys()));
    assert!(back.secrets == config.kept.secrets);
});

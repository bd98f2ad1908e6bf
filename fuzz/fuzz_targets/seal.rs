//! `seal.json` reads back as it was written; no bytes that were not sealed ever open.
#![no_main]

use lifeboat_package::contents::Contents;
use lifeboat_package::id::PackageId;
use lifeboat_package::key::PackageKey;
use lifeboat_package::seal::open_bytes;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Ok(contents) = Contents::parse(bytes) {
        let again = contents.to_bytes().expect("it was accepted");
        assert_eq!(Contents::parse(&again).expect("it was written"), contents);
    }
    let (key, package) = (PackageKey::from_bytes([1; 32]), PackageId::from_bytes([2; 16]));
    assert!(open_bytes(&key, &package, "f", bytes).is_err());
});

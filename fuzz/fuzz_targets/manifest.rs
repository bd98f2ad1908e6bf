//! A manifest that is accepted can be written and read again; frames never take more than allowed.
#![no_main]

use lifeboat_package::manifest::{Manifest, signing_bytes};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    drop(Manifest::from_frame(bytes));
    if let Ok(manifest) = Manifest::parse(bytes) {
        signing_bytes(bytes).expect("it is canonical");
        let again = manifest.to_canonical().expect("it was accepted");
        assert_eq!(Manifest::parse(&again).expect("it was written"), manifest);
    }
});

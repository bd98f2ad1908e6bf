//! Any archive under a right seal, in two pieces: what an attacker with the key can send.
#![no_main]

use lifeboat_package::id::PackageId;
use lifeboat_package::key::PackageKey;
use lifeboat_package::seal::{FreshSeal, seal_bytes};
use lifeboat_package::unpack::VolumeUnpacker;

libfuzzer_sys::fuzz_target!(|input: (u16, &[u8])| {
    let (key, package) = (PackageKey::from_bytes([1; 32]), PackageId::from_bytes([2; 16]));
    let fresh = FreshSeal { salt: [3; 32], prefix: [4; 7] };
    let sealed = seal_bytes(&key, &package, "volumes/000001.vol", &fresh, input.1);
    let (first, second) = sealed.split_at(usize::from(input.0).min(sealed.len()));
    let (mut unpacker, mut entries) = (VolumeUnpacker::begin(&key, &package, 1), Vec::new());
    if unpacker.feed(first, &mut entries).is_ok() && unpacker.feed(second, &mut entries).is_ok() {
        drop(unpacker.finish(&mut entries));
    }
});

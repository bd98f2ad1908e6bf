//! A header that is accepted is canonical: it would be written the same way.
#![no_main]

use lifeboat_package::canonical::to_bytes;
use lifeboat_package::header::Header;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if Header::parse(bytes).is_ok() {
        let value = serde_json::from_slice(bytes).expect("it was parsed");
        assert_eq!(to_bytes(&value).expect("it is canonical"), bytes);
    }
});

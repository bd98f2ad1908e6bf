//! Frames and indexes of any bytes, and any lines framed and read again.
#![no_main]

use lifeboat_package::frame::{RecordFrames, decompress_records};
use lifeboat_package::index::IndexRecords;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    drop(decompress_records(bytes));
    drop(IndexRecords::parse(bytes).map(Iterator::count));
    let (mut framer, mut frames) = (RecordFrames::begin(1).expect("level 1"), Vec::new());
    if framer.push(bytes, &mut frames).is_ok() {
        framer.flush(&mut frames).expect("it was pushed");
        let read = frames.iter().map(|frame| decompress_records(&frame.bytes).expect("framed").0);
        assert_eq!(read.collect::<Vec<_>>().concat(), bytes);
    }
});

//! Frames: sizes are checked first, splits lie between lines.

use proptest::prelude::*;

use super::*;

#[test]
fn a_frame_declares_size_and_checksum() {
    for level in [1, 3, 19, 22] {
        for size in [0, 1, 255, 256, 65_791, 65_792, 9 << 20] {
            let raw = vec![b'\n'; size];
            let frame = compress(&raw, level).unwrap();
            let shape = Shape::parse(&frame).unwrap();
            assert_eq!(shape.raw, size as u64);
            assert!(shape.window.unwrap_or(0) <= FRAME_WINDOW_BYTES, "{level} {size}");
            assert!(decompress(&frame, size).unwrap() == raw);
        }
    }
}

#[test]
fn what_a_compressor_does_not_make_smaller_is_dense() {
    // A hash of the place is as good as chance.
    let dense: Vec<u8> = (0..2_000_u32)
        .flat_map(|at| *crate::digest::Digest::of(&at.to_le_bytes()).as_bytes())
        .collect();
    assert!(is_dense(&dense));
    let text: Vec<u8> = (0..20_000_u32).flat_map(|at| at.to_string().into_bytes()).collect();
    assert!(!is_dense(&text));
    let framed = [dense.as_slice(), &vec![0; dense.len()]].concat();
    assert!(!is_dense(&framed), "half of it is zeros");
    for short in [0, 1, 4096, 32_000] {
        assert!(!is_dense(&dense[..short]), "{short}: no gain in looking");
    }
}

#[test]
fn a_window_that_is_too_large_is_refused() {
    let mut compressor = Compressor::new(3).unwrap();
    compressor.set_parameter(CParameter::ChecksumFlag(true)).unwrap();
    compressor.set_parameter(CParameter::WindowLog(24)).unwrap();
    let frame = compressor.compress(&vec![0; (16 << 20) + 1]).unwrap();
    let error = decompress(&frame, 32 << 20).unwrap_err();
    assert!(matches!(error, FrameError::Window { window } if window == 16 << 20), "{error}");
}

#[test]
fn a_frame_that_declares_too_much_is_refused() {
    let frame = compress(&vec![0; 1000], 3).unwrap();
    let error = decompress(&frame, 999).unwrap_err();
    assert!(matches!(error, FrameError::TooLarge { declared: 1000, limit: 999 }), "{error}");
    // 2^62 bytes declared by a frame of a few bytes.
    let bomb =
        [MAGIC.as_slice(), &[0b1110_0100], &(1_u64 << 62).to_le_bytes(), &[1, 0, 0]].concat();
    let error = decompress(&bomb, FRAME_RAW_BYTES).unwrap_err();
    assert!(matches!(error, FrameError::TooLarge { .. }), "{error}");
}

#[test]
fn frames_without_size_or_checksum_are_refused() {
    let plain = zstd::bulk::compress(b"a\n", 3).unwrap();
    assert!(matches!(decompress(&plain, 100), Err(FrameError::Shape)), "no checksum");
    let mut compressor = compressor(3).unwrap();
    compressor.set_parameter(CParameter::ContentSizeFlag(false)).unwrap();
    let unsized_frame = compressor.compress(b"a\n").unwrap();
    assert!(matches!(decompress(&unsized_frame, 100), Err(FrameError::Shape)), "no size");
}

#[test]
fn two_frames_or_bytes_behind_one_are_refused() {
    let frame = compress(b"a\n", 3).unwrap();
    assert!(decompress(&[frame.clone(), frame.clone()].concat(), 100).is_err());
    assert!(decompress(&[frame.as_slice(), b"x"].concat(), 100).is_err());
    // Neither adds a byte to what is decompressed: an empty frame, and one to be skipped.
    assert!(decompress(&[frame.clone(), compress(b"", 3).unwrap()].concat(), 100).is_err());
    let skipped = [0x50, 0x2a, 0x4d, 0x18, 1, 0, 0, 0, b'x'];
    assert!(decompress(&[frame.as_slice(), &skipped].concat(), 100).is_err());
    assert!(decompress(&[&skipped, frame.as_slice()].concat(), 100).is_err());
    assert!(decompress(&frame[..frame.len() - 1], 100).is_err());
    assert!(decompress(b"", 100).is_err());
}

#[test]
fn every_flipped_bit_of_a_frame_is_refused_or_harmless() {
    let raw = b"{\"a\":1}\n{\"a\":2}\n".repeat(20);
    let frame = compress(&raw, 3).unwrap();
    for bit in 0..frame.len() * 8 {
        let mut damaged = frame.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        if let Ok(lines) = decompress(&damaged, FRAME_RAW_BYTES) {
            assert_eq!(lines, raw, "bit {bit}");
        }
    }
}

#[test]
fn lines_are_counted() {
    for lines in [0, 1, 254, 255, 256, 10_000] {
        let text = b"x\n".repeat(lines);
        assert_eq!(Count::of(&text), Count { records: lines as u64, raw: 2 * lines as u64 });
        assert_eq!(Count::of(&vec![b'\n'; lines]).records, lines as u64);
    }
}

#[test]
fn a_record_larger_than_a_frame_is_refused() {
    let mut line = vec![b'x'; FRAME_RAW_BYTES];
    line.push(b'\n');
    let mut frames = RecordFrames::begin(1).unwrap();
    let error = frames.push(&line, &mut Vec::new()).unwrap_err();
    assert!(matches!(error, CompressError::Record { .. }), "{error}");
    line.remove(0);
    frames.push(b"short\n", &mut Vec::new()).unwrap();
    let mut out = Vec::new();
    frames.push(&line, &mut out).unwrap();
    frames.flush(&mut out).unwrap();
    assert_eq!(out.iter().map(|frame| frame.count.records).collect::<Vec<_>>(), [1, 1]);
}

#[test]
fn lines_without_an_end_are_refused() {
    let mut frames = RecordFrames::begin(1).unwrap();
    assert!(matches!(frames.push(b"a\nb", &mut Vec::new()), Err(CompressError::Unended)));
    assert!(matches!(decompress_records(&compress(b"a\nb", 1).unwrap()), Err(FrameError::Unended)));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]
    #[test]
    fn records_come_back_whole_and_in_order(
        batches in prop::collection::vec((1_usize..3_000, 0_usize..4_000), 1..12)
    ) {
        let mut framer = RecordFrames::begin(1).unwrap();
        let (mut frames, mut all) = (Vec::new(), Vec::new());
        for (at, (lines, width)) in batches.iter().enumerate() {
            let line = format!("{{\"batch\":{at},\"x\":\"{}\"}}\n", "y".repeat(*width));
            let batch = line.repeat(*lines);
            all.extend_from_slice(batch.as_bytes());
            framer.push(batch.as_bytes(), &mut frames).unwrap();
        }
        framer.flush(&mut frames).unwrap();
        let mut read = Vec::new();
        for frame in &frames {
            let (lines, count) = decompress_records(&frame.bytes).unwrap();
            prop_assert_eq!(count, frame.count);
            prop_assert!(lines.len() <= FRAME_TARGET_BYTES);
            read.extend_from_slice(&lines);
        }
        prop_assert!(read == all);
        let least = all.len() / FRAME_TARGET_BYTES;
        prop_assert!(frames.len() <= 2 * least + 2, "{} frames", frames.len());
    }
}

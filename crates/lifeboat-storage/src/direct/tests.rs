//! Past the cache and through it, on the real file system.

use std::fs;

use lifeboat_testing::Scratch;

use super::*;

/// Bytes that are nowhere alike.
pub(crate) fn noise(bytes: usize, seed: u64) -> Vec<u8> {
    let mut state = seed | 1;
    let mut next = || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    (0..bytes).map(|_| next()).collect()
}

/// A block that the disk does not take as it lies goes through the cache.
#[test]
fn what_cannot_go_past_the_cache_goes_through_it() {
    let scratch = Scratch::new("direct").unwrap();
    let path = scratch.path().join("a");
    let file = fs::File::create_new(&path).unwrap();
    let bytes = noise(DIRECT_BYTES + 1, 3);
    // File systems that copy take it from anywhere.
    let is_done = write_direct(&file, &bytes[1..], 1).unwrap();
    let flags = rustix::fs::fcntl_getfl(&file).unwrap();
    assert!(!flags.contains(OFlags::DIRECT));
    if is_done {
        assert!(fs::read(&path).unwrap()[1..] == bytes[1..]);
    }
    let mut block = Block::at(1);
    block.take(&bytes);
    let filled = block.filled().to_vec();
    let written = write_block(&file, block, 1, false).unwrap();
    assert_eq!((written.cached_bytes, written.is_direct), (filled.len(), false));
    assert!(fs::read(&path).unwrap()[1..] == filled);
}

#[test]
fn bytes_are_written_wherever_they_begin_and_end() {
    let scratch = Scratch::new("direct").unwrap();
    for (at, size) in
        [(0_u32, 1), (0, DIRECT_BYTES), (5, 3 << 20), (4096, 200_001), (4095, 1 << 20)]
    {
        let file = fs::File::create(scratch.path().join("a")).unwrap();
        let bytes = noise(size, u64::from(at));
        write_all_at(&file, &bytes, at.into()).unwrap();
        let begin = at as usize;
        let found = fs::read(scratch.path().join("a")).unwrap();
        assert!(found[..begin].iter().all(|byte| *byte == 0), "{at} {size}");
        assert!(found[begin..] == bytes, "{at} {size}");
    }
}

#[test]
fn bytes_are_read_wherever_they_begin_and_end() {
    let scratch = Scratch::new("direct").unwrap();
    let path = scratch.path().join("a");
    let all = noise((3 << 20) + 77, 5);
    fs::write(&path, &all).unwrap();
    let file = fs::File::open(&path).unwrap();
    let end = all.len();
    let ends = [0, 1, 4095, 4096, DIRECT_BYTES, DIRECT_BYTES + 1, 1 << 20, end - 1, end];
    for begin in ends {
        for end in ends.into_iter().filter(|end| *end >= begin) {
            let read = read_exact_at(&file, begin as u64..end as u64).unwrap();
            assert!(read == all[begin..end], "{begin} {end}");
            if end - begin >= DIRECT_BYTES {
                let direct = read_direct(&file, begin as u64, end - begin).unwrap();
                assert!(direct.is_none_or(|direct| direct == all[begin..end]), "{begin} {end}");
            }
        }
    }
    let beyond = read_exact_at(&file, 0..end as u64 + 1).unwrap_err();
    assert_eq!(beyond.kind(), io::ErrorKind::UnexpectedEof);
}

//! Sizes and ranges; what the bytes are is tested against Tink and `RustCrypto` in `tests/it`.

use super::*;

const FIRST: u64 = SEGMENT as u64 - 56;
const LATER: u64 = SEGMENT as u64 - 16;

fn key() -> (PackageKey, PackageId, FreshSeal) {
    let fresh = FreshSeal { salt: [3; 32], prefix: [4; 7] };
    (PackageKey::from_bytes([1; 32]), PackageId::from_bytes([2; 16]), fresh)
}

#[test]
fn sizes_are_those_of_the_layout() {
    for (plain, sealed) in [
        (0, 56),
        (1, 57),
        (FIRST, 1 << 20),
        (FIRST + 1, (1 << 20) + 17),
        (FIRST + LATER, 2 << 20),
        (FIRST + LATER + 1, (2 << 20) + 17),
    ] {
        assert_eq!(sealed_size(plain), sealed);
        assert_eq!(plaintext_size(sealed), Some(plain));
    }
    for sealed in [0, 40, 55, (1 << 20) + 1, (1 << 20) + 16, (2 << 20) + 16] {
        assert_eq!(plaintext_size(sealed), None, "{sealed}");
    }
}

fn indices(bytes: std::ops::Range<u64>) -> std::ops::Range<usize> {
    usize::try_from(bytes.start).unwrap()..usize::try_from(bytes.end).unwrap()
}

#[test]
fn any_range_opens_alone() {
    let (key, package, fresh) = key();
    let plaintext: Vec<u8> = (0..2_500_000_u32).map(|i| u8::try_from(i % 251).unwrap()).collect();
    let sealed = seal_bytes(&key, &package, "f", &fresh, &plaintext);
    let range_key = RangeKey::new(&key, &package, "f", &sealed[..HEAD]).unwrap();
    let edges = [0, 1, FIRST - 1, FIRST, FIRST + 1, FIRST + LATER - 1, FIRST + LATER, 2_499_999];
    for begin in edges {
        for end in edges.into_iter().chain([2_500_000]).filter(|end| *end >= begin) {
            let range = SealedRange::of(sealed.len() as u64, begin, end - begin).unwrap();
            let opened = range.open(&range_key, &sealed[indices(range.bytes())]).unwrap();
            assert!(opened == plaintext[indices(begin..end)], "{begin}..{end}");
        }
    }
}

#[test]
fn ranges_outside_the_file_are_refused() {
    let sealed = sealed_size(1000);
    for (offset, length) in [(0, 1001), (1000, 1), (1001, 0), (u64::MAX, 1), (1, u64::MAX)] {
        assert!(SealedRange::of(sealed, offset, length).is_err(), "{offset} {length}");
    }
    assert!(SealedRange::of(sealed_size(1 << 30), 0, (16 << 20) + 1).is_err());
    assert!(SealedRange::of(55, 0, 0).is_err());
}

#[test]
fn segments_lie_side_by_side_and_cover_the_plaintext() {
    for size in [1, FIRST, FIRST + 1, FIRST + LATER, 2_500_000] {
        let sealed = sealed_size(size);
        let mut at = 0;
        while at < size {
            let segment = segment_around(sealed, at).unwrap();
            assert_eq!(segment.start, at);
            assert_eq!(segment_around(sealed, segment.end - 1).unwrap(), segment);
            let range = SealedRange::of(sealed, at, segment.end - at).unwrap();
            assert!(range.bytes().end - range.bytes().start <= SEGMENT as u64);
            at = segment.end;
        }
        assert_eq!(at, size);
        assert!(segment_around(sealed, size).is_err());
    }
    assert!(segment_around(55, 0).is_err());
}

#[test]
fn a_range_of_a_shorter_file_does_not_open() {
    let (key, package, fresh) = key();
    let sealed = seal_bytes(&key, &package, "f", &fresh, &vec![7; 3 << 20]);
    let range_key = RangeKey::new(&key, &package, "f", &sealed[..HEAD]).unwrap();
    // Pretend that the file ends with its first segment.
    let range = SealedRange::of(1 << 20, 0, 10).unwrap();
    assert!(range.open(&range_key, &sealed[HEAD..1 << 20]).is_err());
    assert!(range.open(&range_key, &sealed[HEAD..(1 << 20) - 1]).is_err());
}

#[test]
fn a_range_with_a_segment_missing_does_not_open() {
    let (key, package, fresh) = key();
    let sealed = seal_bytes(&key, &package, "f", &fresh, &vec![7; 3 << 20]);
    let range_key = RangeKey::new(&key, &package, "f", &sealed[..HEAD]).unwrap();
    let range = SealedRange::of(sealed.len() as u64, 0, 2 << 20).unwrap();
    let bytes = &sealed[indices(range.bytes())];
    assert!(range.open(&range_key, bytes).is_ok());
    let first = &bytes[..SEGMENT - HEAD];
    assert!(matches!(range.open(&range_key, first), Err(SealError::CutOff { .. })));
    assert!(range.open(&range_key, &[]).is_err());
}

#[test]
fn an_opener_that_failed_stays_shut() {
    let (key, package, fresh) = key();
    let mut sealed = seal_bytes(&key, &package, "f", &fresh, &vec![7; 3 << 20]);
    sealed[100] ^= 1;
    let mut opener = Opener::begin(&key, &package, "f");
    let mut out = Vec::new();
    let error = opener.update(&sealed, &mut out).unwrap_err();
    assert_eq!(error, SealError::Segment { name: "f".to_owned(), segment: 0 });
    assert_eq!(opener.update(&sealed[1 << 20..], &mut out), Err(error.clone()));
    assert_eq!(opener.finish(&mut out), Err(error));
    assert!(out.is_empty());
}

//! Where segments end.

use proptest::prelude::*;

use super::{
    Cutter, HEADER_BYTES, SEGMENT_LEAST_BYTES, SEGMENT_MOST_BYTES, Segment, TRAILER, hash,
};
use crate::copy_out::SIGNATURE;

/// A row that looks like one: numbers and texts that repeat, and some chance.
fn row(seed: u64, bytes: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
    let mut row = b"\0\x02\0\0\0\x08".to_vec();
    row.extend(seed.to_be_bytes());
    while row.len() < bytes {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        row.extend(if state.is_multiple_of(3) { *b"the same" } else { state.to_be_bytes() });
    }
    row
}

fn cut(rows: &[Vec<u8>]) -> Vec<Segment> {
    let mut cutter = Cutter::default();
    let mut segments: Vec<Segment> = rows.iter().filter_map(|row| cutter.push(row)).collect();
    segments.extend(cutter.finish());
    segments
}

fn rows(count: u64, bytes: usize) -> Vec<Vec<u8>> {
    (0..count).map(|seed| row(seed, bytes)).collect()
}

#[test]
fn segments_are_whole_files_that_hold_every_row_once_and_in_order() {
    let rows = rows(20_000, 700);
    let segments = cut(&rows);
    let mut joined = Vec::new();
    for segment in &segments {
        assert!(segment.copy.starts_with(SIGNATURE));
        assert!(segment.copy.ends_with(&TRAILER));
        joined.extend_from_slice(&segment.copy[HEADER_BYTES..segment.copy.len() - 2]);
    }
    assert_eq!(segments.iter().map(|s| s.rows).sum::<u64>(), 20_000);
    assert!(joined == rows.concat());
}

#[test]
fn segments_have_about_a_mebibyte_and_never_more_than_the_most() {
    for bytes in [200, 20_000] {
        let count = (64 << 20) / u64::try_from(bytes).unwrap();
        let segments = cut(&rows(count, bytes));
        let (_, whole) = segments.split_last().unwrap();
        let sizes: Vec<usize> = whole.iter().map(|s| s.copy.len()).collect();
        assert!(sizes.iter().all(|size| *size >= SEGMENT_LEAST_BYTES), "{sizes:?}");
        assert!(sizes.iter().all(|size| *size <= SEGMENT_MOST_BYTES), "{sizes:?}");
        let mean = sizes.iter().sum::<usize>() / sizes.len();
        assert!((3 << 18..=5 << 18).contains(&mean), "{bytes} bytes a row: {mean}");
    }
}

#[test]
fn rows_that_are_all_the_same_end_at_the_most() {
    let rows = vec![row(7, 1000); 30_000];
    let segments = cut(&rows);
    assert!(segments.iter().all(|s| s.copy.len() <= SEGMENT_MOST_BYTES));
    assert_eq!(segments.iter().map(|s| s.rows).sum::<u64>(), 30_000);
}

#[test]
fn row_that_is_too_large_for_a_segment_has_one_of_its_own() {
    let mut rows = rows(2000, 300);
    rows.insert(700, row(9, SEGMENT_MOST_BYTES + 1));
    rows.insert(701, row(10, 17 << 20));
    let segments = cut(&rows);
    let sizes: Vec<u64> = segments.iter().map(|s| s.rows).collect();
    assert_eq!(sizes, [700, 1, 1, 1300]);
}

#[test]
fn hash_of_a_row_depends_on_each_of_its_bytes() {
    let whole = row(3, 203);
    for at in 0..whole.len() {
        let mut other = whole.clone();
        other[at] ^= 1;
        assert_ne!(hash(&whole), hash(&other), "byte {at}");
    }
    assert_ne!(hash(b"a"), hash(b"a\0"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4))]
    #[test]
    fn changed_added_and_removed_rows_leave_the_other_segments_as_they_are(
        edits in proptest::collection::vec((0..12_000_usize, 0..3_u8), 1..4),
        appended in 0..2000_u64,
    ) {
        let before = rows(12_000, 1800);
        let mut after = before.clone();
        for (at, kind) in &edits {
            match kind {
                0 => after[*at] = row(1_000_000, 1700),
                1 => drop(after.remove(*at)),
                _ => after.insert(*at, row(2_000_000, 1900)),
            }
        }
        after.extend((0..appended).map(|seed| row(3_000_000 + seed, 1800)));
        let (old, young) = (cut(&before), cut(&after));
        let kept = old.iter().filter(|segment| young.contains(segment)).count();
        // Each edit changes its segment and at most two more until the ends fall together again;
        // the last one is open at its end.
        prop_assert!(kept + 3 * edits.len() + 1 >= old.len(), "{kept} of {}", old.len());
        prop_assert!(old.len() > 6);
    }
}

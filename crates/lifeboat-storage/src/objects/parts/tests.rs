//! The sizes of parts.

use super::*;

#[test]
fn ten_thousand_parts_hold_five_tebibytes() {
    let total: u64 = (0..PARTS).map(|number| part_bytes(number) as u64).sum();
    assert!(total >= 5 << 40, "{total}");
    assert!(part_bytes(PARTS - 1) <= 5 << 30, "S3 takes parts of up to 5 GiB");
}

#[test]
fn all_parts_of_the_largest_volume_are_equal_and_small() {
    let volume: u64 = 4 << 30;
    let parts = usize::try_from(volume / PART_BYTES as u64).unwrap();
    assert!((0..=parts).all(|number| part_bytes(number) == PART_BYTES));
}

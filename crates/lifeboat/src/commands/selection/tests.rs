//! Moments as people write them.

use super::*;

#[test]
fn moments_are_read_with_and_without_zones() {
    for (text, expected) in [
        ("2026-03-01", 1_772_323_200_000),
        ("2026-03-01T08:00+01:00", 1_772_348_400_000),
        ("2026-03-01T07:00Z", 1_772_348_400_000),
        ("2026-03-01T07:00:00", 1_772_348_400_000),
        ("2026-03-01T08:00[Europe/Berlin]", 1_772_348_400_000),
        ("2026-07-01T09:00[Europe/Berlin]", 1_782_889_200_000),
    ] {
        assert_eq!(moment(text), Ok(expected), "{text}");
    }
    assert!(moment("last March").is_err() && moment("").is_err());
}

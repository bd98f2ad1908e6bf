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

#[test]
fn a_zone_that_is_unknown_or_contradicted_is_refused() {
    let unknown = moment("2026-11-22T06:32:20[Mars/Base]").unwrap_err();
    assert!(unknown.contains("no time zone “Mars/Base”"), "{unknown}");
    let contradicted = moment("2026-03-01T08:00+05:00[Europe/Berlin]").unwrap_err();
    assert!(contradicted.contains("no moment in the time zone Europe/Berlin"), "{contradicted}");
    assert_eq!(moment("2026-03-01T08:00+01:00[Europe/Berlin]"), Ok(1_772_348_400_000));
    for text in ["2026-03-01T08:00Z[Mars/Base]", "2026-03-01[]", "[Europe/Berlin]", "2026-03-01["] {
        assert!(moment(text).is_err(), "{text}");
    }
    assert!(moment("2026-03-01T08:00+99:00").is_err());
}

//! Where a sequence goes on, decided from plain values.

use super::*;

fn sequence(name: &str) -> Sequence {
    Sequence {
        name: name.to_owned(),
        increment: 1,
        lowest: 1,
        highest: i64::MAX,
        last: None,
        owner: None,
    }
}

fn called(last_value: i64) -> SequenceState {
    SequenceState { name: String::new(), last_value, is_called: true }
}

/// Decides for a sequence of this name; `saved` 0 stands for one that was never called.
fn decided(name: &str, saved: i64, rows: Option<i64>, room: i64) -> SequenceLine {
    let sequence = sequence(name);
    let fresh = SequenceState { name: String::new(), last_value: 1, is_called: false };
    let saved = if saved == 0 { fresh } else { called(saved) };
    decide(&Facts {
        sequence: &sequence,
        known: known::get(name),
        saved: Some(&saved),
        rows,
        room,
        margin: 1000,
    })
}

#[test]
fn stream_goes_on_past_the_highest_in_use_by_the_margin() {
    for (saved, rows, now) in [
        (7, None, 1007),
        (7, Some(5), 1007),
        (7, Some(9), 1009),
        (0, Some(3), 1003),
        (0, None, 1000),
    ] {
        let line = decided("events_stream_seq", saved, rows, i64::MAX);
        assert_eq!((line.now, line.done), (now, Done::Applied), "{saved} {rows:?}");
    }
}

#[test]
fn inner_numbers_are_raised_to_the_highest_in_use_and_no_further() {
    let line = decided("state_group_id_seq", 7, Some(7), i64::MAX);
    assert_eq!((line.used, line.now, line.done), (7, 7, Done::Nothing));
    let line = decided("state_group_id_seq", 7, Some(12), i64::MAX);
    assert_eq!((line.used, line.now, line.done), (12, 12, Done::Applied));
    let line = decided("state_group_id_seq", 0, None, i64::MAX);
    assert_eq!((line.used, line.now, line.done), (0, 0, Done::Nothing));
}

#[test]
fn narrow_column_shortens_the_margin_and_the_line_says_so() {
    let line = decided("sticky_events_sequence", 1500, None, 2000);
    assert_eq!((line.now, line.done), (2000, Done::Applied));
    assert!(line.why.contains("500 only"), "{}", line.why);
    let line = decided("sticky_events_sequence", 2500, None, 2000);
    assert_eq!((line.now, line.done), (2500, Done::Decide));
}

#[test]
fn margin_of_any_size_does_not_overflow() {
    let sequence = sequence("events_stream_seq");
    let saved = called(i64::MAX - 3);
    let line = decide(&Facts {
        sequence: &sequence,
        known: known::get("events_stream_seq"),
        saved: Some(&saved),
        rows: Some(i64::MAX),
        room: i64::MAX - i64::MAX / 128,
        margin: i64::MAX,
    });
    assert_eq!((line.now, line.done), (i64::MAX, Done::Decide));
}

#[test]
fn unknown_sequence_is_raised_and_named_as_unknown() {
    let line = decided("plugin_seq", 7, Some(9), i64::MAX);
    assert_eq!((line.now, line.done), (1009, Done::Applied));
    assert!(line.why.contains("unknown"), "{}", line.why);
}

#[test]
fn unknown_sequence_that_counts_downwards_stays_as_saved() {
    let mut sequence = sequence("odd");
    sequence.increment = -3;
    let saved = called(-12);
    let facts = Facts {
        sequence: &sequence,
        known: None,
        saved: Some(&saved),
        rows: None,
        room: i64::MAX,
        margin: 1000,
    };
    let line = decide(&facts);
    assert_eq!((line.now, line.done), (-12, Done::Decide));
}

#[test]
fn sequence_that_the_package_lacks_is_set_from_the_rows() {
    let sequence = sequence("receipts_sequence");
    let line = decide(&Facts {
        sequence: &sequence,
        known: known::get("receipts_sequence"),
        saved: None,
        rows: Some(4),
        room: i64::MAX,
        margin: 1000,
    });
    assert_eq!((line.now, line.done), (1004, Done::Applied));
    assert!(line.why.starts_with("not in the package"), "{}", line.why);
}

#[test]
fn every_line_has_the_name_the_numbers_and_the_reason() {
    let line = decided("device_inbox_sequence", 5, None, i64::MAX);
    assert_eq!(
        line.to_string(),
        "device_inbox_sequence 5 → 1005: else clients miss to-device messages, room keys with them"
    );
}

//! The judgements, on plain values.

use serde::Deserialize;

use super::access::{AccessFindings, Membership};
use super::events::{EventChecker, SIGNATURES, StoredEvent};
use super::files::FileState;
use super::rooms::RoomCounts;
use super::run::Run;
use super::tables::{Expected, Meaning};
use super::{Findings, NAMED, access, files, positions, rooms, tables};
use crate::matrix::PublicKeys;
use crate::synapse::read::media::MediaRecord;
use crate::synapse::schema::SequenceState;
use crate::synapse::sequences::SequenceStand;

const BEFORE: Run = Run::BeforeFirstStart;
const AFTER: Run = Run::AfterFirstStart;

fn expected(table: &str, rows: u64, run: Run) -> Expected<'_> {
    Expected { table, rows, run, lacks_remote_media: false, torn: false }
}

fn is_wrong(expected: Expected<'_>, found: u64) -> bool {
    matches!(tables::judge(expected, found), Meaning::Wrong(_))
}

fn is_explained(expected: Expected<'_>, found: u64) -> bool {
    matches!(tables::judge(expected, found), Meaning::Explained(_))
}

#[test]
fn before_the_first_start_every_other_count_is_wrong() {
    for table in ["events", "devices", "device_inbox", "a_table_of_a_module"] {
        assert_eq!(tables::judge(expected(table, 5, BEFORE), 5), Meaning::Equal);
        assert!(is_wrong(expected(table, 5, BEFORE), 4), "{table}");
        assert!(is_wrong(expected(table, 5, BEFORE), 6), "{table}");
    }
}

#[test]
fn after_the_start_only_lost_rows_of_lasting_tables_are_wrong() {
    assert!(is_wrong(expected("events", 5, AFTER), 4));
    assert!(is_explained(expected("events", 5, AFTER), 6));
    assert!(is_explained(expected("device_inbox", 5, AFTER), 0));
}

#[test]
fn counts_that_the_import_itself_changes_are_explained() {
    let media = Expected { lacks_remote_media: true, ..expected("remote_media_cache", 5, BEFORE) };
    assert!(is_explained(media, 4));
    assert!(is_wrong(media, 6));
    assert!(is_wrong(expected("remote_media_cache", 5, BEFORE), 4));
    let torn = Expected { torn: true, ..expected("threads", 5, BEFORE) };
    assert!(is_explained(torn, 4));
    assert!(is_wrong(Expected { torn: true, ..expected("events", 5, BEFORE) }, 4));
    assert!(is_explained(expected("stats_incremental_position", 0, BEFORE), 1));
    assert!(is_explained(expected("federation_stream_position", 0, BEFORE), 2));
    assert!(is_wrong(expected("stats_incremental_position", 1, BEFORE), 0));
}

#[test]
fn tables_left_empty_may_fill_once_synapse_runs() {
    let keys = "e2e_one_time_keys_json";
    assert_eq!(tables::judge(expected(keys, 900, BEFORE), 0), Meaning::Equal);
    assert!(is_wrong(expected(keys, 900, BEFORE), 1));
    assert!(is_explained(expected(keys, 900, AFTER), 50));
}

fn room(packaged: [u64; 3], found: [u64; 3], run: Run) -> Findings {
    let counts = |[events, members, state]: [u64; 3]| RoomCounts { events, members, state };
    let mut findings = Findings::default();
    rooms::judge("!r", counts(packaged), counts(found), (run, &mut findings));
    findings
}

#[test]
fn room_that_lives_on_is_noted_and_one_that_lost_events_is_wrong() {
    assert_eq!(room([9, 2, 4], [9, 2, 4], BEFORE), Findings::default());
    assert_eq!(room([9, 2, 4], [9, 1, 4], BEFORE).wrong, 1);
    assert_eq!(room([9, 2, 4], [10, 2, 4], BEFORE).wrong, 1);
    assert_eq!(room([9, 2, 4], [10, 1, 3], AFTER).wrong, 0);
    assert_eq!(room([9, 2, 4], [10, 1, 3], AFTER).notes.len(), 1);
    assert_eq!(room([9, 2, 4], [8, 2, 4], AFTER).wrong, 1);
}

#[test]
fn file_that_synapse_removes_by_itself_may_go_after_the_start() {
    let judged = |kind: &str, state: FileState, run| {
        let (path, mxc) = ("local_content/a".to_owned(), "mxc://a/b".to_owned());
        let (kind, sha256) = (kind.to_owned(), String::new());
        let mut findings = Findings::default();
        let record = MediaRecord { path, kind, mxc, sha256, length: 1 };
        files::judge(&record, state, run, &mut findings);
        findings.wrong
    };
    assert_eq!(judged("local", FileState::Equal, BEFORE), 0);
    assert_eq!(judged("local", FileState::Missing, AFTER), 1);
    assert_eq!(judged("url_cache", FileState::Missing, BEFORE), 1);
    assert_eq!(judged("url_cache", FileState::Missing, AFTER), 0);
    assert_eq!(judged("url_cache", FileState::Differs("it does".to_owned()), AFTER), 1);
}

#[test]
fn media_path_that_leaves_the_store_is_not_followed() {
    let folder = tempfile::tempdir().expect("a folder is made");
    std::fs::write(folder.path().join("outside"), "x").expect("a file is written");
    let store = folder.path().join("store");
    std::fs::create_dir(&store).expect("the store is made");
    for path in ["../outside", "/etc/passwd", "a/../../outside", ""] {
        let (path, kind, mxc) = (path.to_owned(), String::new(), String::new());
        let record = MediaRecord { path, kind, mxc, sha256: "0".repeat(64), length: 1 };
        let FileState::Differs(how) = files::look(&store, &record) else { panic!("{record:?}") };
        assert!(how.contains("leaves"), "{how}");
    }
}

fn membership(listed: &str, in_state: Option<&str>) -> Membership {
    Membership {
        user: "@a:b".to_owned(),
        room: "!r".to_owned(),
        listed: listed.to_owned(),
        in_state: in_state.map(str::to_owned),
        has_state: true,
        has_event: true,
    }
}

fn access_is_wrong(membership: &Membership) -> bool {
    let mut findings = AccessFindings::default();
    access::judge(membership, &mut findings);
    assert_eq!(findings.joined + findings.others, 1);
    findings.users.wrong > 0
}

#[test]
fn membership_must_be_the_same_in_list_and_state() {
    assert!(!access_is_wrong(&membership("join", Some("join"))));
    assert!(access_is_wrong(&membership("join", Some("leave"))));
    assert!(access_is_wrong(&membership("join", None)));
    // An invitation from another server, a room that was left: there need not be any state.
    assert!(!access_is_wrong(&membership("invite", None)));
    assert!(!access_is_wrong(&membership("leave", Some("ban"))));
    assert!(access_is_wrong(&membership("leave", Some("join"))));
    let joined = membership("join", Some("join"));
    assert!(access_is_wrong(&Membership { has_state: false, ..joined.clone() }));
    assert!(access_is_wrong(&Membership { has_event: false, ..joined }));
}

fn sequence(last: i64, used: Option<i64>, run: Run) -> Findings {
    let name = "events_stream_seq".to_owned();
    let saved = SequenceState { name: name.clone(), last_value: 100, is_called: true };
    let stand = SequenceStand { name, last: Some(last), used, is_raised: true };
    let mut findings = Findings::default();
    positions::judge(&stand, Some(&saved), (run, 1000), &mut findings);
    findings
}

#[test]
fn sequence_behind_rows_or_package_is_wrong_and_a_small_margin_is_noted() {
    assert_eq!(sequence(1100, Some(100), BEFORE), Findings::default());
    assert_eq!(sequence(1100, Some(1101), AFTER).wrong, 1);
    assert_eq!(sequence(99, None, AFTER).wrong, 1);
    assert_eq!(sequence(100, None, BEFORE).notes.len(), 1);
    assert_eq!(sequence(100, None, AFTER), Findings::default());
}

#[test]
fn many_problems_are_counted_and_the_first_are_named() {
    let (mut one, mut other) = (Findings::default(), Findings::default());
    for at in 0..NAMED as u64 {
        one.problem(at.to_string(), "");
        other.problem(at.to_string(), "");
    }
    one.add(other);
    assert_eq!((one.wrong, one.problems.len()), (2 * NAMED as u64, NAMED));
}

#[derive(Deserialize)]
struct Sample {
    event_id: String,
    room_version: String,
    verdict: String,
    pdu: String,
}

/// Events of a real Synapse, one room for each version.
fn samples() -> Vec<Sample> {
    let text = include_str!("../../../fixtures/synapse/pdus.jsonl");
    text.lines().map(|line| serde_json::from_str(line).expect("a sample")).collect()
}

fn stored(sample: &Sample, pdu: &str) -> StoredEvent {
    StoredEvent {
        event_id: sample.event_id.clone(),
        room_version: Some(sample.room_version.clone()),
        pdu: pdu.as_bytes().to_vec(),
    }
}

#[test]
fn redacted_events_are_counted_and_changed_ones_are_wrong_in_every_room_version() {
    let checker = EventChecker::new(PublicKeys::new(), 1, 1);
    let mut versions = std::collections::BTreeSet::new();
    for sample in samples() {
        let found = checker.check(&[stored(&sample, &sample.pdu)]);
        let name = format!("{} in {}", sample.verdict, sample.room_version);
        match sample.verdict.as_str() {
            "good" => assert_eq!((found.content.wrong, found.redacted), (0, 0), "{name}"),
            "redacted" => assert_eq!((found.content.wrong, found.redacted), (0, 1), "{name}"),
            _ => continue,
        }
        assert_eq!(found.without_key.values().sum::<u64>(), 1, "{name}");
        let mut changed: serde_json::Value = serde_json::from_str(&sample.pdu).expect("is JSON");
        changed["content"]["added"] = "x".into();
        let found = checker.check(&[stored(&sample, &changed.to_string())]);
        assert_eq!((found.content.checked, found.content.wrong), (1, 1), "{name}");
        versions.insert((sample.room_version, sample.verdict));
    }
    assert!(versions.len() >= 24, "{versions:?}");
}

#[test]
fn unknown_room_versions_are_named_and_neither_right_nor_wrong() {
    let checker = EventChecker::new(PublicKeys::new(), 1, 1);
    let event = |room_version: Option<&str>| StoredEvent {
        event_id: "$x".to_owned(),
        room_version: room_version.map(str::to_owned),
        pdu: b"{}".to_vec(),
    };
    let found = checker.check(&[event(Some("org.example.999")), event(None)]);
    assert_eq!(found.content, Findings::default());
    assert_eq!(found.unknown.get("room version org.example.999"), Some(&1));
    assert_eq!(found.unknown.values().sum::<u64>(), 2);
    let found = checker.check(&[StoredEvent { pdu: b"{".to_vec(), ..event(Some("11")) }]);
    assert_eq!((found.content.checked, found.content.wrong), (1, 1), "cut short");
}

#[test]
fn signatures_of_a_large_server_are_sampled_by_the_seed() {
    let drawn = |seed, events, of: u64| -> Vec<u64> {
        let checker = EventChecker::new(PublicKeys::new(), seed, events);
        (0..of).filter(|at| checker.draws(&format!("${at}:fixture.test"))).collect()
    };
    let large = 100 * SIGNATURES;
    assert_eq!(drawn(1, large, 20_000), drawn(1, large, 20_000));
    assert_ne!(drawn(1, large, 20_000), drawn(2, large, 20_000));
    let count = drawn(1, large, 20_000).len();
    assert!((130..=270).contains(&count), "about one in a hundred: {count} of 20000");
    assert_eq!(drawn(1, 300, 300).len(), 300, "all of a small server");
    let most = u64::try_from(drawn(1, 1, SIGNATURES + 9).len()).expect("fits");
    assert_eq!(most, SIGNATURES, "never more");
}

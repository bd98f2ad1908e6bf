//! Events of a real Synapse 1.163.2, one room for each version from 1 to 12, with the verdicts of
//! Synapse and of the Python package `signedjson`.

use lifeboat_components::matrix::{
    Pdu, PublicKeys, RoomRules, Verdict, check_content_hash, event_id, verify_event_signatures,
};
use serde::Deserialize;

const SERVER: &str = "fixture.test";

#[derive(Deserialize)]
struct Sample {
    event_id: String,
    room_version: String,
    verdict: String,
    pdu: String,
}

#[derive(Deserialize)]
struct ServerKey {
    key_id: String,
    key: String,
}

fn fixture(name: &str) -> String {
    let path = format!("{}/fixtures/synapse/{name}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(path).expect("the fixture is there")
}

fn samples() -> Vec<Sample> {
    let text = fixture("pdus.jsonl");
    text.lines().map(|line| serde_json::from_str(line).expect("a sample")).collect()
}

fn keys() -> PublicKeys {
    let key: ServerKey = serde_json::from_str(&fixture("pdus.key.json")).expect("a key");
    let mut keys = PublicKeys::new();
    keys.insert(SERVER, &key.key_id, &key.key).expect("a good key");
    keys
}

fn word(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Good => "good",
        Verdict::Redacted => "redacted",
        Verdict::Bad(_) => "bad",
        Verdict::NoKey(_) => "no key",
        Verdict::Unknown(_) => "unknown",
    }
}

fn verdict(sample: &Sample, keys: &PublicKeys) -> Verdict {
    verify_event_signatures(sample.pdu.as_bytes(), &sample.room_version, keys)
}

#[test]
fn every_room_version_gives_the_event_id_that_synapse_gave() {
    let samples = samples();
    for version in 1..=12 {
        assert!(samples.iter().any(|sample| sample.room_version == version.to_string()));
    }
    for sample in samples.iter().filter(|sample| sample.verdict != "unknown") {
        let id = event_id(sample.pdu.as_bytes(), &sample.room_version).expect("an id");
        assert_eq!(id, sample.event_id, "room version {}", sample.room_version);
    }
}

#[test]
fn every_event_gets_the_verdict_that_synapse_gives() {
    let keys = keys();
    for sample in samples() {
        let verdict = verdict(&sample, &keys);
        assert_eq!(word(&verdict), sample.verdict, "{} {verdict:?}", sample.pdu);
        if sample.verdict != "unknown" {
            let fits = check_content_hash(sample.pdu.as_bytes()).expect("a hash");
            assert_eq!(fits, sample.verdict == "good", "{}", sample.pdu);
        }
    }
}

#[test]
fn changed_content_is_redacted_and_changed_envelope_is_bad() {
    let keys = keys();
    for mut sample in samples().into_iter().filter(|sample| sample.verdict == "good") {
        let good = sample.pdu.clone();
        sample.pdu =
            good.replacen("\"content\":{", "\"content\":{\"new\":1,", 1).replace(",}", "}");
        assert_ne!(verdict(&sample, &keys), Verdict::Good, "{}", sample.pdu);
        sample.pdu = good.replacen("\"origin_server_ts\":1", "\"origin_server_ts\":2", 1);
        assert_ne!(sample.pdu, good);
        assert_eq!(word(&verdict(&sample, &keys)), "bad");
        if !matches!(sample.room_version.as_str(), "1" | "2") {
            let id = event_id(sample.pdu.as_bytes(), &sample.room_version).expect("an id");
            assert_ne!(id, sample.event_id);
        }
    }
}

#[test]
fn signature_by_a_key_we_do_not_have_is_not_called_bad() {
    let samples = samples();
    let sample = samples.iter().find(|sample| sample.verdict == "good").expect("a good one");
    assert_eq!(verdict(sample, &PublicKeys::new()), Verdict::NoKey(SERVER.to_owned()));
    let mut other = PublicKeys::new();
    other.insert(SERVER, "ed25519:other", &"A".repeat(43)).expect("32 bytes");
    assert_eq!(verdict(sample, &other), Verdict::NoKey(SERVER.to_owned()));
    let unsigned = sample.pdu.replacen(SERVER, "elsewhere.test", 1);
    let bad = verify_event_signatures(unsigned.as_bytes(), &sample.room_version, &keys());
    assert_eq!(word(&bad), "bad");
}

#[test]
fn unknown_room_versions_are_unknown() {
    let samples = samples();
    let verdict = verify_event_signatures(samples[0].pdu.as_bytes(), "org.example.later", &keys());
    assert_eq!(word(&verdict), "unknown");
    assert!(event_id(samples[0].pdu.as_bytes(), "13").is_err());
    assert!(RoomRules::of("12").is_some());
}

#[test]
fn text_that_is_no_event_is_bad_and_floats_are_bad_from_version_6_on() {
    let keys = keys();
    assert_eq!(word(&verify_event_signatures(b"{\"a\":", "3", &keys)), "bad");
    assert_eq!(word(&verify_event_signatures(b"{\"a\":1.5}", "5", &keys)), "unknown");
    assert_eq!(word(&verify_event_signatures(b"{\"a\":1.5}", "6", &keys)), "bad");
    assert!(Pdu::parse(b"[]").is_err());
}

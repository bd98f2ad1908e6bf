//! An event that Synapse took and that strict JSON does not is known by what lies beside it.

use super::*;

/// A record of an event whose stored form is this.
fn record(pdu: &str) -> String {
    format!(
        r#"{{"event_id":"$a","room_id":"!r:s","stream_ordering":7,
        "events":{{"type":"m.room.message","sender":"@ada:s","state_key":null,
        "origin_server_ts":5,"received_ts":6,"topological_ordering":3,"outlier":false,
        "rejection_reason":null}},
        "event_json":{{"internal_metadata":"{{}}"}},"pdu":{pdu}}}"#
    )
}

fn kept(pdu: &str) -> KeptEvent {
    let record = record(pdu);
    assert_eq!(room_of(record.as_bytes()).expect("a record"), "!r:s");
    kept_event(record.as_bytes()).expect("a record").expect("an event that counts")
}

/// An event with this content.
fn pdu(content: &str) -> String {
    format!(
        r#"{{"type":"m.room.message","sender":"@ada:s","origin_server_ts":5,"content":{content}}}"#
    )
}

#[test]
fn event_that_is_read_says_what_it_is() {
    let found = kept(&pdu(r#"{"body":"hello"}"#));
    assert_eq!(found.content.get("body").and_then(Value::as_str), Some("hello"));
    assert!(found.is_readable);
    let as_text = serde_json::to_string(&pdu(r#"{"body":"hello"}"#)).expect("text");
    assert_eq!(kept(&as_text), found);
}

#[test]
fn event_whose_content_cannot_be_read_is_known_by_its_row() {
    let deep = format!("{{\"a\":{}{}}}", "[".repeat(200), "]".repeat(200));
    for content in [r#"{"body":"\ud800"}"#, r#"{"n":1e999}"#, &deep] {
        let as_text = serde_json::to_string(&pdu(content)).expect("text");
        for stored in [pdu(content), as_text] {
            let found = kept(&stored);
            assert!(!found.is_readable && found.content.is_empty(), "{stored}");
            let (kind, sender) = (found.kind.as_str(), found.sender.as_str());
            assert_eq!((kind, sender), ("m.room.message", "@ada:s"));
            assert_eq!((found.sent, found.received, found.order), (5, 6, (3, 7)));
        }
    }
    assert!(!kept("null").is_readable && !kept("{}").is_readable);
}

#[test]
fn record_that_is_cut_short_is_still_an_error() {
    let record = record(&pdu("{}"));
    assert!(kept_event(&record.as_bytes()[..record.len() - 2]).is_err());
}

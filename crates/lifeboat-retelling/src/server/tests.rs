//! Registrations, addresses, and what is read of answers.

use serde_json::json;
use zeroize::Zeroizing;

use super::ClientError;
use super::answers::{members, page};
use super::client::Client;
use super::registration::{RegistrationError, parse, write};

#[test]
fn a_registration_that_was_written_is_read() {
    let text = write(&[1; 32], &[2; 32]);
    let read = parse(&text).expect("our own");
    assert_eq!(read.token.as_str(), "01".repeat(32));
    assert_eq!((read.sender_localpart.as_str(), read.rate_limited), ("_lb_", false));
    assert!(text.contains("regex: '@_lb_.*'"), "{}", text.as_str());
}

#[test]
fn a_registration_without_its_parts_is_refused_and_shows_nothing() {
    let cases = [
        ("as_token: secret", "it has no sender_localpart"),
        ("sender_localpart: x\nas_token: ''", "it has no as_token"),
        ("sender_localpart: x\nas_token: 7", "it has no as_token"),
        ("[secret]", "it has no as_token"),
        ("as_token: [secret", "it is not YAML"),
    ];
    for (text, says) in cases {
        let error: RegistrationError = parse(text).err().expect("it is refused");
        assert_eq!(error.to_string(), says, "{text}");
        assert!(!format!("{error:?}").contains("secret"), "{text}");
    }
    let limited = parse("as_token: a\nsender_localpart: b").ok().map(|read| read.rate_limited);
    assert_eq!(limited, Some(true));
}

#[test]
fn an_address_is_one_of_the_web_without_a_login() {
    let client = |address: &str| Client::new(address, Zeroizing::new("token".to_owned()));
    for good in ["http://127.0.0.1:8008", "https://matrix.example.org/", "https://a.org/matrix"] {
        assert!(client(good).is_ok(), "{good}");
    }
    for bad in ["", "matrix.example.org", "ftp://a.org", "file:///etc", "https://a:b@c.org"] {
        assert!(matches!(client(bad), Err(ClientError::Address(_))), "{bad}");
    }
}

#[test]
fn a_page_says_what_was_told_and_what_is_bare() {
    let event = |id: &str, content: serde_json::Value| {
        json!({"event_id": id, "type": "m.room.message", "sender": "@_lb_a:new",
               "origin_server_ts": 5, "content": content})
    };
    let original = |id: &str| json!({"org.lifeboat.original": {"event_id": id}});
    let mut redaction = event("$3", original("$c"));
    redaction["content"]["org.lifeboat.original"]["redacts"] = json!("$b");
    redaction["redacts"] = json!("$2");
    let mut bare = event("$4", json!({}));
    bare["unsigned"] = json!({"redacted_because": {}});
    let chunk = [event("$1", original("$a")), redaction, bare, event("$5", json!({})), json!(7)];
    let read = page(&json!({"chunk": chunk, "end": "next"}));
    let told: Vec<_> =
        read.told.iter().map(|t| (t.old.as_str(), t.new.as_str(), t.is_itself)).collect();
    assert_eq!(told, [("$a", "$1", true), ("$b", "$2", false), ("$c", "$3", true)]);
    assert_eq!((read.bare.len(), read.bare[0].new.as_str(), read.bare[0].sent), (1, "$4", 5));
    assert_eq!(read.next.as_deref(), Some("next"));
    // An empty page ends the room, whatever it says of a next one.
    assert_eq!(page(&json!({"chunk": [], "end": "next"})).next, None);
    assert_eq!(page(&json!({})).next, None);
}

#[test]
fn members_are_read_and_what_is_none_is_not() {
    let answer = json!({"chunk": [
        {"state_key": "@a:new", "content": {"membership": "join"}},
        {"state_key": "@b:new", "content": {}}, {"content": {"membership": "join"}}, 3,
    ]});
    assert_eq!(members(&answer), [("@a:new".to_owned(), "join".to_owned())]);
    assert_eq!(members(&json!({})), []);
}

//! Each secret against values that another program sealed (Python's `cryptography`, in the formats
//! of the servers), and against those of another secret.

use lifeboat_matrix::{parse_signing_keys, sign_json};
use serde_json::json;

use super::*;

const MAS_KEY: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
const MAS_SEALED: &str = "ZGVmZ2hpamtsbW5vV33Sr/bRViGevWcahoDgdatnZoAp2Elb1nojDhU=";
const SYNC_SECRET: &str = "a test's sync secret";
const SYNC_SEALED: &str =
    "6465666768696a6b6c6d6e6f ffeeaa89befbc8483a49daec211fb9ef33e8284d165436527d";
const PASSWORD: &str = include_str!("../../fixtures/irc/password.txt");
const PKCS8: &str = include_str!("../../fixtures/irc/passkey.pem");
const PKCS1: &str = include_str!("../../fixtures/irc/passkey-pkcs1.pem");
const OTHER: &str = include_str!("../../fixtures/irc/other.pem");
const SIGNING_KEY: &str = "ed25519 a_Test AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";

fn secret(text: &str) -> Secret {
    Secret::new(text)
}

#[test]
fn mas_encryption_secret_opens_its_column() {
    let key = secret(MAS_KEY);
    assert_eq!(mas_encryption(&key, MAS_SEALED), Ok(()));
    assert_eq!(mas_encryption(&secret(&format!("{MAS_KEY}\n")), MAS_SEALED), Ok(()));
    let other = secret(&MAS_KEY.replace('0', "1"));
    assert_eq!(mas_encryption(&other, MAS_SEALED), Err(Misfit::Wrong));
    let short = secret(&MAS_KEY[2..]);
    assert!(matches!(mas_encryption(&short, MAS_SEALED), Err(Misfit::Secret(_))));
    assert!(matches!(mas_encryption(&key, "!"), Err(Misfit::Value(_))));
    assert!(matches!(mas_encryption(&key, "AAAA"), Err(Misfit::Value(_))));
    assert_eq!(mas_encryption(&key, "AAAAAAAAAAAAAAAA"), Err(Misfit::Wrong));
}

#[test]
fn sync_secret_opens_its_token() {
    let key = secret(SYNC_SECRET);
    assert_eq!(sliding_sync(&key, SYNC_SEALED), Ok(()));
    assert_eq!(sliding_sync(&secret("another"), SYNC_SEALED), Err(Misfit::Wrong));
    let flipped = format!("{}0", &SYNC_SEALED[..SYNC_SEALED.len() - 1]);
    assert_ne!(flipped, SYNC_SEALED);
    assert_eq!(sliding_sync(&key, &flipped), Err(Misfit::Wrong));
    assert!(matches!(sliding_sync(&key, "00 zz"), Err(Misfit::Value(_))));
    assert!(matches!(sliding_sync(&key, "00ff"), Err(Misfit::Value(_))));
    assert!(matches!(sliding_sync(&key, "00 ff"), Err(Misfit::Value(_))), "a short nonce");
}

#[test]
fn passkey_opens_a_stored_password_in_either_form() {
    assert_eq!(irc_passkey(&secret(PKCS8), PASSWORD), Ok(()));
    assert_eq!(irc_passkey(&secret(PKCS1), PASSWORD), Ok(()));
    assert_eq!(irc_passkey(&secret(OTHER), PASSWORD), Err(Misfit::Wrong));
    assert_eq!(irc_passkey(&secret(PKCS8), "AAAA"), Err(Misfit::Wrong));
    for bad in ["", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----", "x"] {
        assert!(matches!(irc_passkey(&secret(bad), PASSWORD), Err(Misfit::Secret(_))), "{bad}");
    }
}

#[test]
fn signing_key_fits_what_it_signed_and_nothing_else() {
    let keys = parse_signing_keys(SIGNING_KEY).unwrap();
    let key = &keys[0];
    assert_eq!(published_key(key, "ed25519:a_Test", &key.public_base64()), Ok(()));
    assert_eq!(published_key(key, "ed25519:b", &key.public_base64()), Err(Misfit::Wrong));
    assert_eq!(published_key(key, "ed25519:a_Test", "AAAA"), Err(Misfit::Wrong));
}

/// An event of a server; its signature is right where `key` is given.
fn event(key: Option<&SigningKey>) -> Vec<u8> {
    let mut event = json!({
        "type": "m.room.message", "room_id": "!r:example.org", "sender": "@u:example.org",
        "content": {}, "depth": 1, "origin_server_ts": 1, "auth_events": [], "prev_events": [],
        "hashes": {"sha256": "AAAA"}
    });
    match key {
        // Nothing of this event is taken away before it is signed.
        Some(key) => sign_json(event.as_object_mut().unwrap(), "example.org", key).unwrap(),
        None => event["signatures"] = json!({"example.org": {"ed25519:a_Test": "AAAA"}}),
    }
    event.to_string().into_bytes()
}

#[test]
fn signer_of_the_newest_events_is_told() {
    let keys = parse_signing_keys(SIGNING_KEY).unwrap();
    let fresh = parse_signing_keys(&SIGNING_KEY.replace("a_Test", "b_Test")).unwrap();
    let mut known = PublicKeys::new();
    known.insert_own("example.org", &fresh[0]);
    let signed = event(Some(&keys[0]));
    let told = |now: &[SigningKey], known: &PublicKeys, events: &[&[u8]]| {
        signer("example.org", (now, known), events.iter().map(|event| (*event, "10")))
    };
    assert_eq!(told(&keys, &known, &[]), Signer::Nobody);
    assert_eq!(told(&keys, &known, &[&signed]), Signer::Own("ed25519:a_Test".to_owned()));
    assert_eq!(told(&fresh, &known, &[&signed]), Signer::Other(Misfit::OtherKey));
    known.insert_own("example.org", &keys[0]);
    assert_eq!(told(&fresh, &known, &[&signed]), Signer::Former, "it is listed as an old one");
    assert_eq!(told(&keys, &known, &[&event(None)]), Signer::Other(Misfit::Wrong));
    assert_eq!(told(&keys, &known, &[b"no JSON"]), Signer::Nobody);
    // One that was sent just before the key was changed does not hide that the others fit.
    let mixed = told(&fresh, &known, &[&event(Some(&fresh[0])), &signed]);
    assert_eq!(mixed, Signer::Own("ed25519:b_Test".to_owned()));
}

#[test]
fn key_that_others_can_make_is_known_by_its_id() {
    assert!(may_be_insecure("ed25519:0"));
    assert!(!may_be_insecure("ed25519:1"));
    assert!(!may_be_insecure("ed25519:a_0"));
}

//! Real sessions, real files, real backups.

use std::num::NonZeroU32;

use aws_lc_rs::cipher::{AES_256, EncryptingKey, EncryptionContext, UnboundCipherKey};
use aws_lc_rs::{hmac, pbkdf2};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use lifeboat_components::synapse::archive::{KeptBackup, KeptRoomKey};
use lifeboat_package::digest::Digest;
use serde_json::{Map, Value, json};
use vodozemac::megolm::{GroupSession, InboundGroupSession, SessionConfig};
use vodozemac::pk_encryption::{PkDecryption, PkEncryption};

use super::{Backups, FileCipher, RoomKeyError, RoomKeys, base58};

const ROOM: &str = "!room:a.test";
const PASSPHRASE: &str = "correct horse";

fn exported(session: &GroupSession) -> String {
    let mut inbound = InboundGroupSession::new(&session.session_key(), SessionConfig::version_1());
    inbound.export_at(0).unwrap().to_base64()
}

fn written(session: &GroupSession) -> Value {
    json!({
        "algorithm": "m.megolm.v1.aes-sha2",
        "room_id": ROOM,
        "session_id": "what it claims to be does not matter",
        "session_key": exported(session),
    })
}

/// A message of a session as the content of an event.
fn sealed(session: &mut GroupSession, room: &str, body: &str) -> Map<String, Value> {
    let inside = json!({
        "type": "m.room.message", "room_id": room, "content": {"msgtype": "m.text", "body": body},
    });
    let ciphertext = session.encrypt(inside.to_string()).to_base64();
    let content = json!({
        "algorithm": "m.megolm.v1.aes-sha2",
        "session_id": session.session_id(),
        "ciphertext": ciphertext,
        "m.relates_to": {"rel_type": "m.thread", "event_id": "$root"},
    });
    content.as_object().unwrap().clone()
}

/// AES-CTR with a fixed counter; ciphertext.
fn encrypt(key: &[u8], plain: &[u8]) -> ([u8; 16], Vec<u8>) {
    let counter = [7; 16];
    let key = EncryptingKey::ctr(UnboundCipherKey::new(&AES_256, key).unwrap()).unwrap();
    let mut bytes = plain.to_vec();
    let context = EncryptionContext::Iv128(counter.into());
    key.less_safe_encrypt(&mut bytes, context).unwrap();
    (counter, bytes)
}

/// What clients export.
fn session_file(sessions: &Value, rounds: u32) -> String {
    let mut keys = [0; 64];
    let derive = |keys: &mut [u8; 64], rounds| {
        let (algorithm, secret) = (pbkdf2::PBKDF2_HMAC_SHA512, PASSPHRASE.as_bytes());
        pbkdf2::derive(algorithm, NonZeroU32::new(rounds).unwrap(), &[9; 16], secret, keys);
    };
    derive(&mut keys, rounds.min(1000));
    let (counter, ciphertext) = encrypt(&keys[..32], sessions.to_string().as_bytes());
    let mut bytes = vec![1];
    bytes.extend([9; 16]);
    bytes.extend(counter);
    bytes.extend(rounds.to_be_bytes());
    bytes.extend(ciphertext);
    let mac = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &keys[32..]), &bytes);
    bytes.extend(mac.as_ref());
    let text = STANDARD.encode(bytes);
    let lines: Vec<&str> =
        text.as_bytes().chunks(96).map(|line| std::str::from_utf8(line).unwrap()).collect();
    let lines = lines.join("\n");
    format!("-----BEGIN MEGOLM SESSION DATA-----\n{lines}\n-----END MEGOLM SESSION DATA-----\n")
}

#[test]
fn an_exported_file_opens_the_messages_of_its_sessions() {
    let mut session = GroupSession::new(SessionConfig::version_1());
    let file = session_file(&json!([written(&session)]), 1000);
    let mut keys = RoomKeys::from_session_file(&file, PASSPHRASE).unwrap();
    assert_eq!(keys.len(), 1);
    for number in 0..3 {
        let content = sealed(&mut session, ROOM, &format!("text {number}"));
        let opened = keys.open(ROOM, &format!("${number}"), &content).unwrap();
        assert_eq!(opened.kind, "m.room.message");
        assert_eq!(opened.content["body"], format!("text {number}"));
        assert_eq!(opened.content["m.relates_to"]["event_id"], "$root");
    }
    let mut other = GroupSession::new(SessionConfig::version_1());
    assert_eq!(keys.open(ROOM, "$x", &sealed(&mut other, ROOM, "x")), None);
}

#[test]
fn a_message_made_for_another_room_or_sent_again_stays_sealed() {
    let mut session = GroupSession::new(SessionConfig::version_1());
    let file = session_file(&json!([written(&session)]), 1000);
    let mut keys = RoomKeys::from_session_file(&file, PASSPHRASE).unwrap();
    let elsewhere = sealed(&mut session, "!other:a.test", "x");
    assert_eq!(keys.open(ROOM, "$1", &elsewhere), None);
    let content = sealed(&mut session, ROOM, "once");
    assert!(keys.open(ROOM, "$2", &content).is_some());
    assert!(keys.open(ROOM, "$2", &content).is_some());
    assert_eq!(keys.open(ROOM, "$3", &content), None);
}

#[test]
fn damaged_files_and_wrong_passphrases_are_refused() {
    let session = GroupSession::new(SessionConfig::version_1());
    let file = session_file(&json!([written(&session)]), 1000);
    let refusal = |text: &str, passphrase: &str| {
        RoomKeys::from_session_file(text, passphrase).err().expect("a refusal")
    };
    assert!(matches!(refusal(&file, "wrong"), RoomKeyError::Passphrase));
    let endless = session_file(&json!([]), u32::MAX);
    assert!(matches!(refusal(&endless, PASSPHRASE), RoomKeyError::Rounds(u32::MAX)));
    let lines: Vec<&str> = file.lines().collect();
    for cut in 1..lines.len() {
        refusal(&lines[..cut].join("\n"), PASSPHRASE);
        let without = [&lines[..cut], &lines[cut + 1..]].concat().join("\n");
        refusal(&without, PASSPHRASE);
    }
    for text in ["", "-----BEGIN MEGOLM SESSION DATA-----\n-----END MEGOLM SESSION DATA-----"] {
        assert!(matches!(refusal(text, PASSPHRASE), RoomKeyError::Shape));
    }
}

/// A recovery key as people write it down.
fn recovery_key(key: &[u8; 32]) -> String {
    const ALPHABET: &[u8] = b"123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
    let mut bytes = vec![0x8b, 0x01];
    bytes.extend(key);
    bytes.push(bytes.iter().fold(0, |parity, byte| parity ^ byte));
    let mut digits = Vec::new();
    while bytes.iter().any(|byte| *byte > 0) {
        let mut rest = 0;
        for byte in &mut bytes {
            let value = rest * 256 + usize::from(*byte);
            *byte = u8::try_from(value / 58).unwrap();
            rest = value % 58;
        }
        digits.push(ALPHABET[rest]);
    }
    digits.reverse();
    let groups: Vec<String> =
        digits.chunks(4).map(|group| String::from_utf8(group.to_vec()).unwrap()).collect();
    groups.join(" ")
}

#[test]
fn a_recovery_key_is_read_with_blanks_and_refused_with_a_slip() {
    let key = [0x2a; 32];
    let text = recovery_key(&key);
    assert_eq!(*base58::recovery_key(&text).unwrap(), key);
    assert_eq!(*base58::recovery_key(&format!(" {}\n", text.replace(' ', ""))).unwrap(), key);
    let slip = text.replacen('s', "t", 1).replacen('E', "F", 1);
    assert_ne!(slip, text);
    for wrong in [slip.as_str(), "", "0OIl", &text.repeat(2), &text[..20]] {
        assert!(base58::recovery_key(wrong).is_none(), "{wrong}");
    }
}

#[test]
fn a_recovery_key_opens_the_backup_it_is_for_and_no_other() {
    let mut session = GroupSession::new(SessionConfig::version_1());
    let owner = PkDecryption::new();
    let sealed_key = PkEncryption::from_key(owner.public_key())
        .encrypt(written(&session).to_string().as_bytes())
        .unwrap();
    let backup = KeptBackup {
        user_id: "@ada:a.test".to_owned(),
        version: 3,
        algorithm: "m.megolm_backup.v1.curve25519-aes-sha2".to_owned(),
        auth_data: json!({"public_key": owner.public_key().to_base64()}).to_string(),
    };
    let data = json!({
        "ciphertext": STANDARD_NO_PAD.encode(&sealed_key.ciphertext),
        "mac": STANDARD_NO_PAD.encode(&sealed_key.mac),
        "ephemeral": sealed_key.ephemeral_key.to_base64(),
    });
    let kept = KeptRoomKey {
        user_id: "@ada:a.test".to_owned(),
        version: 3,
        room_id: ROOM.to_owned(),
        session_id: session.session_id(),
        session_data: data.to_string(),
    };
    let mut backups = Backups::default();
    backups.add_version(backup);
    let mut open = backups.open(&recovery_key(owner.secret_key().to_bytes().as_ref())).unwrap();
    open.add(&KeptRoomKey { version: 2, ..kept.clone() });
    assert!(open.room_keys.is_empty());
    open.add(&kept);
    assert_eq!(open.owners().into_iter().collect::<Vec<_>>(), ["@ada:a.test"]);
    let content = sealed(&mut session, ROOM, "found");
    assert_eq!(open.room_keys.open(ROOM, "$1", &content).unwrap().content["body"], "found");
    let stranger = recovery_key(PkDecryption::new().secret_key().to_bytes().as_ref());
    assert!(matches!(backups.open(&stranger).err(), Some(RoomKeyError::Nobody)));
    assert!(matches!(backups.open("not a key").err(), Some(RoomKeyError::Recovery)));
}

#[test]
fn an_attachment_opens_piece_by_piece_and_only_when_its_hash_fits() {
    let plain: Vec<u8> = (0..=255).cycle().take(100_000).collect();
    let (counter, ciphertext) = encrypt(&[5; 32], &plain);
    let sha256 = Digest::of(&ciphertext);
    let file = json!({
        "key": {"alg": "A256CTR", "k": URL_SAFE_NO_PAD.encode([5; 32])},
        "iv": STANDARD_NO_PAD.encode(counter),
        "hashes": {"sha256": STANDARD_NO_PAD.encode(sha256.as_bytes())},
    });
    let mut cipher = FileCipher::new(&file, &sha256).unwrap();
    let mut opened = Vec::new();
    for piece in ciphertext.chunks(33_333) {
        opened.extend(cipher.open(piece).unwrap());
    }
    assert_eq!(opened, plain);
    assert!(FileCipher::new(&file, &Digest::of(b"other")).is_none());
    assert!(FileCipher::new(&json!({"key": 1}), &sha256).is_none());
}

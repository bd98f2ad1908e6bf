//! Signing keys as Synapse keeps them, and the public keys that signatures are checked with.

use std::collections::BTreeMap;

use base64::Engine;
use base64::alphabet;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use base64::engine::{DecodePaddingMode, general_purpose};
use ruma::signatures::{Ed25519KeyPair, PublicKeyMap};
use thiserror::Error;
use zeroize::{Zeroize, Zeroizing};

/// PKCS#8 (RFC 8410 §7) bytes that stand before the 32-byte seed of an ed25519 private key.
const PKCS8_PREFIX: [u8; 16] = [
    0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20,
];
/// Lines of a key file that are looked at; real files have one to three.
const KEY_LINES: usize = 1_000;
/// Bytes of a key name, a bound of our own; Synapse draws four letters.
const KEY_NAME_BYTES: usize = 255;

/// Matrix writes unpadded base64 and asks readers to accept padding.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// A server's private ed25519 key. No `Debug`; the seed is wiped when it is dropped.
pub struct SigningKey {
    pub(super) pair: Ed25519KeyPair,
    id: String,
}

/// A key or key file cannot be used.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum KeyError {
    /// The text holds no key line.
    #[error("the signing key file has no key; put the server's key back from a backup")]
    Empty,
    /// A line is not `ed25519 <name> <seed>`.
    #[error(
        "line {line} of the signing key is not `ed25519 NAME SEED`; \
         put the server's key back from a backup"
    )]
    Line {
        /// Line number from 1.
        line: usize,
    },
    /// The format of servers before 2014: the seed alone.
    #[error(
        "the signing key is in the format without a name; \
         start Synapse once so that it rewrites the file"
    )]
    Nameless,
    /// An algorithm other than ed25519.
    #[error("line {line} of the signing key has an algorithm other than ed25519; remove the line")]
    Algorithm {
        /// Line number from 1.
        line: usize,
    },
    /// A public key is not 32 bytes of base64 that are a point of the curve.
    #[error("the public key {key_id} is not 32 bytes of base64; copy it again from its server")]
    Public {
        /// The key's id.
        key_id: String,
    },
}

/// Reads a Synapse signing key: one line a key, `ed25519 <name> <unpadded base64 of the seed>`.
/// Empty lines are skipped. The first key is the one the server signs with.
///
/// # Errors
/// When no line holds a key, or one of them cannot be read. Errors never quote the text.
pub fn parse_signing_keys(text: &str) -> Result<Vec<SigningKey>, KeyError> {
    let mut keys = Vec::new();
    for (number, line) in text.lines().take(KEY_LINES).enumerate() {
        if !line.trim().is_empty() {
            keys.push(parse_line(line, number + 1)?);
        }
    }
    if keys.is_empty() { Err(KeyError::Empty) } else { Ok(keys) }
}

fn parse_line(line: &str, number: usize) -> Result<SigningKey, KeyError> {
    let words: Vec<&str> = line.split_ascii_whitespace().collect();
    let [algorithm, name, seed] = words[..] else {
        let nameless = words.len() == 1 && number == 1;
        return Err(if nameless { KeyError::Nameless } else { KeyError::Line { line: number } });
    };
    if algorithm != "ed25519" {
        return Err(KeyError::Algorithm { line: number });
    }
    let bad = || KeyError::Line { line: number };
    if name.len() > KEY_NAME_BYTES {
        return Err(bad());
    }
    let seed = Zeroizing::new(BASE64.decode(seed).map_err(|_| bad())?);
    if seed.len() != 32 {
        return Err(bad());
    }
    let mut document = Zeroizing::new([0_u8; 48]);
    document[..16].copy_from_slice(&PKCS8_PREFIX);
    document[16..].copy_from_slice(&seed);
    let pair = Ed25519KeyPair::from_der(document.as_slice(), name.to_owned()).map_err(|_| bad())?;
    document.zeroize();
    Ok(SigningKey { pair, id: format!("ed25519:{name}") })
}

impl SigningKey {
    /// `ed25519:<name>`.
    pub fn key_id(&self) -> &str {
        &self.id
    }

    /// The public half.
    pub fn public_key(&self) -> [u8; 32] {
        self.pair.public_key()
    }

    /// The public half as servers publish it: unpadded base64.
    pub fn public_base64(&self) -> String {
        general_purpose::STANDARD_NO_PAD.encode(self.public_key())
    }
}

/// Which public keys are believed, by server and key id.
#[derive(Debug, Default, Clone)]
pub struct PublicKeys {
    pub(super) map: PublicKeyMap,
}

impl PublicKeys {
    /// No key.
    pub fn new() -> Self {
        Self { map: BTreeMap::new() }
    }

    /// Believes `key` (base64, padded or not) as `key_id` (`ed25519:<name>`) of `server`.
    ///
    /// # Errors
    /// When the text is not 32 bytes of base64.
    pub fn insert(&mut self, server: &str, key_id: &str, key: &str) -> Result<(), KeyError> {
        let bytes = BASE64.decode(key.trim()).ok().filter(|bytes| bytes.len() == 32);
        let Some(bytes) = bytes else {
            return Err(KeyError::Public { key_id: key_id.to_owned() });
        };
        let keys = self.map.entry(server.to_owned()).or_default();
        keys.insert(key_id.to_owned(), ruma::serde::Base64::new(bytes));
        Ok(())
    }

    /// Believes the public half of a server's own key.
    pub fn insert_own(&mut self, server: &str, key: &SigningKey) {
        let public = ruma::serde::Base64::new(key.public_key().to_vec());
        self.map.entry(server.to_owned()).or_default().insert(key.id.clone(), public);
    }

    /// Whether any key of `server` is believed.
    pub fn knows(&self, server: &str) -> bool {
        self.map.get(server).is_some_and(|keys| !keys.is_empty())
    }

    /// Whether this key of `server` is believed.
    pub fn has(&self, server: &str, key_id: &str) -> bool {
        self.get(server, key_id).is_some()
    }

    pub(super) fn get(&self, server: &str, key_id: &str) -> Option<&[u8]> {
        Some(self.map.get(server)?.get(key_id)?.as_bytes())
    }
}

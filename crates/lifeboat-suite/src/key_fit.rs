//! Whether a secret fits what it protects: each function opens one real value with it.
//!
//! Pure. A backup whose secret does not fit is found out today, not on the day of the restore.

use aws_lc_rs::aead::{AES_256_GCM, Aad, Algorithm, CHACHA20_POLY1305, LessSafeKey, Nonce};
use aws_lc_rs::aead::{NONCE_LEN, UnboundKey};
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rsa::{OAEP_SHA1_MGF1SHA1, OaepPrivateDecryptingKey, PrivateDecryptingKey};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use lifeboat_config::Secret;
use lifeboat_matrix::{Pdu, PublicKeys, RoomRules, SigningKey, Verdict};
use thiserror::Error;
use zeroize::Zeroizing;

/// Bytes of a sealed value that is tried; real ones are far shorter.
const SEALED_BYTES: usize = 1 << 20;
/// What the ASN.1 of PKCS#8 says before an RSA key: version 0, algorithm rsaEncryption.
const PKCS8_RSA: &[u8] = &[
    0x02, 0x01, 0x00, 0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01,
    0x05, 0x00,
];

/// A secret does not fit. Neither it nor the value is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Misfit {
    /// The secret is not of its shape.
    #[error("the secret is not {0}")]
    Secret(&'static str),
    /// The value is not of its shape.
    #[error("the stored value is not {0}")]
    Value(&'static str),
    /// Both are, and the one does not open the other.
    #[error("the secret does not open what is stored: it belongs to another database")]
    Wrong,
    /// An event was signed with another key of the server than this.
    #[error("the event was signed with another key of this server")]
    OtherKey,
}

/// MAS: `secrets.encryption` (32 bytes in hexadecimal) against an encrypted column, base64 of a
/// 12-byte nonce and ChaCha20-Poly1305.
///
/// # Errors
/// [`Misfit`].
pub fn mas_encryption(secret: &Secret, stored: &str) -> Result<(), Misfit> {
    let key = hex(secret.expose()).filter(|key| key.len() == 32);
    let key = key.ok_or(Misfit::Secret("32 bytes in hexadecimal"))?;
    let sealed = base64(stored).ok_or(Misfit::Value("base64"))?;
    let (nonce, sealed) = sealed.split_at_checked(NONCE_LEN).ok_or(Misfit::Value("complete"))?;
    open(&CHACHA20_POLY1305, &key, nonce, sealed)
}

/// Sliding sync proxy: `SYNCV3_SECRET` against an encrypted token, nonce and AES-256-GCM in
/// hexadecimal with a space between; the key is the SHA-256 of the secret.
///
/// # Errors
/// [`Misfit`].
pub fn sliding_sync(secret: &Secret, stored: &str) -> Result<(), Misfit> {
    let shape = Misfit::Value("two words of hexadecimal");
    let (nonce, sealed) = stored.trim().split_once(' ').ok_or(shape)?;
    let (nonce, sealed) = (hex(nonce).ok_or(shape)?, hex(sealed).ok_or(shape)?);
    open(&AES_256_GCM, digest(&SHA256, secret.expose().as_bytes()).as_ref(), &nonce, &sealed)
}

/// IRC bridge: the text of `passkey.pem` against a stored password, base64 of RSA-OAEP (SHA-1).
///
/// # Errors
/// [`Misfit`].
pub fn irc_passkey(pem: &Secret, stored: &str) -> Result<(), Misfit> {
    let shape =
        Misfit::Secret("an RSA private key in PEM without passphrase, of 2048 bits or more");
    let key = PrivateDecryptingKey::from_pkcs8(&pkcs8(pem.expose()).ok_or(shape)?);
    let key = key.and_then(|key| Ok(OaepPrivateDecryptingKey::new(key)?)).map_err(|_| shape)?;
    let sealed = base64(stored).ok_or(Misfit::Value("base64"))?;
    let mut plain = Zeroizing::new(vec![0; key.min_output_size()]);
    let opened = key.decrypt(&OAEP_SHA1_MGF1SHA1, &sealed, &mut plain, None);
    opened.map(drop).map_err(|_| Misfit::Wrong)
}

/// Whose key the newest events of a server carry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Signer {
    /// There is no event, or none that can be judged.
    Nobody,
    /// One that it signs with now: the key's id.
    Own(String),
    /// One that it lists as an old one.
    Former,
    /// None of its own.
    Other(Misfit),
}

/// Which key of a server its events carry: JSON as stored and the room's version each, the newest
/// first. `now` are the keys that it signs with, `known` has those it lists as old ones, too.
pub fn signer<'a>(
    server: &str,
    (now, known): (&[SigningKey], &PublicKeys),
    events: impl Iterator<Item = (&'a [u8], &'a str)>,
) -> Signer {
    let mut found = Signer::Nobody;
    for (event, room_version) in events {
        for key in now {
            let mut own = PublicKeys::new();
            own.insert_own(server, key);
            match event_signature(&own, event, room_version) {
                Ok(()) => return Signer::Own(key.key_id().to_owned()),
                // What cannot be judged bears no witness, as of a room version that we do not know.
                Err(Misfit::Value(_)) => {}
                Err(why) if found == Signer::Nobody => found = Signer::Other(why),
                Err(_) => {}
            }
        }
        if event_signature(known, event, room_version).is_ok() {
            found = Signer::Former;
        }
    }
    found
}

/// Keys against an event that their server signed: JSON as stored, and the room's version.
fn event_signature(keys: &PublicKeys, event: &[u8], room_version: &str) -> Result<(), Misfit> {
    let rules = RoomRules::of(room_version).ok_or(Misfit::Value("of a known room version"))?;
    let pdu = Pdu::parse(event).map_err(|_| Misfit::Value("an event"))?;
    match pdu.verify(&rules, keys) {
        Verdict::Good | Verdict::Redacted => Ok(()),
        Verdict::NoKey(_) => Err(Misfit::OtherKey),
        _ => Err(Misfit::Wrong),
    }
}

/// A signing key against the key that the server publishes: its id and public key in base64.
///
/// # Errors
/// [`Misfit::Wrong`].
pub fn published_key(key: &SigningKey, key_id: &str, public: &str) -> Result<(), Misfit> {
    let same = key.key_id() == key_id
        && key.public_base64().trim_end_matches('=') == public.trim_end_matches('=');
    if same { Ok(()) } else { Err(Misfit::Wrong) }
}

/// Whether a signing key may be the one of CVE-2026-24044: the Helm chart of ESS before 25.12.2
/// made keys with this id that others can make too. Keys that a person made are not affected.
pub fn may_be_insecure(key_id: &str) -> bool {
    key_id == "ed25519:0"
}

fn open(
    algorithm: &'static Algorithm,
    key: &[u8],
    nonce: &[u8],
    sealed: &[u8],
) -> Result<(), Misfit> {
    let key = UnboundKey::new(algorithm, key).map_err(|_| Misfit::Secret("of its length"))?;
    let nonce = Nonce::try_assume_unique_for_key(nonce);
    let nonce = nonce.map_err(|_| Misfit::Value("begun with a nonce of 12 bytes"))?;
    let mut buffer = Zeroizing::new(sealed.to_vec());
    let opened = LessSafeKey::new(key).open_in_place(nonce, Aad::empty(), &mut buffer);
    opened.map(drop).map_err(|_| Misfit::Wrong)
}

/// The PKCS#8 of a PEM text; one of PKCS#1 is wrapped.
fn pkcs8(pem: &str) -> Option<Zeroizing<Vec<u8>>> {
    let body = |label: &str| {
        let (_, rest) = pem.split_once(&format!("-----BEGIN {label}-----"))?;
        let (body, _) = rest.split_once(&format!("-----END {label}-----"))?;
        let dense: Zeroizing<String> =
            Zeroizing::new(body.chars().filter(|letter| !letter.is_whitespace()).collect());
        base64(&dense)
    };
    if let Some(pkcs8) = body("PRIVATE KEY") {
        return Some(pkcs8);
    }
    let pkcs1 = body("RSA PRIVATE KEY")?;
    let octets = tagged(0x04, &[&pkcs1])?;
    tagged(0x30, &[PKCS8_RSA, &octets])
}

/// A value of ASN.1's DER with its tag and length.
fn tagged(tag: u8, parts: &[&[u8]]) -> Option<Zeroizing<Vec<u8>>> {
    let length: usize = parts.iter().map(|part| part.len()).sum();
    let length = u16::try_from(length).ok()?.to_be_bytes();
    // Room for all of it at once: a buffer that grows leaves copies behind.
    let mut value = Zeroizing::new(Vec::with_capacity(4 + usize::from(u16::MAX)));
    match length {
        [0, low @ 0..=0x7f] => value.extend([tag, low]),
        [0, low] => value.extend([tag, 0x81, low]),
        [high, low] => value.extend([tag, 0x82, high, low]),
    }
    for part in parts {
        value.extend(*part);
    }
    Some(value)
}

fn base64(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    let text = text.trim();
    if text.len() > SEALED_BYTES {
        return None;
    }
    let decoded = STANDARD.decode(text).or_else(|_| STANDARD_NO_PAD.decode(text));
    decoded.ok().map(Zeroizing::new)
}

fn hex(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    let text = text.trim().as_bytes();
    if text.len() > SEALED_BYTES || !text.len().is_multiple_of(2) {
        return None;
    }
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let bytes = text.chunks_exact(2).map(|pair| Some(digit(pair[0])? << 4 | digit(pair[1])?));
    bytes.collect::<Option<Vec<u8>>>().map(Zeroizing::new)
}

#[cfg(test)]
mod tests;

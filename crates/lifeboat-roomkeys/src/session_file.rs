//! The file of Megolm sessions that clients export, as the Matrix specification has it: Base64 of
//! version, salt, counter block, rounds, AES-256-CTR ciphertext and HMAC-SHA256, the two keys by
//! PBKDF2 with HMAC-SHA512 from the passphrase.

use std::num::NonZeroU32;

use aws_lc_rs::{hmac, pbkdf2};
use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use zeroize::Zeroizing;

use super::RoomKeyError;
use super::cipher::decrypt;

const BEGIN: &str = "-----BEGIN MEGOLM SESSION DATA-----";
const END: &str = "-----END MEGOLM SESSION DATA-----";

/// Bytes of a file of keys: some 200,000 sessions.
pub const FILE_BYTES: u64 = 128 << 20;

/// Rounds of key derivation; clients use half a million.
pub(super) const ROUNDS: u32 = 20_000_000;

const VERSION: u8 = 1;
const SALT: usize = 16;
const COUNTER: usize = 16;
const MAC: usize = 32;

/// Base64 of any padding.
pub(super) const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// Whether a text is such a file.
pub fn is_session_file(text: &str) -> bool {
    text.trim_start().starts_with(BEGIN)
}

/// The JSON in the file.
pub(super) fn open(text: &str, passphrase: &str) -> Result<Zeroizing<Vec<u8>>, RoomKeyError> {
    let inside = text.trim().strip_prefix(BEGIN).and_then(|rest| rest.strip_suffix(END));
    let lines = inside.ok_or(RoomKeyError::Shape)?.split_ascii_whitespace();
    let bytes = BASE64.decode(lines.collect::<String>()).map_err(|_| RoomKeyError::Shape)?;
    let cut = bytes.len().checked_sub(MAC).ok_or(RoomKeyError::Shape)?;
    let (signed, mac) = bytes.split_at_checked(cut).ok_or(RoomKeyError::Shape)?;
    let (version, rest) = signed.split_first().ok_or(RoomKeyError::Shape)?;
    let (salt, rest) = rest.split_at_checked(SALT).ok_or(RoomKeyError::Shape)?;
    let (counter, rest) = rest.split_at_checked(COUNTER).ok_or(RoomKeyError::Shape)?;
    let (rounds, sealed) = rest.split_first_chunk::<4>().ok_or(RoomKeyError::Shape)?;
    let rounds = u32::from_be_bytes(*rounds);
    if *version != VERSION {
        return Err(RoomKeyError::Shape);
    }
    let rounds = NonZeroU32::new(rounds)
        .filter(|rounds| rounds.get() <= ROUNDS)
        .ok_or(RoomKeyError::Rounds(rounds))?;
    let mut keys = Zeroizing::new([0; 64]);
    let secret = passphrase.as_bytes();
    pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA512, rounds, salt, secret, keys.as_mut_slice());
    let (cipher_key, mac_key) = keys.split_at(32);
    hmac::verify(&hmac::Key::new(hmac::HMAC_SHA256, mac_key), signed, mac)
        .map_err(|_| RoomKeyError::Passphrase)?;
    decrypt(cipher_key, counter, sealed).ok_or(RoomKeyError::Shape)
}

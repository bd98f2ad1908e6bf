//! Sealing: Tink streaming AEAD of type `AES256_GCM_HKDF_1MB` (`docs/src/format.md` §2).
//!
//! [`Sealer`] and [`Opener`] take bytes piece by piece, [`SealedRange`] opens a stretch of a file
//! alone. Plaintext leaves only after its segment's tag was checked. A sealed file is never
//! continued: each begins with a [`FreshSeal`] of its own.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::hkdf::{HKDF_SHA256, Salt};

use crate::id::PackageId;
use crate::key::PackageKey;

pub mod open;
pub mod range;

pub use open::{Opener, open_bytes};
pub use range::{RangeKey, SealedRange, segment_around};

/// Bytes of a ciphertext segment, tag included; the first one shares them with the head.
pub const SEGMENT: usize = 1 << 20;
/// Bytes before the first segment: the length byte, salt and nonce prefix.
pub const HEAD: usize = 40;
/// Bytes of the tag that ends each segment.
pub const TAG: usize = 16;
/// The first byte of a sealed file.
const HEAD_LENGTH: u8 = 40;

/// Why a sealed file does not open.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// The file does not begin as a sealed file does.
    #[error("{name} is not a sealed file, or its beginning is damaged; fetch it again")]
    Head {
        /// The file.
        name: String,
    },
    /// A tag does not fit: damaged, moved, cut, of another package, or another key.
    #[error("{name} is damaged in segment {segment}, or is not this package's; fetch it again")]
    Segment {
        /// The file.
        name: String,
        /// The segment, from 0: the mebibyte of the file.
        segment: u32,
    },
    /// Fewer bytes than any sealed file has, or an end that no writer makes.
    #[error("{name} is cut off after {size} bytes; fetch it again")]
    CutOff {
        /// The file.
        name: String,
        /// Its size in bytes.
        size: u64,
    },
    /// The stretch asked for is not inside the file.
    #[error("bytes {offset} to {offset}+{length} do not lie inside the sealed file")]
    Range {
        /// First plaintext byte asked for.
        offset: u64,
        /// How many.
        length: u64,
    },
}

/// What must be drawn from the operating system for each sealed file, and used once.
#[derive(Clone)]
pub struct FreshSeal {
    /// Salt of the segment key.
    pub salt: [u8; 32],
    /// Prefix of the nonces.
    pub prefix: [u8; 7],
}

/// Seals one file, piece by piece.
pub struct Sealer {
    cipher: Cipher,
    number: u32,
    /// Plaintext of the segment in the making; may be full, because only `finish` knows the last.
    pending: Vec<u8>,
}

impl Sealer {
    /// Begins the file `name` of `package`: writes the head behind `out`.
    pub fn begin(
        key: &PackageKey,
        package: &PackageId,
        name: &str,
        fresh: &FreshSeal,
        out: &mut Vec<u8>,
    ) -> Self {
        out.push(HEAD_LENGTH);
        out.extend_from_slice(&fresh.salt);
        out.extend_from_slice(&fresh.prefix);
        Self { cipher: Cipher::new(key, package, name, fresh), number: 0, pending: Vec::new() }
    }

    /// Takes plaintext; writes the segments that are full behind `out`.
    ///
    /// # Panics
    /// When one file is given 4 PiB: its segments could not be numbered any more.
    pub fn update(&mut self, mut plaintext: &[u8], out: &mut Vec<u8>) {
        loop {
            let room = capacity(self.number).saturating_sub(self.pending.len());
            let Some((head, rest)) = plaintext.split_at_checked(room) else { break };
            if rest.is_empty() {
                break;
            }
            if self.pending.is_empty() {
                self.cipher.seal(self.number, Place::Middle, head, out);
            } else {
                self.pending.extend_from_slice(head);
                self.cipher.seal(self.number, Place::Middle, &self.pending, out);
                self.pending.clear();
            }
            self.number = self.number.checked_add(1).expect("no sealed file has 4 PiB");
            plaintext = rest;
        }
        self.pending.extend_from_slice(plaintext);
    }

    /// Writes the last segment behind `out`.
    pub fn finish(self, out: &mut Vec<u8>) {
        self.cipher.seal(self.number, Place::Last, &self.pending, out);
    }
}

/// Seals a whole file that is in memory.
pub fn seal_bytes(
    key: &PackageKey,
    package: &PackageId,
    name: &str,
    fresh: &FreshSeal,
    plaintext: &[u8],
) -> Vec<u8> {
    let size = usize::try_from(sealed_size(plaintext.len() as u64)).unwrap_or_default();
    let mut out = Vec::with_capacity(size);
    let mut sealer = Sealer::begin(key, package, name, fresh, &mut out);
    sealer.update(plaintext, &mut out);
    sealer.finish(&mut out);
    out
}

/// Bytes of the sealed file of `plaintext` bytes.
pub fn sealed_size(plaintext: u64) -> u64 {
    let first = capacity(0) as u64;
    let later = plaintext.saturating_sub(first).div_ceil(capacity(1) as u64);
    let tags = later.saturating_add(1).saturating_mul(TAG as u64);
    plaintext.saturating_add(HEAD as u64).saturating_add(tags)
}

/// Bytes of plaintext in a sealed file of `sealed` bytes; `None` when no sealed file has that size.
pub fn plaintext_size(sealed: u64) -> Option<u64> {
    let segments = sealed.div_ceil(SEGMENT as u64);
    let overhead = segments.checked_mul(TAG as u64)?.checked_add(HEAD as u64)?;
    let plaintext = sealed.checked_sub(overhead)?;
    (sealed_size(plaintext) == sealed).then_some(plaintext)
}

/// Plaintext bytes of a full segment.
const fn capacity(number: u32) -> usize {
    segment_size(number).saturating_sub(TAG)
}

/// Ciphertext bytes of a full segment, tag included.
const fn segment_size(number: u32) -> usize {
    if number == 0 { SEGMENT.saturating_sub(HEAD) } else { SEGMENT }
}

/// Where a segment stands; part of its nonce, so that nothing can be cut off unseen.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Middle,
    Last,
}

/// The segment key and nonce prefix of one sealed file.
struct Cipher {
    key: LessSafeKey,
    prefix: [u8; 7],
}

impl Cipher {
    fn new(key: &PackageKey, package: &PackageId, name: &str, fresh: &FreshSeal) -> Self {
        let associated = format!("lifeboat/1.0\n{package}\n{name}");
        let key = Salt::new(HKDF_SHA256, &fresh.salt)
            .extract(key.as_bytes())
            .expand(&[associated.as_bytes()], &AES_256_GCM)
            .map(UnboundKey::from)
            .map(LessSafeKey::new)
            .expect("HKDF-SHA256 gives 32 bytes");
        Self { key, prefix: fresh.prefix }
    }

    /// Reads the 40 bytes that begin a sealed file.
    fn of_head(
        key: &PackageKey,
        package: &PackageId,
        name: &str,
        head: &[u8],
    ) -> Result<Self, SealError> {
        let fresh = parse_head(head).ok_or_else(|| SealError::Head { name: name.to_owned() })?;
        Ok(Self::new(key, package, name, &fresh))
    }

    fn nonce(&self, number: u32, place: Place) -> Nonce {
        let mut nonce = [0; NONCE_LEN];
        let [a, b, c, d] = number.to_be_bytes();
        let [p0, p1, p2, p3, p4, p5, p6] = self.prefix;
        let last = u8::from(place == Place::Last);
        nonce.copy_from_slice(&[p0, p1, p2, p3, p4, p5, p6, a, b, c, d, last]);
        Nonce::assume_unique_for_key(nonce)
    }

    /// Writes the ciphertext of one segment and its tag behind `out`.
    fn seal(&self, number: u32, place: Place, plaintext: &[u8], out: &mut Vec<u8>) {
        let begin = out.len();
        let size = plaintext.len().saturating_add(TAG);
        out.resize(begin.saturating_add(size), 0);
        let room = out.get_mut(begin..).unwrap_or_default();
        let (ciphertext, tag) = room.split_at_mut(plaintext.len());
        let nonce = self.nonce(number, place);
        self.key
            .seal_out_of_place_scatter(nonce, Aad::empty(), plaintext, ciphertext, &[], tag)
            .expect("AES-256-GCM seals a mebibyte");
    }

    /// Writes the plaintext of one segment behind `out`, or nothing when the tag does not fit.
    fn open(&self, number: u32, place: Place, segment: &[u8], out: &mut Vec<u8>) -> bool {
        let Some((ciphertext, tag)) = segment.split_last_chunk::<TAG>() else { return false };
        let begin = out.len();
        out.resize(begin.saturating_add(ciphertext.len()), 0);
        let room = out.get_mut(begin..).unwrap_or_default();
        let nonce = self.nonce(number, place);
        let opened = self.key.open_separate_gather(nonce, Aad::empty(), ciphertext, tag, room);
        if opened.is_err() {
            out.truncate(begin);
        }
        opened.is_ok()
    }
}

fn parse_head(head: &[u8]) -> Option<FreshSeal> {
    let (length, rest) = head.split_first()?;
    let (salt, prefix) = rest.split_first_chunk::<32>()?;
    let prefix = <[u8; 7]>::try_from(prefix).ok()?;
    (*length == HEAD_LENGTH).then_some(FreshSeal { salt: *salt, prefix })
}

#[cfg(test)]
mod tests;

//! Opening a stretch of a sealed file without the rest of it.

use std::ops::Range;

use super::{Cipher, Place, SEGMENT, SealError, capacity, plaintext_size, segment_size};
use crate::id::PackageId;
use crate::key::PackageKey;
use crate::limits::ENTRY_BYTES;

/// The segments that hold a stretch of plaintext.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedRange {
    first: u32,
    /// Number of the file's last segment.
    end: u32,
    bytes: Range<u64>,
    skip: usize,
    length: usize,
}

/// The key of one sealed file's segments, made from the file's first 40 bytes.
pub struct RangeKey {
    name: String,
    cipher: Cipher,
}

impl RangeKey {
    /// Reads `head`, the first [`super::HEAD`] bytes of the file `name`.
    ///
    /// # Errors
    /// [`SealError::Head`] when a sealed file does not begin so.
    pub fn new(
        key: &PackageKey,
        package: &PackageId,
        name: &str,
        head: &[u8],
    ) -> Result<Self, SealError> {
        let cipher = Cipher::of_head(key, package, name, head)?;
        Ok(Self { name: name.to_owned(), cipher })
    }
}

impl SealedRange {
    /// Where `length` plaintext bytes (at most an entry's worth) from `offset` lie in a sealed file
    /// of `sealed` bytes.
    ///
    /// # Errors
    /// [`SealError::Range`] when they do not lie inside, or are too many.
    pub fn of(sealed: u64, offset: u64, length: u64) -> Result<Self, SealError> {
        let locate = || {
            let size = plaintext_size(sealed)?;
            let end = offset.checked_add(length).filter(|end| *end <= size)?;
            let length = usize::try_from(length).ok().filter(|length| *length <= ENTRY_BYTES)?;
            let (first, skip) = segment_of(offset)?;
            let (last, _) = segment_of(end.saturating_sub(1).max(offset))?;
            let (total, _) = segment_of(size.saturating_sub(1))?;
            let bytes = segment_begin(first)..segment_begin(last.checked_add(1)?).min(sealed);
            let bytes = if length == 0 { 0..0 } else { bytes };
            Some(Self { first, end: total, bytes, skip, length })
        };
        locate().ok_or(SealError::Range { offset, length })
    }

    /// The bytes of the sealed file that are needed; empty when nothing is.
    pub fn bytes(&self) -> Range<u64> {
        self.bytes.clone()
    }

    /// Opens the stretch from exactly the bytes that [`Self::bytes`] names.
    ///
    /// # Errors
    /// [`SealError`] when a segment does not fit or bytes are missing.
    pub fn open(&self, key: &RangeKey, ciphertext: &[u8]) -> Result<Vec<u8>, SealError> {
        let size = self.bytes.end.saturating_sub(self.bytes.start);
        if ciphertext.len() as u64 != size {
            let size = self.bytes.start.saturating_add(ciphertext.len() as u64);
            return Err(SealError::CutOff { name: key.name.clone(), size });
        }
        let mut plaintext = Vec::with_capacity(ciphertext.len());
        let (mut number, mut rest) = (self.first, ciphertext);
        while !rest.is_empty() {
            let (segment, behind) = rest.split_at(segment_size(number).min(rest.len()));
            let place = if number == self.end { Place::Last } else { Place::Middle };
            if !key.cipher.open(number, place, segment, &mut plaintext) {
                return Err(SealError::Segment { name: key.name.clone(), segment: number });
            }
            number = number.saturating_add(1);
            rest = behind;
        }
        plaintext.drain(..self.skip.min(plaintext.len()));
        plaintext.truncate(self.length);
        Ok(plaintext)
    }
}

/// The plaintext bytes of the segment that holds the plaintext byte `offset`, in a sealed file of
/// `sealed` bytes. A reader that keeps opened segments need not open one for each of its entries.
///
/// # Errors
/// [`SealError::Range`] when there is no such byte.
pub fn segment_around(sealed: u64, offset: u64) -> Result<Range<u64>, SealError> {
    let locate = || {
        let size = plaintext_size(sealed).filter(|size| offset < *size)?;
        let (number, within) = segment_of(offset)?;
        let begin = offset.checked_sub(within as u64)?;
        Some(begin..begin.checked_add(capacity(number) as u64)?.min(size))
    };
    locate().ok_or(SealError::Range { offset, length: 1 })
}

/// The segment that holds the plaintext byte `offset`, and where in it.
fn segment_of(offset: u64) -> Option<(u32, usize)> {
    let (first, later) = (capacity(0) as u64, capacity(1) as u64);
    let Some(behind) = offset.checked_sub(first) else {
        return Some((0, usize::try_from(offset).ok()?));
    };
    let number = u32::try_from(behind.checked_div(later)?.checked_add(1)?).ok()?;
    Some((number, usize::try_from(behind.checked_rem(later)?).ok()?))
}

/// The offset in the sealed file of a segment's first byte.
fn segment_begin(number: u32) -> u64 {
    if number == 0 { super::HEAD as u64 } else { u64::from(number).saturating_mul(SEGMENT as u64) }
}

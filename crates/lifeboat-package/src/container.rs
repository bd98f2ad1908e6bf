//! The ustar framing of volumes and of the single-file form (`docs/src/format.md` §3, §8).
//!
//! Only one header is possible for a name and size, and readers compare all 512 bytes: there is no
//! room for links, long names, sparse files or anything else that tar can say.

use std::ops::Range;

use crate::contents::Order;
use crate::limits::VOLUME_BYTES;

/// Bytes of a header, and what every size is padded to.
pub const BLOCK: usize = 512;
/// The end of an archive.
pub const END: [u8; 2 * BLOCK] = [0; 2 * BLOCK];

/// Why an archive is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ContainerError {
    /// A header that no writer makes.
    #[error("the header at offset {offset} is damaged or not one of this format")]
    Header {
        /// Where, in bytes of the archive.
        offset: u64,
    },
    /// A member that must not be there, or not at this place.
    #[error("{name} is not expected at offset {offset}")]
    Unexpected {
        /// The member.
        name: String,
        /// Where, in bytes of the archive.
        offset: u64,
    },
    /// Padding or the end holds something else than zeros.
    #[error("there are other bytes than zeros in the padding at offset {offset}")]
    Padding {
        /// Where, in bytes of the archive.
        offset: u64,
    },
    /// The archive ends too early or too late.
    #[error("the archive should end at offset {expected}, but has {size} bytes")]
    Size {
        /// Where it should end.
        expected: u64,
        /// Where it ends.
        size: u64,
    },
}

/// A file of an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Its name.
    pub name: String,
    /// Offset of its first byte.
    pub offset: u64,
    /// Its bytes.
    pub size: u64,
}

impl Member {
    /// The bytes of the archive behind the content that must be zeros.
    pub fn padding(&self) -> Range<u64> {
        let end = self.offset.saturating_add(self.size);
        end..end.saturating_add(padding(self.size) as u64)
    }
}

/// The one header of a file `name` of `size` bytes; `None` when ustar cannot say it: a name that is
/// empty, longer than 100 bytes or not ASCII, or 8 GiB and more.
pub fn header(name: &str, size: u64) -> Option<[u8; BLOCK]> {
    if name.is_empty() || name.len() > 100 || !name.is_ascii() || size >= 1 << 33 {
        return None;
    }
    let mut block = [0; BLOCK];
    put(&mut block, 0, name.as_bytes());
    put(&mut block, 100, b"0000644\x000000000\x000000000\x00");
    put(&mut block, 124, format!("{size:011o}\0").as_bytes());
    put(&mut block, 136, b"00000000000\0        0");
    put(&mut block, 257, b"ustar\x0000");
    put(&mut block, 329, b"0000000\x000000000\x00");
    let sum = block.iter().fold(0_u32, |sum, byte| sum.wrapping_add(u32::from(*byte)));
    put(&mut block, 148, format!("{sum:06o}\0 ").as_bytes());
    Some(block)
}

/// How many zeros follow `size` bytes of content.
pub fn padding(size: u64) -> usize {
    let block = BLOCK as u64;
    usize::try_from(size.next_multiple_of(block).wrapping_sub(size)).unwrap_or_default()
}

/// The name and size in a header, which must be the one that [`header`] writes for them.
pub fn parse_header(block: &[u8; BLOCK]) -> Option<(&str, u64)> {
    let (field, _) = block.split_at(100);
    let name = field.split(|byte| *byte == 0).next()?;
    let name = std::str::from_utf8(name).ok()?;
    let octal = std::str::from_utf8(block.get(124..135)?).ok()?;
    let size = u64::from_str_radix(octal, 8).ok()?;
    (header(name, size)? == *block).then_some((name, size))
}

fn put(block: &mut [u8; BLOCK], at: usize, bytes: &[u8]) {
    for (slot, byte) in block.iter_mut().skip(at).zip(bytes) {
        *slot = *byte;
    }
}

/// Walks through a package in its single-file form, header by header, in any place that can be
/// read at an offset. Refuses members out of order.
pub struct Walk {
    size: u64,
    next: u64,
    order: Order,
}

impl Walk {
    /// Walks through a file of `size` bytes.
    pub const fn begin(size: u64) -> Self {
        Self { size, next: 0, order: Order::BEGIN }
    }

    /// The offset of the block to [`Self::take`] next.
    pub const fn next_offset(&self) -> u64 {
        self.next
    }

    /// Takes the 512 bytes at [`Self::next_offset`]. `None`: the archive ends here, with the last
    /// 1,024 bytes of the file, which the caller must still find to be zeros ([`check_zeros`]), as
    /// it must each member's [`Member::padding`].
    ///
    /// # Errors
    /// [`ContainerError`] when the block is not the header of the member that must come next.
    pub fn take(&mut self, block: &[u8; BLOCK]) -> Result<Option<Member>, ContainerError> {
        let offset = self.next;
        if block.iter().all(|byte| *byte == 0) {
            let expected = offset.saturating_add(END.len() as u64);
            let is_end = expected == self.size && self.order == Order::End;
            return if is_end { Ok(None) } else { Err(self.wrong_size(expected)) };
        }
        let (name, size) = parse_header(block).ok_or(ContainerError::Header { offset })?;
        let unexpected = || ContainerError::Unexpected { name: name.to_owned(), offset };
        let order = self.order.after(name).filter(|_| size <= VOLUME_BYTES);
        let order = order.ok_or_else(unexpected)?;
        let begin = offset.saturating_add(BLOCK as u64);
        let member = Member { name: name.to_owned(), offset: begin, size };
        let next = member.padding().end;
        if next.saturating_add(END.len() as u64) > self.size {
            return Err(self.wrong_size(next.saturating_add(END.len() as u64)));
        }
        self.next = next;
        self.order = order;
        Ok(Some(member))
    }

    const fn wrong_size(&self, expected: u64) -> ContainerError {
        ContainerError::Size { expected, size: self.size }
    }
}

/// Checks that `bytes`, padding that begins at `offset`, are zeros.
///
/// # Errors
/// [`ContainerError::Padding`] with the offset of the first other byte.
pub fn check_zeros(bytes: &[u8], offset: u64) -> Result<(), ContainerError> {
    match bytes.iter().position(|byte| *byte != 0) {
        None => Ok(()),
        Some(at) => Err(ContainerError::Padding { offset: offset.saturating_add(at as u64) }),
    }
}

#[cfg(test)]
mod tests;

//! Writing and reading past the system's cache, where the file system lets one (`O_DIRECT` of
//! open(2)).
//!
//! What is written once and not read soon would be copied once more on its way through the cache,
//! and push out what the servers of the machine read. And who verifies wants to know what is on the
//! disk, not what is still in memory.

use std::fs::{File, OpenOptions};
use std::io;
use std::ops::Range;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};

use bytes::Bytes;
use rustix::fs::OFlags;

/// Bytes below which it does not pay: the disk is waited for each time.
const DIRECT_BYTES: usize = 64 << 10;
/// Where blocks of a disk begin, in files and in memory: none that is common wants more.
pub(crate) const ALIGNMENT: usize = 4096;
/// Bytes of a block at most: enough to keep a disk busy.
const BLOCK_BYTES: usize = 1 << 20;

/// Bytes that follow each other in a file, and lie in memory as they will lie there, so that the
/// disk can take them from here.
pub(crate) struct Block {
    bytes: Vec<u8>,
    /// The first aligned place in memory.
    base: usize,
    /// Where the bytes begin and end, from the base.
    begin: usize,
    end: usize,
}

impl Block {
    /// An empty block for bytes at `offset` of the file.
    pub(crate) fn at(offset: u64) -> Self {
        // Memory is taken when the first byte comes: many files are empty or small.
        let mut block = Self { bytes: Vec::new(), base: 0, begin: 0, end: 0 };
        block.begin_at(offset);
        block
    }

    /// Empties the block, for bytes at `offset`.
    pub(crate) fn begin_at(&mut self, offset: u64) {
        self.begin = usize::try_from(offset % ALIGNMENT as u64).unwrap_or_default();
        self.end = self.begin;
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.begin == self.end
    }

    pub(crate) fn is_full(&self) -> bool {
        self.end == BLOCK_BYTES
    }

    /// Takes as many bytes as there is room for; how many.
    pub(crate) fn take(&mut self, bytes: &[u8]) -> usize {
        if self.bytes.is_empty() {
            self.bytes = vec![0; BLOCK_BYTES + ALIGNMENT];
            self.base = self.bytes.as_ptr().align_offset(ALIGNMENT).min(ALIGNMENT);
        }
        let taken = bytes.len().min(BLOCK_BYTES - self.end);
        let place = self.base + self.end;
        self.bytes[place..place + taken].copy_from_slice(&bytes[..taken]);
        self.end += taken;
        taken
    }

    pub(crate) fn filled(&self) -> &[u8] {
        self.bytes.get(self.base + self.begin..self.base + self.end).unwrap_or_default()
    }

    /// What comes before the first whole block of the disk, the whole ones, and what comes after.
    pub(crate) fn parts(&self) -> (&[u8], &[u8], &[u8]) {
        let filled = self.filled();
        let (head, rest) =
            filled.split_at(filled.len().min(self.begin.next_multiple_of(ALIGNMENT) - self.begin));
        let (middle, tail) = rest.split_at(rest.len() / ALIGNMENT * ALIGNMENT);
        (head, middle, tail)
    }
}

impl std::fmt::Debug for Block {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let place = self.begin..self.end;
        f.debug_struct("Block").field("place", &place).finish_non_exhaustive()
    }
}

/// A block that is in the file.
#[derive(Debug)]
pub(crate) struct Written {
    /// It, to be used again.
    pub(crate) block: Block,
    /// Whether the file system is still to be asked.
    pub(crate) is_direct: bool,
    /// Bytes that are in the cache.
    pub(crate) cached_bytes: usize,
}

/// Writes a block: whole blocks of the disk past the cache, the rest through it.
pub(crate) fn write_block(
    file: &File,
    block: Block,
    offset: u64,
    is_direct: bool,
) -> io::Result<Written> {
    let (head, middle, tail) = block.parts();
    let at_middle = offset + head.len() as u64;
    let at_tail = at_middle + middle.len() as u64;
    let is_tried = is_direct && middle.len() >= DIRECT_BYTES;
    let is_done = is_tried && write_direct(file, middle, at_middle)?;
    if !is_done {
        file.write_all_at(middle, at_middle)?;
    }
    file.write_all_at(head, offset)?;
    file.write_all_at(tail, at_tail)?;
    let cached_bytes = head.len() + tail.len() + if is_done { 0 } else { middle.len() };
    Ok(Written { block, is_direct: is_direct && (is_done || !is_tried), cached_bytes })
}

/// Writes bytes at `offset`, past the cache where they are many.
///
/// # Errors
/// What the file system answers; some of the bytes may be there.
pub fn write_all_at(file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
    if bytes.len() < DIRECT_BYTES {
        return file.write_all_at(bytes, offset);
    }
    let (mut rest, mut offset, mut is_direct) = (bytes, offset, true);
    let mut block = Block::at(offset);
    while !rest.is_empty() {
        let taken = block.take(rest);
        rest = &rest[taken..];
        let written = write_block(file, block, offset, is_direct)?;
        (block, is_direct) = (written.block, written.is_direct);
        offset += taken as u64;
        block.begin_at(offset);
    }
    Ok(())
}

/// Reads exactly the bytes of `range`, past the cache where they are many.
///
/// # Errors
/// What the file system answers, also when the file ends before the range does.
pub(crate) fn read_exact_at(file: &File, range: Range<u64>) -> io::Result<Bytes> {
    let length = usize::try_from(range.end.saturating_sub(range.start)).unwrap_or(usize::MAX);
    if length >= DIRECT_BYTES
        && let Some(bytes) = read_direct(file, range.start, length)?
    {
        return Ok(bytes);
    }
    let mut bytes = vec![0; length];
    file.read_exact_at(&mut bytes, range.start)?;
    Ok(bytes.into())
}

/// The bytes, if they could be read past the cache.
fn read_direct(file: &File, offset: u64, length: usize) -> io::Result<Option<Bytes>> {
    // Others read through the file at the same time, and not in whole blocks.
    let mut how = OpenOptions::new();
    how.read(true).custom_flags(OFlags::DIRECT.bits().cast_signed());
    let Ok(own) = how.open(format!("/proc/self/fd/{}", file.as_raw_fd())) else {
        return Ok(None);
    };
    let skipped = usize::try_from(offset % ALIGNMENT as u64).unwrap_or_default();
    let whole = (skipped + length).next_multiple_of(ALIGNMENT);
    let mut bytes = vec![0; whole + ALIGNMENT];
    let base = bytes.as_ptr().align_offset(ALIGNMENT).min(ALIGNMENT);
    let mut read = 0;
    while read < skipped + length {
        let place = offset - skipped as u64 + read as u64;
        match own.read_at(&mut bytes[base + read..base + whole], place) {
            Ok(0) => break,
            Ok(more) => read += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if is_refused(&error) => return Ok(None),
            Err(error) => return Err(error),
        }
    }
    let begin = base + skipped;
    let is_whole = read >= skipped + length;
    Ok(is_whole.then(|| Bytes::from(bytes).slice(begin..begin + length)))
}

/// Whether the bytes could be written past the cache.
fn write_direct(file: &File, bytes: &[u8], offset: u64) -> io::Result<bool> {
    let flags = rustix::fs::fcntl_getfl(file)?;
    if rustix::fs::fcntl_setfl(file, flags | OFlags::DIRECT).is_err() {
        return Ok(false);
    }
    let written = file.write_all_at(bytes, offset);
    rustix::fs::fcntl_setfl(file, flags)?;
    match written {
        Err(error) if is_refused(&error) => Ok(false),
        written => written.map(|()| true),
    }
}

/// Larger blocks than ours, a piece that ended within one, or a file system that says only now that
/// it cannot.
fn is_refused(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported)
}

#[cfg(test)]
pub(crate) mod tests;

//! Records ⇄ compressed frames: JSON Lines in one Zstandard frame each (`docs/src/format.md` §4).
//!
//! What a frame declares about itself is checked before a byte is allocated for it.

use std::io::{self, BufRead, BufReader, Cursor};

use zstd::bulk::Compressor;
use zstd::stream::read::Decoder;
use zstd::zstd_safe::{self, CParameter};

use crate::limits::{FRAME_RAW_BYTES, FRAME_TARGET_BYTES, FRAME_WINDOW_BYTES};

/// Why lines cannot be compressed.
#[derive(Debug, thiserror::Error)]
pub enum CompressError {
    /// The compressor could not be set up or ran out of memory.
    #[error("the compressor failed; is there memory left, and is level {level} one of zstd's?")]
    Zstd {
        /// The level asked for.
        level: i32,
        /// What zstd says.
        #[source]
        source: io::Error,
    },
    /// One record is larger than a frame may be.
    #[error("a record of {length} bytes is too large for the format")]
    Record {
        /// Its length, with the line feed.
        length: usize,
    },
    /// The lines do not end with a line feed.
    #[error("the last record is not ended by a line feed")]
    Unended,
}

/// Why a frame is refused.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// Not one Zstandard frame with content size and checksum, or more than one.
    #[error("not one whole Zstandard frame with content size and checksum")]
    Shape,
    /// It declares more than it may.
    #[error("the frame declares {declared} bytes, {limit} are allowed")]
    TooLarge {
        /// Raw bytes it declares.
        declared: u64,
        /// What is allowed.
        limit: usize,
    },
    /// It needs too much memory to look back.
    #[error("the frame needs a window of {window} bytes, {FRAME_WINDOW_BYTES} are allowed")]
    Window {
        /// What it needs, in bytes.
        window: u64,
    },
    /// It does not decompress, or its checksum is wrong.
    #[error("the frame does not decompress")]
    Damaged(#[source] io::Error),
    /// The content is not JSON Lines.
    #[error("the last record is not ended by a line feed")]
    Unended,
}

/// How much a record entry holds; zero and zero for other entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Count {
    /// Number of lines.
    pub records: u64,
    /// Bytes after decompression.
    pub raw: u64,
}

impl Count {
    /// Counts `lines`.
    pub fn of(lines: &[u8]) -> Self {
        Self { records: line_feeds(lines), raw: lines.len() as u64 }
    }
}

/// Line feeds in `bytes`, counted in runs short enough for eight-bit lanes: this is on the path of
/// every record.
fn line_feeds(bytes: &[u8]) -> u64 {
    let in_run = |run: &[u8]| {
        let count = run.iter().fold(0_u8, |n, byte| n.wrapping_add(u8::from(*byte == b'\n')));
        u64::from(count)
    };
    bytes.chunks(255).map(in_run).fold(0, u64::saturating_add)
}

/// Compresses `lines` into one frame, at zstd's `level`.
///
/// # Errors
/// [`CompressError::Zstd`] when the compressor fails.
pub fn compress(lines: &[u8], level: i32) -> Result<Vec<u8>, CompressError> {
    compressor(level)?.compress(lines).map_err(|source| CompressError::Zstd { level, source })
}

/// Whether content is dense already, as pictures and archives are: a compressor would only cost
/// time. Looks at a few places of it; what is too short for that is not dense.
pub fn is_dense(content: &[u8]) -> bool {
    const SAMPLE: usize = 4 << 10;
    /// Into so many parts content is divided; the middle of each is looked at.
    const PARTS: usize = 4;
    let part = content.len().div_ceil(PARTS);
    if part < 2 * SAMPLE {
        return false;
    }
    let middle =
        |part: &[u8]| part.iter().skip(part.len() / 2).take(SAMPLE).copied().collect::<Vec<u8>>();
    let some: Vec<u8> = content.chunks(part).flat_map(middle).collect();
    // One part in 32 is what names and headers within a picture give.
    let gain = |frame: Vec<u8>| some.len().saturating_sub(frame.len());
    compress(&some, 1).is_ok_and(|frame| gain(frame) < some.len() / 32)
}

fn compressor(level: i32) -> Result<Compressor<'static>, CompressError> {
    let set_up = || {
        let mut compressor = Compressor::new(level)?;
        compressor.set_parameter(CParameter::ContentSizeFlag(true))?;
        compressor.set_parameter(CParameter::ChecksumFlag(true))?;
        // Levels above 19 look back further than readers must allow.
        if level > 19 {
            compressor.set_parameter(CParameter::WindowLog(FRAME_WINDOW_BYTES.ilog2()))?;
        }
        Ok(compressor)
    };
    set_up().map_err(|source| CompressError::Zstd { level, source })
}

/// Decompresses one frame of at most `limit` raw bytes.
///
/// # Errors
/// [`FrameError`] when it is not such a frame; sizes are checked before allocation.
pub fn decompress(frame: &[u8], limit: usize) -> Result<Vec<u8>, FrameError> {
    let size = raw_size(frame, limit)?;
    let raw = zstd::bulk::decompress(frame, size).map_err(FrameError::Damaged)?;
    if raw.len() == size { Ok(raw) } else { Err(FrameError::Shape) }
}

/// The raw bytes that a frame declares, when it is one that may be decompressed.
fn raw_size(frame: &[u8], limit: usize) -> Result<usize, FrameError> {
    let shape = Shape::parse(frame).ok_or(FrameError::Shape)?;
    let declared = shape.raw;
    let size = usize::try_from(declared).ok().filter(|size| *size <= limit);
    let size = size.ok_or(FrameError::TooLarge { declared, limit })?;
    // A frame without a window of its own is held whole: its size is bounded already.
    if let Some(window) = shape.window.filter(|window| *window > FRAME_WINDOW_BYTES) {
        return Err(FrameError::Window { window });
    }
    if zstd_safe::find_frame_compressed_size(frame).ok() != Some(frame.len()) {
        return Err(FrameError::Shape);
    }
    Ok(size)
}

/// The lines of a frame, one by one: the frame is never held decompressed. Its checksum is seen
/// at its end only.
pub(crate) struct FrameLines<B: AsRef<[u8]>> {
    raw: BufReader<Decoder<'static, Cursor<B>>>,
    /// Declared bytes that are still to come.
    left: usize,
}

impl<B: AsRef<[u8]>> FrameLines<B> {
    /// Begins one frame of at most `limit` raw bytes.
    ///
    /// # Errors
    /// [`FrameError`] as of [`decompress`], but for what only its content shows.
    pub(crate) fn begin(frame: B, limit: usize) -> Result<Self, FrameError> {
        let left = raw_size(frame.as_ref(), limit)?;
        let decoder = Decoder::with_buffer(Cursor::new(frame)).map_err(FrameError::Damaged)?;
        Ok(Self { raw: BufReader::new(decoder.single_frame()), left })
    }

    /// Puts the next line into `line`, with its line feed; false at the end.
    ///
    /// # Errors
    /// [`FrameError`] when it does not decompress, has another length than it declares, or does not
    /// end with a line feed.
    pub(crate) fn next_into(&mut self, line: &mut Vec<u8>) -> Result<bool, FrameError> {
        line.clear();
        let read = self.raw.read_until(b'\n', line).map_err(FrameError::Damaged)?;
        self.left = self.left.checked_sub(read).ok_or(FrameError::Shape)?;
        match line.last() {
            Some(b'\n') => Ok(true),
            Some(_) => Err(FrameError::Unended),
            None if self.left == 0 => Ok(false),
            None => Err(FrameError::Shape),
        }
    }
}

/// Decompresses a record entry and counts it.
///
/// # Errors
/// [`FrameError`] when it is not a frame of JSON Lines of at most [`FRAME_RAW_BYTES`].
pub fn decompress_records(frame: &[u8]) -> Result<(Vec<u8>, Count), FrameError> {
    let lines = decompress(frame, FRAME_RAW_BYTES)?;
    if lines.last().is_some_and(|byte| *byte != b'\n') {
        return Err(FrameError::Unended);
    }
    let count = Count::of(&lines);
    Ok((lines, count))
}

/// What a frame's header declares (RFC 8878 §3.1.1.1).
struct Shape {
    raw: u64,
    window: Option<u64>,
}

impl Shape {
    /// `None` unless it is a frame with content size and checksum, without dictionary.
    fn parse(frame: &[u8]) -> Option<Self> {
        let (descriptor, rest) = frame.strip_prefix(&MAGIC)?.split_first()?;
        let is_single = descriptor & 0b0010_0000 != 0;
        let has_checksum = descriptor & 0b0000_0100 != 0;
        let (reserved, dictionary) = (descriptor & 0b0000_1000, descriptor & 0b0000_0011);
        if !has_checksum || reserved != 0 || dictionary != 0 {
            return None;
        }
        let (window, rest) = if is_single {
            (None, rest)
        } else {
            let (byte, rest) = rest.split_first()?;
            (Some(window_bytes(*byte)), rest)
        };
        let raw = match descriptor >> 6 {
            0 if is_single => u64::from(*rest.first()?),
            0 => return None,
            1 => u64::from(u16::from_le_bytes(*rest.first_chunk()?)).saturating_add(256),
            2 => u64::from(u32::from_le_bytes(*rest.first_chunk()?)),
            _ => u64::from_le_bytes(*rest.first_chunk()?),
        };
        Some(Self { raw, window })
    }
}

const MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

fn window_bytes(descriptor: u8) -> u64 {
    let base = 1_u64 << (10_u32.saturating_add(u32::from(descriptor >> 3)));
    let step = base >> 3;
    base.saturating_add(step.saturating_mul(u64::from(descriptor & 7)))
}

/// One compressed record entry.
pub struct Frame {
    /// The bytes to store.
    pub bytes: Vec<u8>,
    /// How much is inside.
    pub count: Count,
}

/// Makes frames of a good size out of lines that come in batches of any size.
pub struct RecordFrames {
    level: i32,
    compressor: Compressor<'static>,
    pending: Vec<u8>,
}

impl RecordFrames {
    /// Frames compressed at zstd's `level`.
    ///
    /// # Errors
    /// [`CompressError::Zstd`] when the compressor cannot be set up.
    pub fn begin(level: i32) -> Result<Self, CompressError> {
        Ok(Self { level, compressor: compressor(level)?, pending: Vec::new() })
    }

    /// Takes whole lines; puts the frames that are full behind `frames`.
    ///
    /// # Errors
    /// [`CompressError`] when the lines do not end with a line feed, or one is too large.
    pub fn push(&mut self, mut lines: &[u8], frames: &mut Vec<Frame>) -> Result<(), CompressError> {
        if lines.last().is_some_and(|byte| *byte != b'\n') {
            return Err(CompressError::Unended);
        }
        while !lines.is_empty() {
            let room = FRAME_TARGET_BYTES.saturating_sub(self.pending.len());
            if lines.len() < room {
                self.pending.extend_from_slice(lines);
                break;
            }
            let (now, later) = lines.split_at(line_end(lines, room, self.pending.is_empty()));
            if now.len() > FRAME_RAW_BYTES {
                return Err(CompressError::Record { length: now.len() });
            }
            if self.pending.is_empty() {
                frames.push(self.frame(now)?);
            } else {
                self.pending.extend_from_slice(now);
                self.flush(frames)?;
            }
            lines = later;
        }
        Ok(())
    }

    /// Closes the last frame, if lines are left; the next push begins a fresh one.
    ///
    /// # Errors
    /// [`CompressError::Zstd`] when the compressor fails.
    pub fn flush(&mut self, frames: &mut Vec<Frame>) -> Result<(), CompressError> {
        if !self.pending.is_empty() {
            let mut lines = std::mem::take(&mut self.pending);
            frames.push(self.frame(&lines)?);
            lines.clear();
            self.pending = lines;
        }
        Ok(())
    }

    fn frame(&mut self, lines: &[u8]) -> Result<Frame, CompressError> {
        let level = self.level;
        let bytes = self.compressor.compress(lines);
        let bytes = bytes.map_err(|source| CompressError::Zstd { level, source })?;
        Ok(Frame { bytes, count: Count::of(lines) })
    }
}

/// Where the last line ends that begins within `room`: at most `room` when a line ends before
/// that, else behind the first line if it `must` take one, else nothing.
fn line_end(lines: &[u8], room: usize, must: bool) -> usize {
    let (within, _) = lines.split_at(room.min(lines.len()));
    let behind = |at: usize| at.saturating_add(1);
    match within.iter().rposition(|byte| *byte == b'\n') {
        Some(at) => behind(at),
        None if must => lines.iter().position(|byte| *byte == b'\n').map_or(lines.len(), behind),
        None => 0,
    }
}

#[cfg(test)]
mod tests;

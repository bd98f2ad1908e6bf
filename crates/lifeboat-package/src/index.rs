//! The index of a volume: one record for each entry, so that one can be read by range
//! (`docs/src/format.md` §3).

use std::io::Write;

use serde::Deserialize;

use crate::digest::Digest;
use crate::frame::{Count, FrameError, decompress, decompress_records};
use crate::id::EntryPath;
use crate::limits::{INDEX_RAW_BYTES, VOLUME_ENTRIES};

/// The path of the index, the last entry of each volume.
pub const INDEX_PATH: &str = "index.jsonl.zst";

/// What the index says of one entry.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct IndexRecord {
    /// Its path.
    pub path: EntryPath,
    /// Offset of its first byte in the volume's plaintext.
    pub offset: u64,
    /// Bytes as stored.
    pub length: u64,
    /// SHA-256 of the bytes as stored.
    pub sha256: Digest,
    /// Number of records; 0 when it does not hold records.
    pub records: u64,
    /// Bytes after decompression; 0 when it does not hold records.
    pub raw: u64,
}

/// Why an index is refused.
#[derive(Debug, thiserror::Error)]
pub enum IndexError {
    /// It is not a frame.
    #[error("the index cannot be decompressed")]
    Frame(#[from] FrameError),
    /// A line is not an index record.
    #[error("line {line} of the index is not an index record")]
    Record {
        /// The line, from 1.
        line: u64,
        /// What is wrong with it.
        #[source]
        source: serde_json::Error,
    },
    /// More entries than a volume may have.
    #[error("the index has more than {VOLUME_ENTRIES} records")]
    TooMany,
}

/// Why an entry is not what the index says.
#[derive(Debug, thiserror::Error)]
pub enum EntryError {
    /// Other bytes than the index or the entry's own name say.
    #[error("{path} is not what the package says of it: {what} differs")]
    Differs {
        /// The entry.
        path: EntryPath,
        /// What differs.
        what: &'static str,
    },
    /// It should hold records, but is not a frame of them.
    #[error("{path} does not hold records")]
    Frame {
        /// The entry.
        path: EntryPath,
        /// What is wrong with it.
        #[source]
        source: FrameError,
    },
}

impl IndexRecord {
    /// Checks an entry that was read by range, and gives its content: of a record entry the lines,
    /// of any other the bytes as stored.
    ///
    /// # Errors
    /// [`EntryError`] when it is not the entry that the index describes.
    pub fn verify(&self, stored: Vec<u8>) -> Result<Vec<u8>, EntryError> {
        let differs = |what| EntryError::Differs { path: self.path.clone(), what };
        if stored.len() as u64 != self.length {
            return Err(differs("the length"));
        }
        if Digest::of(&stored) != self.sha256 {
            return Err(differs("the SHA-256 sum"));
        }
        let (content, count) = content(&self.path, stored, &self.sha256)?;
        if count != (Count { records: self.records, raw: self.raw }) {
            return Err(differs("the number of records"));
        }
        Ok(content)
    }

    /// Writes the line of this record behind `lines`.
    pub(crate) fn append(&self, lines: &mut Vec<u8>) {
        let Self { path, offset, length, sha256, records, raw } = self;
        // Nothing in a path, number or sum needs escaping in JSON.
        writeln!(
            lines,
            "{{\"path\":\"{path}\",\"offset\":{offset},\"length\":{length},\
             \"sha256\":\"{sha256}\",\"records\":{records},\"raw\":{raw}}}"
        )
        .expect("writing to memory does not fail");
    }
}

/// The content of an entry as its reader wants it, and how much there is of it.
pub(crate) fn content(
    path: &EntryPath,
    stored: Vec<u8>,
    sha256: &Digest,
) -> Result<(Vec<u8>, Count), EntryError> {
    if let Some((name, None)) = path.blob()
        && name != *sha256.as_bytes()
    {
        let what = "the SHA-256 sum in the name";
        return Err(EntryError::Differs { path: path.clone(), what });
    }
    if !path.is_record() {
        return Ok((stored, Count::default()));
    }
    decompress_records(&stored).map_err(|source| EntryError::Frame { path: path.clone(), source })
}

/// Reads the index of a volume from its entry's bytes.
///
/// # Errors
/// [`IndexError`] when it is not an index; limits are checked before allocation.
pub fn parse_index(frame: &[u8]) -> Result<Vec<IndexRecord>, IndexError> {
    let lines = decompress(frame, INDEX_RAW_BYTES)?;
    if lines.last().is_some_and(|byte| *byte != b'\n') {
        return Err(IndexError::Frame(FrameError::Unended));
    }
    let mut records = Vec::new();
    for (line, number) in lines.split_inclusive(|byte| *byte == b'\n').zip(1_u64..) {
        if records.len() >= VOLUME_ENTRIES {
            return Err(IndexError::TooMany);
        }
        let record = serde_json::from_slice(line);
        records.push(record.map_err(|source| IndexError::Record { line: number, source })?);
    }
    Ok(records)
}

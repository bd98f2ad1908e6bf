//! The index of a volume: one record for each entry, so that one can be read by range
//! (`docs/src/format.md` §3).

use std::io::Write;

use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::frame::{Count, FrameError, FrameLines, decompress, decompress_records};
use crate::id::EntryPath;
use crate::limits::{FRAME_RAW_BYTES, INDEX_RAW_BYTES, ROOM_ID_BYTES, VOLUME_ENTRIES};

/// The path of the index, the last entry of each volume.
pub const INDEX_PATH: &str = "index.jsonl.zst";

/// The least and the greatest room id, in byte order, of an entry's records: who wants other rooms
/// need not read it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoomSpan {
    /// The least.
    pub first: String,
    /// The greatest.
    pub last: String,
}

impl RoomSpan {
    /// The span of one room; `None` for what is longer than any room id, and so none.
    pub fn of(room: &str) -> Option<Self> {
        let is_id = room.len() <= ROOM_ID_BYTES;
        is_id.then(|| Self { first: room.to_owned(), last: room.to_owned() })
    }

    /// Makes it hold `room` as well.
    pub fn widen(&mut self, room: &str) {
        if room < self.first.as_str() {
            room.clone_into(&mut self.first);
        } else if room > self.last.as_str() {
            room.clone_into(&mut self.last);
        }
    }

    /// Whether records of this room may be among them.
    pub fn may_hold(&self, room: &str) -> bool {
        self.first.as_str() <= room && room <= self.last.as_str()
    }
}

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
    /// Bytes after decompression; 0 when it holds neither records nor a segment.
    pub raw: u64,
    /// Whose rooms its records are, where they all are some room's. What the writer says: the
    /// other members can be checked against the entry, this one cannot.
    #[serde(default)]
    pub rooms: Option<RoomSpan>,
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
    /// It should hold records or a segment, but is not a frame of them.
    #[error("{path} does not hold what its name says")]
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

    /// Whether both say the same of one entry, as far as its bytes tell.
    pub(crate) fn agrees_with(&self, found: &Self) -> bool {
        self.path == found.path
            && (self.offset, self.length, &self.sha256)
                == (found.offset, found.length, &found.sha256)
            && (self.records, self.raw) == (found.records, found.raw)
    }

    /// Writes the line of this record behind `lines`.
    pub(crate) fn append(&self, lines: &mut Vec<u8>) {
        let Self { path, offset, length, sha256, records, raw, rooms } = self;
        // Nothing in a path, number or sum needs escaping in JSON.
        write!(
            lines,
            "{{\"path\":\"{path}\",\"offset\":{offset},\"length\":{length},\
             \"sha256\":\"{sha256}\",\"records\":{records},\"raw\":{raw}"
        )
        .expect("writing to memory does not fail");
        if let Some(rooms) = rooms {
            lines.extend_from_slice(b",\"rooms\":");
            serde_json::to_writer(&mut *lines, rooms).expect("two strings are JSON");
        }
        lines.extend_from_slice(b"}\n");
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
    let frame = |source| EntryError::Frame { path: path.clone(), source };
    if let Some(name) = path.segment() {
        let content = decompress(&stored, FRAME_RAW_BYTES).map_err(frame)?;
        if *Digest::of(&content).as_bytes() != name {
            let what = "the SHA-256 sum in the name";
            return Err(EntryError::Differs { path: path.clone(), what });
        }
        let raw = content.len() as u64;
        return Ok((content, Count { records: 0, raw }));
    }
    if !path.is_record() {
        return Ok((stored, Count::default()));
    }
    decompress_records(&stored).map_err(frame)
}

/// The records of an index, one by one: decompressed it takes several times its bytes, and as a
/// list twice of that again. After an error there are no more.
pub struct IndexRecords<B: AsRef<[u8]>> {
    lines: Option<FrameLines<B>>,
    line: Vec<u8>,
    taken: usize,
}

impl<B: AsRef<[u8]>> IndexRecords<B> {
    /// Begins to read the index of a volume from its entry's bytes.
    ///
    /// # Errors
    /// [`IndexError`] when it is not a frame; limits are checked before allocation.
    pub fn parse(frame: B) -> Result<Self, IndexError> {
        let lines = FrameLines::begin(frame, INDEX_RAW_BYTES)?;
        Ok(Self { lines: Some(lines), line: Vec::new(), taken: 0 })
    }

    fn record(&mut self) -> Result<Option<IndexRecord>, IndexError> {
        let Some(lines) = &mut self.lines else { return Ok(None) };
        if !lines.next_into(&mut self.line)? {
            return Ok(None);
        }
        if self.taken >= VOLUME_ENTRIES {
            return Err(IndexError::TooMany);
        }
        self.taken = self.taken.saturating_add(1);
        let record = serde_json::from_slice(&self.line);
        record.map(Some).map_err(|source| IndexError::Record { line: self.taken as u64, source })
    }
}

impl<B: AsRef<[u8]>> Iterator for IndexRecords<B> {
    type Item = Result<IndexRecord, IndexError>;

    fn next(&mut self) -> Option<Self::Item> {
        let record = self.record().transpose();
        if !matches!(record, Some(Ok(_))) {
            self.lines = None;
        }
        record
    }
}

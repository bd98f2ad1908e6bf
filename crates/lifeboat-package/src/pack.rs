//! Packing: entries in, the bytes of a sealed volume out (`docs/src/format.md` §3).

pub mod held;

use std::collections::{BTreeSet, HashSet};

use crate::container::{END, header, padding};
use crate::digest::{Digest, Hasher};
use crate::flow::BlobPiece;
use crate::frame::{CompressError, Count, compress};
use crate::id::{EntryPath, PackageId, PartPath, blob_path, volume_name};
use crate::index::{INDEX_PATH, IndexRecord, RoomSpan};
use crate::key::PackageKey;
use crate::limits::{ENTRY_BYTES, INDEX_RAW_BYTES, VOLUME_BYTES, VOLUME_ENTRIES};
use crate::manifest::{Place, Volume};
use crate::seal::{FreshSeal, Sealer, sealed_size};

/// Why an entry cannot go into this volume.
#[derive(Debug, thiserror::Error)]
pub enum PackError {
    /// Too large for any volume; blobs must come in pieces.
    #[error("{path} has {size} bytes, more than an entry may have")]
    TooLarge {
        /// The entry.
        path: EntryPath,
        /// Its bytes.
        size: usize,
    },
    /// The volume has this path already, or it is the index's own.
    #[error("{path} is in this volume already")]
    Twice {
        /// The entry.
        path: EntryPath,
    },
    /// The volume is full: finish it and put the entry into the next.
    #[error("volume {volume} is full; begin the next for {path}")]
    Full {
        /// The volume.
        volume: String,
        /// The entry.
        path: EntryPath,
    },
    /// The index cannot be compressed.
    #[error("the index of volume {volume} cannot be written")]
    Index {
        /// The volume.
        volume: String,
        /// Why.
        #[source]
        source: CompressError,
    },
}

/// Writes one sealed volume. What comes out is appended to the caller's buffer, which may be
/// emptied between calls.
pub struct VolumePacker {
    name: String,
    sealer: Sealer,
    hasher: Hasher,
    plain: u64,
    size: u64,
    paths: HashSet<EntryPath>,
    parts: BTreeSet<PartPath>,
    index: Vec<u8>,
}

/// What is known of a record entry besides its bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct About {
    /// Records and raw bytes.
    pub count: Count,
    /// Whose rooms the records are, where they all are some room's.
    pub rooms: Option<RoomSpan>,
}

impl From<Count> for About {
    fn from(count: Count) -> Self {
        Self { count, rooms: None }
    }
}

impl VolumePacker {
    /// Begins volume `number` (from 1) of `package`. `fresh` must never have been used before.
    pub fn begin(
        key: &PackageKey,
        package: &PackageId,
        number: u32,
        fresh: &FreshSeal,
        out: &mut Vec<u8>,
    ) -> Self {
        let name = volume_name(number);
        let begin = out.len();
        let sealer = Sealer::begin(key, package, &name, fresh, out);
        let mut packer = Self {
            name,
            sealer,
            hasher: Hasher::new(),
            plain: 0,
            size: 0,
            paths: HashSet::new(),
            parts: BTreeSet::new(),
            index: Vec::new(),
        };
        packer.wrote(begin, out);
        packer
    }

    /// Adds an entry, with what is known of its records when it holds records.
    ///
    /// # Errors
    /// [`PackError`] when the entry does not belong into this volume; the volume stays as it was.
    pub fn add(
        &mut self,
        path: &EntryPath,
        bytes: &[u8],
        about: impl Into<About>,
        out: &mut Vec<u8>,
    ) -> Result<(), PackError> {
        self.check(path, bytes.len())?;
        let (offset, length) = self.write(path.as_str(), bytes, out);
        let About { count: Count { records, raw }, rooms } = about.into();
        let (path, sha256) = (path.clone(), Digest::of(bytes));
        self.list(IndexRecord { path, offset, length, sha256, records, raw, rooms });
        Ok(())
    }

    /// Adds a blob or a piece of one. The sum of a blob of one piece is taken as given: hashing is
    /// what packing costs, and whoever named the blob has done it.
    ///
    /// # Errors
    /// As [`Self::add`].
    pub fn add_blob(&mut self, blob: &BlobPiece, out: &mut Vec<u8>) -> Result<(), PackError> {
        let path = blob_path(&blob.sha256, blob.piece);
        self.check(&path, blob.bytes.len())?;
        let (offset, length) = self.write(path.as_str(), &blob.bytes, out);
        let sha256 = match blob.piece {
            None => Digest::from_bytes(blob.sha256),
            Some(_) => Digest::of(&blob.bytes),
        };
        self.list(IndexRecord { path, offset, length, sha256, records: 0, raw: 0, rooms: None });
        Ok(())
    }

    /// Number of entries so far.
    pub fn entries(&self) -> u64 {
        self.paths.len() as u64
    }

    /// Whether no further entry fits, whatever its size.
    pub fn is_full(&self) -> bool {
        self.paths.len() >= VOLUME_ENTRIES || self.index.len() > INDEX_RAW_BYTES - INDEX_RESERVE
    }

    /// Bytes of the sealed file so far, what is still held back included.
    pub fn sealed_bytes(&self) -> u64 {
        sealed_size(self.plain)
    }

    /// Writes the index and the end; says what the manifest must say of this volume.
    ///
    /// # Errors
    /// [`PackError::Index`] when the index cannot be compressed.
    pub fn finish(self, out: &mut Vec<u8>) -> Result<Volume, PackError> {
        self.finish_listed(out).map(|(volume, _)| volume)
    }

    /// As [`Self::finish`]; also gives the paths of its entries.
    ///
    /// # Errors
    /// As [`Self::finish`].
    pub fn finish_listed(
        mut self,
        out: &mut Vec<u8>,
    ) -> Result<(Volume, HashSet<EntryPath>), PackError> {
        let index = compress(&self.index, INDEX_LEVEL)
            .map_err(|source| PackError::Index { volume: self.name.clone(), source })?;
        let (offset, length) = self.write(INDEX_PATH, &index, out);
        let index = Place { offset, length, sha256: Digest::of(&index) };
        let begin = out.len();
        self.sealer.update(&END, out);
        let Self { name, sealer, mut hasher, mut size, paths, parts, .. } = self;
        sealer.finish(out);
        let rest = out.get(begin..).unwrap_or_default();
        hasher.update(rest);
        size = size.saturating_add(rest.len() as u64);
        let (sha256, entries) = (hasher.finish(), paths.len() as u64);
        let parts = Some(parts.into_iter().collect());
        Ok((Volume { name, size, sha256, entries, index, parts }, paths))
    }

    fn check(&self, path: &EntryPath, size: usize) -> Result<(), PackError> {
        if size > ENTRY_BYTES {
            return Err(PackError::TooLarge { path: path.clone(), size });
        }
        if path.as_str() == INDEX_PATH || self.paths.contains(path) {
            return Err(PackError::Twice { path: path.clone() });
        }
        let after = self
            .plain
            .saturating_add(size as u64)
            .saturating_add(self.index.len() as u64)
            .saturating_add(RESERVE);
        if sealed_size(after) > VOLUME_BYTES || self.is_full() {
            return Err(PackError::Full { volume: self.name.clone(), path: path.clone() });
        }
        Ok(())
    }

    fn list(&mut self, record: IndexRecord) {
        record.append(&mut self.index);
        self.parts.extend(record.path.record().map(|(part, ..)| part));
        self.paths.insert(record.path);
    }

    /// Writes one file of the archive; says where its bytes lie, and how many they are.
    fn write(&mut self, name: &str, bytes: &[u8], out: &mut Vec<u8>) -> (u64, u64) {
        let begin = out.len();
        let length = bytes.len() as u64;
        let header = header(name, length).expect("an entry path and size fit into ustar");
        let zeros = END.get(..padding(length)).unwrap_or_default();
        let offset = self.plain.saturating_add(header.len() as u64);
        for piece in [header.as_slice(), bytes, zeros] {
            self.sealer.update(piece, out);
            self.plain = self.plain.saturating_add(piece.len() as u64);
        }
        self.wrote(begin, out);
        (offset, length)
    }

    fn wrote(&mut self, begin: usize, out: &[u8]) {
        let ciphertext = out.get(begin..).unwrap_or_default();
        self.hasher.update(ciphertext);
        self.size = self.size.saturating_add(ciphertext.len() as u64);
    }
}

/// zstd's own default: an index is mostly hexadecimal.
const INDEX_LEVEL: i32 = 3;
/// Bytes kept free for headers, padding, the index's own line and the end.
const RESERVE: u64 = 64 << 10;
/// Raw bytes kept free in the index: more than its longest line can have.
const INDEX_RESERVE: usize = 8 << 10;

#[cfg(test)]
mod tests;

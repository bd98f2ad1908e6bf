//! Unpacking: the bytes of a sealed volume in, its entries out (`docs/src/format.md` §3).
//!
//! Refuses everything that [`crate::pack`] would not write. An entry comes out when its bytes are
//! authentic; that nothing is missing is known when [`VolumeUnpacker::finish`] has agreed.

use std::collections::BTreeSet;

use crate::digest::{Digest, Hasher};
use crate::frame::Count;
use crate::id::{EntryPath, PackageId, volume_name};
use crate::index::{EntryError, IndexError, IndexRecord};
use crate::key::PackageKey;
use crate::limits::VOLUME_BYTES;
use crate::manifest::Volume;
use crate::seal::{Opener, SEGMENT, SealError};

mod archive;

use archive::Archive;

/// Why a volume is refused.
#[derive(Debug, thiserror::Error)]
pub enum UnpackError {
    /// It does not open.
    #[error("volume {volume} does not open")]
    Seal {
        /// The volume.
        volume: String,
        /// Where.
        #[source]
        source: SealError,
    },
    /// It opens, but is not an archive of this format.
    #[error("volume {volume} breaks the format at offset {offset}: {problem}")]
    Archive {
        /// The volume.
        volume: String,
        /// Where, in bytes of its plaintext.
        offset: u64,
        /// What.
        problem: &'static str,
    },
    /// An entry cannot be read.
    #[error("an entry of volume {volume} is damaged")]
    Entry {
        /// The volume.
        volume: String,
        /// Which, and how.
        #[source]
        source: EntryError,
    },
    /// The index cannot be read.
    #[error("the index of volume {volume} is damaged")]
    Index {
        /// The volume.
        volume: String,
        /// How.
        #[source]
        source: IndexError,
    },
    /// The index does not list what is there.
    #[error("the index of volume {volume} does not agree with its entry {path}")]
    Disagrees {
        /// The volume.
        volume: String,
        /// The first entry that differs; of either side.
        path: EntryPath,
    },
}

/// One entry of a volume.
pub struct Entry {
    /// Its path.
    pub path: EntryPath,
    /// The lines of a record entry, decompressed; the bytes of any other.
    pub content: Vec<u8>,
    /// How many records it holds, counted.
    pub count: Count,
    /// SHA-256 of the bytes as stored: for a blob of one piece, of its content.
    pub sha256: Digest,
}

/// What a whole volume was found to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VolumeCheck {
    /// What a manifest must say of it.
    pub volume: Volume,
    /// What its index says, which is what was found.
    pub records: Vec<IndexRecord>,
}

/// Reads one sealed volume from front to back. Holds one entry and one segment, and the index
/// records. After an error it must be dropped.
pub struct VolumeUnpacker {
    name: String,
    opener: Opener,
    plaintext: Vec<u8>,
    hasher: Hasher,
    size: u64,
    archive: Archive,
}

impl VolumeUnpacker {
    /// Begins to read volume `number` of `package`.
    pub fn begin(key: &PackageKey, package: &PackageId, number: u32) -> Self {
        let name = volume_name(number);
        let opener = Opener::begin(key, package, &name);
        let (plaintext, hasher) = (Vec::new(), Hasher::new());
        Self { name, opener, plaintext, hasher, size: 0, archive: Archive::begin(number) }
    }

    /// Takes the next bytes of the sealed file; puts the entries that are whole behind `entries`.
    ///
    /// # Errors
    /// [`UnpackError`] at the first thing that is not right.
    pub fn feed(&mut self, ciphertext: &[u8], entries: &mut Vec<Entry>) -> Result<(), UnpackError> {
        self.size = self.size.saturating_add(ciphertext.len() as u64);
        if self.size > VOLUME_BYTES {
            return Err(self.archive.broken("it is larger than a volume may be"));
        }
        self.hasher.update(ciphertext);
        // A segment at a time: what is open and not yet an entry stays small.
        for piece in ciphertext.chunks(SEGMENT) {
            self.plaintext.clear();
            self.opener
                .update(piece, &mut self.plaintext)
                .map_err(|source| UnpackError::Seal { volume: self.name.clone(), source })?;
            self.archive.take(&self.plaintext, entries)?;
        }
        Ok(())
    }

    /// Ends the volume: puts its last entries behind `entries`, and compares the index with
    /// everything that was seen.
    ///
    /// # Errors
    /// [`UnpackError`] when something is missing, too much, or not as the index says.
    pub fn finish(mut self, entries: &mut Vec<Entry>) -> Result<VolumeCheck, UnpackError> {
        let name = self.name;
        self.plaintext.clear();
        self.opener
            .finish(&mut self.plaintext)
            .map_err(|source| UnpackError::Seal { volume: name.clone(), source })?;
        self.archive.take(&self.plaintext, entries)?;
        let (index, records) = self.archive.finish()?;
        let (size, sha256) = (self.size, self.hasher.finish());
        let parts = records.iter().filter_map(|record| Some(record.path.record()?.0));
        let parts = Some(parts.collect::<BTreeSet<_>>().into_iter().collect());
        let volume = Volume { name, size, sha256, entries: records.len() as u64, index, parts };
        Ok(VolumeCheck { volume, records })
    }
}

//! The archive inside a volume, as far as it was read.

use std::mem;

use super::{Entry, UnpackError};
use crate::container::{BLOCK, padding, parse_header};
use crate::digest::Digest;
use crate::id::{EntryPath, volume_name};
use crate::index::{INDEX_PATH, IndexRecord, IndexRecords, content};
use crate::limits::{ENTRY_BYTES, VOLUME_ENTRIES};
use crate::manifest::Place;

/// Takes plaintext piece by piece, gives entries.
pub(super) struct Archive {
    volume: u32,
    /// Bytes of plaintext taken.
    offset: u64,
    stage: Stage,
    found: Vec<IndexRecord>,
    /// Where the index lies, and its bytes.
    index: Option<(Place, Vec<u8>)>,
}

enum Stage {
    /// Collecting the next header.
    Header(Vec<u8>),
    /// Collecting the bytes of an entry.
    Body { path: EntryPath, size: usize, bytes: Vec<u8> },
    /// Skipping the zeros behind an entry.
    Padding { left: usize },
    /// The first of the two zero blocks was seen.
    End { left: usize },
}

impl Stage {
    fn missing(&self) -> usize {
        match self {
            Self::Header(block) => BLOCK.saturating_sub(block.len()),
            Self::Body { size, bytes, .. } => size.saturating_sub(bytes.len()),
            Self::Padding { left } | Self::End { left } => *left,
        }
    }
}

impl Archive {
    pub(super) fn begin(volume: u32) -> Self {
        let (stage, found) = (Stage::Header(Vec::new()), Vec::new());
        Self { volume, offset: 0, stage, found, index: None }
    }

    pub(super) fn broken(&self, problem: &'static str) -> UnpackError {
        UnpackError::Archive { volume: volume_name(self.volume), offset: self.offset, problem }
    }

    pub(super) fn take(
        &mut self,
        mut bytes: &[u8],
        entries: &mut Vec<Entry>,
    ) -> Result<(), UnpackError> {
        while !bytes.is_empty() {
            let (now, later) = bytes.split_at(self.stage.missing().min(bytes.len()));
            if now.is_empty() {
                return Err(self.broken("there are bytes behind its end"));
            }
            self.collect(now)?;
            self.offset = self.offset.saturating_add(now.len() as u64);
            while self.stage.missing() == 0 && !matches!(self.stage, Stage::End { .. }) {
                self.advance(entries)?;
            }
            bytes = later;
        }
        Ok(())
    }

    /// Where the index lies and what it says, when the archive is whole and the index true.
    pub(super) fn finish(mut self) -> Result<(Place, Vec<IndexRecord>), UnpackError> {
        let at_end = matches!(self.stage, Stage::End { left: 0 });
        let index = mem::take(&mut self.index).filter(|_| at_end);
        let (place, stored) = index.ok_or_else(|| self.broken("it ends too early"))?;
        self.check_index(&stored)?;
        Ok((place, self.found))
    }

    /// Compares the index with what was found, and takes over what only the index says.
    fn check_index(&mut self, stored: &[u8]) -> Result<(), UnpackError> {
        let volume = || volume_name(self.volume);
        let broken = |source| UnpackError::Index { volume: volume(), source };
        let disagrees =
            |path: &EntryPath| Err(UnpackError::Disagrees { volume: volume(), path: path.clone() });
        let mut listed = IndexRecords::parse(stored).map_err(broken)?;
        for found in &mut self.found {
            match listed.next().transpose().map_err(broken)? {
                Some(record) if record.agrees_with(found) => found.rooms = record.rooms,
                _ => return disagrees(&found.path),
            }
        }
        match listed.next().transpose().map_err(broken)? {
            None => Ok(()),
            Some(record) => disagrees(&record.path),
        }
    }

    /// Whether a path is there twice.
    fn has_twice(&self) -> bool {
        let mut paths: Vec<&EntryPath> = self.found.iter().map(|record| &record.path).collect();
        paths.sort_unstable();
        paths.windows(2).any(|pair| matches!(pair, [a, b] if a == b))
    }

    /// Takes bytes of the present stage.
    fn collect(&mut self, now: &[u8]) -> Result<(), UnpackError> {
        match &mut self.stage {
            Stage::Header(block) => block.extend_from_slice(now),
            Stage::Body { bytes, .. } => bytes.extend_from_slice(now),
            Stage::Padding { left } | Stage::End { left } => {
                *left = left.saturating_sub(now.len());
                if now.iter().any(|byte| *byte != 0) {
                    return Err(self.broken("its padding is not zeros"));
                }
            }
        }
        Ok(())
    }

    /// Goes on to the next stage when the present one has all its bytes.
    fn advance(&mut self, entries: &mut Vec<Entry>) -> Result<(), UnpackError> {
        let next = Stage::Header(Vec::with_capacity(BLOCK));
        self.stage = match std::mem::replace(&mut self.stage, next) {
            Stage::Header(block) => self.after_header(&block)?,
            Stage::Body { path, size, bytes } => {
                self.after_body(path, bytes, entries)?;
                Stage::Padding { left: padding(size as u64) }
            }
            Stage::Padding { .. } => Stage::Header(Vec::with_capacity(BLOCK)),
            end @ Stage::End { .. } => end,
        };
        Ok(())
    }

    fn after_header(&mut self, block: &[u8]) -> Result<Stage, UnpackError> {
        if block.iter().all(|byte| *byte == 0) {
            return match self.index {
                _ if self.has_twice() => Err(self.broken("a path is there twice")),
                Some(_) => Ok(Stage::End { left: BLOCK }),
                None => Err(self.broken("it has no index")),
            };
        }
        if self.index.is_some() {
            return Err(self.broken("there is an entry behind the index"));
        }
        let header = block.try_into().ok().and_then(parse_header);
        let (name, size) = header.ok_or_else(|| self.broken("a header is not one of ours"))?;
        let path = EntryPath::parse(name).map_err(|_| self.broken("a path is not allowed"))?;
        let size = usize::try_from(size).ok().filter(|size| *size <= ENTRY_BYTES);
        let size = size.ok_or_else(|| self.broken("an entry is larger than allowed"))?;
        if path.as_str() != INDEX_PATH && self.found.len() >= VOLUME_ENTRIES {
            return Err(self.broken("it has more entries than allowed"));
        }
        Ok(Stage::Body { path, size, bytes: Vec::with_capacity(size) })
    }

    fn after_body(
        &mut self,
        path: EntryPath,
        stored: Vec<u8>,
        entries: &mut Vec<Entry>,
    ) -> Result<(), UnpackError> {
        let volume = volume_name(self.volume);
        let length = stored.len() as u64;
        let offset = self.offset.saturating_sub(length);
        let sha256 = Digest::of(&stored);
        if path.as_str() == INDEX_PATH {
            let place = Place { offset, length, sha256 };
            self.index = Some((place, stored));
            return Ok(());
        }
        let (content, count) = content(&path, stored, &sha256)
            .map_err(|source| UnpackError::Entry { volume, source })?;
        let (records, raw) = (count.records, count.raw);
        let record =
            IndexRecord { path: path.clone(), offset, length, sha256, records, raw, rooms: None };
        self.found.push(record);
        entries.push(Entry { path, content, count, sha256 });
        Ok(())
    }
}

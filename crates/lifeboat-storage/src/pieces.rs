//! An object read piece by piece.

use std::fs::File;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;

use crate::ahead::Ahead;
use crate::error::{At, StorageError};
use crate::objects::ObjectPieces;

/// Bytes of a piece; only the last is smaller. One segment of a sealed file.
pub const PIECE_BYTES: u64 = 1 << 20;

/// The bytes of an object, or of a range of it, in order. Holds at most two pieces: of a file the
/// next one is read while the last one is worked on.
#[must_use]
pub struct Pieces(Kind);

enum Kind {
    File { file: Arc<File>, range: Range<u64>, at: At, next: Option<Ahead> },
    Objects(Box<ObjectPieces>),
}

impl Pieces {
    pub(crate) fn of_file(file: Arc<File>, range: Range<u64>, at: At) -> Self {
        Self(Kind::File { file, range, at, next: None })
    }

    pub(crate) fn of_object(pieces: ObjectPieces) -> Self {
        Self(Kind::Objects(Box::new(pieces)))
    }

    /// Bytes that are still to come.
    pub fn remaining(&self) -> u64 {
        match &self.0 {
            Kind::File { range, .. } => range.end - range.start,
            Kind::Objects(pieces) => pieces.remaining(),
        }
    }

    /// The next piece, `None` at the end. A connection that is lost is taken up again where it
    /// broke.
    ///
    /// # Errors
    /// [`StorageError::Damaged`] when the object has changed or ends too early.
    pub async fn next(&mut self) -> Result<Option<Bytes>, StorageError> {
        match &mut self.0 {
            Kind::File { range, .. } if range.is_empty() => Ok(None),
            Kind::File { file, range, at, next } => {
                let piece = |start: u64| start..range.end.min(start + PIECE_BYTES);
                let read = |asked| Ahead::of_file(file, asked, at.clone());
                let asked = piece(range.start);
                let reading = next.take().unwrap_or_else(|| read(asked.clone()));
                *next = (asked.end < range.end).then(|| read(piece(asked.end)));
                range.start = asked.end;
                let read = reading.bytes().await;
                if read.is_err() {
                    // What follows a piece that is missing is not the next one.
                    range.start = range.end;
                    *next = None;
                }
                read.map(Some)
            }
            Kind::Objects(pieces) => pieces.next().await,
        }
    }
}

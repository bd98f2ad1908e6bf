//! The one way data moves: a [`Source`] pours bounded [`Batch`]es into a [`Sink`].
//!
//! The source drives, the sink holds back: `accept` returns when the sink has room for more. A
//! batch is bounded by [`crate::limits::FRAME_RAW_BYTES`], so memory is bounded by construction.

use std::error::Error;
use std::future::Future;
use std::pin::Pin;

use serde::{Deserialize, Serialize};

use crate::index::RoomSpan;

/// The future of one step of a flow.
pub type Flow<'a> = Pin<Box<dyn Future<Output = Result<(), FlowError>> + Send + 'a>>;

/// Holds data and can pour it out, always in the same order.
pub trait Source: Send {
    /// Pours everything into `sink`, batch by batch.
    fn pour<'a>(&'a mut self, sink: &'a mut dyn Sink) -> Flow<'a>;
}

/// Takes data in.
pub trait Sink: Send {
    /// Takes one batch; returns when there is room for the next.
    fn accept(&mut self, batch: Batch) -> Flow<'_>;
}

/// A bounded handful of data.
#[derive(Debug)]
pub enum Batch {
    /// Records of one kind.
    Records(Records),
    /// A piece of a media file's content.
    Blob(BlobPiece),
    /// Something that is missing or was left out.
    Gap(Gap),
}

/// JSON Lines of one kind (a table, `summary`, `index`, …), at most one frame of them.
pub struct Records {
    /// The kind: the entry name without sequence number, `[a-z0-9_]{1,64}`.
    pub name: String,
    /// The lines, each ended by a line feed.
    pub lines: Vec<u8>,
    /// How many lines.
    pub count: u64,
    /// Tables the lines hold rows of, and how many rows of each; empty for records that are no
    /// rows.
    pub rows: Vec<(String, u64)>,
    /// Whose rooms the records are, where they all are some room's.
    pub rooms: Option<RoomSpan>,
    /// Where they should lie, if that matters to readers.
    pub shelf: Option<Shelf>,
}

/// Where records lie. Those of one shelf, whatever their kind, are wanted together, and so are
/// those of neighbouring shelves that share some.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Shelf {
    /// Number of the shelf, or of the first of those that share the records.
    pub number: u32,
    /// Whether the records belong to several shelves.
    pub is_shared: bool,
}

/// One piece of a blob, in order (`docs/src/format.md` §5).
pub struct BlobPiece {
    /// SHA-256 of the whole blob.
    pub sha256: [u8; 32],
    /// `None` for a blob of one piece; else the piece's number from 1.
    pub piece: Option<u32>,
    /// The bytes.
    pub bytes: Vec<u8>,
}

/// What is missing or left out, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gap {
    /// A stable kebab-case word, for example `media-missing`.
    pub kind: String,
    /// What it is about: a path, a table, a media id.
    pub object: String,
    /// What was found.
    pub detail: String,
    /// What to do.
    pub remedy: String,
}

/// A flow stopped: the cause, typed underneath.
#[derive(Debug)]
pub struct FlowError(pub Box<dyn Error + Send + Sync>);

impl FlowError {
    /// Wraps a typed error.
    pub fn new(error: impl Error + Send + Sync + 'static) -> Self {
        Self(Box::new(error))
    }
}

impl std::fmt::Display for FlowError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl Error for FlowError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.0.source()
    }
}

impl std::fmt::Debug for Records {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Records({}, {} lines, {} bytes)", self.name, self.count, self.lines.len())
    }
}

impl std::fmt::Debug for BlobPiece {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "BlobPiece({:?}, {} bytes)", self.piece, self.bytes.len())
    }
}

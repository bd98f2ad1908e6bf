//! The sink a part is poured into: compresses records, names entries, counts.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use lifeboat_package::flow::{Batch, BlobPiece, Flow, FlowError, Records, Sink};
use lifeboat_package::frame::{CompressError, Count, compress};
use lifeboat_package::id::{EntryPath, PartPath, segment_path};
use lifeboat_package::pack::About;
use thiserror::Error;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::JoinHandle;

use super::ToWriter;
use crate::context::Event;
use crate::journal::PartDone;

/// Bytes of entries that may wait for the writer, all lanes together.
pub const PENDING_BYTES: usize = 24 << 20;
/// Bytes of compressed frames that a lane holds back, so that those of one shelf lie together.
const HELD_BYTES: usize = 12 << 20;
/// Gaps that share a frame.
const GAPS_A_FRAME: usize = 10_000;
/// Frames of one lane that are being compressed at a time.
const COMPRESSING: usize = 3;

/// Why a part could not be handed to the writer.
#[derive(Debug, Error)]
pub enum SinkError {
    /// The writer stopped; its own error says why.
    #[error("the package writer has stopped")]
    WriterGone,
    /// A frame could not be compressed.
    #[error("records cannot be compressed")]
    Compress(#[source] CompressError),
    /// A gap cannot be written down.
    #[error("a gap cannot be written down")]
    Gap(#[source] serde_json::Error),
    /// An entry's name breaks the format.
    #[error("{0} is no entry path")]
    Path(String),
}

/// What all lanes share.
#[derive(Clone)]
pub struct ToPackage {
    /// To the writer.
    pub writer: mpsc::Sender<ToWriter>,
    /// Bounds the bytes under way.
    pub pending: Arc<Semaphore>,
    /// zstd level.
    pub level: i32,
    /// Takes progress.
    pub report: Arc<dyn Fn(Event) + Send + Sync>,
}

impl ToPackage {
    fn advance(&self, by: u64) {
        (self.report)(Event::Advance(by));
    }
}

/// A frame on its way through the compressor.
type Compressing = JoinHandle<Result<Vec<u8>, CompressError>>;

/// A frame without its bytes.
struct Waiting {
    path: EntryPath,
    about: About,
    shelf: Option<u32>,
}

/// Compressed frames that wait for others of their shelf.
#[derive(Default)]
struct Held {
    shelves: BTreeMap<u32, HeldShelf>,
    bytes: usize,
}

/// Frames of one shelf, one behind the other: many small pieces of memory would leave holes.
#[derive(Default)]
struct HeldShelf {
    bytes: Vec<u8>,
    frames: Vec<(EntryPath, About, usize)>,
}

impl Held {
    fn add(&mut self, number: u32, (path, about): (EntryPath, About), frame: &[u8]) {
        let held = self.shelves.entry(number).or_default();
        held.bytes.extend_from_slice(frame);
        held.frames.push((path, about, frame.len()));
        self.bytes += frame.len();
    }

    /// The fullest shelf, when there is more than may be held, or everything must go.
    fn take(&mut self, everything: bool) -> Option<HeldShelf> {
        if !everything && self.bytes <= HELD_BYTES {
            return None;
        }
        let fullest = *self.shelves.iter().max_by_key(|(_, shelf)| shelf.bytes.len())?.0;
        let held = self.shelves.remove(&fullest)?;
        self.bytes -= held.bytes.len();
        Some(held)
    }
}

/// Takes one part's batches.
pub struct PartSink {
    to: ToPackage,
    folder: PartPath,
    frames: VecDeque<(Waiting, Compressing)>,
    held: Held,
    sequences: BTreeMap<String, u32>,
    done: PartDone,
    rows: BTreeMap<String, u64>,
}

impl PartSink {
    /// A sink for the part in `folder`, number `number` of the plan, read under `cut`.
    pub fn new(to: &ToPackage, folder: PartPath, (number, cut): (u32, u32)) -> Self {
        let done = PartDone {
            folder: folder.to_string(),
            number,
            cut,
            records: 0,
            bytes: 0,
            rows: Vec::new(),
            gaps: Vec::new(),
        };
        Self {
            to: to.clone(),
            folder,
            frames: VecDeque::new(),
            held: Held::default(),
            sequences: BTreeMap::new(),
            done,
            rows: BTreeMap::new(),
        }
    }

    /// Sends what is under way and tells the writer that the part is whole.
    ///
    /// # Errors
    /// [`SinkError`].
    pub async fn finish(mut self) -> Result<(), SinkError> {
        self.list_gaps().await?;
        while !self.frames.is_empty() {
            self.send_oldest().await?;
        }
        self.let_go(true).await?;
        self.done.rows = self.rows.into_iter().collect();
        self.to.writer.send(ToWriter::Done(self.done)).await.map_err(|_| SinkError::WriterGone)
    }

    /// The part's gaps go into the package as records too, all of them.
    async fn list_gaps(&mut self) -> Result<(), SinkError> {
        for gaps in self.done.gaps.clone().chunks(GAPS_A_FRAME) {
            let mut lines = Vec::new();
            for gap in gaps {
                serde_json::to_writer(&mut lines, gap).map_err(SinkError::Gap)?;
                lines.push(b'\n');
            }
            let (name, count) = ("gaps".to_owned(), gaps.len() as u64);
            self.records(Records {
                name,
                lines,
                count,
                rows: Vec::new(),
                rooms: None,
                shelf: None,
            })
            .await?;
        }
        Ok(())
    }

    async fn records(&mut self, records: Records) -> Result<(), SinkError> {
        let sequence = self.sequences.entry(records.name.clone()).or_insert(0);
        *sequence += 1;
        let name = format!("{}/{}.{sequence:04}.jsonl.zst", self.folder, records.name);
        let path = EntryPath::parse(&name).map_err(|_| SinkError::Path(name))?;
        let raw = records.lines.len() as u64;
        self.done.records += records.count;
        self.done.bytes += raw;
        for (table, rows) in records.rows {
            *self.rows.entry(table).or_insert(0) += rows;
        }
        let count = Count { records: records.count, raw };
        let about = About { count, rooms: records.rooms };
        let level = self.to.level;
        let frame = tokio::task::spawn_blocking(move || compress(&records.lines, level));
        self.frames.push_back((Waiting { path, about, shelf: records.shelf }, frame));
        self.to.advance(raw);
        if self.frames.len() > COMPRESSING { self.send_oldest().await } else { Ok(()) }
    }

    /// Takes a segment, whose SHA-256 before compression the caller has: it is its name.
    ///
    /// # Errors
    /// [`SinkError`].
    pub async fn segment(&mut self, sha256: &[u8; 32], content: Vec<u8>) -> Result<(), SinkError> {
        let raw = content.len() as u64;
        let about = About::from(Count { records: 0, raw });
        let level = self.to.level;
        let frame = tokio::task::spawn_blocking(move || compress(&content, level));
        let waiting = Waiting { path: segment_path(sha256), about, shelf: None };
        self.frames.push_back((waiting, frame));
        self.to.advance(raw);
        if self.frames.len() > COMPRESSING { self.send_oldest().await } else { Ok(()) }
    }

    async fn send_oldest(&mut self) -> Result<(), SinkError> {
        let Some((waiting, frame)) = self.frames.pop_front() else { return Ok(()) };
        let Waiting { path, about, shelf: number } = waiting;
        let bytes = match frame.await {
            Ok(frame) => frame.map_err(SinkError::Compress)?,
            Err(_) => return Err(SinkError::WriterGone),
        };
        let Some(number) = number else { return self.entry(path, bytes, about).await };
        self.held.add(number, (path, about), &bytes);
        self.let_go(false).await
    }

    /// Sends the fullest shelf when there is too much, or all of them.
    async fn let_go(&mut self, everything: bool) -> Result<(), SinkError> {
        while let Some(HeldShelf { bytes, frames }) = self.held.take(everything) {
            let mut rest = bytes.as_slice();
            for (path, about, length) in frames {
                let (frame, after) = rest.split_at(length.min(rest.len()));
                self.entry(path, frame.to_vec(), about).await?;
                rest = after;
            }
        }
        Ok(())
    }

    async fn blob(&mut self, blob: BlobPiece) -> Result<(), SinkError> {
        self.to.advance(blob.bytes.len() as u64);
        let permit = self.share(blob.bytes.len()).await?;
        let blob = ToWriter::Blob { blob, permit };
        self.to.writer.send(blob).await.map_err(|_| SinkError::WriterGone)
    }

    async fn entry(
        &mut self,
        path: EntryPath,
        bytes: Vec<u8>,
        about: About,
    ) -> Result<(), SinkError> {
        let permit = self.share(bytes.len()).await?;
        let entry = ToWriter::Entry { path, bytes, about, permit };
        self.to.writer.send(entry).await.map_err(|_| SinkError::WriterGone)
    }

    /// Waits until so many bytes may be under way.
    async fn share(&self, bytes: usize) -> Result<OwnedSemaphorePermit, SinkError> {
        let share = u32::try_from(bytes.clamp(1, PENDING_BYTES)).unwrap_or(1);
        let permit = self.to.pending.clone().acquire_many_owned(share).await;
        permit.map_err(|_| SinkError::WriterGone)
    }
}

impl Sink for PartSink {
    fn accept(&mut self, batch: Batch) -> Flow<'_> {
        Box::pin(async move {
            match batch {
                Batch::Records(records) => self.records(records).await.map_err(FlowError::new),
                Batch::Blob(blob) => self.blob(blob).await.map_err(FlowError::new),
                Batch::Gap(gap) => {
                    self.done.gaps.push(gap);
                    Ok(())
                }
            }
        })
    }
}

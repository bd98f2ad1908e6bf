//! The sink a part is poured into: compresses records, names entries, counts.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use lifeboat_package::flow::{Batch, BlobPiece, Flow, FlowError, Records, Shelf, Sink};
use lifeboat_package::frame::{CompressError, Count, compress};
use lifeboat_package::id::{EntryPath, PartPath, segment_path};
use lifeboat_package::pack::About;
use lifeboat_package::pack::held::Held;
use thiserror::Error;
use tokio::sync::{Mutex, OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::JoinHandle;

use super::{ToWriter, WAITING_ENTRIES};
use crate::context::{Context, Event};
use crate::journal::PartDone;

/// Bytes of entries that may wait for the writer, all lanes together.
pub const PENDING_BYTES: usize = 16 << 20;
/// Bytes of compressed frames that all lanes together hold back, so that those of neighbouring
/// shelves lie together.
const HELD_BYTES: usize = 48 << 20;
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
    /// Held by the lane that hands over frames which are to lie together.
    pub turn: Arc<Mutex<()>>,
    /// How many lanes there are.
    pub lanes: usize,
    /// zstd level.
    pub level: i32,
    /// Takes progress.
    pub report: Arc<dyn Fn(Event) + Send + Sync>,
}

impl ToPackage {
    /// The way to a writer for so many lanes that compress at `level`, and the writer's end of it.
    pub fn open(cx: &Context, lanes: usize, level: i32) -> (Self, mpsc::Receiver<ToWriter>) {
        let (writer, receiver) = mpsc::channel(WAITING_ENTRIES);
        let pending = Arc::new(Semaphore::new(PENDING_BYTES));
        let (turn, report) = (Arc::default(), cx.report.clone());
        (Self { writer, pending, turn, lanes, level, report }, receiver)
    }

    fn advance(&self, by: u64) {
        (self.report)(Event::Advance(by));
    }

    /// Waits until so many bytes may be under way.
    async fn share(&self, bytes: usize) -> Result<OwnedSemaphorePermit, SinkError> {
        let share = u32::try_from(bytes.clamp(1, PENDING_BYTES)).unwrap_or(1);
        let permit = self.pending.clone().acquire_many_owned(share).await;
        permit.map_err(|_| SinkError::WriterGone)
    }
}

/// A frame on its way through the compressor.
type Compressing = JoinHandle<Result<Vec<u8>, CompressError>>;

/// A frame without its bytes.
struct Waiting {
    path: EntryPath,
    about: About,
    place: Option<Shelf>,
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
            held: Held::new(HELD_BYTES / to.lanes.max(1)),
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
        self.let_go(self.held.shelves()).await?;
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
        self.frames.push_back((Waiting { path, about, place: records.shelf }, frame));
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
        let waiting = Waiting { path: segment_path(sha256), about, place: None };
        self.frames.push_back((waiting, frame));
        self.to.advance(raw);
        if self.frames.len() > COMPRESSING { self.send_oldest().await } else { Ok(()) }
    }

    async fn send_oldest(&mut self) -> Result<(), SinkError> {
        let Some((waiting, frame)) = self.frames.pop_front() else { return Ok(()) };
        let Waiting { path, about, place } = waiting;
        let bytes = match frame.await {
            Ok(frame) => frame.map_err(SinkError::Compress)?,
            Err(_) => return Err(SinkError::WriterGone),
        };
        let Some(place) = place else {
            return entry(&self.to, path, (bytes, about)).await;
        };
        self.held.add(place, (path, about), &bytes);
        while let Some(fullest) = self.held.overflow() {
            self.let_go(vec![fullest]).await?;
        }
        Ok(())
    }

    /// Sends shelves one behind the other, with nothing of other lanes between them.
    async fn let_go(&mut self, shelves: Vec<Shelf>) -> Result<(), SinkError> {
        let turn = Arc::clone(&self.to.turn);
        let _turn = turn.lock().await;
        for shelf in shelves {
            for (path, about, frame) in self.held.take(shelf) {
                entry(&self.to, path, (frame, about)).await?;
            }
        }
        Ok(())
    }

    async fn blob(&mut self, blob: BlobPiece) -> Result<(), SinkError> {
        self.to.advance(blob.bytes.len() as u64);
        let permit = self.to.share(blob.bytes.len()).await?;
        let blob = ToWriter::Blob { blob, permit };
        self.to.writer.send(blob).await.map_err(|_| SinkError::WriterGone)
    }
}

async fn entry(
    to: &ToPackage,
    path: EntryPath,
    (bytes, about): (Vec<u8>, About),
) -> Result<(), SinkError> {
    let permit = to.share(bytes.len()).await?;
    let entry = ToWriter::Entry { path, bytes, about, permit };
    to.writer.send(entry).await.map_err(|_| SinkError::WriterGone)
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

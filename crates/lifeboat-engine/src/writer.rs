//! The package writer: any number of lanes pour parts, one task packs, seals and stores.
//!
//! Lanes compress; the one writer takes finished entries (each at most 16 MiB), puts them into the
//! current volume and streams its ciphertext to the target. So nothing is staged, a file has one
//! writer, and what a crash can cost is the volume in the making.

pub mod sink;

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use lifeboat_package::flow::BlobPiece;
use lifeboat_package::id::{EntryPath, PackageId, volume_name};
use lifeboat_package::key::PackageKey;
use lifeboat_package::manifest::Volume;
use lifeboat_package::pack::{About, PackError, VolumePacker};
use lifeboat_package::seal::FreshSeal;
use tokio::sync::{OwnedSemaphorePermit, mpsc};

use crate::context::{Context, Stop};
use crate::failure::Failure;
use crate::files::{Target, storage};
use crate::journal::{ClearFile, Journal, PartDone};

/// Ciphertext that gathers before it goes to the target.
const WRITE_BYTES: usize = 1 << 20;
/// Entries that wait for the writer; their bytes are bounded by [`sink::PENDING_BYTES`].
pub const WAITING_ENTRIES: usize = 256;

/// Messages the writer takes at a time.
const MESSAGES: usize = 64;

/// What lanes tell the writer.
pub enum ToWriter {
    /// A blob, or a piece of one.
    Blob {
        /// The blob.
        blob: BlobPiece,
        /// Gives the bytes' share of memory back when dropped.
        permit: OwnedSemaphorePermit,
    },
    /// An entry of records.
    Entry {
        /// Path.
        path: EntryPath,
        /// Bytes as stored.
        bytes: Vec<u8>,
        /// What is known of its records.
        about: About,
        /// Gives the bytes' share of memory back when dropped.
        permit: OwnedSemaphorePermit,
    },
    /// All entries of this part were sent.
    Done(PartDone),
}

/// Keeps what a resume needs.
pub trait Ledger: Send {
    /// Notes a finished volume, before the next is begun.
    ///
    /// # Errors
    /// [`Failure`] when it cannot be noted.
    fn volume(&mut self, finished: Finished<'_>) -> Result<(), Failure>;
}

/// A volume that is stored whole.
pub struct Finished<'a> {
    /// The volume.
    pub volume: &'a Volume,
    /// Its entries.
    pub paths: &'a HashSet<EntryPath>,
    /// Parts that are whole with it.
    pub parts: &'a [PartDone],
    /// Bytes of an archive so far.
    pub archive_bytes: u64,
}

/// What the writer works with.
pub struct Writer<L = Journal> {
    /// Package id.
    pub package: PackageId,
    /// Package key.
    pub key: Arc<PackageKey>,
    /// Where to.
    pub target: Target,
    /// What a resume needs.
    pub journal: L,
    /// The files in the clear, written already.
    pub clear_files: Vec<ClearFile>,
    /// Volumes that are finished.
    pub volumes: Vec<Volume>,
    /// Parts that lie in them whole.
    pub parts: Vec<PartDone>,
    /// Bytes at which the next volume is begun.
    pub volume_bytes: u64,
}

/// What is on its way into a volume.
#[derive(Default)]
struct Packing {
    waiting: VecDeque<ToWriter>,
    /// Ciphertext that is not stored yet.
    out: Vec<u8>,
    /// Parts all of whose entries are in this volume or an earlier one.
    whole: Vec<PartDone>,
}

impl Packing {
    /// The ciphertext, when there is enough of it to store.
    fn take_ready(&mut self) -> Vec<u8> {
        if self.out.len() < WRITE_BYTES {
            return Vec::new();
        }
        std::mem::replace(&mut self.out, Vec::with_capacity(2 * WRITE_BYTES))
    }

    /// Packs what waits, until there is enough to store or the volume is full.
    fn pack(
        mut self,
        mut volume: VolumePacker,
        limit: u64,
    ) -> Result<(Self, VolumePacker), PackError> {
        while self.out.len() < WRITE_BYTES && has_room(&volume, limit) {
            match self.waiting.pop_front() {
                None => break,
                Some(ToWriter::Done(part)) => self.whole.push(part),
                Some(ToWriter::Entry { path, bytes, about, permit }) => {
                    volume.add(&path, &bytes, about, &mut self.out)?;
                    drop((bytes, permit));
                }
                Some(ToWriter::Blob { blob, permit }) => {
                    volume.add_blob(&blob, &mut self.out)?;
                    drop((blob, permit));
                }
            }
        }
        Ok((self, volume))
    }
}

impl<L: Ledger> Writer<L> {
    /// Takes entries until the lanes are gone; returns itself with all volumes finished.
    ///
    /// This future must not be dropped half-way: a write that is under way would go on behind the
    /// back of whoever cleans up. It ends by itself, between two writes, when it is to stop.
    ///
    /// # Errors
    /// [`Failure`] when the target or the journal cannot be written, or on a stop.
    pub async fn run(
        mut self,
        cx: &Context,
        mut from: mpsc::Receiver<ToWriter>,
    ) -> Result<Self, Failure> {
        let mut open: Option<VolumePacker> = None;
        let mut packing =
            Packing { out: Vec::with_capacity(2 * WRITE_BYTES), ..Packing::default() };
        let mut messages = Vec::with_capacity(MESSAGES);
        loop {
            if packing.waiting.is_empty() {
                if from.recv_many(&mut messages, MESSAGES).await == 0 {
                    break;
                }
                packing.waiting.extend(messages.drain(..));
            }
            if is_stopped(cx) {
                break;
            }
            let volume = match open.take() {
                Some(volume) => volume,
                None => self.begin(cx, &mut packing.out).await?,
            };
            let limit = self.volume_bytes;
            // What was packed last is stored while the next is packed. Hashing and sealing are
            // work for a core of its own.
            let mut ready = packing.take_ready();
            let packed = tokio::task::spawn_blocking(move || packing.pack(volume, limit));
            let (stored, packed) = tokio::join!(self.store(&mut ready, 1), packed);
            let volume;
            (packing, volume) = packed.map_err(thread_fault)?.map_err(pack_fault)?;
            stored?;
            if has_room(&volume, self.volume_bytes) {
                open = Some(volume);
            } else {
                let whole = std::mem::take(&mut packing.whole);
                self.finish(volume, &mut packing.out, whole).await?;
            }
        }
        if is_stopped(cx) {
            self.target.abandon().await;
            return Err(stopped());
        }
        // An export without any entry still is one: its parts are done, there is nothing to hold
        // them.
        let Packing { mut out, whole, .. } = packing;
        if open.is_some() || !whole.is_empty() {
            let volume = match open {
                Some(volume) => volume,
                None => self.begin(cx, &mut out).await?,
            };
            self.finish(volume, &mut out, whole).await?;
        }
        Ok(self)
    }

    async fn begin(&mut self, cx: &Context, out: &mut Vec<u8>) -> Result<VolumePacker, Failure> {
        let number = u32::try_from(self.volumes.len() + 1).unwrap_or(u32::MAX);
        self.target.begin(&volume_name(number)).await.map_err(target_fault)?;
        let fresh = FreshSeal { salt: cx.random(), prefix: cx.random() };
        Ok(VolumePacker::begin(&self.key, &self.package, number, &fresh, out))
    }

    async fn finish(
        &mut self,
        volume: VolumePacker,
        out: &mut Vec<u8>,
        whole: Vec<PartDone>,
    ) -> Result<(), Failure> {
        let (volume, paths) = volume.finish_listed(out).map_err(pack_fault)?;
        self.store(out, 1).await?;
        self.target.finish().await.map_err(target_fault)?;
        let (parts, archive_bytes) = (whole.as_slice(), self.target.archive_bytes());
        self.journal.volume(Finished { volume: &volume, paths: &paths, parts, archive_bytes })?;
        self.volumes.push(volume);
        self.parts.extend(whole);
        Ok(())
    }

    /// Sends what has gathered when it is at least `enough` bytes.
    async fn store(&mut self, out: &mut Vec<u8>, enough: usize) -> Result<(), Failure> {
        if out.len() < enough {
            return Ok(());
        }
        let bytes = std::mem::take(out);
        self.target.write(Bytes::from(bytes)).await.map_err(target_fault)
    }
}

/// Many small files fill the index before they fill the volume.
fn has_room(volume: &VolumePacker, limit: u64) -> bool {
    volume.sealed_bytes() < limit && !volume.is_full()
}

fn is_stopped(cx: &Context) -> bool {
    *cx.stop.borrow() != Stop::Go
}

/// A stop before the package was whole.
pub(crate) fn stopped() -> Failure {
    Failure::stopped("stopped before the package was whole", "run the same command again to go on")
}

/// A target that could not be written.
pub(crate) fn target_fault(error: lifeboat_storage::StorageError) -> Failure {
    storage(Failure::failed("cannot write the package", ""), error)
}

fn thread_fault(error: tokio::task::JoinError) -> Failure {
    Failure::failed("packing was cut short", "run the same command again to go on").because(error)
}

fn pack_fault(error: PackError) -> Failure {
    Failure::failed("cannot pack an entry", "this is a fault of ours; please report it")
        .because(error)
}

//! Media that only a bucket has: listed page by page, and read where they are not known.

use std::path::PathBuf;

use lifeboat_engine::failure::Failure;
use lifeboat_package::backup::Content;
use lifeboat_package::digest::{Digest, Hasher};
use lifeboat_package::flow::{Batch, BlobPiece, Sink};
use lifeboat_package::limits::ENTRY_BYTES;
use lifeboat_storage::foreign::Found;
use lifeboat_storage::{Foreign, Pieces, StorageError};

use super::flow;
use super::tree::REMEMBERED;
use super::union::{Adding, told};
use crate::cache::Stamp;
use lifeboat_components::synapse::media_path::FOLDERS;

/// Small objects that are read at once, and their bytes together.
const AT_ONCE: (usize, u64) = (16, 32 << 20);
/// Objects one after the other that cannot be read, after which none is tried any more.
const REFUSALS: u32 = 100;

/// Adds what a bucket has and nothing before it had. What it says when it cannot be read (to its
/// end) is within.
///
/// # Errors
/// [`Failure`] when the package or the cache cannot be written.
pub(super) async fn add(
    adding: &mut Adding<'_, '_>,
    foreign: &Foreign,
) -> Result<Result<(), String>, Failure> {
    let mut taking = Taking { foreign, seen: Vec::new(), refusals: 0 };
    let added = taking.all(adding).await?;
    taking.remember(adding)?;
    Ok(added)
}

struct Taking<'a> {
    foreign: &'a Foreign,
    seen: Vec<(Vec<u8>, Stamp, Content)>,
    refusals: u32,
}

/// What an object has, or why it has not.
type Read = Result<(Content, u64), StorageError>;

impl Taking<'_> {
    async fn all(&mut self, adding: &mut Adding<'_, '_>) -> Result<Result<(), String>, Failure> {
        let mut small: Vec<Found> = Vec::new();
        let mut bytes = 0;
        for folder in FOLDERS {
            let mut listing = match self.foreign.list(folder) {
                Ok(listing) => listing,
                Err(error) => return Ok(Err(told(&error))),
            };
            loop {
                let found = match listing.next().await {
                    Ok(Some(found)) => found,
                    Ok(None) => break,
                    Err(error) => return Ok(Err(told(&error))),
                };
                if let Err(full) = adding.room() {
                    return Ok(Err(full));
                }
                if !is_path(&found.name) || adding.has(&found.name) {
                    continue;
                }
                let root = self.foreign.shown().as_bytes();
                let stamp = stamp_of(&found);
                let known = match &stamp {
                    Some(stamp) => {
                        adding.pouring.known.unchanged(root, found.name.as_bytes(), stamp)?
                    }
                    None => None,
                };
                if let Some(content) = known {
                    adding.object((&found.name, found.modified), (content, found.size)).await?;
                    continue;
                }
                if found.size > ENTRY_BYTES as u64 {
                    let read = self.large(&found.name, adding).await?;
                    if let Err(end) = self.note(&found, read, adding).await? {
                        return Ok(Err(end));
                    }
                    continue;
                }
                if small.len() >= AT_ONCE.0 || bytes + found.size > AT_ONCE.1 {
                    if let Err(end) = self.small(std::mem::take(&mut small), adding).await? {
                        return Ok(Err(end));
                    }
                    bytes = 0;
                }
                bytes += found.size;
                small.push(found);
            }
        }
        self.small(small, adding).await
    }

    /// Reads small objects, all at once.
    async fn small(
        &mut self,
        all: Vec<Found>,
        adding: &mut Adding<'_, '_>,
    ) -> Result<Result<(), String>, Failure> {
        let reading = all.iter().map(|found| whole(self.foreign, &found.name));
        let read = futures_util::future::join_all(reading).await;
        for (found, read) in all.iter().zip(read) {
            let read = match read {
                Ok(Some(bytes)) => Ok(send(bytes, adding).await?),
                // It grew since it was listed.
                Ok(None) => self.large(&found.name, adding).await?,
                Err(error) => Err(error),
            };
            if let Err(end) = self.note(found, read, adding).await? {
                return Ok(Err(end));
            }
        }
        Ok(Ok(()))
    }

    /// An object in pieces: its name is the sum of the whole, so it is read twice.
    async fn large(&self, name: &str, adding: &mut Adding<'_, '_>) -> Result<Read, Failure> {
        let (digest, size) = match sum(self.foreign, name).await {
            Ok(summed) => summed,
            Err(error) => return Ok(Err(error)),
        };
        if size <= ENTRY_BYTES as u64 {
            return Ok(Err(self.replaced(name)));
        }
        let pieces = u32::try_from(size.div_ceil(ENTRY_BYTES as u64)).unwrap_or(u32::MAX);
        let known = adding.pouring.known;
        let content = (Content::Blob(digest), size);
        if !known.is_wanted(digest.as_bytes(), pieces) {
            return Ok(if known.is_taken_back(digest.as_bytes()) {
                Err(self.replaced(name))
            } else {
                Ok(content)
            });
        }
        let sent = self.send_pieces((name, &digest), adding).await?;
        if sent.is_err() {
            known.take_back(digest.as_bytes());
        }
        Ok(sent.map(|()| content))
    }

    async fn send_pieces(
        &self,
        (name, digest): (&str, &Digest),
        adding: &mut Adding<'_, '_>,
    ) -> Result<Result<(), StorageError>, Failure> {
        let mut stream = match self.foreign.read(name).await {
            Ok(stream) => stream,
            Err(error) => return Ok(Err(error)),
        };
        let (mut again, mut held) = (Hasher::new(), Vec::new());
        for number in 0.. {
            let bytes = match fill(&mut stream).await {
                Ok(bytes) => bytes,
                Err(error) => return Ok(Err(error)),
            };
            again.update(&bytes);
            let is_last = bytes.is_empty();
            // Without its last piece nobody takes it for whole, not even while we find out.
            if is_last && again.clone().finish() != *digest {
                return Ok(Err(self.replaced(name)));
            }
            let bytes = std::mem::replace(&mut held, bytes);
            if number > 0 {
                adding.pouring.poured.new_bytes += bytes.len() as u64;
                let blob = BlobPiece { sha256: *digest.as_bytes(), piece: Some(number), bytes };
                adding.sink.accept(Batch::Blob(blob)).await.map_err(flow)?;
            }
            if is_last {
                break;
            }
        }
        Ok(Ok(()))
    }

    fn replaced(&self, name: &str) -> StorageError {
        self.foreign.damaged(name, "it was replaced while it was read")
    }

    /// Takes what was read into the tree; `Err` when it makes no sense to go on.
    async fn note(
        &mut self,
        found: &Found,
        read: Read,
        adding: &mut Adding<'_, '_>,
    ) -> Result<Result<(), String>, Failure> {
        let (content, size) = match read {
            Ok(read) => read,
            Err(error @ StorageError::Unreachable { .. }) => return Ok(Err(told(&error))),
            // Consoles and other tools make `folder/` to show a folder. A listing tells that name
            // without its end, and under it there is nothing.
            Err(StorageError::NotFound { .. }) if found.size == 0 => return Ok(Ok(())),
            Err(error) => {
                let kind = match &error {
                    StorageError::NotFound { .. } => "file-gone",
                    _ => "file-unreadable",
                };
                let name = PathBuf::from(format!("{}{}", self.foreign.shown(), found.name));
                adding.gap(kind, &name, &told(&error)).await?;
                self.refusals += 1;
                let many = || format!("{REFUSALS} objects in a row cannot be read: {error}");
                return Ok(if self.refusals < REFUSALS { Ok(()) } else { Err(many()) });
            }
        };
        self.refusals = 0;
        if let Some(stamp) = stamp_of(found)
            && size == found.size
        {
            self.seen.push((found.name.clone().into_bytes(), stamp, content.clone()));
        }
        if self.seen.len() >= REMEMBERED {
            self.remember(adding)?;
        }
        adding.object((&found.name, found.modified), (content, size)).await?;
        Ok(Ok(()))
    }

    fn remember(&mut self, adding: &Adding<'_, '_>) -> Result<(), Failure> {
        let seen = std::mem::take(&mut self.seen);
        adding.pouring.known.remember(self.foreign.shown().as_bytes(), &seen)
    }
}

/// Sends a small blob where the vault lacks it.
async fn send(bytes: Vec<u8>, adding: &mut Adding<'_, '_>) -> Result<(Content, u64), Failure> {
    let (digest, size) = (Digest::of(&bytes), bytes.len() as u64);
    if adding.pouring.known.is_wanted(digest.as_bytes(), 1) {
        adding.pouring.poured.new_bytes += size;
        let blob = BlobPiece { sha256: *digest.as_bytes(), piece: None, bytes };
        adding.sink.accept(Batch::Blob(blob)).await.map_err(flow)?;
    }
    Ok((Content::Blob(digest), size))
}

/// A small object; `None` when it is not small.
async fn whole(foreign: &Foreign, name: &str) -> Result<Option<Vec<u8>>, StorageError> {
    let mut stream = foreign.read(name).await?;
    if stream.remaining() > ENTRY_BYTES as u64 {
        return Ok(None);
    }
    fill(&mut stream).await.map(Some)
}

async fn sum(foreign: &Foreign, name: &str) -> Result<(Digest, u64), StorageError> {
    let mut stream = foreign.read(name).await?;
    let (mut hasher, mut size) = (Hasher::new(), 0);
    while let Some(piece) = stream.next().await? {
        hasher.update(&piece);
        size += piece.len() as u64;
    }
    Ok((hasher.finish(), size))
}

/// As much as an entry holds; pieces of the stream fit into it evenly.
async fn fill(stream: &mut Pieces) -> Result<Vec<u8>, StorageError> {
    let mut bytes = Vec::new();
    while bytes.len() < ENTRY_BYTES
        && let Some(piece) = stream.next().await?
    {
        bytes.extend_from_slice(&piece);
    }
    Ok(bytes)
}

/// Whether a name is a path below the media store.
fn is_path(name: &str) -> bool {
    name.split('/').all(|part| !matches!(part, "" | "." | "..") && !part.contains('\0'))
}

/// When nothing of this changed, the object did not. Without the store's word on its content nobody
/// knows.
fn stamp_of(found: &Found) -> Option<Stamp> {
    let sum = Digest::of(found.e_tag.as_ref()?.as_bytes());
    let half = |from: usize| -> [u8; 8] { std::array::from_fn(|at| sum.as_bytes()[from + at]) };
    Some(Stamp {
        size: found.size,
        modified: found.modified,
        changed: i64::from_le_bytes(half(0)),
        inode: u64::from_le_bytes(half(8)),
    })
}

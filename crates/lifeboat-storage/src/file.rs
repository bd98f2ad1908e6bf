//! One local file that is read at offsets, and what local files have in common.
//!
//! Every call does one piece of blocking work off the runtime's threads, so callers ask for big
//! pieces (a segment, not a line).

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::ops::Range;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;

use crate::ahead::Ahead;
use crate::direct::read_exact_at;
use crate::error::{At, StorageError};
use crate::pieces::Pieces;

/// Mode of every file this crate makes: packages and journals are for their owner only.
pub(crate) const FILE_MODE: u32 = 0o600;

/// Bytes one `read_at` may ask for: a bound on what a damaged offset can make us allocate.
const READ_BYTES: u64 = 256 << 20;

/// An open local file.
#[derive(Debug)]
pub struct LocalFile {
    file: Arc<File>,
    path: PathBuf,
    len: u64,
}

impl LocalFile {
    /// Opens a file for reading.
    ///
    /// # Errors
    /// [`StorageError::NotFound`] when there is none.
    pub async fn open(path: &Path) -> Result<Self, StorageError> {
        let mut how = OpenOptions::new();
        // A pipe would wait for somebody who writes; for files the flag means nothing.
        how.read(true).custom_flags(rustix::fs::OFlags::NONBLOCK.bits().cast_signed());
        let (file, len) = open_with(path, "open", how).await?;
        Ok(Self { file: Arc::new(file), path: path.to_owned(), len })
    }

    /// Bytes of the file.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether the file has no bytes.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The file's name as it is now.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Reads exactly the bytes of `range`.
    ///
    /// # Errors
    /// [`StorageError::Damaged`] when the file ends before the range does.
    pub async fn read_at(&self, range: Range<u64>) -> Result<Bytes, StorageError> {
        read_exact(Arc::clone(&self.file), range, at("read", &self.path)).await
    }

    /// Begins to read exactly the bytes of `range`.
    pub fn read_ahead(&self, range: Range<u64>) -> Ahead {
        Ahead::of_file(&self.file, range, at("read", &self.path))
    }

    /// Streams `range` in pieces of at most 1 MiB.
    ///
    /// # Errors
    /// [`StorageError::Damaged`] when the file ends before the range does.
    pub fn stream(&self, range: Range<u64>) -> Result<Pieces, StorageError> {
        let at = at("read", &self.path);
        if range.start > range.end || range.end > self.len {
            return Err(too_short(at, &range, self.len));
        }
        Ok(Pieces::of_file(Arc::clone(&self.file), range, at))
    }
}

/// How a new file is made.
pub(crate) fn create() -> OpenOptions {
    let mut how = OpenOptions::new();
    how.read(true).write(true).create_new(true).mode(FILE_MODE);
    how
}

/// Opens a regular file, locked where it is not only read, and says how long it is.
pub(crate) async fn open_with(
    path: &Path,
    verb: &'static str,
    how: OpenOptions,
) -> Result<(File, u64), StorageError> {
    let opened = path.to_owned();
    let writing = verb != "open";
    blocking(at(verb, path), move || {
        let file = how.open(opened)?;
        let about = file.metadata()?;
        if !about.is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
        }
        if writing {
            lock(&file)?;
        }
        Ok((file, about.len()))
    })
    .await
}

pub(crate) fn at(verb: &'static str, path: &Path) -> At {
    At::new(verb, "", &path.display().to_string())
}

/// File systems that cannot lock are taken as they are: the lock only guards against a careless
/// second start.
pub(crate) fn lock(file: &File) -> io::Result<()> {
    match file.try_lock() {
        Err(TryLockError::WouldBlock) => Err(io::ErrorKind::WouldBlock.into()),
        Ok(()) | Err(TryLockError::Error(_)) => Ok(()),
    }
}

pub(crate) fn link_without_replacing(from: &Path, to: &Path) -> io::Result<()> {
    match std::fs::hard_link(from, to) {
        Ok(()) => std::fs::remove_file(from),
        // A file system without links (FAT, some network shares): looking is then the best there
        // is.
        Err(error) if is_unsupported(&error) && is_absent(to) => std::fs::rename(from, to),
        Err(error) => Err(error),
    }
}

/// Linux answers "not permitted" where links do not exist.
fn is_unsupported(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::Unsupported | io::ErrorKind::PermissionDenied)
}

fn is_absent(path: &Path) -> bool {
    matches!(std::fs::symlink_metadata(path), Err(e) if e.kind() == io::ErrorKind::NotFound)
}

/// Reads exactly `range`, one hop off the runtime.
pub(crate) async fn read_exact(
    file: Arc<File>,
    range: Range<u64>,
    at: At,
) -> Result<Bytes, StorageError> {
    let length = range.end.saturating_sub(range.start);
    if length > READ_BYTES {
        return Err(StorageError::Refused { at, detail: format!("{length} bytes at once") });
    }
    let place = at.clone();
    let read = blocking(at, move || {
        let have = file.metadata()?.len();
        if range.end > have {
            return Ok(Err(too_short(place, &range, have)));
        }
        read_exact_at(&file, range).map(Ok)
    });
    read.await?
}

pub(crate) fn too_short(at: At, range: &Range<u64>, have: u64) -> StorageError {
    let Range { start, end } = range;
    StorageError::Damaged { at, detail: format!("bytes {start}..{end} are asked, it has {have}") }
}

/// Does blocking work off the runtime's threads.
pub(crate) async fn blocking<T: Send + 'static>(
    at: At,
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T, StorageError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) if error.kind() == io::ErrorKind::WouldBlock => {
            Err(StorageError::Busy { at })
        }
        Ok(Err(error)) => Err(StorageError::from_io(at, error)),
        Err(error) => Err(StorageError::Other { at, cause: Box::new(error) }),
    }
}

#[cfg(test)]
mod tests;

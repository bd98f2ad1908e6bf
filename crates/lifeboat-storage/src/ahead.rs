//! Reading before it is asked for: while a caller works on some bytes, the disk brings the next.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use tokio::task::JoinHandle;

use crate::error::{At, StorageError};
use crate::file::{LocalFile, read_exact};

/// Bytes that are on their way. Dropped, they are read and thrown away.
#[derive(Debug)]
#[must_use]
pub struct Ahead {
    reading: JoinHandle<Result<Bytes, StorageError>>,
    at: At,
}

impl Ahead {
    /// Begins to read `range` of a file.
    pub(crate) fn of_file(file: &Arc<File>, range: Range<u64>, at: At) -> Self {
        let reading = tokio::spawn(read_exact(Arc::clone(file), range, at.clone()));
        Self { reading, at }
    }

    /// Opens the file at `path` and begins to read `range` of it.
    pub(crate) fn of_path(path: PathBuf, range: Range<u64>, at: At) -> Self {
        let work = async move { LocalFile::open(&path).await?.read_at(range).await };
        Self { reading: tokio::spawn(work), at }
    }

    /// The bytes.
    ///
    /// # Errors
    /// [`StorageError`] as if they were read now.
    pub async fn bytes(self) -> Result<Bytes, StorageError> {
        let Self { reading, at } = self;
        reading.await.map_err(|e| StorageError::from_io(at, io::Error::other(e))).flatten()
    }
}

//! One local file that is written at its end and patched at offsets: a package in a single file,
//! a volume.
//!
//! What is appended is gathered, and goes to the disk past the system's cache where the file system
//! lets it (`O_DIRECT` of open(2)): it is not read again soon, and through the cache it would be
//! copied once more, push out what the servers of the machine read, and wait for the disk at the
//! end. What is small, and what begins or ends within a block, goes through the cache. Nothing is
//! sure to be on the disk before [`GrowingFile::sync`] or [`GrowingFile::persist_as`].

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use tokio::task::JoinHandle;

use crate::direct::{Block, Written, write_block};
use crate::directory::sync_folder;
use crate::error::StorageError;
use crate::file::{at, blocking, create, link_without_replacing, open_with};

/// Bytes in the cache after which they begin to go to the disk, so that the end does not wait for
/// all of them.
const SYNC_BYTES: usize = 32 << 20;

/// A local file in the making.
#[derive(Debug)]
pub struct GrowingFile {
    /// Locked. The lock is let go with this value, also where a write is still under way: that is
    /// no second writer. It is on the descriptor that writes, as some file systems (SMB) let nobody
    /// else write then.
    file: Arc<File>,
    path: PathBuf,
    /// Bytes, with those that are gathered.
    len: u64,
    /// What is gathered: the end of the file.
    block: Block,
    /// One that is on its way into the file, and comes back.
    writing: Option<JoinHandle<Result<Written, StorageError>>>,
    /// Whether the file system is to be asked to write past the cache.
    is_direct: bool,
    /// Bytes that went into the cache since the last sync began.
    cached_bytes: usize,
    syncing: Option<JoinHandle<Result<(), StorageError>>>,
    /// A write failed, or was not waited for: the end of the file may have a hole.
    is_broken: bool,
}

impl GrowingFile {
    /// Makes a new file with mode 0600 and locks it against a second writer.
    ///
    /// # Errors
    /// [`StorageError::Exists`] when the name is taken.
    pub async fn create(path: &Path) -> Result<Self, StorageError> {
        open_with(path, "create", create()).await.map(|opened| Self::of(path, opened))
    }

    /// Opens a file to go on writing it and locks it against a second writer.
    ///
    /// # Errors
    /// [`StorageError::NotFound`] when there is none, [`StorageError::Busy`] when another process
    /// writes it.
    pub async fn open(path: &Path) -> Result<Self, StorageError> {
        let mut how = OpenOptions::new();
        how.read(true).write(true);
        open_with(path, "open for writing", how).await.map(|opened| Self::of(path, opened))
    }

    fn of(path: &Path, (file, len): (File, u64)) -> Self {
        Self {
            file: Arc::new(file),
            path: path.to_owned(),
            len,
            block: Block::at(len),
            writing: None,
            is_direct: true,
            cached_bytes: 0,
            syncing: None,
            is_broken: false,
        }
    }

    /// Bytes of the file, with those that are gathered.
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

    /// Adds `bytes` at the end.
    ///
    /// # Errors
    /// [`StorageError::Full`] when the disk is, perhaps for bytes that were added earlier. The end
    /// of the file is not as it should be then.
    pub async fn append(&mut self, bytes: Bytes) -> Result<(), StorageError> {
        let mut rest = bytes.as_ref();
        while !rest.is_empty() {
            if self.block.is_full() {
                self.write_block().await?;
            }
            let taken = self.block.take(rest);
            rest = &rest[taken..];
            self.len += taken as u64;
        }
        Ok(())
    }

    /// Writes `bytes` over what is at `offset`, and puts what is gathered into the file: whoever
    /// opens it now sees all of it.
    ///
    /// # Errors
    /// As [`GrowingFile::append`].
    pub async fn patch(&mut self, offset: u64, bytes: Bytes) -> Result<(), StorageError> {
        self.flush().await?;
        let (file, end) = (Arc::clone(&self.file), offset + bytes.len() as u64);
        let write = move || file.write_all_at(&bytes, offset);
        blocking(at("write", &self.path), write).await?;
        if end > self.len {
            self.len = end;
            self.block = Block::at(end);
        }
        Ok(())
    }

    /// Cuts the file to `len` bytes (or extends it with zeros).
    ///
    /// # Errors
    /// What the file system answers.
    pub async fn truncate(&mut self, len: u64) -> Result<(), StorageError> {
        self.flush().await?;
        let file = Arc::clone(&self.file);
        blocking(at("truncate", &self.path), move || file.set_len(len)).await?;
        self.len = len;
        self.block = Block::at(len);
        Ok(())
    }

    /// Returns when all bytes are on the disk.
    ///
    /// # Errors
    /// What the file system answers; afterwards the content is not to be trusted.
    pub async fn sync(&mut self) -> Result<(), StorageError> {
        self.flush().await?;
        self.synced().await?;
        let file = Arc::clone(&self.file);
        blocking(at("write to disk", &self.path), move || file.sync_all()).await
    }

    /// Syncs the file and gives it its final name in the same file system, never over an existing
    /// file.
    ///
    /// The new name is a second link before the first goes, because a plain rename would replace
    /// silently; a crash between the two leaves both names on the one complete file.
    ///
    /// # Errors
    /// [`StorageError::Exists`] when the name is taken.
    pub async fn persist_as(&mut self, path: &Path) -> Result<(), StorageError> {
        self.sync().await?;
        let (from, to) = (self.path.clone(), path.to_owned());
        blocking(at("rename to", path), move || {
            link_without_replacing(&from, &to)?;
            sync_folder(&to)
        })
        .await?;
        path.clone_into(&mut self.path);
        Ok(())
    }

    /// Waits until nothing is under way any more, however that ended: who lets the file go then
    /// leaves it as it is.
    pub async fn settle(&mut self) {
        if let Some(writing) = self.writing.take() {
            self.is_broken = true;
            writing.await.ok();
        }
    }

    /// Closes the file and removes its name.
    ///
    /// # Errors
    /// What the file system answers.
    pub async fn remove(self) -> Result<(), StorageError> {
        let path = self.path.clone();
        blocking(at("remove", &self.path), move || {
            std::fs::remove_file(&path)?;
            sync_folder(&path)
        })
        .await
    }

    /// Puts what is gathered into the file.
    async fn flush(&mut self) -> Result<(), StorageError> {
        if !self.block.is_empty() {
            self.write_block().await?;
        }
        self.block = self.written().await?.unwrap_or_else(|| Block::at(self.len));
        self.block.begin_at(self.len);
        Ok(())
    }

    /// Sends what is gathered on its way, and goes on with an empty block.
    async fn write_block(&mut self) -> Result<(), StorageError> {
        let next = self.written().await?.unwrap_or_else(|| Block::at(self.len));
        let block = std::mem::replace(&mut self.block, next);
        self.block.begin_at(self.len);
        let (file, is_direct) = (Arc::clone(&self.file), self.is_direct);
        let offset = self.len - block.filled().len() as u64;
        let write = move || write_block(&file, block, offset, is_direct);
        self.writing = Some(tokio::spawn(blocking(at("write", &self.path), write)));
        Ok(())
    }

    /// Waits for the block that is on its way, if one is, and gives it back.
    async fn written(&mut self) -> Result<Option<Block>, StorageError> {
        if self.is_broken {
            return Err(self.broken());
        }
        let Some(writing) = self.writing.take() else { return Ok(None) };
        self.is_broken = true;
        let Written { block, is_direct, cached_bytes } = self.ended(writing.await)??;
        self.is_broken = false;
        self.is_direct = is_direct;
        self.cached_bytes += cached_bytes;
        if self.cached_bytes >= SYNC_BYTES {
            self.synced().await?;
            self.cached_bytes = 0;
            let file = Arc::clone(&self.file);
            let sync = blocking(at("write to disk", &self.path), move || file.sync_data());
            self.syncing = Some(tokio::spawn(sync));
        }
        Ok(Some(block))
    }

    /// Waits for what is on its way to the disk: a failure of it is told once, and here.
    async fn synced(&mut self) -> Result<(), StorageError> {
        let Some(syncing) = self.syncing.take() else { return Ok(()) };
        self.is_broken = true;
        self.ended(syncing.await)??;
        self.is_broken = false;
        Ok(())
    }

    fn broken(&self) -> StorageError {
        let earlier = io::Error::other("an earlier write of this file failed");
        StorageError::from_io(at("write", &self.path), earlier)
    }

    fn ended<T>(&self, outcome: Result<T, tokio::task::JoinError>) -> Result<T, StorageError> {
        outcome.map_err(|e| StorageError::from_io(at("write", &self.path), io::Error::other(e)))
    }
}

impl Drop for GrowingFile {
    fn drop(&mut self) {
        // Without locks there is none to let go.
        self.file.unlock().ok();
    }
}

#[cfg(test)]
mod tests;

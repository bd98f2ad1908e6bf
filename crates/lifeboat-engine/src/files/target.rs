//! Writing a package's files. Nothing is under its final name before [`Target::commit`].

use std::path::{Path, PathBuf};

use bytes::Bytes;
use lifeboat_package::container::{BLOCK, END, header, padding};
use lifeboat_storage::{Access, GrowingFile, Location, Place, StorageError, Upload};

use super::{beside, storage};
use crate::failure::Failure;

/// Where a package is written.
pub enum Target {
    /// One archive: written as `NAME.partial`, renamed at the end.
    Archive {
        /// The file so far.
        file: GrowingFile,
        /// Its name at the end.
        path: PathBuf,
        /// Where the member being written begins.
        open: Option<(String, u64)>,
    },
    /// A folder or bucket: a file each; `seal.json` is the commit.
    Files {
        /// Where.
        place: Place,
        /// The file being written.
        open: Option<Box<Upload>>,
    },
}

impl Target {
    /// Opens a target for a new package, or, with `resume_at`, for one that was begun: its archive
    /// is cut back to that many bytes.
    ///
    /// # Errors
    /// [`Failure`] when something is there already, or the place cannot be written.
    pub async fn open(
        location: &str,
        access: &Access,
        resume_at: Option<u64>,
    ) -> Result<Self, Failure> {
        let parsed = Location::parse(location)
            .map_err(|e| Failure::usage(format!("{location} names no place"), "").because(e))?;
        let cannot = || Failure::failed(format!("cannot write package {location}"), "");
        if let Some(path) = archive_path(location, &parsed) {
            if path.exists() {
                return Err(exists(location));
            }
            let partial = beside(&path, ".partial");
            let file = match resume_at {
                None => GrowingFile::create(&partial).await,
                Some(length) => reopen(&partial, length).await,
            };
            let file = file.map_err(|e| storage(cannot(), e))?;
            return Ok(Self::Archive { file, path, open: None });
        }
        let place = Place::open(&parsed, access).await.map_err(|e| storage(cannot(), e))?;
        if resume_at.is_some() {
            // An upload that a crash cut short is of no use. Who may not list such uploads, or
            // remove them, may still go on.
            place.delete_partials().await.ok();
        } else {
            let there = place.list().await.map_err(|e| storage(cannot(), e))?;
            if !there.is_empty() {
                return Err(exists(location));
            }
        }
        Ok(Self::Files { place, open: None })
    }

    /// Whether `location` is one archive on this machine, and where.
    pub fn archive_at(location: &str) -> Option<PathBuf> {
        archive_path(location, &Location::parse(location).ok()?)
    }

    /// Writes a small file.
    ///
    /// # Errors
    /// [`StorageError`].
    pub async fn put(&mut self, name: &str, bytes: Vec<u8>) -> Result<(), StorageError> {
        match self {
            Self::Files { place, .. } => place.put(name, bytes.into()).await,
            Self::Archive { .. } => {
                self.begin(name).await?;
                self.write(bytes.into()).await?;
                self.finish().await
            }
        }
    }

    /// Begins a large file.
    ///
    /// # Errors
    /// [`StorageError`].
    pub async fn begin(&mut self, name: &str) -> Result<(), StorageError> {
        match self {
            Self::Files { place, open } => *open = Some(Box::new(place.upload(name).await?)),
            Self::Archive { file, open, .. } => {
                *open = Some((name.to_owned(), file.len()));
                // The size is not known yet: the header is written at the end.
                file.append(Bytes::from_static(&[0; BLOCK])).await?;
            }
        }
        Ok(())
    }

    /// Adds bytes to the file that was begun.
    ///
    /// # Errors
    /// [`StorageError`].
    pub async fn write(&mut self, bytes: Bytes) -> Result<(), StorageError> {
        match self {
            Self::Files { open: Some(upload), .. } => upload.write(bytes).await,
            Self::Files { open: None, .. } => Ok(()),
            Self::Archive { file, .. } => file.append(bytes).await,
        }
    }

    /// Ends the file that was begun.
    ///
    /// # Errors
    /// [`StorageError`].
    ///
    /// # Panics
    /// Never for the files of a package: they are smaller than ustar allows.
    pub async fn finish(&mut self) -> Result<(), StorageError> {
        match self {
            Self::Files { open, .. } => match open.take() {
                Some(upload) => upload.finish().await,
                None => Ok(()),
            },
            Self::Archive { file, open, .. } => {
                let Some((name, at)) = open.take() else { return Ok(()) };
                let size = file.len() - at - BLOCK as u64;
                let zeros = END.get(..padding(size)).unwrap_or_default();
                file.append(Bytes::from_static(zeros)).await?;
                let block = header(&name, size).expect("volumes are smaller than ustar allows");
                file.patch(at, Bytes::copy_from_slice(&block)).await
            }
        }
    }

    /// Bytes of the archive so far, for the journal; 0 for a place of files.
    pub fn archive_bytes(&self) -> u64 {
        match self {
            Self::Archive { file, .. } => file.len(),
            Self::Files { .. } => 0,
        }
    }

    /// Writes `seal.json` and makes the package real.
    ///
    /// # Errors
    /// [`StorageError`].
    pub async fn commit(mut self, seal: Vec<u8>) -> Result<(), StorageError> {
        self.put("seal.json", seal).await?;
        if let Self::Archive { file, path, .. } = &mut self {
            file.append(Bytes::from_static(&END)).await?;
            file.persist_as(path).await?;
        }
        Ok(())
    }

    /// Gives up the file that was begun, so that it does not lie around until the next run. Of an
    /// archive nothing is written any more after this: the next run goes on in the same file.
    pub async fn abandon(&mut self) {
        match self {
            Self::Archive { file, .. } => file.settle().await,
            Self::Files { open, .. } => {
                if let Some(upload) = open.take() {
                    // The next run, or the clean-up, finds what cannot be removed now.
                    upload.abort().await.ok();
                }
            }
        }
    }

    /// Removes everything that was written.
    ///
    /// # Errors
    /// [`StorageError`].
    pub async fn remove(self) -> Result<(), StorageError> {
        match self {
            Self::Archive { file, .. } => file.remove().await,
            Self::Files { place, open } => {
                if let Some(upload) = open {
                    upload.abort().await?;
                }
                for entry in place.list().await? {
                    place.delete(&entry.name).await?;
                }
                place.delete_partials().await.map(drop)
            }
        }
    }
}

async fn reopen(partial: &Path, length: u64) -> Result<GrowingFile, StorageError> {
    let mut file = GrowingFile::open(partial).await?;
    if file.len() > length {
        file.truncate(length).await?;
    }
    Ok(file)
}

/// A local path that is no folder and does not ask for one by a slash at its end is one archive.
fn archive_path(location: &str, parsed: &Location) -> Option<PathBuf> {
    let path = parsed.as_directory()?;
    (!path.is_dir() && !location.ends_with('/')).then(|| path.to_owned())
}

fn exists(location: &str) -> Failure {
    Failure::usage(
        format!("{location} is there already, or the folder is not empty"),
        "name another target, or move that one away; nothing was changed",
    )
}

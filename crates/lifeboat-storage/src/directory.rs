//! A place that is a folder.
//!
//! A file appears under its name only when it is whole and on the disk: it is written as
//! `NAME.WRITER.partial`, synced, renamed, and the folder is synced. Of two writers of one name the
//! last one wins, and neither disturbs the other. Files have mode 0600, folders we make 0700.

use std::fs;
use std::io;
use std::ops::Range;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;

use crate::ahead::Ahead;
use crate::error::{At, StorageError};
use crate::file::{LocalFile, blocking, lock};
use crate::growing::GrowingFile;
use crate::pieces::Pieces;
use crate::place::{Entry, LIST_NAMES};

/// Ends the name of a file that is being written.
pub(crate) const PARTIAL: &str = ".partial";

/// Mode of the folders we make.
const FOLDER_MODE: u32 = 0o700;

/// Folders inside folders that a listing follows.
const LIST_DEPTH: usize = 16;

/// A folder of this machine.
#[derive(Debug, Clone)]
pub(crate) struct Directory {
    root: PathBuf,
}

impl Directory {
    pub(crate) fn new(root: PathBuf) -> Self {
        Self { root }
    }

    fn at(&self, verb: &'static str, name: &str) -> At {
        At::new(verb, name, &self.root.display().to_string())
    }

    pub(crate) async fn put(&self, name: &str, bytes: Bytes) -> Result<(), StorageError> {
        let mut upload = self.upload(name).await?;
        match upload.write(bytes).await {
            Ok(()) => upload.finish().await,
            Err(error) => {
                // The first trouble is the one to tell; a leftover is found by `delete_partials`.
                drop(upload.abort().await);
                Err(error)
            }
        }
    }

    pub(crate) async fn upload(&self, name: &str) -> Result<DirectoryUpload, StorageError> {
        let at = self.at("write", name);
        let path = self.root.join(name);
        let partial = being_written(&path);
        let leftover = partial.clone();
        blocking(at.clone(), move || {
            make_folders(leftover.parent().unwrap_or(Path::new("/")))?;
            // Of a process that had our number before.
            ignore_absent(fs::remove_file(&leftover))
        })
        .await?;
        let file = GrowingFile::create(&partial).await?;
        Ok(DirectoryUpload { file, path, at })
    }

    pub(crate) async fn list(&self) -> Result<Vec<Entry>, StorageError> {
        let root = self.root.clone();
        let found = blocking(self.at("list", ""), move || {
            let mut found = Vec::new();
            walk(&root, "", 0, &mut found)?;
            Ok(found)
        });
        let mut entries = found.await?;
        entries.retain(|entry| !entry.name.ends_with(PARTIAL));
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(entries)
    }

    pub(crate) async fn size(&self, name: &str) -> Result<u64, StorageError> {
        let path = self.root.join(name);
        blocking(self.at("look at", name), move || match fs::metadata(path)? {
            about if about.is_file() => Ok(about.len()),
            _ => Err(io::ErrorKind::NotFound.into()),
        })
        .await
    }

    pub(crate) async fn read(&self, name: &str, range: Range<u64>) -> Result<Bytes, StorageError> {
        LocalFile::open(&self.root.join(name)).await?.read_at(range).await
    }

    pub(crate) fn read_ahead(&self, name: &str, range: Range<u64>) -> Ahead {
        Ahead::of_path(self.root.join(name), range, self.at("read", name))
    }

    pub(crate) async fn stream(
        &self,
        name: &str,
        range: Option<Range<u64>>,
    ) -> Result<Pieces, StorageError> {
        let file = LocalFile::open(&self.root.join(name)).await?;
        let whole = 0..file.len();
        file.stream(range.unwrap_or(whole))
    }

    pub(crate) async fn delete(&self, name: &str) -> Result<(), StorageError> {
        let path = self.root.join(name);
        blocking(self.at("delete", name), move || ignore_absent(fs::remove_file(path))).await
    }

    pub(crate) async fn delete_partials(&self) -> Result<u64, StorageError> {
        let root = self.root.clone();
        blocking(self.at("delete leftovers of", ""), move || {
            let mut found = Vec::new();
            walk(&root, "", 0, &mut found)?;
            let mut count = 0;
            for entry in found.iter().filter(|entry| entry.name.ends_with(PARTIAL)) {
                let path = root.join(&entry.name);
                if !is_written(&path) {
                    ignore_absent(fs::remove_file(path))?;
                    count += 1;
                }
            }
            Ok(count)
        })
        .await
    }
}

/// A file on its way into the folder.
#[derive(Debug)]
pub(crate) struct DirectoryUpload {
    file: GrowingFile,
    path: PathBuf,
    at: At,
}

impl DirectoryUpload {
    pub(crate) async fn write(&mut self, bytes: Bytes) -> Result<(), StorageError> {
        self.file.append(bytes).await
    }

    pub(crate) async fn finish(mut self) -> Result<(), StorageError> {
        let done = async {
            self.file.sync().await?;
            let (from, to) = (self.file.path().to_owned(), self.path.clone());
            blocking(self.at.clone(), move || {
                fs::rename(from, &to)?;
                sync_folder(&to)
            })
            .await
        }
        .await;
        if done.is_err() {
            drop(self.file.remove().await);
        }
        done
    }

    pub(crate) async fn abort(self) -> Result<(), StorageError> {
        self.file.remove().await
    }
}

/// Makes the changed name itself last: syncs the folder that holds `path`.
pub(crate) fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    fs::File::open(folder)?.sync_all()
}

fn make_folders(folder: &Path) -> io::Result<()> {
    if folder.as_os_str().is_empty() || folder.is_dir() {
        return Ok(());
    }
    if let Some(parent) = folder.parent() {
        make_folders(parent)?;
    }
    match fs::DirBuilder::new().mode(FOLDER_MODE).create(folder) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        Ok(()) | Err(_) => sync_folder(folder),
    }
}

fn walk(root: &Path, under: &str, depth: usize, found: &mut Vec<Entry>) -> io::Result<()> {
    let listing = match fs::read_dir(root.join(under)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound && depth == 0 => return Ok(()),
        other => other?,
    };
    for entry in listing {
        let entry = entry?;
        let slash = if under.is_empty() { "" } else { "/" };
        let name = format!("{under}{slash}{}", entry.file_name().to_string_lossy());
        // A link to a folder is not followed: it could lead in a circle.
        if entry.file_type()?.is_dir() {
            if depth >= LIST_DEPTH {
                return Err(io::Error::other("the folders are too deep"));
            }
            walk(root, &name, depth + 1, found)?;
        } else if let Ok(about) = fs::metadata(entry.path())
            && about.is_file()
        {
            if found.len() >= LIST_NAMES {
                return Err(io::Error::other("too many files"));
            }
            found.push(Entry { name, size: about.len() });
        }
    }
    Ok(())
}

/// Where this upload of this process writes a file that will be `path`.
fn being_written(path: &Path) -> PathBuf {
    static UPLOADS: AtomicU64 = AtomicU64::new(0);
    let upload = UPLOADS.fetch_add(1, Ordering::Relaxed);
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{}-{upload}{PARTIAL}", std::process::id()));
    PathBuf::from(name)
}

/// Whether some process holds the lock of a writer on a file.
fn is_written(path: &Path) -> bool {
    let locked = fs::File::open(path).and_then(|file| lock(&file));
    locked.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
}

fn ignore_absent(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

//! The narrow seam to the disk: bounded reads of regular files, bounded lists of folders.

use std::fs::{self, File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use thiserror::Error;
use zeroize::Zeroizing;

/// Bytes of one file.
pub(super) const FILE_BYTES: u64 = 4 << 20;
/// Files of one folder.
pub(super) const FOLDER_FILES: usize = 1_000;
/// Folders inside each other.
const FOLDER_DEPTH: usize = 8;

/// A file as it lies there.
pub(super) struct ReadFile {
    pub(super) bytes: Zeroizing<Vec<u8>>,
    pub(super) mode: u32,
    pub(super) uid: u32,
    pub(super) gid: u32,
}

/// Why a file or folder was not read.
#[derive(Debug, Error)]
pub(super) enum DiskError {
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("it is not a regular file")]
    NotRegular,
    #[error("it is not a folder")]
    NotFolder,
    #[error("it is larger than 4 MiB")]
    TooLarge,
    #[error("it holds more than 1,000 files")]
    TooMany,
    #[error("all files that settings name are more than 10,000 or 64 MiB together")]
    Total,
    #[error("its folders are nested more than 8 deep")]
    TooDeep,
    #[error("a file name in it is not UTF-8")]
    Name,
}

impl DiskError {
    /// Whether nothing is there.
    pub(super) fn is_absence(&self) -> bool {
        matches!(self, Self::Io(error) if error.kind() == io::ErrorKind::NotFound)
    }

    pub(super) fn remedy(&self) -> &'static str {
        match self {
            Self::Io(error) if error.kind() == io::ErrorKind::NotFound => {
                "put the file back, remove the setting, or give the working directory of the \
                 Synapse process if the path is relative"
            }
            Self::Io(_) => "run as the user that Synapse runs as, or as root",
            Self::NotRegular | Self::NotFolder => "correct the setting",
            Self::TooLarge | Self::TooMany | Self::Total | Self::TooDeep | Self::Name => {
                "keep it by other means; it is too unusual to be configuration"
            }
        }
    }

    pub(super) fn into_io(self) -> io::Error {
        match self {
            Self::Io(error) => error,
            other => io::Error::other(other.to_string()),
        }
    }
}

/// Reads a regular file of at most `limit` bytes, for those who read other configuration than
/// Synapse's. Blocks on the disk.
///
/// # Errors
/// When it cannot be read, is no regular file, or is larger than `limit` or 4 MiB.
pub fn read_small_file(path: &Path, limit: u64) -> io::Result<Zeroizing<Vec<u8>>> {
    if fs::metadata(path)?.len() > limit {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "it is larger than it may be"));
    }
    read_file(path).map(|file| file.bytes).map_err(DiskError::into_io)
}

/// Reads a regular file (symbolic links are followed, as Synapse does), at most 4 MiB.
pub(super) fn read_file(path: &Path) -> Result<ReadFile, DiskError> {
    // Looked at before it is opened: opening a pipe would wait for a writer.
    regular(&fs::metadata(path)?)?;
    let mut file = File::open(path)?;
    let found = file.metadata()?;
    regular(&found)?;
    let length = usize::try_from(found.len()).map_err(|_| DiskError::TooLarge)?;
    // All of it at once: a growing buffer would leave copies of secrets behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(length + 1));
    file.by_ref().take(found.len() + 1).read_to_end(&mut bytes)?;
    if bytes.len() > length {
        return Err(io::Error::new(io::ErrorKind::WouldBlock, "it is being written to").into());
    }
    Ok(ReadFile { bytes, mode: found.mode() & 0o7777, uid: found.uid(), gid: found.gid() })
}

fn regular(found: &Metadata) -> Result<(), DiskError> {
    if !found.is_file() {
        return Err(DiskError::NotRegular);
    }
    if found.len() > FILE_BYTES { Err(DiskError::TooLarge) } else { Ok(()) }
}

/// All files below a folder, sorted, as paths relative to it. Names that begin with two dots are
/// left out: Kubernetes keeps the same files there a second time.
pub(super) fn list_folder(root: &Path) -> Result<Vec<String>, DiskError> {
    if !fs::metadata(root)?.is_dir() {
        return Err(DiskError::NotFolder);
    }
    let mut found = Vec::new();
    let mut waiting = vec![(String::new(), 0)];
    while let Some((folder, depth)) = waiting.pop() {
        if depth > FOLDER_DEPTH {
            return Err(DiskError::TooDeep);
        }
        for entry in fs::read_dir(root.join(&folder))? {
            let name = entry?.file_name().into_string().map_err(|_| DiskError::Name)?;
            if name.starts_with("..") {
                continue;
            }
            if found.len() + waiting.len() >= FOLDER_FILES {
                return Err(DiskError::TooMany);
            }
            let path = if folder.is_empty() { name } else { format!("{folder}/{name}") };
            let is_folder = fs::metadata(root.join(&path)).is_ok_and(|found| found.is_dir());
            if is_folder {
                waiting.push((path, depth + 1));
            } else {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

/// The `*.yaml` files of a folder of configuration files, sorted by name as Synapse sorts them.
pub(super) fn list_yaml(folder: &Path) -> Result<Vec<PathBuf>, DiskError> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let named_yaml = path.as_os_str().as_encoded_bytes().ends_with(b".yaml");
        if named_yaml && fs::metadata(&path).is_ok_and(|found| found.is_file()) {
            if files.len() >= FOLDER_FILES {
                return Err(DiskError::TooMany);
            }
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

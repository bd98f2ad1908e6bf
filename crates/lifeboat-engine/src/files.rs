//! Where a package's files are: members of one archive, files of a folder, objects of a bucket.
//!
//! [`Target`] writes them, [`PackageFiles`] reads them; the rest of the engine knows file names
//! only.

pub mod target;

use std::ops::Range;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use lifeboat_package::container::{BLOCK, ContainerError, END, Member, Walk, check_zeros};
use lifeboat_storage::{Access, Ahead, LocalFile, Location, Pieces, Place, StorageError};

use crate::failure::Failure;
pub use target::Target;

/// A package's files, open for reading.
pub enum PackageFiles {
    /// One archive.
    Archive {
        /// The file.
        file: LocalFile,
        /// Its members, in order.
        members: Vec<Member>,
        /// What is wrong with the archive after the members, if anything.
        damage: Option<String>,
    },
    /// A folder or a bucket.
    Files {
        /// Where.
        place: Place,
        /// Names and sizes.
        entries: Vec<(String, u64)>,
    },
}

/// One file of a package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Name.
    pub name: String,
    /// Bytes.
    pub size: u64,
}

impl PackageFiles {
    /// Opens the package at `location`: a file is an archive, all else a place of files.
    ///
    /// # Errors
    /// [`Failure`] when there is nothing, or it cannot be read.
    pub async fn open(location: &str, access: &Access) -> Result<Self, Failure> {
        let cannot =
            |what: &str| Failure::failed(format!("cannot open package {location}{what}"), "");
        let parsed = Location::parse(location)
            .map_err(|e| Failure::usage(format!("{location} names no place"), "").because(e))?;
        if let Some(path) = parsed.as_directory().filter(|path| !path.is_dir()) {
            let file = LocalFile::open(path).await.map_err(|e| storage(cannot(""), e))?;
            let (members, damage) =
                walk(&file, file.len()).await.map_err(|e| storage(cannot(""), e))?;
            return Ok(Self::Archive { file, members, damage });
        }
        let place = Place::open(&parsed, access).await.map_err(|e| storage(cannot(""), e))?;
        let entries = place.list().await.map_err(|e| storage(cannot(""), e))?;
        let entries = entries.into_iter().map(|entry| (entry.name, entry.size)).collect();
        Ok(Self::Files { place, entries })
    }

    /// Everything that is there.
    pub fn found(&self) -> Vec<Found> {
        match self {
            Self::Archive { members, .. } => members
                .iter()
                .map(|member| Found { name: member.name.clone(), size: member.size })
                .collect(),
            Self::Files { entries, .. } => entries
                .iter()
                .map(|(name, size)| Found { name: name.clone(), size: *size })
                .collect(),
        }
    }

    /// What is wrong with the container itself.
    pub fn damage(&self) -> Option<&str> {
        match self {
            Self::Archive { damage, .. } => damage.as_deref(),
            Self::Files { .. } => None,
        }
    }

    /// The size of a file, `None` when it is not there.
    pub fn size(&self, name: &str) -> Option<u64> {
        match self {
            Self::Archive { members, .. } => {
                members.iter().find(|member| member.name == name).map(|member| member.size)
            }
            Self::Files { entries, .. } => {
                entries.iter().find(|(found, _)| found == name).map(|(_, size)| *size)
            }
        }
    }

    /// Reads bytes of a file.
    ///
    /// # Errors
    /// [`StorageError`].
    pub async fn read(&self, name: &str, range: Range<u64>) -> Result<Bytes, StorageError> {
        match self {
            Self::Archive { file, .. } => {
                let start = self.member(name).map_or(file.len(), |member| member.offset);
                file.read_at(start + range.start..start + range.end).await
            }
            Self::Files { place, .. } => place.read(name, range).await,
        }
    }

    /// Begins to read bytes of a file that will be asked for next, where that is of use.
    pub fn read_ahead(&self, name: &str, range: Range<u64>) -> Option<Ahead> {
        match self {
            Self::Archive { file, .. } => {
                let start = self.member(name)?.offset;
                Some(file.read_ahead(start + range.start..start + range.end))
            }
            Self::Files { place, .. } => place.read_ahead(name, range),
        }
    }

    /// Reads a whole file of at most `limit` bytes; `None` when it is not there or larger.
    ///
    /// # Errors
    /// [`StorageError`].
    pub async fn read_whole(&self, name: &str, limit: u64) -> Result<Option<Bytes>, StorageError> {
        match self.size(name).filter(|size| *size <= limit) {
            Some(size) => self.read(name, 0..size).await.map(Some),
            None => Ok(None),
        }
    }

    /// Streams a file from its beginning.
    ///
    /// # Errors
    /// [`StorageError`].
    pub async fn stream(&self, name: &str) -> Result<Pieces, StorageError> {
        match self {
            Self::Archive { file, .. } => match self.member(name) {
                Some(member) => file.stream(member.offset..member.offset + member.size),
                None => file.stream(file.len()..file.len() + 1),
            },
            Self::Files { place, .. } => place.stream(name).await,
        }
    }

    fn member(&self, name: &str) -> Option<&Member> {
        match self {
            Self::Archive { members, .. } => members.iter().find(|member| member.name == name),
            Self::Files { .. } => None,
        }
    }
}

/// Walks an archive's headers. Damage ends the walk and is told; the members before it can still be
/// read.
/// `whole` is the size the archive is to have.
async fn walk(file: &LocalFile, whole: u64) -> Result<(Vec<Member>, Option<String>), StorageError> {
    let mut walk = Walk::begin(whole);
    let mut members: Vec<Member> = Vec::new();
    loop {
        let at = walk.next_offset();
        if at + BLOCK as u64 > file.len() {
            return Ok((members, Some(format!("the archive is cut off at byte {at}"))));
        }
        let bytes = file.read_at(at..at + BLOCK as u64).await?;
        let Ok(block) = <&[u8; BLOCK]>::try_from(bytes.as_ref()) else {
            return Ok((members, Some(format!("the archive is cut off at byte {at}"))));
        };
        match walk.take(block) {
            Ok(Some(member)) => {
                if let Err(e) = padding_is_zero(file, &member).await? {
                    return Ok((members, Some(e.to_string())));
                }
                members.push(member);
            }
            Ok(None) => return Ok((members, end(file, at).await?)),
            Err(e) => return Ok((members, Some(e.to_string()))),
        }
    }
}

/// Names and offsets of the members of an archive that is still being written.
pub(crate) async fn archive_members(file: &LocalFile) -> Result<Vec<(String, u64)>, StorageError> {
    // Its end mark is still to come.
    let (members, _) = walk(file, file.len() + END.len() as u64).await?;
    Ok(members.into_iter().map(|member| (member.name, member.offset)).collect())
}

async fn padding_is_zero(
    file: &LocalFile,
    member: &Member,
) -> Result<Result<(), ContainerError>, StorageError> {
    let padding = member.padding();
    if padding.is_empty() || padding.end > file.len() {
        return Ok(Ok(()));
    }
    let bytes = file.read_at(padding.clone()).await?;
    Ok(check_zeros(&bytes, padding.start))
}

/// The archive ends with exactly the end mark.
async fn end(file: &LocalFile, at: u64) -> Result<Option<String>, StorageError> {
    let expected = at + END.len() as u64;
    if file.len() != expected {
        return Ok(Some(format!("the archive has {} bytes, not {expected}", file.len())));
    }
    let bytes = file.read_at(at..expected).await?;
    Ok(check_zeros(&bytes, at).err().map(|e| e.to_string()))
}

/// A failure of a place, with its remedy.
pub(crate) fn storage(failure: Failure, error: StorageError) -> Failure {
    let remedy = error.remedy();
    Failure { remedy: remedy.to_owned(), ..failure.because(error) }
}

/// The path with `suffix` added to its last component.
pub(crate) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(suffix);
    path.with_file_name(name)
}

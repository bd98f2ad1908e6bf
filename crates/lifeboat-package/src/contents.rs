//! `seal.json`: the files of a package, written last (`docs/src/format.md` §1.3).

use serde::{Deserialize, Serialize};

use crate::canonical::{self, CanonicalError};
use crate::digest::Digest;
use crate::header::{HEADER_NAME, KEY_NAME};
use crate::id::{PackageId, parse_volume_name};
use crate::limits::{
    HEADER_BYTES, KEY_FILE_BYTES, MANIFEST_RAW_BYTES, MANIFEST_SEALED_BYTES, SEAL_FILES,
    VOLUME_BYTES,
};
use crate::manifest::MANIFEST_NAME;

/// The file's name.
pub const CONTENTS_NAME: &str = "seal.json";

const FORMAT: &str = "lifeboat-seal";
/// The same in every package of format 1.x: nothing else would notice if it were changed.
const VERSION: &str = "1.0";

/// What a whole package consists of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contents {
    /// The package.
    pub package: PackageId,
    /// All files but `seal.json`, in order.
    pub files: Vec<SealedFile>,
    /// Volumes of other packages that this one, a backup, needs: by package, then by name.
    pub borrowed: Vec<BorrowedFile>,
}

/// A volume of another package of the same vault.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BorrowedFile {
    /// Its name there.
    pub name: String,
    /// Whose it is.
    pub package: PackageId,
    /// Its SHA-256.
    pub sha256: Digest,
    /// Its bytes.
    pub size: u64,
}

/// One file of a package.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SealedFile {
    /// Its name, with `/`.
    pub name: String,
    /// Its SHA-256.
    pub sha256: Digest,
    /// Its bytes.
    pub size: u64,
}

/// Why `seal.json` is refused.
#[derive(Debug, thiserror::Error)]
pub enum ContentsError {
    /// Larger or longer than allowed.
    #[error("seal.json is larger than allowed")]
    TooLarge,
    /// Not canonical JSON.
    #[error("seal.json is damaged")]
    Canonical(#[from] CanonicalError),
    /// Not the object it must be.
    #[error("seal.json is not the seal of a Lifeboat package")]
    Json(#[source] serde_json::Error),
    /// Of another format or version.
    #[error("seal.json says {format:?} version {version:?}; use a Lifeboat that reads it")]
    Version {
        /// The format it says.
        format: String,
        /// The version it says.
        version: String,
    },
    /// Files are missing, too many or in another order.
    #[error("seal.json does not list the files of a package: {name:?} is not expected there")]
    Order {
        /// The first name that is wrong, empty when the list ends too early.
        name: String,
    },
    /// A file that is larger than its kind may be.
    #[error("seal.json says that {name} has {size} bytes, more than allowed")]
    Size {
        /// The file.
        name: String,
        /// What it says.
        size: u64,
    },
    /// Borrowed volumes that are this package's own, no volumes, out of order or twice.
    #[error("seal.json lists {name:?} of package {package} as borrowed, which is not possible")]
    Borrowed {
        /// The file.
        name: String,
        /// The package it says to be of.
        package: PackageId,
    },
}

#[derive(Serialize)]
struct Written<'a> {
    borrowed: &'a [BorrowedFile],
    files: &'a [SealedFile],
    format: &'static str,
    package: &'a PackageId,
    version: &'static str,
}

#[derive(Deserialize)]
struct Read {
    borrowed: Vec<BorrowedFile>,
    files: Vec<SealedFile>,
    format: String,
    package: PackageId,
    version: String,
}

impl Contents {
    /// Reads the bytes of `seal.json`.
    ///
    /// # Errors
    /// [`ContentsError`] when it is not the seal of a package that this version can read.
    pub fn parse(bytes: &[u8]) -> Result<Self, ContentsError> {
        if bytes.len() > MANIFEST_RAW_BYTES {
            return Err(ContentsError::TooLarge);
        }
        canonical::check(bytes)?;
        let read: Read = serde_json::from_slice(bytes).map_err(ContentsError::Json)?;
        if read.format != FORMAT || read.version != VERSION {
            let (format, version) = (read.format, read.version);
            return Err(ContentsError::Version { format, version });
        }
        let Read { borrowed, files, package, .. } = read;
        let contents = Self { package, files, borrowed };
        contents.check()?;
        Ok(contents)
    }

    /// The bytes of `seal.json`.
    ///
    /// # Errors
    /// [`ContentsError`] when the files are not those of a package, each once and in order.
    pub fn to_bytes(&self) -> Result<Vec<u8>, ContentsError> {
        self.check()?;
        let bytes = canonical::of(&Written {
            borrowed: &self.borrowed,
            files: &self.files,
            format: FORMAT,
            package: &self.package,
            version: VERSION,
        })?;
        if bytes.len() > MANIFEST_RAW_BYTES { Err(ContentsError::TooLarge) } else { Ok(bytes) }
    }

    /// The file `name`.
    pub fn file(&self, name: &str) -> Option<&SealedFile> {
        self.files.iter().find(|file| file.name == name)
    }

    /// The volumes, in order.
    pub fn volumes(&self) -> &[SealedFile] {
        let volumes = 2..self.files.len().saturating_sub(1);
        self.files.get(volumes).unwrap_or_default()
    }

    fn check(&self) -> Result<(), ContentsError> {
        if self.files.len() > SEAL_FILES {
            return Err(ContentsError::TooLarge);
        }
        let mut order = Order::BEGIN;
        for SealedFile { name, size, .. } in &self.files {
            let after = order.after(name).filter(|after| *after != Order::End);
            order = after.ok_or_else(|| ContentsError::Order { name: name.clone() })?;
            if *size > size_limit(name) {
                return Err(ContentsError::Size { name: name.clone(), size: *size });
            }
        }
        let is_whole = order == Order::Seal;
        if !is_whole {
            return Err(ContentsError::Order { name: String::new() });
        }
        self.check_borrowed()
    }

    fn check_borrowed(&self) -> Result<(), ContentsError> {
        if self.borrowed.len() > SEAL_FILES {
            return Err(ContentsError::TooLarge);
        }
        let mut last: Option<(String, u32)> = None;
        for BorrowedFile { name, package, size, .. } in &self.borrowed {
            let wrong = || ContentsError::Borrowed { name: name.clone(), package: *package };
            let number = parse_volume_name(name).ok_or_else(wrong)?;
            let place = Some((package.to_string(), number));
            if *package == self.package || *size > VOLUME_BYTES || place <= last {
                return Err(wrong());
            }
            last = place;
        }
        Ok(())
    }
}

/// Bytes that the file `name` of a package may have.
pub fn size_limit(name: &str) -> u64 {
    match name {
        HEADER_NAME => HEADER_BYTES as u64,
        KEY_NAME => KEY_FILE_BYTES as u64,
        MANIFEST_NAME => MANIFEST_SEALED_BYTES,
        CONTENTS_NAME => MANIFEST_RAW_BYTES as u64,
        _ => VOLUME_BYTES,
    }
}

/// The order of a package's files: what must come next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    Header,
    Key,
    /// The volume of this number, or the manifest.
    Volume(u32),
    Seal,
    End,
}

impl Order {
    pub(crate) const BEGIN: Self = Self::Header;

    /// What must come after `name`; `None` when `name` must not come now.
    pub(crate) fn after(self, name: &str) -> Option<Self> {
        match (self, name) {
            (Self::Header, HEADER_NAME) => Some(Self::Key),
            (Self::Key, KEY_NAME) => Some(Self::Volume(1)),
            (Self::Volume(_), MANIFEST_NAME) => Some(Self::Seal),
            (Self::Volume(number), volume) => (parse_volume_name(volume) == Some(number))
                .then(|| Self::Volume(number.saturating_add(1)))
                .filter(|_| (number as usize) < SEAL_FILES),
            (Self::Seal, CONTENTS_NAME) => Some(Self::End),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests;

//! `header.json`: what a reader must know before it has the key (`docs/src/format.md` §1.1).

use serde::{Deserialize, Serialize};

use crate::canonical::{self, CanonicalError};
use crate::digest::Digest;
use crate::id::PackageId;
use crate::key::PackageKey;
use crate::limits::HEADER_BYTES;
use crate::version;

/// The file's name.
pub const HEADER_NAME: &str = "header.json";
/// The name of the file that holds the package key.
pub const KEY_NAME: &str = "key.age";

/// The feature without which a backup must not be read: volumes of other packages, components.
pub const BACKUP: &str = "backup";

const FORMAT: &str = "lifeboat-package";
const SUITE: &str = "tink-aes256-gcm-hkdf-1mb";

/// What a package says of itself in the clear.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    critical: Vec<String>,
    format: String,
    key_check: Digest,
    package: PackageId,
    suite: String,
    version: String,
}

/// What every version has in its header: read first, because another major version may have
/// nothing else in common with this one.
#[derive(Deserialize)]
struct Claim {
    format: String,
    version: String,
}

/// Why a header is refused.
#[derive(Debug, thiserror::Error)]
pub enum HeaderError {
    /// Larger than any header.
    #[error("header.json has {size} bytes, more than {HEADER_BYTES}: this is not a package")]
    TooLarge {
        /// Its bytes.
        size: usize,
    },
    /// Not canonical JSON.
    #[error("header.json is damaged, or this is not a Lifeboat package")]
    Canonical(#[from] CanonicalError),
    /// Not the object it must be.
    #[error("header.json is not the header of a Lifeboat package")]
    Json(#[source] serde_json::Error),
    /// The header of something else.
    #[error("header.json says format {found:?}: this is not a Lifeboat package")]
    Format {
        /// What it says.
        found: String,
    },
    /// Another major version.
    #[error("the package has format version {found:?}; use a Lifeboat that reads it")]
    Version {
        /// What it says.
        found: String,
    },
    /// Another way of sealing.
    #[error("the package is sealed with {found:?}; use a Lifeboat that knows it")]
    Suite {
        /// What it says.
        found: String,
    },
    /// A feature without which it must not be read.
    #[error("the package needs the feature {found:?}; use a Lifeboat that knows it")]
    Critical {
        /// What it asks for.
        found: String,
    },
    /// The key is not the one that the package was made with.
    #[error("the key does not belong to package {package}")]
    Key {
        /// The package.
        package: PackageId,
    },
}

impl Header {
    /// The header of a package that is made now.
    pub fn of(package: &PackageId, key: &PackageKey) -> Self {
        Self {
            critical: Vec::new(),
            format: FORMAT.to_owned(),
            key_check: key.key_check(package),
            package: *package,
            suite: SUITE.to_owned(),
            version: version::WRITTEN.to_owned(),
        }
    }

    /// The header of a backup that is made now: a package of a vault, which may borrow volumes.
    pub fn of_backup(package: &PackageId, key: &PackageKey) -> Self {
        Self { critical: vec![BACKUP.to_owned()], ..Self::of(package, key) }
    }

    /// Whether it is the header of a backup, which only a reader of its vault can read.
    pub fn is_backup(&self) -> bool {
        !self.critical.is_empty()
    }

    /// Reads the bytes of `header.json`.
    ///
    /// # Errors
    /// [`HeaderError`] when a reader of version 1.x must refuse the package.
    pub fn parse(bytes: &[u8]) -> Result<Self, HeaderError> {
        if bytes.len() > HEADER_BYTES {
            return Err(HeaderError::TooLarge { size: bytes.len() });
        }
        canonical::check(bytes)?;
        let claim: Claim = serde_json::from_slice(bytes).map_err(HeaderError::Json)?;
        if claim.format != FORMAT {
            return Err(HeaderError::Format { found: claim.format });
        }
        if !version::is_readable(&claim.version) {
            return Err(HeaderError::Version { found: claim.version });
        }
        let header: Self = serde_json::from_slice(bytes).map_err(HeaderError::Json)?;
        if let Some(found) = unknown_feature(&header.critical) {
            return Err(HeaderError::Critical { found: found.clone() });
        }
        if header.suite != SUITE {
            return Err(HeaderError::Suite { found: header.suite });
        }
        Ok(header)
    }

    /// The bytes of `header.json`.
    pub fn to_bytes(&self) -> Vec<u8> {
        written(self)
    }

    /// Checks that `key` is the package's.
    ///
    /// # Errors
    /// [`HeaderError::Key`] when it is not.
    pub fn check_key(&self, key: &PackageKey) -> Result<(), HeaderError> {
        let package = self.package;
        let is_same = key.key_check(&package) == self.key_check;
        if is_same { Ok(()) } else { Err(HeaderError::Key { package }) }
    }

    /// The package id.
    pub const fn package(&self) -> &PackageId {
        &self.package
    }

    /// Features that a reader must know.
    pub fn critical(&self) -> &[String] {
        &self.critical
    }

    /// The format version, for example `1.0`.
    pub fn version(&self) -> &str {
        &self.version
    }
}

/// The first feature that this version does not know.
pub(crate) fn unknown_feature(critical: &[String]) -> Option<&String> {
    critical.iter().find(|feature| *feature != BACKUP)
}

fn written(header: &Header) -> Vec<u8> {
    canonical::of(header).expect("a header holds strings only")
}

#[cfg(test)]
mod tests;

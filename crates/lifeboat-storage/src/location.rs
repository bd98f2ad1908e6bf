//! Where a place is, parsed once from what a person wrote.

use std::fmt;
use std::path::{Path, PathBuf};

use object_store::path::Path as ObjectPath;

/// Bytes of a bucket name or a prefix.
const LOCATION_BYTES: usize = 1024;

/// A directory, or a prefix in a bucket. It never holds a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Location {
    /// A folder of this machine.
    Directory(PathBuf),
    /// The objects under `prefix/` of a bucket (a container, at Azure).
    Bucket {
        /// Whose protocol.
        cloud: Cloud,
        /// The bucket.
        bucket: String,
        /// Without `/` at either end; may be empty.
        prefix: String,
    },
}

/// Which protocol a bucket speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cloud {
    /// S3 and everything compatible with it.
    S3,
    /// Google Cloud Storage.
    Google,
    /// Azure Blob Storage.
    Azure,
}

/// What was written is not a location. The text itself is not repeated: it may hold a secret.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum LocationError {
    /// An empty text.
    #[error("the location is empty; write s3://BUCKET/PREFIX, gs://…, az://… or a folder")]
    Empty,
    /// `scheme://` that is not known.
    #[error("unknown scheme {0:?}; write s3://BUCKET/PREFIX, gs://…, az://… or a folder")]
    Scheme(String),
    /// Credentials, a port or parameters in the text.
    #[error(
        "a location holds no credentials, ports or parameters; put them in the environment \
         (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_ENDPOINT_URL_S3, …)"
    )]
    Secrets,
    /// The bucket's name cannot be one.
    #[error("the bucket's name must be letters, digits, dots, hyphens or underscores")]
    Bucket,
    /// The prefix cannot be one.
    #[error("the prefix must not have empty, . or .. parts or control characters")]
    Prefix,
}

impl Location {
    /// Parses `s3://bucket/prefix`, `gs://…`, `az://…`; anything without `://` is a folder.
    ///
    /// # Errors
    /// [`LocationError`] when the text is none of these.
    pub fn parse(text: &str) -> Result<Self, LocationError> {
        let Some((scheme, rest)) = text.split_once("://") else {
            return if text.is_empty() || text.contains('\0') {
                Err(LocationError::Empty)
            } else {
                Ok(Self::Directory(PathBuf::from(text)))
            };
        };
        let cloud = match scheme {
            "s3" => Cloud::S3,
            "gs" => Cloud::Google,
            "az" => Cloud::Azure,
            _ => return Err(LocationError::Scheme(scheme.chars().take(16).collect())),
        };
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        if bucket.contains(['@', ':', '?', '#']) || prefix.contains(['?', '#']) {
            return Err(LocationError::Secrets);
        }
        let prefix = prefix.trim_end_matches('/');
        check_bucket(bucket)?;
        check_prefix(prefix)?;
        Ok(Self::Bucket { cloud, bucket: bucket.to_owned(), prefix: prefix.to_owned() })
    }

    /// The folder, when it is one.
    pub fn as_directory(&self) -> Option<&Path> {
        match self {
            Self::Directory(path) => Some(path),
            Self::Bucket { .. } => None,
        }
    }
}

fn check_bucket(bucket: &str) -> Result<(), LocationError> {
    let known = |c: char| c.is_ascii_alphanumeric() || ".-_$".contains(c);
    if bucket.is_empty() || bucket.len() > LOCATION_BYTES || !bucket.chars().all(known) {
        return Err(LocationError::Bucket);
    }
    Ok(())
}

fn check_prefix(prefix: &str) -> Result<(), LocationError> {
    let parsed = ObjectPath::parse(prefix).map_err(|_| LocationError::Prefix)?;
    if prefix.len() > LOCATION_BYTES || parsed.as_ref() != prefix {
        return Err(LocationError::Prefix);
    }
    Ok(())
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scheme, bucket, prefix) = match self {
            Self::Directory(path) => return path.display().fmt(f),
            Self::Bucket { cloud: Cloud::S3, bucket, prefix } => ("s3", bucket, prefix),
            Self::Bucket { cloud: Cloud::Google, bucket, prefix } => ("gs", bucket, prefix),
            Self::Bucket { cloud: Cloud::Azure, bucket, prefix } => ("az", bucket, prefix),
        };
        let slash = if prefix.is_empty() { "" } else { "/" };
        write!(f, "{scheme}://{bucket}{slash}{prefix}")
    }
}

#[cfg(test)]
mod tests;

//! A bucket that other programs fill: listed page by page and read, never written.
//!
//! Names of theirs may have characters that [`crate::Place`] refuses, and may be too many to hold.

use std::sync::Arc;

use futures_util::StreamExt as _;
use futures_util::stream::BoxStream;
use object_store::ObjectMeta;
use object_store::path::Path;

use crate::access::Access;
use crate::error::{At, StorageError};
use crate::location::Cloud;
use crate::objects::{Bucket, ObjectPieces, connect, explain};
use crate::pieces::Pieces;

/// The objects of an S3 bucket whose names begin with a text. Cheap to clone.
#[derive(Clone)]
pub struct Foreign {
    bucket: Arc<Bucket>,
    prefix: String,
    shown: String,
}

/// An object that a listing found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// After the bucket's prefix.
    pub name: String,
    /// Bytes.
    pub size: u64,
    /// Nanoseconds since 1970.
    pub modified: i64,
    /// Which content it is, in the store's own words.
    pub e_tag: Option<String>,
}

/// A listing under way. Holds one page.
pub struct Listing {
    bucket: Arc<Bucket>,
    at: At,
    folder: Path,
    /// What every name begins with that is not part of what is told.
    skip: usize,
    last: Option<Path>,
    page: Option<BoxStream<'static, object_store::Result<ObjectMeta>>>,
    failures: u32,
}

impl Foreign {
    /// Opens a bucket; all names begin with `prefix`, which need not end in `/`.
    ///
    /// # Errors
    /// [`StorageError::Denied`] or [`StorageError::Refused`] when keys or endpoint cannot be used.
    pub async fn open(bucket: &str, prefix: &str, access: &Access) -> Result<Self, StorageError> {
        let shown = format!("s3://{bucket}/{prefix}");
        let bucket = Arc::new(connect(Cloud::S3, bucket, "", access).await?);
        Ok(Self { bucket, prefix: prefix.to_owned(), shown })
    }

    /// The bucket and prefix, without secrets.
    pub fn shown(&self) -> &str {
        &self.shown
    }

    /// Lists what lies in a folder below the prefix and in its folders, in order of name.
    ///
    /// # Errors
    /// [`StorageError::Refused`] when the prefix cannot be one.
    pub fn list(&self, folder: &str) -> Result<Listing, StorageError> {
        let name = format!("{}{folder}", self.prefix);
        let (at, path) = (self.bucket.at("list", folder), self.bucket.path("list", &name)?);
        if path.as_ref() != name {
            let detail = format!("the prefix {:?} cannot be looked for", self.prefix);
            return Err(StorageError::Refused { at, detail });
        }
        Ok(Listing {
            bucket: Arc::clone(&self.bucket),
            at,
            folder: path,
            skip: self.prefix.len(),
            last: None,
            page: None,
            failures: 0,
        })
    }

    /// An object that is not what it was.
    pub fn damaged(&self, name: &str, detail: &str) -> StorageError {
        StorageError::Damaged { at: self.bucket.at("read", name), detail: detail.to_owned() }
    }

    /// Streams an object in pieces of at most 1 MiB.
    ///
    /// # Errors
    /// [`StorageError::NotFound`] when it is gone.
    pub async fn read(&self, name: &str) -> Result<Pieces, StorageError> {
        let name = format!("{}{name}", self.prefix);
        Ok(Pieces::of_object(ObjectPieces::open(&self.bucket, &name, None).await?))
    }
}

impl Listing {
    /// The next object; `None` at the end. A listing that breaks goes on where it was.
    ///
    /// # Errors
    /// [`StorageError`]; the rest is not known then.
    pub async fn next(&mut self) -> Result<Option<Found>, StorageError> {
        loop {
            match self.next_once().await {
                Ok(found) => {
                    self.failures = 0;
                    return Ok(found);
                }
                Err(error) => {
                    self.page = None;
                    self.bucket.pause_after(error, &mut self.failures).await?;
                }
            }
        }
    }

    async fn next_once(&mut self) -> Result<Option<Found>, StorageError> {
        let (bucket, folder) = (&self.bucket, &self.folder);
        let page = self.page.get_or_insert_with(|| match &self.last {
            Some(last) => bucket.store().list_with_offset(Some(folder), last),
            None => bucket.store().list(Some(folder)),
        });
        while let Some(object) = bucket.limited(&self.at, 0, page.next()).await? {
            let object = object.map_err(|error| explain(self.at.clone(), &error))?;
            bucket.answered();
            self.last = Some(object.location.clone());
            // Some tools make an object of no name to show a folder.
            let name = object.location.as_ref().get(self.skip..).unwrap_or_default();
            if !name.is_empty() {
                return Ok(Some(Found {
                    name: name.to_owned(),
                    size: object.size,
                    modified: object.last_modified.timestamp_nanos_opt().unwrap_or_default(),
                    e_tag: object.e_tag,
                }));
            }
        }
        bucket.answered();
        Ok(None)
    }
}

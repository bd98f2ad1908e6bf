//! A place that is a prefix in a bucket of an object store.
//!
//! The client library signs and speaks; how long to try and what an answer means is decided here
//! ([`bucket`]), because a package of hours must not fail for one cut connection.

mod bucket;
mod connect;
mod leftovers;
mod locks;
mod parts;
mod reading;
mod signed;
mod wire;

use std::ops::Range;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures_util::StreamExt as _;
use object_store::path::Path;
use object_store::{ObjectStoreExt as _, PutPayload};

pub(crate) use self::bucket::Bucket;
pub(crate) use self::connect::connect;
pub(crate) use self::parts::ObjectUpload;
pub(crate) use self::reading::ObjectPieces;
pub(crate) use self::wire::explain;
use crate::access::{Access, Patience};
use crate::error::StorageError;
use crate::location::Cloud;
use crate::pieces::Pieces;
use crate::place::{Entry, LIST_NAMES};

/// The objects under one prefix.
#[derive(Clone)]
pub(crate) struct Objects {
    bucket: Arc<Bucket>,
}

impl Objects {
    pub(crate) async fn open(
        cloud: Cloud,
        bucket: &str,
        prefix: &str,
        access: &Access,
    ) -> Result<Self, StorageError> {
        let bucket = connect(cloud, bucket, prefix, access).await?;
        Ok(Self { bucket: Arc::new(bucket) })
    }

    pub(crate) fn memory() -> Self {
        let store = Arc::new(object_store::memory::InMemory::new());
        let shown = String::from("memory");
        Self { bucket: Arc::new(Bucket::new(store, Path::default(), shown, Patience::USUAL)) }
    }

    pub(crate) async fn put(&self, name: &str, bytes: Bytes) -> Result<(), StorageError> {
        self.bucket.put(name, PutPayload::from_bytes(bytes)).await
    }

    pub(crate) fn upload(&self, name: &str) -> Result<ObjectUpload, StorageError> {
        let path = self.bucket.path("write", name)?;
        Ok(ObjectUpload::new(Arc::clone(&self.bucket), path, name))
    }

    pub(crate) async fn list(&self) -> Result<Vec<Entry>, StorageError> {
        let bucket = &self.bucket;
        let mut failures = 0;
        loop {
            match self.list_once().await {
                Err(error) => bucket.pause_after(error, &mut failures).await?,
                done => return done,
            }
        }
    }

    async fn list_once(&self) -> Result<Vec<Entry>, StorageError> {
        let bucket = &self.bucket;
        let at = bucket.at("list", "");
        let mut listing = bucket.store().list(Some(bucket.prefix()));
        let mut entries = Vec::new();
        while let Some(object) = bucket.limited(&at, 0, listing.next()).await? {
            let object = object.map_err(|error| explain(at.clone(), &error))?;
            // The prefix itself may be an object: some tools make one to show a folder.
            if let Some(name) = bucket.name_of(&object.location) {
                entries.push(Entry { name, size: object.size });
            }
            if entries.len() > LIST_NAMES {
                let detail = format!("there are more than {LIST_NAMES} objects");
                return Err(StorageError::Damaged { at, detail });
            }
        }
        bucket.answered();
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(entries)
    }

    pub(crate) async fn size(&self, name: &str) -> Result<u64, StorageError> {
        let path = self.bucket.path("look at", name)?;
        let at = self.bucket.at("look at", name);
        let about = self.bucket.persist(&at, 0, || self.bucket.store().head(&path)).await?;
        Ok(about.size)
    }

    pub(crate) async fn read(&self, name: &str, range: Range<u64>) -> Result<Bytes, StorageError> {
        let mut pieces = ObjectPieces::open(&self.bucket, name, Some(range)).await?;
        let mut read = BytesMut::new();
        while let Some(piece) = pieces.next().await? {
            read.extend_from_slice(&piece);
        }
        Ok(read.freeze())
    }

    pub(crate) async fn stream(
        &self,
        name: &str,
        range: Option<Range<u64>>,
    ) -> Result<Pieces, StorageError> {
        Ok(Pieces::of_object(ObjectPieces::open(&self.bucket, name, range).await?))
    }

    pub(crate) async fn delete(&self, name: &str) -> Result<(), StorageError> {
        let path = self.bucket.path("delete", name)?;
        let at = self.bucket.at("delete", name);
        match self.bucket.persist(&at, 0, || self.bucket.store().delete(&path)).await {
            Err(StorageError::NotFound { .. }) => Ok(()),
            done => done,
        }
    }

    pub(crate) async fn has_lock(&self) -> Result<bool, StorageError> {
        locks::is_on(&self.bucket).await
    }

    pub(crate) async fn hold(&self, name: &str) -> Result<bool, StorageError> {
        match self.bucket.lock() {
            Some(lock) => locks::hold(&self.bucket, name, lock).await,
            None => Ok(false),
        }
    }

    pub(crate) async fn delete_partials(&self) -> Result<u64, StorageError> {
        leftovers::delete(&self.bucket).await
    }
}

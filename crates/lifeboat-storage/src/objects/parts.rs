//! An object on its way into a bucket: one request when it is small, parts when it is not.
//!
//! Parts are 8 MiB for the first 8 GiB, so that stores which want equal parts are content with
//! every volume, and then double every thousand parts: 10,000 of them hold more than 5 TiB. While
//! parts are small several are under way; what is held stays at some 32 MiB up to 8 GiB, and at two
//! parts beyond.

use std::sync::Arc;

use bytes::Bytes;
use object_store::multipart::PartId;
use object_store::path::Path;
use object_store::{MultipartId, ObjectStoreExt as _, PutPayload};
use tokio::task::JoinSet;

use super::bucket::Bucket;
use super::wire::too_many_parts;
use crate::error::{At, StorageError};

/// Bytes of the first parts; S3 wants at least 5 MiB.
const PART_BYTES: usize = 8 << 20;

/// Parts of one size before the size doubles.
const PARTS_OF_ONE_SIZE: usize = 1000;

/// Parts an object may have, at S3 and Google.
const PARTS: usize = 10_000;

/// Doublings of the part size: no part is larger than 2 GiB.
const DOUBLINGS: usize = 8;

/// Bytes that may be under way, but for one part that is larger.
const UNDER_WAY_BYTES: usize = 3 * PART_BYTES;

/// Takes the bytes of one object.
pub(crate) struct ObjectUpload {
    bucket: Arc<Bucket>,
    path: Path,
    at: At,
    name: String,
    waiting: Vec<Bytes>,
    waiting_bytes: usize,
    written: u64,
    multipart: Option<Multipart>,
}

/// A begun multipart upload.
struct Multipart {
    id: MultipartId,
    /// Version of the object that will be replaced.
    replaces: Option<String>,
    next: usize,
    under_way: JoinSet<Result<(usize, PartId), StorageError>>,
    done: Vec<(usize, PartId)>,
}

impl ObjectUpload {
    pub(crate) fn new(bucket: Arc<Bucket>, path: Path, name: &str) -> Self {
        Self {
            at: bucket.at("write", name),
            bucket,
            path,
            name: name.to_owned(),
            waiting: Vec::new(),
            waiting_bytes: 0,
            written: 0,
            multipart: None,
        }
    }

    pub(crate) async fn write(&mut self, mut bytes: Bytes) -> Result<(), StorageError> {
        self.written += bytes.len() as u64;
        while !bytes.is_empty() {
            let part = part_bytes(self.multipart.as_ref().map_or(0, |multipart| multipart.next));
            let room = part.saturating_sub(self.waiting_bytes).min(bytes.len());
            let piece = bytes.split_to(room);
            self.waiting_bytes += piece.len();
            self.waiting.push(piece);
            if self.waiting_bytes >= part {
                self.send_part().await?;
            }
        }
        Ok(())
    }

    /// Sends what waits as the next part, when there is room under way.
    async fn send_part(&mut self) -> Result<(), StorageError> {
        if self.multipart.is_none() {
            self.multipart = Some(self.begin().await?);
        }
        let multipart = self.multipart.as_mut().expect("it was just begun");
        if multipart.next >= PARTS {
            return Err(too_many_parts(self.at.clone()));
        }
        let most = (UNDER_WAY_BYTES / self.waiting_bytes.max(1)).max(1);
        while multipart.under_way.len() >= most {
            multipart.land(&self.at).await?;
        }
        self.waiting_bytes = 0;
        let payload: PutPayload = std::mem::take(&mut self.waiting).into_iter().collect();
        let number = multipart.next;
        multipart.next += 1;
        let (bucket, path) = (Arc::clone(&self.bucket), self.path.clone());
        let (id, at) = (multipart.id.clone(), self.at.clone());
        multipart.under_way.spawn(async move {
            let bytes = payload.content_length() as u64;
            let store = bucket.multipart();
            let sent = bucket
                .persist(&at, bytes, || store.put_part(&path, &id, number, payload.clone()))
                .await?;
            Ok((number, sent))
        });
        Ok(())
    }

    async fn begin(&self) -> Result<Multipart, StorageError> {
        let replaces = self.version().await?.map(|(version, _)| version);
        let store = self.bucket.beginning();
        let id = self.bucket.persist(&self.at, 0, || store.create_multipart(&self.path)).await?;
        Ok(Multipart { id, replaces, next: 0, under_way: JoinSet::new(), done: Vec::new() })
    }

    /// Version and size of the object as it is now.
    async fn version(&self) -> Result<Option<(String, u64)>, StorageError> {
        let store = self.bucket.store();
        match self.bucket.persist(&self.at, 0, || store.head(&self.path)).await {
            Ok(about) => Ok(about.e_tag.map(|version| (version, about.size))),
            // Credentials that may only write cannot look.
            Err(StorageError::NotFound { .. } | StorageError::Denied { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    pub(crate) async fn finish(mut self) -> Result<(), StorageError> {
        if self.multipart.is_none() {
            let payload = std::mem::take(&mut self.waiting).into_iter().collect();
            return self.bucket.put(&self.name, payload).await;
        }
        let finished = self.complete().await;
        if finished.is_err() {
            // The first trouble is the one to tell; a leftover is found by `delete_partials`.
            drop(self.abort().await);
        }
        finished
    }

    async fn complete(&mut self) -> Result<(), StorageError> {
        if self.waiting_bytes > 0 {
            self.send_part().await?;
        }
        let Some(multipart) = &mut self.multipart else { return Ok(()) };
        while !multipart.under_way.is_empty() {
            multipart.land(&self.at).await?;
        }
        multipart.done.sort_by_key(|(number, _)| *number);
        let parts: Vec<PartId> = multipart.done.iter().map(|(_, part)| part.clone()).collect();
        let (id, replaces) = (multipart.id.clone(), multipart.replaces.clone());
        let store = self.bucket.multipart();
        let completed = self
            .bucket
            .persist(&self.at, 0, || store.complete_multipart(&self.path, &id, parts.clone()));
        match completed.await {
            Ok(_) => Ok(()),
            // The answer to an earlier try may be what was lost: then the upload is gone because it
            // is done.
            Err(error @ StorageError::NotFound { .. }) => match self.version().await? {
                Some((version, size))
                    if size == self.written && Some(&version) != replaces.as_ref() =>
                {
                    Ok(())
                }
                _ => Err(error),
            },
            Err(error) => Err(error),
        }
    }

    pub(crate) async fn abort(mut self) -> Result<(), StorageError> {
        let Some(multipart) = &mut self.multipart else { return Ok(()) };
        // A part that lands after the abort would stay for ever.
        multipart.under_way.shutdown().await;
        let (store, id) = (self.bucket.multipart(), multipart.id.clone());
        let at = self.bucket.at("abort the upload of", &self.name);
        match self.bucket.persist(&at, 0, || store.abort_multipart(&self.path, &id)).await {
            Err(StorageError::NotFound { .. }) => Ok(()),
            done => done,
        }
    }
}

impl Multipart {
    /// Waits for one part.
    async fn land(&mut self, at: &At) -> Result<(), StorageError> {
        match self.under_way.join_next().await {
            Some(Ok(part)) => self.done.push(part?),
            Some(Err(error)) => {
                return Err(StorageError::Other { at: at.clone(), cause: Box::new(error) });
            }
            None => {}
        }
        Ok(())
    }
}

/// Bytes of part `number`, counted from 0.
fn part_bytes(number: usize) -> usize {
    PART_BYTES << (number / PARTS_OF_ONE_SIZE).min(DOUBLINGS)
}

#[cfg(test)]
mod tests;

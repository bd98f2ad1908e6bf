//! An object read piece by piece, over as many connections as it takes.

use std::ops::Range;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures_util::StreamExt as _;
use futures_util::stream::BoxStream;
use object_store::path::Path;
use object_store::{GetOptions, GetRange, GetResult, ObjectStoreExt as _};

use super::bucket::Bucket;
use super::wire::{cut_short, explain};
use crate::error::{At, StorageError};
use crate::file::too_short;
use crate::pieces::PIECE_BYTES;

/// Where a reader is, and what it must still be given.
pub(crate) struct ObjectPieces {
    bucket: Arc<Bucket>,
    path: Path,
    at: At,
    /// From the first byte not yet received to the end.
    range: Range<u64>,
    /// Which version of the object this is: a later connection must not give another.
    version: Option<String>,
    body: Option<BoxStream<'static, object_store::Result<Bytes>>>,
    /// Received, not yet handed out; less than a piece and one network read.
    held: BytesMut,
    /// Lost connections since the last byte.
    failures: u32,
}

impl ObjectPieces {
    pub(crate) async fn open(
        bucket: &Arc<Bucket>,
        name: &str,
        range: Option<Range<u64>>,
    ) -> Result<Self, StorageError> {
        let mut pieces = Self {
            bucket: Arc::clone(bucket),
            path: bucket.path("read", name)?,
            at: bucket.at("read", name),
            range: 0..0,
            version: None,
            body: None,
            held: BytesMut::new(),
            failures: 0,
        };
        match &range {
            Some(range) if range.is_empty() => return Ok(pieces),
            Some(range) => pieces.range = range.clone(),
            None => {}
        }
        let answer = match pieces.request(range.clone()).await {
            Err(StorageError::Other { at, cause }) => return Err(pieces.look(at, cause).await),
            other => other?,
        };
        if let Some(range) = range
            && answer.range != range
        {
            return Err(too_short(pieces.at, &range, answer.meta.size));
        }
        pieces.range = answer.range.clone();
        pieces.version.clone_from(&answer.meta.e_tag);
        pieces.body = Some(answer.into_stream());
        Ok(pieces)
    }

    /// Bytes that were not handed out.
    pub(crate) fn remaining(&self) -> u64 {
        self.range.end - self.range.start + self.held.len() as u64
    }

    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, StorageError> {
        let wanted = usize::try_from(self.remaining().min(PIECE_BYTES)).unwrap_or(usize::MAX);
        while self.held.len() < wanted {
            let more = self.receive().await?;
            self.held.extend_from_slice(&more);
        }
        Ok((wanted > 0).then(|| self.held.split_to(wanted).freeze()))
    }

    /// The next bytes from the connection, from a new one if it must be.
    async fn receive(&mut self) -> Result<Bytes, StorageError> {
        loop {
            match self.receive_once().await {
                Ok(bytes) => {
                    self.failures = 0;
                    self.range.start += bytes.len() as u64;
                    return Ok(bytes);
                }
                Err(error) => {
                    self.body = None;
                    self.bucket.pause_after(error, &mut self.failures).await?;
                }
            }
        }
    }

    async fn receive_once(&mut self) -> Result<Bytes, StorageError> {
        if self.body.is_none() {
            self.body = Some(self.resume().await?);
        }
        let body = self.body.as_mut().expect("it was just put there");
        match self.bucket.limited(&self.at, 0, body.next()).await? {
            Some(Ok(bytes)) if bytes.len() as u64 <= self.range.end - self.range.start => Ok(bytes),
            Some(Ok(_)) => {
                let detail = "the server sent more than was asked".to_owned();
                Err(StorageError::Damaged { at: self.at.clone(), detail })
            }
            Some(Err(error)) => Err(explain(self.at.clone(), &error)),
            None => Err(cut_short(self.at.clone())),
        }
    }

    async fn resume(
        &mut self,
    ) -> Result<BoxStream<'static, object_store::Result<Bytes>>, StorageError> {
        let answer = self.request(Some(self.range.clone())).await?;
        if answer.meta.e_tag != self.version {
            let detail = "it was replaced while it was read".to_owned();
            return Err(StorageError::Damaged { at: self.at.clone(), detail });
        }
        Ok(answer.into_stream())
    }

    async fn request(&mut self, range: Option<Range<u64>>) -> Result<GetResult, StorageError> {
        let range = range.map(GetRange::Bounded);
        let store = self.bucket.store();
        self.bucket
            .persist(&self.at, 0, || {
                store.get_opts(
                    &self.path,
                    GetOptions { range: range.clone(), ..GetOptions::default() },
                )
            })
            .await
    }

    /// A range that could not be had: says so when the object is too short for it.
    async fn look(&mut self, at: At, cause: crate::error::Cause) -> StorageError {
        let store = self.bucket.store();
        match self.bucket.persist(&self.at, 0, || store.head(&self.path)).await {
            Ok(about) if about.size < self.range.end => too_short(at, &self.range, about.size),
            _ => StorageError::Other { at, cause },
        }
    }
}

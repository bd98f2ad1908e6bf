//! A bucket, a prefix in it, and one request to it: tried as often as makes sense.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use object_store::multipart::MultipartStore;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt as _, PutPayload};

use super::signed::Signed;
use super::wire::{explain, stalled};
use crate::access::Patience;
use crate::error::{At, StorageError};
use crate::lock::Lock;

/// An open bucket.
pub(crate) struct Bucket {
    store: Arc<dyn ObjectStore>,
    multipart: Arc<dyn MultipartStore>,
    signed: Option<Signed>,
    /// What writes with a lock, where there is one.
    locking: Option<Locking>,
    prefix: Path,
    shown: String,
    patience: Patience,
    has_answered: AtomicBool,
}

struct Locking {
    lock: Lock,
    store: Arc<dyn ObjectStore>,
    multipart: Arc<dyn MultipartStore>,
}

impl Bucket {
    pub(crate) fn new<S>(store: Arc<S>, prefix: Path, shown: String, patience: Patience) -> Self
    where
        S: ObjectStore + MultipartStore,
    {
        Self {
            store: Arc::<S>::clone(&store),
            multipart: store,
            signed: None,
            locking: None,
            prefix,
            shown,
            patience,
            has_answered: AtomicBool::new(false),
        }
    }

    pub(crate) fn with_signed(self, signed: Signed) -> Self {
        Self { signed: Some(signed), ..self }
    }

    /// The same bucket, where what is written is locked: by `store`, whose requests say so.
    pub(crate) fn with_lock<S>(self, lock: Lock, store: Arc<S>) -> Self
    where
        S: ObjectStore + MultipartStore,
    {
        let multipart = Arc::<S>::clone(&store);
        Self { locking: Some(Locking { lock, store, multipart }), ..self }
    }

    pub(crate) fn store(&self) -> &dyn ObjectStore {
        self.store.as_ref()
    }

    pub(crate) fn multipart(&self) -> &dyn MultipartStore {
        self.multipart.as_ref()
    }

    pub(crate) fn signed(&self) -> Option<&Signed> {
        self.signed.as_ref()
    }

    pub(crate) fn lock(&self) -> Option<&Lock> {
        self.locking.as_ref().map(|locking| &locking.lock)
    }

    /// What begins an upload; the parts need no lock.
    pub(crate) fn beginning(&self) -> &dyn MultipartStore {
        self.locking.as_ref().map_or(self.multipart(), |locking| locking.multipart.as_ref())
    }

    pub(crate) fn prefix(&self) -> &Path {
        &self.prefix
    }

    pub(crate) fn at(&self, verb: &'static str, name: &str) -> At {
        At::new(verb, name, &self.shown)
    }

    /// The object's full path.
    pub(crate) fn path(&self, verb: &'static str, name: &str) -> Result<Path, StorageError> {
        let slash = if self.prefix.as_ref().is_empty() { "" } else { "/" };
        Path::parse(format!("{}{slash}{name}", self.prefix)).map_err(|error| {
            StorageError::Refused { at: self.at(verb, name), detail: error.to_string() }
        })
    }

    /// The name of an object of ours; none for the prefix itself.
    pub(crate) fn name_of(&self, path: &Path) -> Option<String> {
        let prefix = self.prefix.as_ref();
        let rest = path.as_ref().strip_prefix(prefix)?;
        let name = if prefix.is_empty() { rest } else { rest.strip_prefix('/')? };
        (!name.is_empty()).then(|| name.to_owned())
    }

    /// Replaces an object whole: doing it twice is doing it once, so it may be tried again.
    pub(crate) async fn put(&self, name: &str, payload: PutPayload) -> Result<(), StorageError> {
        let path = self.path("write", name)?;
        let at = self.at("write", name);
        let bytes = payload.content_length() as u64;
        let store = self.locking.as_ref().map_or(self.store(), |locking| locking.store.as_ref());
        self.persist(&at, bytes, || store.put(&path, payload.clone())).await?;
        Ok(())
    }

    /// Tries a request until it succeeds, fails for good, or the patience is at its end. Each try
    /// may take the time that sending `bytes` needs.
    pub(crate) async fn persist<T, F>(
        &self,
        at: &At,
        bytes: u64,
        mut request: impl FnMut() -> F,
    ) -> Result<T, StorageError>
    where
        F: Future<Output = object_store::Result<T>>,
    {
        let mut failures = 0;
        loop {
            let tried = match self.limited(at, bytes, request()).await {
                Ok(answer) => answer.map_err(|error| explain(at.clone(), &error)),
                Err(error) => Err(error),
            };
            match tried {
                Ok(value) => {
                    self.answered();
                    return Ok(value);
                }
                Err(error) => self.pause_after(error, &mut failures).await?,
            }
        }
    }

    /// Waits for `future` no longer than a live connection would need.
    pub(crate) async fn limited<T>(
        &self,
        at: &At,
        bytes: u64,
        future: impl Future<Output = T>,
    ) -> Result<T, StorageError> {
        let limit = self.patience.limit(bytes);
        tokio::time::timeout(limit, future).await.map_err(|_| stalled(at.clone(), limit))
    }

    /// After a failure: pauses when it makes sense to try again, else hands the error back.
    pub(crate) async fn pause_after(
        &self,
        error: StorageError,
        failures: &mut u32,
    ) -> Result<(), StorageError> {
        *failures += 1;
        let attempts = if self.has_answered.load(Ordering::Relaxed) {
            self.patience.attempts
        } else {
            self.patience.first_contact_attempts
        };
        if !error.is_transient() || *failures >= attempts {
            return Err(error);
        }
        tokio::time::sleep(self.patience.pause(*failures)).await;
        Ok(())
    }

    /// Remembers that the server is the right one and works.
    pub(crate) fn answered(&self) {
        self.has_answered.store(true, Ordering::Relaxed);
    }
}

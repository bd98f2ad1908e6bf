//! An object on its way into a place.

use std::sync::Arc;

use bytes::Bytes;

use crate::directory::DirectoryUpload;
use crate::error::{At, StorageError};
use crate::failing::Faults;
use crate::objects::ObjectUpload;

/// Takes the bytes of one object in order. The object exists after [`Upload::finish`] and not
/// before; an upload that is dropped leaves at most what [`crate::Place::delete_partials`] removes.
#[must_use]
pub struct Upload {
    kind: Kind,
    faults: Option<(At, Arc<Faults>)>,
}

enum Kind {
    Directory(DirectoryUpload),
    Objects(ObjectUpload),
}

impl Upload {
    pub(crate) fn directory(upload: DirectoryUpload) -> Self {
        Self { kind: Kind::Directory(upload), faults: None }
    }

    pub(crate) fn objects(upload: ObjectUpload) -> Self {
        Self { kind: Kind::Objects(upload), faults: None }
    }

    pub(crate) fn with_faults(self, at: At, faults: Option<Arc<Faults>>) -> Self {
        Self { faults: faults.map(|faults| (at, faults)), ..self }
    }

    /// Takes the next bytes; returns when there is room for more. After an error only `abort` makes
    /// sense.
    ///
    /// # Errors
    /// [`StorageError`], perhaps of bytes that were handed over earlier.
    pub async fn write(&mut self, bytes: Bytes) -> Result<(), StorageError> {
        self.strike()?;
        match &mut self.kind {
            Kind::Directory(upload) => upload.write(bytes).await,
            Kind::Objects(upload) => upload.write(bytes).await,
        }
    }

    /// Makes the object exist, durably. On an error the leftovers are removed as far as possible.
    ///
    /// # Errors
    /// [`StorageError`]; the name then holds what it held before.
    pub async fn finish(self) -> Result<(), StorageError> {
        if let Err(error) = self.strike() {
            // The planned fault is the one to tell.
            drop(self.abort().await);
            return Err(error);
        }
        match self.kind {
            Kind::Directory(upload) => upload.finish().await,
            Kind::Objects(upload) => upload.finish().await,
        }
    }

    /// Removes what was written.
    ///
    /// # Errors
    /// [`StorageError`]; [`crate::Place::delete_partials`] can try again.
    pub async fn abort(self) -> Result<(), StorageError> {
        match self.kind {
            Kind::Directory(upload) => upload.abort().await,
            Kind::Objects(upload) => upload.abort().await,
        }
    }

    fn strike(&self) -> Result<(), StorageError> {
        self.faults.as_ref().map_or(Ok(()), |(at, faults)| faults.strike(at.clone()))
    }
}

//! A place: what every kind of it can do.

use std::ops::Range;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};

use crate::access::Access;
use crate::ahead::Ahead;
use crate::directory::{Directory, PARTIAL};
use crate::error::{At, StorageError};
use crate::failing::Faults;
use crate::location::{Cloud, Location};
use crate::objects::Objects;
use crate::pieces::Pieces;
use crate::upload::Upload;

/// Names a listing may hold: twice what a package may have.
pub(crate) const LIST_NAMES: usize = 2_000_000;

/// Bytes of a name.
const NAME_BYTES: usize = 512;

/// An open place. Cheap to clone.
#[derive(Clone)]
pub struct Place {
    kind: Kind,
    shown: Arc<str>,
    faults: Option<Arc<Faults>>,
}

#[derive(Clone)]
enum Kind {
    Directory(Directory),
    Objects(Objects),
}

/// A name in a place and how many bytes it has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Relative to the place, parts divided by `/`.
    pub name: String,
    /// Bytes.
    pub size: u64,
}

impl Place {
    /// Opens a location. Nothing is made and, but for a cloud machine's own credentials, nothing is
    /// asked: the first operation shows whether it works.
    ///
    /// # Errors
    /// [`StorageError::Denied`] or [`StorageError::Refused`] when credentials or endpoint cannot be
    /// used.
    pub async fn open(location: &Location, access: &Access) -> Result<Self, StorageError> {
        if access.lock().is_some() && !matches!(location, Location::Bucket { cloud: Cloud::S3, .. })
        {
            let at = At::new("open", "", &location.to_string());
            let detail = "objects can be locked in an S3 bucket only".to_owned();
            return Err(StorageError::Refused { at, detail });
        }
        let kind = match location {
            Location::Directory(path) => Kind::Directory(Directory::new(path.clone())),
            Location::Bucket { cloud, bucket, prefix } => {
                Kind::Objects(Objects::open(*cloud, bucket, prefix, access).await?)
            }
        };
        Ok(Self { kind, shown: location.to_string().into(), faults: None })
    }

    /// A place in memory, for tests: an object store without a server.
    pub fn memory() -> Self {
        Self { kind: Kind::Objects(Objects::memory()), shown: "memory".into(), faults: None }
    }

    /// The same place, where operations fail as `faults` say, for tests.
    #[must_use]
    pub fn failing(self, faults: Arc<Faults>) -> Self {
        Self { faults: Some(faults), ..self }
    }

    /// The place as a person wrote it, without secrets.
    pub fn shown(&self) -> &str {
        &self.shown
    }

    /// Writes a small object whole, replacing one of the same name.
    ///
    /// # Errors
    /// [`StorageError`]; the name then holds what it held before.
    pub async fn put(&self, name: &str, bytes: Bytes) -> Result<(), StorageError> {
        self.check("write", name)?;
        match &self.kind {
            Kind::Directory(directory) => directory.put(name, bytes).await,
            Kind::Objects(objects) => objects.put(name, bytes).await,
        }
    }

    /// Begins an object of any size, which appears (or replaces one of the same name) when it is
    /// finished.
    ///
    /// # Errors
    /// [`StorageError`]; nothing was begun.
    pub async fn upload(&self, name: &str) -> Result<Upload, StorageError> {
        self.check("write", name)?;
        let upload = match &self.kind {
            Kind::Directory(directory) => Upload::directory(directory.upload(name).await?),
            Kind::Objects(objects) => Upload::objects(objects.upload(name)?),
        };
        Ok(upload.with_faults(self.at("write", name), self.faults.clone()))
    }

    /// Every complete object, in order of name; none when the place does not exist yet.
    ///
    /// # Errors
    /// [`StorageError`].
    pub async fn list(&self) -> Result<Vec<Entry>, StorageError> {
        self.fault("list", "")?;
        match &self.kind {
            Kind::Directory(directory) => directory.list().await,
            Kind::Objects(objects) => objects.list().await,
        }
    }

    /// Bytes of an object.
    ///
    /// # Errors
    /// [`StorageError::NotFound`] when there is none.
    pub async fn size(&self, name: &str) -> Result<u64, StorageError> {
        self.check("look at", name)?;
        match &self.kind {
            Kind::Directory(directory) => directory.size(name).await,
            Kind::Objects(objects) => objects.size(name).await,
        }
    }

    /// Reads exactly the bytes of `range` (at most 256 MiB).
    ///
    /// # Errors
    /// [`StorageError::Damaged`] when the object ends before the range does.
    pub async fn read(&self, name: &str, range: Range<u64>) -> Result<Bytes, StorageError> {
        self.check("read", name)?;
        if range.is_empty() {
            return Ok(Bytes::new());
        }
        match &self.kind {
            Kind::Directory(directory) => directory.read(name, range).await,
            Kind::Objects(objects) => objects.read(name, range).await,
        }
    }

    /// Begins to read bytes of an object that will be asked for next. `None` where nothing is
    /// gained: a bucket reads as fast when it is asked, and each byte is paid for.
    pub fn read_ahead(&self, name: &str, range: Range<u64>) -> Option<Ahead> {
        match &self.kind {
            Kind::Directory(directory) if self.check("read", name).is_ok() => {
                Some(directory.read_ahead(name, range))
            }
            Kind::Directory(_) | Kind::Objects(_) => None,
        }
    }

    /// Reads a small object whole, refusing one of more than `limit` bytes before anything is
    /// allocated.
    ///
    /// # Errors
    /// [`StorageError::Damaged`] when it is larger.
    pub async fn read_whole(&self, name: &str, limit: u64) -> Result<Bytes, StorageError> {
        let mut pieces = self.stream(name).await?;
        let size = pieces.remaining();
        if size > limit {
            let detail = format!("it has {size} bytes, at most {limit} are allowed");
            return Err(StorageError::Damaged { at: self.at("read", name), detail });
        }
        let mut whole = BytesMut::new();
        while let Some(piece) = pieces.next().await? {
            whole.extend_from_slice(&piece);
        }
        Ok(whole.freeze())
    }

    /// Streams a whole object in pieces of at most 1 MiB.
    ///
    /// # Errors
    /// [`StorageError::NotFound`] when there is none.
    pub async fn stream(&self, name: &str) -> Result<Pieces, StorageError> {
        self.stream_of(name, None).await
    }

    /// Streams the bytes of `range` in pieces of at most 1 MiB.
    ///
    /// # Errors
    /// [`StorageError::Damaged`] when the object ends before the range does.
    pub async fn stream_range(
        &self,
        name: &str,
        range: Range<u64>,
    ) -> Result<Pieces, StorageError> {
        self.stream_of(name, Some(range)).await
    }

    async fn stream_of(
        &self,
        name: &str,
        range: Option<Range<u64>>,
    ) -> Result<Pieces, StorageError> {
        self.check("read", name)?;
        match &self.kind {
            Kind::Directory(directory) => directory.stream(name, range).await,
            Kind::Objects(objects) => objects.stream(name, range).await,
        }
    }

    /// Deletes an object; one that is not there counts as deleted.
    ///
    /// # Errors
    /// [`StorageError`].
    pub async fn delete(&self, name: &str) -> Result<(), StorageError> {
        self.check("delete", name)?;
        match &self.kind {
            Kind::Directory(directory) => directory.delete(name).await,
            Kind::Objects(objects) => objects.delete(name).await,
        }
    }

    /// Whether objects can be locked here: an S3 bucket that was made so.
    ///
    /// # Errors
    /// [`StorageError::Denied`] when these credentials may not ask.
    pub async fn has_lock(&self) -> Result<bool, StorageError> {
        self.fault("ask for the object lock of", "")?;
        match &self.kind {
            Kind::Directory(_) => Ok(false),
            Kind::Objects(objects) => objects.has_lock().await,
        }
    }

    /// Locks an object that is there for as long as what is written; one that is locked for longer
    /// stays as it is, and one that is prolonged keeps its mode. Whether something had to be done;
    /// nothing has without a lock.
    ///
    /// # Errors
    /// [`StorageError::Denied`] when these credentials may not.
    pub async fn hold(&self, name: &str) -> Result<bool, StorageError> {
        self.check("lock", name)?;
        match &self.kind {
            Kind::Directory(_) => Ok(false),
            Kind::Objects(objects) => objects.hold(name).await,
        }
    }

    /// Removes what uploads that never finished have left in this place, and says how many they
    /// were. Nobody may be writing to the place meanwhile.
    ///
    /// Unfinished uploads can be listed at S3 only; Google and Azure remove theirs by their own
    /// rules.
    ///
    /// # Errors
    /// [`StorageError`].
    pub async fn delete_partials(&self) -> Result<u64, StorageError> {
        self.fault("delete leftovers of", "")?;
        match &self.kind {
            Kind::Directory(directory) => directory.delete_partials().await,
            Kind::Objects(objects) => objects.delete_partials().await,
        }
    }

    fn at(&self, verb: &'static str, name: &str) -> At {
        At::new(verb, name, &self.shown)
    }

    fn check(&self, verb: &'static str, name: &str) -> Result<(), StorageError> {
        if let Err(detail) = check_name(name) {
            let shown: String = name.chars().take(80).collect();
            return Err(StorageError::Refused { at: self.at(verb, &shown), detail: detail.into() });
        }
        self.fault(verb, name)
    }

    fn fault(&self, verb: &'static str, name: &str) -> Result<(), StorageError> {
        self.faults.as_ref().map_or(Ok(()), |faults| faults.strike(self.at(verb, name)))
    }
}

/// Names are for every kind of place: no way out of the folder, nothing a bucket would write
/// differently.
fn check_name(name: &str) -> Result<(), &'static str> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    if name.is_empty() || name.len() > NAME_BYTES {
        return Err("a name has 1 to 512 bytes");
    }
    if name.ends_with(PARTIAL) {
        return Err("names that end in .partial are for unfinished files");
    }
    for part in name.split('/') {
        if part.is_empty() || part == "." || part == ".." || !part.chars().all(plain) {
            return Err(
                "a name is made of letters, digits, dots, hyphens, underscores and single /",
            );
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;

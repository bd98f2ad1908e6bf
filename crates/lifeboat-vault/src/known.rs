//! What content the vault has already, as far as this host remembers, and what of it a run uses.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use lifeboat_engine::failure::Failure;
use lifeboat_package::backup::Content;

use crate::cache::{Cache, Stamp, VolumeNumber};

/// Shared by all lanes of a run.
#[derive(Clone)]
pub struct Known(Arc<Mutex<Inner>>);

/// Content that a run stores before it is sorted in, at least.
const SORTED_IN: usize = 1 << 16;
/// And one part in so many of what is sorted: else each would be moved too often.
const SORTED_PART: usize = 8;

/// Which content lies in which volumes: a sorted list, 40 bytes each, because a large media store
/// has millions.
struct Stored {
    sorted: Vec<([u8; 32], VolumeNumber)>,
    /// What the run stored last: one volume of each.
    since: HashMap<[u8; 32], VolumeNumber>,
    /// The other volumes of what is in several.
    also: HashMap<[u8; 32], Vec<VolumeNumber>>,
}

impl Stored {
    fn add(&mut self, sha256: [u8; 32], volume: VolumeNumber) {
        self.since.insert(sha256, volume);
        if self.since.len() >= SORTED_IN.max(self.sorted.len() / SORTED_PART) {
            self.sorted.reserve_exact(self.since.len());
            self.sorted.extend(self.since.drain());
            self.sorted.sort_unstable();
        }
    }

    fn volumes(&self, sha256: &[u8; 32]) -> impl Iterator<Item = VolumeNumber> {
        let from = self.sorted.partition_point(|(sum, _)| sum < sha256);
        let sorted = self.sorted.get(from..).unwrap_or_default().iter();
        let sorted = sorted.take_while(move |(sum, _)| sum == sha256).map(|(_, volume)| *volume);
        let also = self.also.get(sha256).map(Vec::as_slice).unwrap_or_default();
        sorted.chain(self.since.get(sha256).copied()).chain(also.iter().copied())
    }

    fn has(&self, sha256: &[u8; 32]) -> bool {
        self.volumes(sha256).next().is_some()
    }
}

struct Inner {
    cache: Cache,
    /// Content of finished volumes.
    stored: Stored,
    /// Content that this run has sent, or is about to, and that is not stored; how many entries of
    /// it must arrive.
    sent: HashMap<[u8; 32], u32>,
    /// Entries of sent content that lie in finished volumes, and in which.
    arrived: HashMap<[u8; 32], (u32, Vec<VolumeNumber>)>,
    /// Volumes that content of this run lies in.
    used: HashSet<VolumeNumber>,
    /// Content that one reader sent and another relies upon.
    relied: HashSet<[u8; 32]>,
}

impl Known {
    /// Everything that the cache remembers.
    ///
    /// # Errors
    /// [`Failure`] when it cannot be read.
    pub fn of(cache: Cache) -> Result<Self, Failure> {
        let (since, also) = (HashMap::new(), HashMap::new());
        let stored = Stored { sorted: cache.contents()?, since, also };
        let (sent, arrived) = (HashMap::new(), HashMap::new());
        let (used, relied) = (HashSet::new(), HashSet::new());
        Ok(Self(Arc::new(Mutex::new(Inner { cache, stored, sent, arrived, used, relied }))))
    }

    /// Whether content must be sent: neither the vault has it nor has this run sent it. From now
    /// on it counts as sent, in so many entries.
    pub fn is_wanted(&self, sha256: &[u8; 32], entries: u32) -> bool {
        let mut inner = self.lock();
        if inner.uses(sha256) {
            return false;
        }
        if inner.sent.contains_key(sha256) {
            inner.relied.insert(*sha256);
            return false;
        }
        inner.sent.insert(*sha256, entries);
        true
    }

    /// What was sent under this name is not what the name says: it must not be relied upon.
    pub fn take_back(&self, sha256: &[u8; 32]) {
        // No volume can make a blob whole of which more entries are expected than there are.
        self.lock().sent.insert(*sha256, u32::MAX);
    }

    /// Whether content was taken back: this run cannot store it any more.
    pub fn is_taken_back(&self, sha256: &[u8; 32]) -> bool {
        self.lock().sent.get(sha256) == Some(&u32::MAX)
    }

    /// Whether everything that one reader left to another has arrived. Asked when all volumes are
    /// finished.
    pub fn is_settled(&self) -> bool {
        let inner = self.lock();
        inner.relied.iter().all(|sha256| inner.stored.has(sha256))
    }

    /// The content of a file that is what it was when it was read last, if all of it is still
    /// there.
    ///
    /// # Errors
    /// [`Failure`] when the cache cannot be read.
    pub fn unchanged(
        &self,
        root: &[u8],
        path: &[u8],
        stamp: &Stamp,
    ) -> Result<Option<Content>, Failure> {
        let mut inner = self.lock();
        let found = inner.cache.file(root, path)?.filter(|(earlier, _)| earlier == stamp);
        let content = found.map(|(_, content)| content);
        Ok(content.filter(|content| {
            let all = |inner: &Inner| {
                let mut digests = content.digests().iter();
                digests.all(|digest| inner.stored.has(digest.as_bytes()))
            };
            all(&inner) && content.digests().iter().all(|digest| inner.uses(digest.as_bytes()))
        }))
    }

    /// Notes what files were.
    ///
    /// # Errors
    /// [`Failure`] when the cache cannot be written.
    pub fn remember(
        &self,
        root: &[u8],
        files: &[(Vec<u8>, Stamp, Content)],
    ) -> Result<(), Failure> {
        self.lock().cache.add_files(root, files)
    }

    /// Notes a finished volume and what lies in it.
    pub(crate) fn finished(
        &self,
        add: impl FnOnce(&Cache) -> Result<VolumeNumber, Failure>,
        entries: impl Iterator<Item = [u8; 32]>,
    ) -> Result<(), Failure> {
        let mut inner = self.lock();
        let number = add(&inner.cache)?;
        let mut whole = Vec::new();
        for sha256 in entries {
            let (count, volumes) = inner.arrived.entry(sha256).or_default();
            *count += 1;
            if volumes.last() != Some(&number) {
                volumes.push(number);
            }
            let (count, volumes) = (*count, volumes.clone());
            if inner.sent.get(&sha256).is_none_or(|expected| *expected <= count) {
                whole.push((sha256, volumes));
            }
        }
        inner.cache.add_contents(&whole)?;
        for (sha256, volumes) in whole {
            inner.arrived.remove(&sha256);
            inner.sent.remove(&sha256);
            inner.used.extend(&volumes);
            let Some((first, also)) = volumes.split_first() else { continue };
            inner.stored.add(sha256, *first);
            if !also.is_empty() {
                inner.stored.also.insert(sha256, also.to_vec());
            }
        }
        Ok(())
    }

    /// Gives the numbers of the volumes that content of this run lies in.
    pub fn used(&self) -> HashSet<VolumeNumber> {
        self.lock().used.clone()
    }

    /// Asks the cache.
    pub(crate) fn with_cache<T>(&self, ask: impl FnOnce(&Cache) -> T) -> T {
        ask(&self.lock().cache)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    /// Whether content is stored; if so, its volumes count as used.
    fn uses(&mut self, sha256: &[u8; 32]) -> bool {
        let mut is_stored = false;
        for volume in self.stored.volumes(sha256) {
            self.used.insert(volume);
            is_stored = true;
        }
        is_stored
    }
}

#[cfg(test)]
mod tests;

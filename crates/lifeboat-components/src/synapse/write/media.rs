//! Media files into the media store: never over a file that differs, never half-written.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Component, Path, PathBuf};

use lifeboat_package::digest::{Digest, Hasher};

/// What became of one file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Placed {
    /// It was written.
    Written,
    /// It was there already, byte for byte.
    Equal,
    /// Another file is in its place; it was left alone.
    Differs,
}

/// A media store that files are written to.
pub struct MediaStore {
    root: PathBuf,
    /// Owner and group of the store, which its files get where we may.
    owner: Option<(u32, u32)>,
}

impl MediaStore {
    /// Opens the store at `root`, making it when it is not there.
    ///
    /// # Errors
    /// The system's, when the folder cannot be made.
    pub fn open(root: &Path) -> io::Result<Self> {
        fs::create_dir_all(root)?;
        let about = fs::metadata(root)?;
        let owner = is_root().then_some((about.uid(), about.gid()));
        Ok(Self { root: root.to_owned(), owner })
    }

    /// Where the file at `path` of a media record lies; `None` for a path that leaves the store.
    pub fn place(&self, path: &str) -> Option<PathBuf> {
        let relative = Path::new(path);
        let plain = relative.components().all(|part| matches!(part, Component::Normal(_)));
        (plain && !path.is_empty()).then(|| self.root.join(relative))
    }

    /// Writes `pieces` to `place`, unless a file is there.
    ///
    /// # Errors
    /// The system's; no half-written file stays under the final name.
    pub fn write(&self, place: &Path, sha256: &Digest, pieces: &[&[u8]]) -> io::Result<Placed> {
        if let Some(found) = self.find(place, sha256)? {
            return Ok(found);
        }
        let partial = self.begin(place)?;
        let written = pieces.iter().try_for_each(|piece| append(&partial, piece));
        written.and_then(|()| self.finish(&partial, place)).inspect_err(|_| {
            fs::remove_file(&partial).ok();
        })?;
        Ok(Placed::Written)
    }

    /// What is at `place` already, if anything, beside which nothing half-written stays: who was
    /// killed between giving a file its name and taking the first one away left both.
    ///
    /// # Errors
    /// The system's.
    pub fn find(&self, place: &Path, sha256: &Digest) -> io::Result<Option<Placed>> {
        let (found, partial) = (compare(place, sha256)?, partial_of(place));
        // Looked for first: a store that may only be read has none, and needs no writing.
        if found.is_some() && fs::symlink_metadata(&partial).is_ok() {
            fs::remove_file(&partial)?;
        }
        Ok(found)
    }

    /// Begins a large file; add to it with [`append`], end with [`Self::finish`].
    ///
    /// # Errors
    /// The system's.
    pub fn begin(&self, place: &Path) -> io::Result<PathBuf> {
        if let Some(folder) = place.parent() {
            self.make_folders(folder)?;
        }
        let partial = partial_of(place);
        let mut how = OpenOptions::new();
        how.write(true).create(true).truncate(true).mode(0o640);
        how.open(&partial)?;
        Ok(partial)
    }

    /// Gives a finished file its owner and its name.
    ///
    /// # Errors
    /// The system's.
    pub fn finish(&self, partial: &Path, place: &Path) -> io::Result<()> {
        self.own(partial)?;
        fs::hard_link(partial, place)?;
        fs::remove_file(partial)
    }

    /// Moves the file at `from` to `to`, where nothing is; whether there was one to move.
    ///
    /// # Errors
    /// The system's.
    pub fn set_aside(&self, from: &Path, to: &Path) -> io::Result<bool> {
        if let Some(folder) = to.parent() {
            self.make_folders(folder)?;
        }
        match fs::hard_link(from, to) {
            Ok(()) => fs::remove_file(from).map(|()| true),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(e) => Err(e),
        }
    }

    fn make_folders(&self, folder: &Path) -> io::Result<()> {
        if folder.is_dir() {
            return Ok(());
        }
        if let Some(parent) = folder.parent() {
            self.make_folders(parent)?;
        }
        // As the files in it: for Synapse, and nobody else.
        match fs::DirBuilder::new().mode(0o750).create(folder) {
            Ok(()) => self.own(folder),
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            Err(e) => Err(e),
        }
    }

    fn own(&self, path: &Path) -> io::Result<()> {
        match self.owner {
            Some((uid, gid)) => std::os::unix::fs::chown(path, Some(uid), Some(gid)),
            None => Ok(()),
        }
    }
}

/// What a file is called until it is whole.
fn partial_of(place: &Path) -> PathBuf {
    let mut name = place.file_name().unwrap_or_default().to_owned();
    name.push(".lifeboat-partial");
    place.with_file_name(name)
}

/// Adds bytes to a file that was begun.
///
/// # Errors
/// The system's.
pub fn append(partial: &Path, bytes: &[u8]) -> io::Result<()> {
    OpenOptions::new().append(true).open(partial)?.write_all(bytes)
}

/// Compares the file at `place`, if there is one, with what is to be there.
///
/// # Errors
/// The system's, when the file is there and cannot be read.
pub fn compare(place: &Path, sha256: &Digest) -> io::Result<Option<Placed>> {
    match hash(place) {
        Ok(found) if found == *sha256 => Ok(Some(Placed::Equal)),
        Ok(_) => Ok(Some(Placed::Differs)),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(e),
    }
}

/// SHA-256 of a file.
///
/// # Errors
/// The system's.
pub fn hash(place: &Path) -> io::Result<Digest> {
    let mut from = fs::File::open(place)?;
    let mut hasher = Hasher::new();
    let mut buffer = vec![0; 256 << 10];
    loop {
        match io::Read::read(&mut from, &mut buffer)? {
            0 => return Ok(hasher.finish()),
            read => hasher.update(buffer.get(..read).unwrap_or_default()),
        }
    }
}

/// Only root can give files to another user; `/proc/self` belongs to whom we run as.
fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|about| about.uid() == 0)
}

#[cfg(test)]
#[path = "media_tests.rs"]
mod tests;

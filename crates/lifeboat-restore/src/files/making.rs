//! One file, made again: beside its place first, and under its name when it is whole.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use lifeboat_engine::failure::Failure;
use lifeboat_engine::reader::apart;
use lifeboat_package::backup::{FileKind, FileRecord};
use lifeboat_package::digest::{Digest, Hasher};
use lifeboat_storage::direct::write_all_at;
use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, XattrFlags};
use tempfile::NamedTempFile;
use tokio::task::JoinHandle;

use super::{cannot, unhex};
use crate::journal::StepDone;

/// Bytes that are looked at for being zeros, in files that had holes.
const HOLE_BYTES: usize = 4096;
/// Bytes of a file up to which its content says whether it is the one of the backup; above, its
/// size and time do.
const COMPARED_BYTES: u64 = 16 << 20;
/// Bytes after which files begin to go to the disk.
const FLUSH_BYTES: u64 = 128 << 20;
/// What of a mode makes a program act as its owner or group.
const SET_ID_BITS: u32 = 0o6000;
/// Letters of a path that is too long which are told.
const SHOWN_LETTERS: usize = 120;
/// Bytes of a file that are read at once.
const READ_BYTES: usize = 1 << 20;

/// What a file is besides its content.
pub(super) struct Look {
    kind: FileKind,
    mode: u32,
    owner: (u32, u32),
    /// Nanoseconds since 1970.
    modified: i64,
    attributes: BTreeMap<String, String>,
}

impl From<&FileRecord> for Look {
    fn from(record: &FileRecord) -> Self {
        let FileRecord { kind, mode, uid, gid, modified, attributes, .. } = record;
        let (owner, attributes) = ((*uid, *gid), attributes.clone());
        Self { kind: *kind, mode: *mode, owner, modified: *modified, attributes }
    }
}

/// A file to make.
pub(super) struct Job {
    /// Where.
    pub(super) path: PathBuf,
    /// What it is.
    pub(super) record: FileRecord,
}

/// A file in the making.
pub(super) struct Making {
    file: NamedTempFile,
    size: u64,
}

/// What came of some bytes.
pub(super) enum Step {
    /// There are more to come.
    Begun(Making),
    /// It is there.
    Done(Placed),
}

impl Job {
    /// Takes the next bytes of the file; the first time there is no `making`.
    pub(super) fn go_on(
        &self,
        making: Option<Making>,
        bytes: &[u8],
        is_last: bool,
    ) -> Result<Step, Failure> {
        let mut making = match making {
            Some(making) => making,
            None => self.begin()?,
        };
        let written = if self.record.sparse {
            write_sparse(making.file.as_file_mut(), bytes)
        } else {
            write_all_at(making.file.as_file(), bytes, making.size)
        };
        written.map_err(|e| cannot("write", &self.path, e))?;
        making.size += bytes.len() as u64;
        if is_last { self.finish(making).map(Step::Done) } else { Ok(Step::Begun(making)) }
    }

    /// The file that is there already, with the owner, mode and time of the backup.
    pub(super) fn found(&self) -> Result<Placed, Failure> {
        let mut placed = Placed { equal: 1, ..Placed::default() };
        dress(&self.path, &Look::from(&self.record), &mut placed)?;
        Ok(placed)
    }

    fn begin(&self) -> Result<Making, Failure> {
        let folder = self.path.parent().unwrap_or(Path::new("/"));
        let made = match NamedTempFile::new_in(folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                fs::create_dir_all(folder).map_err(|e| cannot("make", folder, e))?;
                NamedTempFile::new_in(folder)
            }
            made => made,
        };
        let file = made.map_err(|e| cannot("write into", folder, e))?;
        Ok(Making { file, size: 0 })
    }

    fn finish(&self, Making { file, size }: Making) -> Result<Placed, Failure> {
        let (path, record) = (&self.path, &self.record);
        if size != record.size {
            return Err(Failure::not_valid(
                format!("{} has {size} bytes in the backup, not {}", path.display(), record.size),
                "look for another copy of the backup",
            ));
        }
        let failed = |e| cannot("write", path, e);
        if record.sparse {
            file.as_file().set_len(size).map_err(failed)?;
        }
        let mut placed = Placed { written: 1, bytes: size, ..Placed::default() };
        dress(file.path(), &Look::from(record), &mut placed)?;
        // What is not compared by its content, should the power fail before the end.
        if size > COMPARED_BYTES {
            file.as_file().sync_data().map_err(failed)?;
        }
        let disk = file.as_file().metadata().map_err(failed)?.dev();
        let file = file.persist(path).map_err(|e| cannot("write", path, e.error))?;
        placed.disks.insert(disk, Arc::new(file));
        Ok(placed)
    }
}

/// What was put back.
#[derive(Default)]
pub(super) struct Placed {
    pub(super) written: u64,
    pub(super) bytes: u64,
    pub(super) equal: u64,
    pub(super) aside: Vec<String>,
    pub(super) owners: u64,
    pub(super) attributes: u64,
    /// Paths that are too long for the file system, and the first of them.
    long: (u64, PathBuf),
    /// The first file on each disk that was written to. A disk tells of a failed write whoever held
    /// a file open then, and once.
    disks: BTreeMap<u64, Arc<File>>,
    /// What is on its way to the disks, and how many bytes were written when that began.
    flushing: Option<JoinHandle<Result<(), Failure>>>,
    flushed: u64,
}

impl Placed {
    /// Nothing: the path is too long here.
    pub(super) fn too_long(path: &Path) -> Self {
        Self { long: (1, path.to_owned()), ..Self::default() }
    }

    pub(super) fn add(&mut self, more: Self) {
        let Self { written, bytes, equal, aside, owners, attributes, long, disks, .. } = more;
        self.written += written;
        self.bytes += bytes;
        self.equal += equal;
        self.aside.extend(aside);
        self.owners += owners;
        self.attributes += attributes;
        if self.long.0 == 0 {
            self.long.1 = long.1;
        }
        self.long.0 += long.0;
        for (disk, file) in disks {
            self.disks.entry(disk).or_insert(file);
        }
    }

    /// Lets what was written go to the disk beside what goes on, now and then.
    pub(super) async fn keep_up(&mut self) -> Result<(), Failure> {
        let is_busy = self.flushing.as_ref().is_some_and(|flushing| !flushing.is_finished());
        if is_busy || self.bytes - self.flushed < FLUSH_BYTES {
            return Ok(());
        }
        self.flush().await
    }

    /// Waits until what was written is on the disk: file by file would take many times as long.
    pub(super) async fn settle(&mut self) -> Result<(), Failure> {
        self.flush().await?;
        self.flushing_ended().await
    }

    async fn flush(&mut self) -> Result<(), Failure> {
        self.flushing_ended().await?;
        self.flushed = self.bytes;
        let disks: Vec<Arc<File>> = self.disks.values().cloned().collect();
        self.flushing = Some(tokio::spawn(async move {
            let sync = move || disks.iter().try_for_each(rustix::fs::syncfs);
            apart(sync).await?.map_err(|e| {
                let remedy = "look at the disk, then run the same command again";
                Failure::failed("cannot write to the disk", remedy).because(io::Error::from(e))
            })
        }));
        Ok(())
    }

    async fn flushing_ended(&mut self) -> Result<(), Failure> {
        let Some(flushing) = self.flushing.take() else { return Ok(()) };
        let cut_short = |e| Failure::failed("work was cut short", "run it again").because(e);
        flushing.await.map_err(cut_short)?
    }

    pub(super) fn told(self) -> StepDone {
        let mut lines = vec![format!(
            "{} files written, {} bytes; {} there",
            self.written, self.bytes, self.equal
        )];
        lines.extend(self.aside.into_iter().map(|path| format!("moved aside: {path}")));
        let mut gaps = Vec::new();
        if self.owners > 0 {
            gaps.push(format!(
                "{} files could not be given to their owner: run as root, or chown them by hand",
                self.owners
            ));
        }
        if self.attributes > 0 {
            gaps.push(format!(
                "{} extended attributes (access lists, capabilities) could not be set: run as \
                 root, on a file system that has them",
                self.attributes
            ));
        }
        if let (count @ 1.., path) = self.long {
            gaps.push(format!(
                "{count} paths are too long here and were left out, the first {}…: restore below a \
                 shorter --root, or take them with lifeboat backup unpack",
                path.display().to_string().chars().take(SHOWN_LETTERS).collect::<String>()
            ));
        }
        StepDone { lines, gaps, seconds: 0 }
    }
}

/// Whether the file is there already, as the backup has it: an earlier try has put it there.
pub(super) fn is_equal(path: &Path, record: &FileRecord, digests: &[Digest]) -> bool {
    let Ok(metadata) = fs::symlink_metadata(path) else { return false };
    if !metadata.is_file() || metadata.len() != record.size {
        return false;
    }
    // A disk that fails keeps size and time, so what is in it decides where that is quick.
    match digests {
        [digest] if record.size <= COMPARED_BYTES => {
            digest_of(path).is_ok_and(|found| found == *digest)
        }
        _ => nanos(&metadata) == record.modified,
    }
}

/// Whether something else is there, as far as kind, size and time tell.
pub(super) fn is_other(path: &Path, record: &FileRecord) -> bool {
    let Ok(found) = fs::symlink_metadata(path) else { return false };
    match record.kind {
        FileKind::Folder => !path.is_dir(),
        FileKind::Link => !found.is_symlink(),
        FileKind::File => {
            !found.is_file() || found.len() != record.size || nanos(&found) != record.modified
        }
    }
}

/// The digest of a file of any size.
pub(crate) fn digest_of(path: &Path) -> io::Result<Digest> {
    let (mut file, mut hasher) = (File::open(path)?, Hasher::new());
    let mut buffer = vec![0; READ_BYTES];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hasher.finish()),
            read => hasher.update(buffer.get(..read).unwrap_or_default()),
        }
    }
}

/// Writes; leaves runs of zeros out, of a file that had holes.
fn write_sparse(file: &mut File, bytes: &[u8]) -> io::Result<()> {
    for piece in bytes.chunks(HOLE_BYTES) {
        if piece.iter().all(|byte| *byte == 0) {
            file.seek(SeekFrom::Current(i64::try_from(piece.len()).unwrap_or_default()))?;
        } else {
            file.write_all(piece)?;
        }
    }
    Ok(())
}

/// Owner, mode, attributes and times. The owner first: changing it takes rights away.
pub(super) fn dress(path: &Path, look: &Look, placed: &mut Placed) -> Result<(), Failure> {
    let is_given = give(path, look.owner, placed);
    let is_given = is_given.map_err(|e| cannot("look at", path, e))?;
    // Whoever runs it would act as somebody it never was for.
    let is_harmless = is_given || look.kind != FileKind::File;
    let mode = if is_harmless { look.mode } else { look.mode & !SET_ID_BITS };
    let mode = fs::Permissions::from_mode(mode);
    fs::set_permissions(path, mode).map_err(|e| cannot("set the mode of", path, e))?;
    mark(path, look, placed)
}

/// Owner, attributes and time of a link itself; it has no mode.
pub(super) fn dress_link(path: &Path, look: &Look, placed: &mut Placed) -> Result<(), Failure> {
    let found = fs::symlink_metadata(path).map_err(|e| cannot("look at", path, e))?;
    let (uid, gid) = look.owner;
    let is_given = (found.uid(), found.gid()) == (uid, gid)
        || std::os::unix::fs::lchown(path, Some(uid), Some(gid)).is_ok();
    placed.owners += u64::from(!is_given);
    mark(path, look, placed)
}

/// Attributes and time.
fn mark(path: &Path, look: &Look, placed: &mut Placed) -> Result<(), Failure> {
    for (name, value) in &look.attributes {
        let set = unhex(value).is_some_and(|value| {
            rustix::fs::lsetxattr(path, name.as_str(), &value, XattrFlags::empty()).is_ok()
        });
        // A file system without attributes of this kind keeps the file all the same.
        placed.attributes += u64::from(!set);
    }
    let seconds = look.modified.div_euclid(1_000_000_000);
    let rest = look.modified.rem_euclid(1_000_000_000);
    let time = Timespec { tv_sec: seconds, tv_nsec: rest };
    let times = Timestamps { last_access: time, last_modification: time };
    rustix::fs::utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW)
        .map_err(|e| cannot("set the time of", path, e.into()))
}

/// Whether the file is whose it was.
pub(super) fn give(path: &Path, (uid, gid): (u32, u32), placed: &mut Placed) -> io::Result<bool> {
    let found = fs::symlink_metadata(path)?;
    if (found.uid(), found.gid()) != (uid, gid)
        && std::os::unix::fs::chown(path, Some(uid), Some(gid)).is_err()
    {
        placed.owners += 1;
        return Ok(false);
    }
    Ok(true)
}

fn nanos(metadata: &fs::Metadata) -> i64 {
    metadata.mtime().saturating_mul(1_000_000_000).saturating_add(metadata.mtime_nsec())
}

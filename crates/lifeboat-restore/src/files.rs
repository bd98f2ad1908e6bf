//! File trees, put back: content, owner, mode, times, links, extended attributes, holes.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use lifeboat_engine::context::Context;
use lifeboat_engine::failure::Failure;
use lifeboat_package::backup::{Component, Content, FILES, FileKind, FileRecord};
use lifeboat_package::digest::{Digest, Hasher};
use lifeboat_vault::backup::OpenBackup;
use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, XattrFlags};

use crate::aside::{Asides, KeptPath, Thing};
use crate::journal::StepDone;
use crate::targets::Targets;

/// Bytes that are looked at for being zeros, in files that had holes.
const HOLE_BYTES: usize = 4096;

/// Bytes of a file up to which its content says whether it is the one of the backup; above, its
/// size and time do.
const COMPARED_BYTES: u64 = 16 << 20;
/// Bytes of a file that are read at once.
const READ_BYTES: usize = 1 << 20;
/// What SQLite has beside the file of a database.
const SQLITE_ENDS: [&str; 3] = ["-wal", "-shm", "-journal"];
/// What of a file's mode is its permissions.
const MODE_BITS: u32 = 0o7777;

/// Bytes that are left free on the disk of the state folder.
const SPARE_BYTES: u64 = 64 << 20;
/// The role of the trees of a media store.
const MEDIA: &str = "media";

/// How files are put back.
pub struct Placing<'a> {
    /// Where.
    pub targets: &'a Targets,
    /// Whether a file that is there and differs is moved aside; else it stops the step.
    pub replace: bool,
    /// What a file that is moved aside is called at its end.
    pub stamp: String,
    /// Where it is noted that one is.
    pub asides: Asides,
}

/// Puts the files of a component back whose role `wanted` asks for.
///
/// # Errors
/// [`Failure`] when the backup is damaged, something cannot be written, or a file is there that
/// differs and may not be moved aside.
pub async fn place(
    cx: &Context,
    open: &OpenBackup,
    (component, placing): (&Component, &Placing<'_>),
    wanted: impl Fn(&str) -> bool,
) -> Result<StepDone, Failure> {
    let mut placed = Placed::default();
    let mut folders = Vec::new();
    for entry in open.record_entries(component, FILES) {
        for record in open.package().records::<FileRecord>(&entry).await? {
            if !wanted(&record.role) {
                continue;
            }
            cx.go_on()?;
            let path = placing.targets.place(&path_of(&record));
            match record.kind {
                FileKind::Folder => {
                    fs::create_dir_all(&path).map_err(|e| cannot("make", &path, e))?;
                    folders.push((path, record));
                }
                FileKind::Link => link(&path, &record, placing, &mut placed)?,
                FileKind::File => file(cx, open, (&path, &record), placing, &mut placed).await?,
            }
        }
    }
    // Times of a folder change with what is put into it.
    for (path, record) in folders.iter().rev() {
        dress(path, record, &mut placed)?;
    }
    Ok(placed.told())
}

/// Puts files of a component's media store into another folder: those whose path below the media
/// store is in `wanted`.
///
/// # Errors
/// As of [`place`]; [`Failure`] too when the disk has no room for them.
pub(crate) async fn gather(
    cx: &Context,
    open: &OpenBackup,
    (component, placing): (&Component, &Placing<'_>),
    (wanted, into): (&BTreeSet<String>, &Path),
) -> Result<StepDone, Failure> {
    let mut placed = Placed::default();
    let mut records = Vec::new();
    for entry in open.record_entries(component, FILES) {
        records.extend(open.package().records::<FileRecord>(&entry).await?.into_iter().filter(
            |record| {
                record.role == MEDIA
                    && record.kind == FileKind::File
                    && wanted.contains(&record.path)
            },
        ));
    }
    demand_room(records.iter().map(|record| record.size).sum(), into)?;
    for record in &records {
        cx.go_on()?;
        file(cx, open, (&into.join(&record.path), record), placing, &mut placed).await?;
    }
    Ok(placed.told())
}

/// A full disk would stop what runs.
///
/// # Errors
/// [`Failure`] when there is no room for so many bytes.
pub(crate) fn demand_room(bytes: u64, folder: &Path) -> Result<(), Failure> {
    let needed = bytes.saturating_add(SPARE_BYTES);
    let Ok(disk) = rustix::fs::statvfs(folder) else { return Ok(()) };
    let free = disk.f_bavail.saturating_mul(disk.f_frsize);
    if free >= needed {
        return Ok(());
    }
    Err(Failure::failed(
        format!("{needed} bytes are needed below {}, {free} are free", folder.display()),
        "free some space, or name another folder with `state:` in lifeboat.yaml",
    ))
}

#[derive(Default)]
struct Placed {
    written: u64,
    bytes: u64,
    equal: u64,
    aside: Vec<String>,
    owners: u64,
    attributes: u64,
}

impl Placed {
    fn told(self) -> StepDone {
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
        StepDone { lines, gaps, seconds: 0 }
    }
}

/// Where a file was.
pub fn path_of(record: &FileRecord) -> PathBuf {
    let root = PathBuf::from(&record.root);
    let below = match record.path_bytes.as_deref().and_then(unhex) {
        Some(bytes) => PathBuf::from(std::ffi::OsString::from_vec(bytes)),
        None => PathBuf::from(&record.path),
    };
    if below.as_os_str().is_empty() { root } else { root.join(below) }
}

async fn file(
    cx: &Context,
    open: &OpenBackup,
    (path, record): (&Path, &FileRecord),
    placing: &Placing<'_>,
    placed: &mut Placed,
) -> Result<(), Failure> {
    let Some(content) = &record.content else { return Ok(()) };
    let pieces = open.pieces(content)?;
    if is_equal(path, record, content.digests()) {
        placed.equal += 1;
        return dress(path, record, placed);
    }
    make_way(path, placing, placed)?;
    let folder = path.parent().unwrap_or(Path::new("/"));
    fs::create_dir_all(folder).map_err(|e| cannot("make", folder, e))?;
    let mut file =
        tempfile::NamedTempFile::new_in(folder).map_err(|e| cannot("write into", folder, e))?;
    let mut size = 0_u64;
    for piece in pieces {
        let bytes = piece.read().await?;
        cx.advance(bytes.len() as u64);
        size += bytes.len() as u64;
        write(file.as_file_mut(), &bytes, record.sparse).map_err(|e| cannot("write", path, e))?;
    }
    if size != record.size {
        return Err(Failure::not_valid(
            format!("{} has {size} bytes in the backup, not {}", path.display(), record.size),
            "look for another copy of the backup",
        ));
    }
    file.as_file().set_len(size).map_err(|e| cannot("write", path, e))?;
    dress(file.path(), record, placed)?;
    file.as_file().sync_data().map_err(|e| cannot("write", path, e))?;
    file.persist(path).map_err(|e| cannot("write", path, e.error))?;
    placed.written += 1;
    placed.bytes += size;
    Ok(())
}

/// Whether the file is there already, as the backup has it: an earlier try has put it there.
fn is_equal(path: &Path, record: &FileRecord, digests: &[Digest]) -> bool {
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

/// Moves what is in the way aside, or stops.
fn make_way(path: &Path, placing: &Placing<'_>, placed: &mut Placed) -> Result<(), Failure> {
    if fs::symlink_metadata(path).is_err() {
        return Ok(());
    }
    if !placing.replace {
        return Err(Failure::failed(
            format!("{} is there already, and differs from the backup", path.display()),
            "look at it, then move it away or give --replace, which keeps it beside the new one",
        ));
    }
    move_aside(path, placing, placed)
}

fn move_aside(path: &Path, placing: &Placing<'_>, placed: &mut Placed) -> Result<(), Failure> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".before-{}", placing.stamp));
    let aside = path.with_file_name(name);
    let kept = KeptPath::of(path, &aside).map_err(|e| cannot("look at", path, e))?;
    placing.asides.note(Thing::Path(kept))?;
    fs::rename(path, &aside).map_err(|e| cannot("move aside", path, e))?;
    placed.aside.push(aside.display().to_string());
    Ok(())
}

fn link(
    path: &Path,
    record: &FileRecord,
    placing: &Placing<'_>,
    placed: &mut Placed,
) -> Result<(), Failure> {
    let Some(target) = &record.target else { return Ok(()) };
    if fs::read_link(path).is_ok_and(|found| found == Path::new(target)) {
        placed.equal += 1;
        return Ok(());
    }
    make_way(path, placing, placed)?;
    let folder = path.parent().unwrap_or(Path::new("/"));
    fs::create_dir_all(folder).map_err(|e| cannot("make", folder, e))?;
    std::os::unix::fs::symlink(target, path).map_err(|e| cannot("make the link", path, e))?;
    placed.written += 1;
    Ok(())
}

/// Writes; leaves runs of zeros out of a file that had holes.
fn write(file: &mut File, bytes: &[u8], sparse: bool) -> io::Result<()> {
    if !sparse {
        return file.write_all(bytes);
    }
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
fn dress(path: &Path, record: &FileRecord, placed: &mut Placed) -> Result<(), Failure> {
    give(path, (record.uid, record.gid), placed).map_err(|e| cannot("look at", path, e))?;
    let mode = fs::Permissions::from_mode(record.mode);
    fs::set_permissions(path, mode).map_err(|e| cannot("set the mode of", path, e))?;
    for (name, value) in &record.attributes {
        let set = unhex(value).is_some_and(|value| {
            rustix::fs::lsetxattr(path, name.as_str(), &value, XattrFlags::empty()).is_ok()
        });
        // A file system without attributes of this kind keeps the file all the same.
        placed.attributes += u64::from(!set);
    }
    let seconds = record.modified.div_euclid(1_000_000_000);
    let rest = record.modified.rem_euclid(1_000_000_000);
    let time = Timespec { tv_sec: seconds, tv_nsec: rest };
    let times = Timestamps { last_access: time, last_modification: time };
    rustix::fs::utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW)
        .map_err(|e| cannot("set the time of", path, e.into()))
}

fn give(path: &Path, (uid, gid): (u32, u32), placed: &mut Placed) -> io::Result<()> {
    let found = fs::symlink_metadata(path)?;
    if (found.uid(), found.gid()) != (uid, gid)
        && std::os::unix::fs::chown(path, Some(uid), Some(gid)).is_err()
    {
        placed.owners += 1;
    }
    Ok(())
}

fn nanos(metadata: &fs::Metadata) -> i64 {
    metadata.mtime().saturating_mul(1_000_000_000).saturating_add(metadata.mtime_nsec())
}

pub(crate) fn unhex(text: &str) -> Option<Vec<u8>> {
    let pairs = text.as_bytes().chunks(2);
    pairs.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()).collect()
}

fn cannot(verb: &str, path: &Path, error: io::Error) -> Failure {
    let remedy = match error.kind() {
        io::ErrorKind::PermissionDenied => "run as root, or as the owner of the place",
        io::ErrorKind::StorageFull => "free some space, then run the same command again",
        _ => "see the cause, then run the same command again",
    };
    Failure::failed(format!("cannot {verb} {}", path.display()), remedy).because(error)
}

/// Puts a database of SQLite back. Its owner and mode are not in a backup: it gets those of the
/// file that was there, else the owner of its folder.
///
/// # Errors
/// As [`place`].
pub async fn sqlite(
    open: &OpenBackup,
    (content, path): (&Content, &Path),
    placing: &Placing<'_>,
) -> Result<StepDone, Failure> {
    let mut placed = Placed::default();
    let folder = path.parent().unwrap_or(Path::new("/"));
    fs::create_dir_all(folder).map_err(|e| cannot("make", folder, e))?;
    let before = fs::metadata(path).ok();
    let owner = match &before {
        Some(found) => (found.uid(), found.gid()),
        None => fs::metadata(folder)
            .map(|found| (found.uid(), found.gid()))
            .map_err(|e| cannot("look at", folder, e))?,
    };
    make_way(path, placing, &mut placed)?;
    // SQLite would take the log of the database that was there for one of this.
    for end in SQLITE_ENDS {
        let mut beside = path.as_os_str().to_owned();
        beside.push(end);
        if fs::symlink_metadata(&beside).is_ok() {
            move_aside(Path::new(&beside), placing, &mut placed)?;
        }
    }
    let mut file =
        tempfile::NamedTempFile::new_in(folder).map_err(|e| cannot("write into", folder, e))?;
    for piece in open.pieces(content)? {
        let bytes = piece.read().await?;
        placed.bytes += bytes.len() as u64;
        file.write_all(&bytes).map_err(|e| cannot("write", path, e))?;
    }
    give(file.path(), owner, &mut placed).map_err(|e| cannot("look at", path, e))?;
    if let Some(before) = before {
        let mode = fs::Permissions::from_mode(before.mode() & MODE_BITS);
        fs::set_permissions(file.path(), mode).map_err(|e| cannot("set the mode of", path, e))?;
    }
    file.as_file().sync_data().map_err(|e| cannot("write", path, e))?;
    file.persist(path).map_err(|e| cannot("write", path, e.error))?;
    placed.written += 1;
    Ok(placed.told())
}

//! File trees, put back: content, owner, mode, times, links, extended attributes, holes.

use std::fs::{self, File};
use std::io::{self, Seek, SeekFrom, Write};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use lifeboat_engine::context::Context;
use lifeboat_engine::failure::Failure;
use lifeboat_package::backup::{Component, FILES, FileKind, FileRecord};
use lifeboat_package::digest::{Digest, Hasher};
use lifeboat_vault::backup::OpenBackup;
use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, XattrFlags};

use crate::journal::StepDone;
use crate::targets::Targets;

/// Bytes that are looked at for being zeros, in files that had holes.
const HOLE_BYTES: usize = 4096;

/// How files are put back.
pub struct Placing<'a> {
    /// Where.
    pub targets: &'a Targets,
    /// Whether a file that is there and differs is moved aside; else it stops the step.
    pub replace: bool,
    /// What a file that is moved aside is called at its end.
    pub stamp: String,
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

#[derive(Default)]
struct Placed {
    written: u64,
    bytes: u64,
    equal: u64,
    aside: Vec<String>,
    owners: u64,
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
    if nanos(&metadata) == record.modified {
        return true;
    }
    // Small files are compared by what is in them.
    let [digest] = digests else { return false };
    record.size <= (16 << 20)
        && fs::read(path).is_ok_and(|bytes| {
            let mut hasher = Hasher::new();
            hasher.update(&bytes);
            hasher.finish() == *digest
        })
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
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".before-{}", placing.stamp));
    let aside = path.with_file_name(name);
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
    let found = fs::symlink_metadata(path).map_err(|e| cannot("look at", path, e))?;
    if (found.uid(), found.gid()) != (record.uid, record.gid)
        && std::os::unix::fs::chown(path, Some(record.uid), Some(record.gid)).is_err()
    {
        placed.owners += 1;
    }
    let mode = fs::Permissions::from_mode(record.mode);
    fs::set_permissions(path, mode).map_err(|e| cannot("set the mode of", path, e))?;
    for (name, value) in &record.attributes {
        let value = unhex(value).unwrap_or_default();
        // A file system without attributes of this kind keeps the file all the same.
        rustix::fs::lsetxattr(path, name.as_str(), &value, XattrFlags::empty()).ok();
    }
    let seconds = record.modified.div_euclid(1_000_000_000);
    let rest = record.modified.rem_euclid(1_000_000_000);
    let time = Timespec { tv_sec: seconds, tv_nsec: rest };
    let times = Timestamps { last_access: time, last_modification: time };
    rustix::fs::utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW)
        .map_err(|e| cannot("set the time of", path, e.into()))
}

fn nanos(metadata: &fs::Metadata) -> i64 {
    metadata.mtime().saturating_mul(1_000_000_000).saturating_add(metadata.mtime_nsec())
}

fn unhex(text: &str) -> Option<Vec<u8>> {
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

/// Writes content as one file; gives its bytes.
///
/// # Errors
/// As [`place`].
pub async fn whole_file(
    open: &OpenBackup,
    (content, path): (&lifeboat_package::backup::Content, &Path),
    placing: &Placing<'_>,
) -> Result<u64, Failure> {
    let mut placed = Placed::default();
    make_way(path, placing, &mut placed)?;
    let folder = path.parent().unwrap_or(Path::new("/"));
    fs::create_dir_all(folder).map_err(|e| cannot("make", folder, e))?;
    let mut file =
        tempfile::NamedTempFile::new_in(folder).map_err(|e| cannot("write into", folder, e))?;
    let mut size = 0;
    for piece in open.pieces(content)? {
        let bytes = piece.read().await?;
        size += bytes.len() as u64;
        file.write_all(&bytes).map_err(|e| cannot("write", path, e))?;
    }
    file.as_file().sync_data().map_err(|e| cannot("write", path, e))?;
    file.persist(path).map_err(|e| cannot("write", path, e.error))?;
    Ok(size)
}

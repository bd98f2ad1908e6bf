//! File trees, put back: content, owner, mode, times, links, extended attributes, holes.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Write};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;

use futures_util::{StreamExt, TryStreamExt, stream};
use lifeboat_engine::context::Context;
use lifeboat_engine::failure::Failure;
use lifeboat_engine::reader::apart;
use lifeboat_package::backup::{Component, Content, FILES, FileKind, FileRecord};
use lifeboat_vault::backup::OpenBackup;

use self::making::{Job, Look, Placed, Step, dress, dress_link, give, is_equal, is_other};
use crate::aside::{Asides, KeptPath, Thing};
use crate::journal::StepDone;
use crate::targets::Targets;

mod above;
mod making;

pub(crate) use making::digest_of;

/// Files that are made at once for each lane: most of the time they wait for the disk.
const FILES_A_LANE: usize = 4;
/// What SQLite has beside the file of a database.
const SQLITE_ENDS: [&str; 3] = ["-wal", "-shm", "-journal"];
/// As long as the name of a file that is being made.
const MADE_UNDER: &str = ".tmpXXXXXX";
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
    /// How many files are made side by side.
    pub lanes: usize,
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
    above::make(open, (component, placing.targets)).await?;
    let mut placed = Placed::default();
    let mut folders = Vec::new();
    for entry in open.record_entries(component, FILES) {
        let records = open.package().records::<FileRecord>(&entry).await?;
        let records = records.into_iter().filter(|record| wanted(&record.role));
        // What they are other names of was listed before, and is made first.
        let (names, records): (Vec<_>, Vec<_>) =
            records.partition(|record| record.hard_link.is_some());
        let work = records.into_iter().map(|record| one(cx, open, record, placing));
        let mut work =
            pin!(stream::iter(work).buffer_unordered(placing.lanes.max(1) * FILES_A_LANE));
        while let Some((more, folder)) = work.try_next().await? {
            placed.add(more);
            placed.keep_up().await?;
            folders.extend(folder);
        }
        for record in names {
            cx.go_on()?;
            placed.add(another_name(cx, open, record, placing).await?);
        }
    }
    // Times of a folder change with what is put into it, and who may not look into it cannot reach
    // what is below.
    folders.sort_by(|(a, _), (b, _): &(PathBuf, Look)| b.cmp(a));
    for (path, look) in &folders {
        dress(path, look, &mut placed)?;
    }
    placed.settle().await?;
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
    let work = records.into_iter().map(|record| {
        let path = into.join(&record.path);
        file(cx, open, (path, record), placing)
    });
    let mut work = pin!(stream::iter(work).buffer_unordered(placing.lanes.max(1) * FILES_A_LANE));
    while let Some(more) = work.try_next().await? {
        cx.go_on()?;
        placed.add(more);
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

/// Where a file was.
pub fn path_of(record: &FileRecord) -> PathBuf {
    let root = PathBuf::from(&record.root);
    let below = path_from(&record.path, record.path_bytes.as_deref());
    if below.as_os_str().is_empty() { root } else { root.join(below) }
}

/// A path that was written down as text, and as bytes where it is none.
fn path_from(text: &str, bytes: Option<&str>) -> PathBuf {
    match bytes.and_then(unhex) {
        Some(bytes) => PathBuf::from(std::ffi::OsString::from_vec(bytes)),
        None => PathBuf::from(text),
    }
}

/// Puts one entry back; a folder is handed on, to be dressed when all is in it.
async fn one(
    cx: &Context,
    open: &OpenBackup,
    record: FileRecord,
    placing: &Placing<'_>,
) -> Result<(Placed, Option<(PathBuf, Look)>), Failure> {
    cx.go_on()?;
    let path = placing.targets.place(&path_of(&record));
    if is_too_long(&path) {
        return Ok((Placed::too_long(&path), None));
    }
    match record.kind {
        FileKind::Folder => {
            let made = folder(&path, &record, placing)?;
            Ok((made, Some((path, Look::from(&record)))))
        }
        FileKind::Link => Ok((link(&path, &record, placing)?, None)),
        FileKind::File => Ok((file(cx, open, (path, record), placing).await?, None)),
    }
}

/// Whether the file system refuses the path, or the one that the file is made under: below another
/// folder a path is longer than it was.
fn is_too_long(path: &Path) -> bool {
    let refuses = |path: &Path| {
        let looked_at = fs::symlink_metadata(path);
        looked_at.is_err_and(|e| e.kind() == io::ErrorKind::InvalidFilename)
    };
    refuses(path) || refuses(&path.with_file_name(MADE_UNDER))
}

/// How many files are there that are not what the backup has, as far as size and time tell, and the
/// first of them.
///
/// # Errors
/// [`Failure`] when the backup is damaged.
pub(crate) async fn in_the_way(
    open: &OpenBackup,
    (component, targets): (&Component, &Targets),
    wanted: impl Fn(&str) -> bool,
) -> Result<Option<(u64, PathBuf)>, Failure> {
    let mut found: Option<(u64, PathBuf)> = None;
    for entry in open.record_entries(component, FILES) {
        let records = open.package().records::<FileRecord>(&entry).await?;
        for record in records.into_iter().filter(|record| wanted(&record.role)) {
            let path = targets.place(&path_of(&record));
            if is_other(&path, &record) {
                let (count, _) = found.get_or_insert((0, path));
                *count += 1;
            }
        }
    }
    Ok(found)
}

/// Makes a folder. A link that leads to one is followed where the tree itself begins: below, it
/// would lead what is written to a place that the backup never saw.
fn folder(path: &Path, record: &FileRecord, placing: &Placing<'_>) -> Result<Placed, Failure> {
    let mut placed = Placed::default();
    let is_root = record.path.is_empty() && record.path_bytes.is_none();
    let is_in_the_way = match fs::symlink_metadata(path) {
        Ok(found) if found.is_symlink() => !is_root || !path.is_dir(),
        Ok(found) => !found.is_dir(),
        Err(_) => false,
    };
    if is_in_the_way {
        make_way(path, placing, &mut placed)?;
    }
    fs::create_dir_all(path).map_err(|e| cannot("make", path, e))?;
    Ok(placed)
}

async fn file(
    cx: &Context,
    open: &OpenBackup,
    (path, record): (PathBuf, FileRecord),
    placing: &Placing<'_>,
) -> Result<Placed, Failure> {
    let Some(content) = record.content.clone() else { return Ok(Placed::default()) };
    let job = Arc::new(Job { path, record });
    let mut before = Placed::default();
    if fs::symlink_metadata(&job.path).is_ok() {
        let (looked_at, digests) = (job.clone(), content.digests().to_vec());
        let found = apart(move || {
            let is_there = is_equal(&looked_at.path, &looked_at.record, &digests);
            is_there.then(|| looked_at.found()).transpose()
        });
        if let Some(placed) = found.await?? {
            return Ok(placed);
        }
        make_way(&job.path, placing, &mut before)?;
    }
    let pieces = open.pieces(&content)?;
    let mut pieces = pieces.iter().peekable();
    let mut making = None;
    loop {
        // A file without bytes has no piece.
        let bytes = match pieces.next() {
            Some(piece) => piece.read().await?,
            None => Vec::new(),
        };
        cx.advance(bytes.len() as u64);
        let (job, is_last) = (job.clone(), pieces.peek().is_none());
        match apart(move || job.go_on(making, &bytes, is_last)).await?? {
            Step::Begun(begun) => making = Some(begun),
            Step::Done(placed) => {
                before.add(placed);
                return Ok(before);
            }
        }
    }
}

/// Gives a file its other name. Where that cannot be, it becomes a file of its own.
async fn another_name(
    cx: &Context,
    open: &OpenBackup,
    record: FileRecord,
    placing: &Placing<'_>,
) -> Result<Placed, Failure> {
    let path = placing.targets.place(&path_of(&record));
    if is_too_long(&path) {
        return Ok(Placed::too_long(&path));
    }
    let first = record.hard_link.clone().map(|path| FileRecord { path, ..record.clone() });
    let first = first.map(|first| placing.targets.place(&path_of(&first)));
    let mut before = Placed::default();
    // What differs gives way now, or it would become a file of its own.
    if placing.replace && first.is_some() && fs::symlink_metadata(&path).is_ok() {
        let job = Job { path: path.clone(), record: record.clone() };
        let digests = record.content.as_ref().map(Content::digests).unwrap_or_default().to_vec();
        if !apart(move || is_equal(&job.path, &job.record, &digests)).await? {
            make_way(&path, placing, &mut before)?;
        }
    }
    // What is there already is looked at as any other file is.
    if fs::symlink_metadata(&path).is_err()
        && let Some(first) = first
        && let Some(folder) = path.parent()
    {
        fs::create_dir_all(folder).map_err(|e| cannot("make", folder, e))?;
        if fs::hard_link(&first, &path).is_ok() {
            cx.advance(record.size);
            before.written += 1;
            return Ok(before);
        }
    }
    before.add(file(cx, open, (path, record), placing).await?);
    Ok(before)
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
    keep_as(path, &aside_of(path, "", placing), placing, placed)
}

/// What a file that is moved aside is called. `end` stands last: there SQLite looks for the log of
/// a database.
fn aside_of(path: &Path, end: &str, placing: &Placing<'_>) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".before-{}{end}", placing.stamp));
    path.with_file_name(name)
}

fn keep_as(
    path: &Path,
    aside: &Path,
    placing: &Placing<'_>,
    placed: &mut Placed,
) -> Result<(), Failure> {
    let kept = KeptPath::of(path, aside).map_err(|e| cannot("look at", path, e))?;
    placing.asides.note(Thing::Path(kept))?;
    fs::rename(path, aside).map_err(|e| cannot("move aside", path, e))?;
    placed.aside.push(aside.display().to_string());
    Ok(())
}

fn link(path: &Path, record: &FileRecord, placing: &Placing<'_>) -> Result<Placed, Failure> {
    let mut placed = Placed::default();
    let Some(target) = &record.target else { return Ok(placed) };
    let target = path_from(target, record.target_bytes.as_deref());
    if fs::read_link(path).is_ok_and(|found| found == target) {
        placed.equal += 1;
        dress_link(path, &Look::from(record), &mut placed)?;
        return Ok(placed);
    }
    make_way(path, placing, &mut placed)?;
    let folder = path.parent().unwrap_or(Path::new("/"));
    fs::create_dir_all(folder).map_err(|e| cannot("make", folder, e))?;
    std::os::unix::fs::symlink(target, path).map_err(|e| cannot("make the link", path, e))?;
    dress_link(path, &Look::from(record), &mut placed)?;
    placed.written += 1;
    Ok(placed)
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

/// Whose a file of `SQLite` was, and its mode: in what a backup tells of the database. Backups of
/// before this was kept do not tell.
#[derive(Default, serde::Deserialize)]
#[serde(default)]
struct Was {
    uid: Option<u32>,
    gid: Option<u32>,
    mode: Option<u32>,
}

/// Puts a database of SQLite back, with its owner and mode by `facts`. Where those do not tell, it
/// gets those of the file that was there, else the owner of its folder.
///
/// # Errors
/// As [`place`].
pub async fn sqlite(
    (open, component): (&OpenBackup, &Component),
    (content, path): (&Content, &Path),
    facts: &serde_json::Value,
    placing: &Placing<'_>,
) -> Result<StepDone, Failure> {
    let was: Was = serde_json::from_value(facts.clone()).unwrap_or_default();
    above::make(open, (component, placing.targets)).await?;
    let mut placed = Placed::default();
    let folder = path.parent().unwrap_or(Path::new("/"));
    fs::create_dir_all(folder).map_err(|e| cannot("make", folder, e))?;
    let before = fs::metadata(path).ok();
    let owner = match (was.uid.zip(was.gid), &before) {
        (Some(owner), _) => owner,
        (None, Some(found)) => (found.uid(), found.gid()),
        (None, None) => fs::metadata(folder)
            .map(|found| (found.uid(), found.gid()))
            .map_err(|e| cannot("look at", folder, e))?,
    };
    make_way(path, placing, &mut placed)?;
    // SQLite would take the log of the database that was there for one of this.
    for end in SQLITE_ENDS {
        let mut beside = path.as_os_str().to_owned();
        beside.push(end);
        if fs::symlink_metadata(&beside).is_ok() {
            keep_as(Path::new(&beside), &aside_of(path, end, placing), placing, &mut placed)?;
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
    if let Some(mode) = was.mode.or_else(|| before.map(|before| before.mode())) {
        let mode = fs::Permissions::from_mode(mode & MODE_BITS);
        fs::set_permissions(file.path(), mode).map_err(|e| cannot("set the mode of", path, e))?;
    }
    file.as_file().sync_data().map_err(|e| cannot("write", path, e))?;
    file.persist(path).map_err(|e| cannot("write", path, e.error))?;
    placed.written += 1;
    Ok(placed.told())
}

//! File trees: every file, folder and link below a root, with what it takes to make it again.
//!
//! Content that the vault has is named, not sent. A file that changes while it is read is read
//! again; one that keeps changing is a gap.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use lifeboat_engine::failure::Failure;
use lifeboat_engine::writer::sink::PartSink;
use lifeboat_package::backup::{Content, FILES, FileKind, FileRecord};
use lifeboat_package::digest::{Digest, Hasher};
use lifeboat_package::flow::{Batch, BlobPiece, Gap, Sink};
use lifeboat_package::frame::is_dense;
use lifeboat_package::limits::ENTRY_BYTES;

use super::lines::Lines;
use super::walked::{Listed, Walked, listed_below};
use super::{Poured, above, flow, send};
use crate::cache::Stamp;
use crate::known::Known;

/// Bytes of a segment of a file that is not media: pages of databases keep their place in it.
const SEGMENT_BYTES: usize = 4 << 20;
/// How often a tree is listed again, at most, while new names come up in it.
const LOOKS: u32 = 3;
/// How often a file that changes is read.
const READS: u32 = 3;
/// Files of whose state is written to the cache at a time.
pub(super) const REMEMBERED: usize = 2_000;
/// Files of several names that are remembered; the names of more come back as files of their own.
const NAMED: usize = 100_000;
/// A change this close to the reading could be followed by another of the same time stamp.
const SETTLED_NANOS: i64 = 2_000_000_000;

/// Whether trees of this role are put back before the rest, as whatever is there needs them.
pub fn is_configuration(role: &str) -> bool {
    matches!(role, "config" | "secrets")
}

/// A tree to read.
#[derive(Debug, Clone)]
pub struct Tree {
    /// What it is to the component: `config`, `secrets`, `data`, `media`, ….
    pub role: String,
    /// Its root: a folder or one file.
    pub root: PathBuf,
    /// What below it belongs to somebody else.
    pub without: Vec<PathBuf>,
}

impl Tree {
    /// Media are stored as they are: they are dense already, and whole files are alike.
    fn is_media(&self) -> bool {
        self.role == "media"
    }
}

/// Pours a tree.
///
/// # Errors
/// [`Failure`] when the package or the cache cannot be written. What cannot be read is a gap.
pub async fn pour(
    tree: &Tree,
    (known, now): (&Known, i64),
    sink: &mut PartSink,
) -> Result<Poured, Failure> {
    above::pour(&tree.root, sink).await?;
    let mut pouring = Pouring::of(tree, (known, now));
    pouring.walk(sink).await?;
    pouring.finish(sink).await
}

/// Pours one file that nobody else writes, in segments; gives their digests and its bytes.
///
/// # Errors
/// [`Failure`] when it cannot be read, or the package cannot be written.
pub async fn file_segments(
    path: &Path,
    known: &Known,
    sink: &mut PartSink,
) -> Result<(Vec<Digest>, Poured), Failure> {
    let cannot = |e: io::Error| {
        Failure::failed(format!("cannot read {}", path.display()), "run the command again")
            .because(e)
    };
    let file = open(path).map_err(cannot)?;
    let mut poured = Poured::default();
    let sent = send::segments((file, SEGMENT_BYTES), known, (&mut poured, sink)).await?;
    let (digests, bytes) = sent.map_err(cannot)?;
    poured.row_bytes = bytes;
    Ok((digests, poured))
}

/// Paths that were taken, each as a sum: there may be millions.
#[derive(Default)]
pub(super) struct Taken(HashSet<[u8; 16]>);

impl Taken {
    /// Adds a path; whether it is a new one.
    pub(super) fn add(&mut self, path: &str) -> bool {
        self.0.insert(short_sum(path))
    }

    pub(super) fn has(&self, path: &str) -> bool {
        self.0.contains(&short_sum(path))
    }

    pub(super) fn count(&self) -> usize {
        self.0.len()
    }
}

fn short_sum(path: &str) -> [u8; 16] {
    let whole = Digest::of(path.as_bytes());
    std::array::from_fn(|at| whole.as_bytes()[at])
}

/// A tree on its way into the package.
pub(super) struct Pouring<'a> {
    tree: &'a Tree,
    pub(super) known: &'a Known,
    /// Now, nanoseconds since 1970.
    now: i64,
    pub(super) lines: Lines,
    seen: Vec<(Vec<u8>, Stamp, Content)>,
    pub(super) poured: Poured,
    /// What was taken, where somebody asks.
    pub(super) taken: Option<Taken>,
    /// Files of several names that were taken, by device and inode: the first name, and how the
    /// file was then.
    named: HashMap<(u64, u64), (String, Stamp)>,
    walked: Walked,
}

impl<'a> Pouring<'a> {
    pub(super) fn of(tree: &'a Tree, (known, now): (&'a Known, i64)) -> Self {
        Self {
            tree,
            known,
            now: now.saturating_mul(1_000_000_000),
            lines: Lines::of(FILES),
            seen: Vec::new(),
            poured: Poured::default(),
            taken: None,
            named: HashMap::new(),
            walked: Walked::default(),
        }
    }

    /// Takes everything below the root, under the names that it has when it is read.
    pub(super) async fn walk(&mut self, sink: &mut PartSink) -> Result<(), Failure> {
        let tree = self.tree;
        let mut gone = self.go_through(vec![Listed::root(tree.root.clone())], sink).await?;
        // Media are written once and get no other name; there may be millions.
        if tree.is_media() {
            return Ok(());
        }
        for _ in 0..LOOKS {
            let again = self.walked.look_again(tree);
            for path in again.replaced {
                let detail = "it got the name of another file while we read; the backup has one";
                self.gap(sink, "file-changing", &path, detail).await?;
            }
            if again.fresh.is_empty() {
                return Ok(());
            }
            gone = self.go_through(again.fresh, sink).await?;
            if gone == 0 {
                return Ok(());
            }
        }
        let detail =
            format!("{gone} names were gone when it was their turn, in each of {LOOKS} looks");
        self.gap(sink, "file-gone", &tree.root, &detail).await
    }

    /// Takes what was listed, and everything below it; how many of them were gone.
    async fn go_through(
        &mut self,
        mut waiting: Vec<Listed>,
        sink: &mut PartSink,
    ) -> Result<u64, Failure> {
        let (tree, mut gone) = (self.tree, 0);
        while let Some(listed) = waiting.pop() {
            let path = &listed.path;
            if tree.without.contains(path) {
                continue;
            }
            // A root that is a link stands for what it leads to; below it links stay links.
            let is_root = *path == tree.root;
            let look = if is_root { std::fs::metadata } else { std::fs::symlink_metadata };
            match look(path) {
                Ok(metadata) => {
                    if !tree.is_media() {
                        self.walked.see(&listed, metadata.ino());
                    }
                    self.take(path, &metadata, &mut waiting, sink).await?;
                }
                Err(e) if e.kind() == io::ErrorKind::NotFound && !is_root => {
                    self.walked.miss(listed.inode);
                    gone += 1;
                }
                Err(e) => self.gap(sink, "file-unreadable", path, &e.to_string()).await?,
            }
        }
        Ok(gone)
    }

    async fn take(
        &mut self,
        path: &Path,
        metadata: &Metadata,
        waiting: &mut Vec<Listed>,
        sink: &mut PartSink,
    ) -> Result<(), Failure> {
        let kind = metadata.file_type();
        let mut record = record(self.tree, path, metadata);
        if kind.is_dir() {
            record.kind = FileKind::Folder;
            record.size = 0;
            match listed_below(path) {
                Ok(names) => {
                    if is_running_cluster(&names) {
                        let detail = "a PostgreSQL server that runs keeps its data here: its files \
                                      are of different moments, and may not start again";
                        self.gap(sink, "database-running", path, detail).await?;
                    }
                    waiting.extend(names);
                }
                Err(e) => self.gap(sink, "folder-unreadable", path, &e.to_string()).await?,
            }
        } else if kind.is_symlink() {
            record.kind = FileKind::Link;
            match std::fs::read_link(path) {
                Ok(target) => {
                    record.target_bytes = not_text(&target);
                    record.target = Some(target.to_string_lossy().into_owned());
                }
                Err(e) => return self.gap(sink, "file-unreadable", path, &e.to_string()).await,
            }
            if self.tree.is_media() {
                // Whoever moved media to another disk wants them in the backup.
                let detail = "media behind a link are not kept; the link is";
                self.gap(sink, "link-not-followed", path, detail).await?;
            }
        } else if kind.is_file() {
            let is_root = *path == self.tree.root;
            let real = is_root.then(|| std::fs::canonicalize(path).ok()).flatten();
            match self.content(real.as_deref().unwrap_or(path), metadata, sink).await? {
                Ok((content, size)) => {
                    record.content = Some(content);
                    record.size = size;
                    record.hard_link = self.other_name(&record, metadata);
                    self.poured.files += 1;
                    self.poured.file_bytes += size;
                }
                Err(gap) => return self.gap(sink, gap.0, path, &gap.1).await,
            }
        } else if kind.is_block_device() || kind.is_char_device() {
            return self.gap(sink, "device-not-kept", path, "devices are not kept").await;
        } else {
            // A socket or pipe is made anew by whoever listens at it.
            return Ok(());
        }
        record.attributes = attributes(path);
        if let Some(taken) = &mut self.taken {
            taken.add(&record.path);
        }
        self.lines.add(&record, sink).await
    }

    /// The name under which the file was taken before; keeps this one if it is the first.
    fn other_name(&mut self, record: &FileRecord, metadata: &Metadata) -> Option<String> {
        if metadata.nlink() < 2 || record.path.is_empty() || record.path_bytes.is_some() {
            return None;
        }
        let stamp = stamp_of(metadata);
        let key = (metadata.dev(), metadata.ino());
        if self.named.len() >= NAMED && !self.named.contains_key(&key) {
            return None;
        }
        let (name, was) = self.named.entry(key).or_insert_with(|| (record.path.clone(), stamp));
        // A file that was written in between is two contents in this backup.
        (*name != record.path && *was == stamp).then(|| name.clone())
    }

    /// The content of a file, and its size; or why there is none.
    pub(super) async fn content(
        &mut self,
        path: &Path,
        metadata: &Metadata,
        sink: &mut PartSink,
    ) -> Result<Result<(Content, u64), (&'static str, String)>, Failure> {
        let root = self.tree.root.as_os_str().as_bytes().to_vec();
        let name = path.as_os_str().as_bytes().to_vec();
        let mut stamp = stamp_of(metadata);
        if let Some(content) = self.known.unchanged(&root, &name, &stamp)? {
            return Ok(Ok((content, stamp.size)));
        }
        for _ in 0..READS {
            let read = match self.read(path, stamp.size, sink).await? {
                Ok(read) => read,
                Err(e) if e.kind() == io::ErrorKind::NotFound => {
                    return Ok(Err(("file-gone", "it was removed while we read".to_owned())));
                }
                Err(e) => return Ok(Err(("file-unreadable", e.to_string()))),
            };
            let after = match std::fs::symlink_metadata(path) {
                Ok(after) => stamp_of(&after),
                Err(e) => return Ok(Err(("file-gone", e.to_string()))),
            };
            if let Some((content, bytes)) = read
                && after == stamp
                && bytes == stamp.size
            {
                if self.now.saturating_sub(stamp.changed) > SETTLED_NANOS {
                    self.seen.push((name, stamp, content.clone()));
                }
                if self.seen.len() >= REMEMBERED {
                    self.remember()?;
                }
                return Ok(Ok((content, bytes)));
            }
            stamp = after;
        }
        Ok(Err(("file-changing", format!("it changed during each of {READS} readings"))))
    }

    /// Reads a file once; `None` when it was not the same from one reading to the next.
    async fn read(
        &mut self,
        path: &Path,
        size: u64,
        sink: &mut PartSink,
    ) -> Result<io::Result<Option<(Content, u64)>>, Failure> {
        let is_media = self.tree.is_media();
        let limit = if is_media { ENTRY_BYTES } else { SEGMENT_BYTES };
        if size <= limit as u64 {
            return self.small(path, (size, limit), sink).await;
        }
        if is_media { self.large(path, sink).await } else { self.segments(path, sink).await }
    }

    async fn segments(
        &mut self,
        path: &Path,
        sink: &mut PartSink,
    ) -> Result<io::Result<Option<(Content, u64)>>, Failure> {
        let file = match open(path) {
            Ok(file) => file,
            Err(e) => return Ok(Err(e)),
        };
        let to = (&mut self.poured, sink);
        let sent = send::segments((file, SEGMENT_BYTES), self.known, to).await?;
        Ok(sent.map(|(digests, bytes)| Some((Content::Segments(digests), bytes))))
    }

    /// A file of one piece. What does not compress is stored as it is, as media are.
    async fn small(
        &mut self,
        path: &Path,
        (size, limit): (u64, usize),
        sink: &mut PartSink,
    ) -> Result<io::Result<Option<(Content, u64)>>, Failure> {
        // Room for one byte more, so that the end is seen without growing.
        let mut bytes = Vec::with_capacity(usize::try_from(size).map_or(limit, |size| size + 1));
        let read = open(path).and_then(|file| {
            file.take(limit as u64 + 1).read_to_end(&mut bytes)?;
            Ok(())
        });
        if let Err(e) = read {
            return Ok(Err(e));
        }
        let size = bytes.len() as u64;
        if bytes.len() > limit {
            return Ok(Ok(None));
        }
        if !self.tree.is_media() && !is_dense(&bytes) {
            let mut digests = Vec::new();
            if !bytes.is_empty() {
                let to = (&mut self.poured, sink);
                digests.push(send::segment(bytes, self.known, to).await?);
            }
            return Ok(Ok(Some((Content::Segments(digests), size))));
        }
        let digest = Digest::of(&bytes);
        if self.known.is_wanted(digest.as_bytes(), 1) {
            self.poured.new_bytes += size;
            let blob = BlobPiece { sha256: *digest.as_bytes(), piece: None, bytes };
            sink.accept(Batch::Blob(blob)).await.map_err(flow)?;
        }
        Ok(Ok(Some((Content::Blob(digest), size))))
    }

    /// A blob in pieces: its name is the sum of the whole, so it is read twice.
    async fn large(
        &mut self,
        path: &Path,
        sink: &mut PartSink,
    ) -> Result<io::Result<Option<(Content, u64)>>, Failure> {
        let first = open(path).and_then(|mut file| sum(&mut file));
        let (digest, size) = match first {
            Ok(first) => first,
            Err(e) => return Ok(Err(e)),
        };
        let pieces = u32::try_from(size.div_ceil(ENTRY_BYTES as u64)).unwrap_or(u32::MAX);
        if size <= ENTRY_BYTES as u64 {
            return Ok(Ok(None));
        }
        if !self.known.is_wanted(digest.as_bytes(), pieces) {
            let is_there = !self.known.is_taken_back(digest.as_bytes());
            return Ok(Ok(is_there.then_some((Content::Blob(digest), size))));
        }
        let mut file = match open(path) {
            Ok(file) => file,
            Err(e) => {
                self.known.take_back(digest.as_bytes());
                return Ok(Err(e));
            }
        };
        let (mut again, mut is_same) = (Hasher::new(), false);
        for number in 1..=pieces {
            let bytes = match read_piece(&mut file, ENTRY_BYTES) {
                Ok(bytes) => bytes,
                Err(e) => {
                    self.known.take_back(digest.as_bytes());
                    return Ok(Err(e));
                }
            };
            again.update(&bytes);
            // Without its last piece nobody takes it for whole, not even while we find out.
            if number == pieces {
                is_same = again.clone().finish() == digest;
                if !is_same {
                    break;
                }
            }
            self.poured.new_bytes += bytes.len() as u64;
            let blob = BlobPiece { sha256: *digest.as_bytes(), piece: Some(number), bytes };
            sink.accept(Batch::Blob(blob)).await.map_err(flow)?;
        }
        if !is_same {
            self.known.take_back(digest.as_bytes());
        }
        Ok(Ok(is_same.then_some((Content::Blob(digest), size))))
    }

    pub(super) async fn gap(
        &mut self,
        sink: &mut PartSink,
        kind: &str,
        path: &Path,
        detail: &str,
    ) -> Result<(), Failure> {
        let remedy = match kind {
            "link-not-followed" => "name the place it leads to as a component of kind files",
            "database-running" => "name its databases as components of kind database",
            "device-not-kept" => "make it again with mknod after a restore, if it is needed",
            "file-changing" | "file-gone" => "nothing, if that is usual for it; else run again",
            _ => "make it readable for lifeboat, then run the backup again",
        };
        let gap = Gap {
            kind: kind.to_owned(),
            object: path.display().to_string(),
            detail: detail.to_owned(),
            remedy: remedy.to_owned(),
        };
        sink.accept(Batch::Gap(gap)).await.map_err(flow)
    }

    fn remember(&mut self) -> Result<(), Failure> {
        let root = self.tree.root.as_os_str().as_bytes();
        self.known.remember(root, &std::mem::take(&mut self.seen))
    }

    pub(super) async fn finish(mut self, sink: &mut PartSink) -> Result<Poured, Failure> {
        self.remember()?;
        self.lines.flush(sink).await?;
        Ok(self.poured)
    }
}

pub(super) fn record(tree: &Tree, path: &Path, metadata: &Metadata) -> FileRecord {
    let below = path.strip_prefix(&tree.root).unwrap_or(path);
    FileRecord {
        role: tree.role.clone(),
        root: tree.root.display().to_string(),
        path: below.to_string_lossy().into_owned(),
        path_bytes: not_text(below),
        kind: FileKind::File,
        mode: metadata.mode() & 0o7777,
        uid: metadata.uid(),
        gid: metadata.gid(),
        modified: nanos(metadata.mtime(), metadata.mtime_nsec()),
        size: metadata.len(),
        content: None,
        hard_link: None,
        target: None,
        target_bytes: None,
        attributes: BTreeMap::new(),
        sparse: metadata.is_file() && metadata.blocks().saturating_mul(512) < metadata.len(),
    }
}

fn stamp_of(metadata: &Metadata) -> Stamp {
    Stamp {
        size: metadata.len(),
        modified: nanos(metadata.mtime(), metadata.mtime_nsec()),
        changed: nanos(metadata.ctime(), metadata.ctime_nsec()),
        inode: metadata.ino(),
    }
}

fn nanos(seconds: i64, rest: i64) -> i64 {
    seconds.saturating_mul(1_000_000_000).saturating_add(rest)
}

/// Whether these are the names in the data folder of a PostgreSQL server that was not shut down.
fn is_running_cluster(names: &[Listed]) -> bool {
    let has = |name: &str| names.iter().any(|listed| listed.path.ends_with(name));
    has("PG_VERSION") && has("global") && has("postmaster.pid")
}

/// The bytes of a path that is not UTF-8, in hexadecimal.
fn not_text(path: &Path) -> Option<String> {
    path.to_str().is_none().then(|| hex(path.as_os_str().as_bytes()))
}

/// Opens a file without following a link that took its place.
fn open(path: &Path) -> io::Result<File> {
    use rustix::fs::{Mode, OFlags};
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
    Ok(File::from(rustix::fs::open(path, flags, Mode::empty())?))
}

fn read_piece(file: &mut File, limit: usize) -> io::Result<Vec<u8>> {
    let mut piece = Vec::new();
    file.take(limit as u64).read_to_end(&mut piece)?;
    Ok(piece)
}

fn sum(file: &mut File) -> io::Result<(Digest, u64)> {
    let (mut hasher, mut size) = (Hasher::new(), 0_u64);
    loop {
        let piece = read_piece(file, 1 << 20)?;
        if piece.is_empty() {
            return Ok((hasher.finish(), size));
        }
        size += piece.len() as u64;
        hasher.update(&piece);
    }
}

/// Extended attributes. A file system without any has none.
pub(super) fn attributes(path: &Path) -> BTreeMap<String, String> {
    // Most files have none, and there are millions of them.
    if matches!(rustix::fs::llistxattr(path, &mut [0_u8; 256]), Ok(0)) {
        return BTreeMap::new();
    }
    let mut names = vec![0_u8; 64 << 10];
    let Ok(length) = rustix::fs::llistxattr(path, &mut names) else { return BTreeMap::new() };
    let names = names.get(..length).unwrap_or_default();
    let read = |name: &[u8]| {
        let name = std::str::from_utf8(name).ok().filter(|name| !name.is_empty())?;
        let mut value = vec![0_u8; 64 << 10];
        let length = rustix::fs::lgetxattr(path, name, &mut value).ok()?;
        Some((name.to_owned(), hex(value.get(..length)?)))
    };
    names.split(|byte| *byte == 0).filter_map(read).collect()
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        write!(text, "{byte:02x}").ok();
        text
    })
}

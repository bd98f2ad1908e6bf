//! The media of a Synapse with storage providers: those on the disk, and those that only a provider
//! has, as one tree.
//!
//! The disk is read first: what is moved to a provider meanwhile is found there.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;

use lifeboat_components::synapse::media_path::{FOLDERS, MediaFile};
use lifeboat_engine::failure::Failure;
use lifeboat_engine::writer::sink::PartSink;
use lifeboat_package::backup::{Content, FileKind, FileRecord};
use lifeboat_package::flow::{Batch, Gap, Sink};
use lifeboat_storage::{Foreign, StorageError};
use lifeboat_suite::media::{Provider, ProviderAt};
use tokio::sync::SetOnce;

use super::tree::{Pouring, Taken, Tree, record};
use super::walked::listed_below;
use super::{Poured, above, bucket, flow};
use crate::known::Known;

/// Files that a media store and its providers may have: each is remembered during the run.
const FILES: usize = 5_000_000;
/// What a file that comes out of a bucket may be used by.
const MODE: u32 = 0o640;

/// The media of a Synapse, wherever they are.
#[derive(Clone)]
pub struct Union {
    /// The media store; what is in a provider is kept as if it were here.
    pub tree: Tree,
    /// Whether the media store is used at all.
    pub on_disk: bool,
    /// Where else they are, in order.
    pub providers: Vec<Provider>,
    told: Arc<SetOnce<Taken>>,
}

impl Union {
    /// Of a media store and its providers.
    pub fn of(tree: Tree, on_disk: bool, providers: Vec<Provider>) -> Self {
        Self { tree, on_disk, providers, told: Arc::default() }
    }

    /// Waits until everything was taken; then says what was.
    pub(super) async fn is_taken(&self) -> impl Fn(&MediaFile) -> bool {
        let taken = self.told.wait().await;
        |file: &MediaFile| taken.has(&file.path)
    }
}

/// Pours them.
///
/// # Errors
/// [`Failure`] when the package or the cache cannot be written. A provider that cannot be read is a
/// gap.
pub async fn pour(
    union: &Union,
    (known, now): (&Known, i64),
    sink: &mut PartSink,
) -> Result<Poured, Failure> {
    above::pour(&union.tree.root, sink).await?;
    let mut pouring = Pouring::of(&union.tree, (known, now));
    pouring.taken = Some(Taken::default());
    if union.on_disk {
        pouring.walk(sink).await?;
    }
    for provider in &union.providers {
        let mut adding = Adding { pouring: &mut pouring, store: &union.tree.root, sink };
        let added = match &provider.at {
            ProviderAt::Folder(folder) => adding.folder(folder).await?,
            ProviderAt::Bucket { bucket, prefix, access } => {
                match Foreign::open(bucket, prefix, access).await {
                    Ok(foreign) => bucket::add(&mut adding, &foreign).await?,
                    Err(error) => Err(told(&error)),
                }
            }
            ProviderAt::Unknown(why) => Err((*why).to_owned()),
        };
        if let Err(detail) = added {
            adding.unreadable(provider, detail).await?;
        }
    }
    // Nobody else sets it.
    drop(union.told.set(pouring.taken.take().unwrap_or_default()));
    pouring.finish(sink).await
}

/// Files of a provider on their way into the tree.
pub(super) struct Adding<'a, 'b> {
    pub(super) pouring: &'a mut Pouring<'b>,
    store: &'a Path,
    pub(super) sink: &'a mut PartSink,
}

impl Adding<'_, '_> {
    /// Whether a file of this path was taken already.
    pub(super) fn has(&self, path: &str) -> bool {
        self.pouring.taken.as_ref().is_some_and(|taken| taken.has(path))
    }

    /// What speaks against one more file.
    pub(super) fn room(&self) -> Result<(), String> {
        let count = self.pouring.taken.as_ref().map_or(0, Taken::count);
        let full = || format!("there are more than {FILES} files; the rest was not looked at");
        if count < FILES { Ok(()) } else { Err(full()) }
    }

    /// Files of a folder that are nowhere else.
    async fn folder(&mut self, root: &Path) -> Result<Result<(), String>, Failure> {
        let below = match listed_below(root) {
            Ok(below) => below,
            Err(e) => return Ok(Err(e.to_string())),
        };
        let is_media = |path: &Path| FOLDERS.iter().any(|folder| path.ends_with(folder));
        let below = below.into_iter().map(|listed| listed.path);
        let mut waiting: Vec<_> = below.filter(|path| is_media(path)).collect();
        while let Some(path) = waiting.pop() {
            if let Err(full) = self.room() {
                return Ok(Err(full));
            }
            let metadata = match std::fs::symlink_metadata(&path) {
                Ok(metadata) => metadata,
                Err(e) => {
                    self.gap("file-unreadable", &path, &e.to_string()).await?;
                    continue;
                }
            };
            if metadata.is_dir() {
                match listed_below(&path) {
                    Ok(names) => waiting.extend(names.into_iter().map(|listed| listed.path)),
                    Err(e) => self.gap("folder-unreadable", &path, &e.to_string()).await?,
                }
            } else if metadata.is_file() {
                self.file(root, &path, &metadata).await?;
            } else if metadata.is_symlink() && !self.has(&below_root(root, &path)) {
                self.gap("link-not-followed", &path, "media behind a link are not kept").await?;
            }
        }
        Ok(Ok(()))
    }

    async fn file(&mut self, root: &Path, path: &Path, metadata: &Metadata) -> Result<(), Failure> {
        let here = Tree { role: "media".to_owned(), root: root.to_owned(), without: Vec::new() };
        let mut record = record(&here, path, metadata);
        if self.has(&record.path) {
            return Ok(());
        }
        match self.pouring.content(path, metadata, self.sink).await? {
            Ok((content, size)) => {
                record.content = Some(content);
                record.size = size;
                self.add(record).await
            }
            Err((kind, detail)) => self.gap(kind, path, &detail).await,
        }
    }

    /// A file that came out of a bucket.
    pub(super) async fn object(
        &mut self,
        (name, modified): (&str, i64),
        (content, size): (Content, u64),
    ) -> Result<(), Failure> {
        let owner = std::fs::metadata(self.store).ok();
        let (uid, gid) = owner.map_or_else(own_ids, |owner| (owner.uid(), owner.gid()));
        let record = FileRecord {
            role: "media".to_owned(),
            root: String::new(),
            path: name.to_owned(),
            path_bytes: None,
            kind: FileKind::File,
            mode: MODE,
            uid,
            gid,
            modified,
            size,
            content: Some(content),
            hard_link: None,
            target: None,
            target_bytes: None,
            attributes: std::collections::BTreeMap::new(),
            sparse: false,
        };
        self.add(record).await
    }

    /// A file, after the folders that it is in.
    async fn add(&mut self, mut record: FileRecord) -> Result<(), Failure> {
        record.root = self.store.display().to_string();
        let store = std::fs::metadata(self.store).ok();
        let (uid, gid) = store.as_ref().map_or_else(own_ids, |store| (store.uid(), store.gid()));
        let mode = store.map_or(0o750, |store| store.mode() & 0o7777);
        let ends = record.path.match_indices('/').map(|(at, _)| at);
        let folders = std::iter::once(0).chain(ends).collect::<Vec<_>>();
        for end in folders {
            let path = record.path[..end].to_owned();
            if self.pouring.taken.as_mut().is_some_and(|taken| taken.add(&path)) {
                let (kind, content) = (FileKind::Folder, None);
                let attributes = std::collections::BTreeMap::new();
                let root = record.root.clone();
                let role = record.role.clone();
                let modified = record.modified;
                let folder = FileRecord {
                    role,
                    root,
                    path,
                    path_bytes: None,
                    kind,
                    mode,
                    uid,
                    gid,
                    modified,
                    size: 0,
                    content,
                    hard_link: None,
                    target: None,
                    target_bytes: None,
                    attributes,
                    sparse: false,
                };
                self.pouring.lines.add(&folder, self.sink).await?;
            }
        }
        if let Some(taken) = &mut self.pouring.taken {
            taken.add(&record.path);
        }
        self.pouring.poured.files += 1;
        self.pouring.poured.file_bytes += record.size;
        self.pouring.lines.add(&record, self.sink).await
    }

    pub(super) async fn gap(
        &mut self,
        kind: &str,
        path: &Path,
        detail: &str,
    ) -> Result<(), Failure> {
        self.pouring.gap(self.sink, kind, path, detail).await
    }

    async fn unreadable(&mut self, provider: &Provider, detail: String) -> Result<(), Failure> {
        let gap = Gap {
            kind: "media-provider-unreadable".to_owned(),
            object: provider.name.clone(),
            detail,
            remedy: "correct its place or its keys (lifeboat doctor shows both), then run the \
                     backup again; until then this backup lacks what only it has"
                .to_owned(),
        };
        self.sink.accept(Batch::Gap(gap)).await.map_err(flow)
    }
}

fn below_root(root: &Path, path: &Path) -> String {
    path.strip_prefix(root).unwrap_or(path).to_string_lossy().into_owned()
}

/// Who we are.
fn own_ids() -> (u32, u32) {
    (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw())
}

/// An error of a store with its cause, in one line.
pub(super) fn told(error: &StorageError) -> String {
    let cause = std::error::Error::source(error).map(|cause| format!(": {cause}"));
    format!("{error}{}", cause.unwrap_or_default())
}

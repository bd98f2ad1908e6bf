//! Files to their places: configuration first, then media; never over a file that differs.

use std::path::Path;
use std::sync::{Arc, Mutex};

use futures_util::{StreamExt, TryStreamExt, stream};
use lifeboat_components::synapse::config::place::{PlaceAction, place_config_files};
use lifeboat_components::synapse::read::media::MediaRecord;
use lifeboat_components::synapse::write::media::{MediaStore, Placed, append};
use lifeboat_package::digest::Digest;
use lifeboat_package::id::Section;
use tokio::sync::RwLock;

use super::check::{Checked, Contents};
use super::{ImportOutcome, ImportRequest};
use crate::context::{Context, Unit};
use crate::failure::Failure;
use crate::reader::places::ContentPlaces;
use crate::reader::{Package, apart, damaged};

/// Writes the configuration files that the target names and lacks.
///
/// # Errors
/// [`Failure`] at the first that cannot be written.
pub fn config(checked: &Checked, outcome: &mut ImportOutcome) -> Result<(), Failure> {
    let gaps = place_config_files(&checked.placements, &checked.config).map_err(|e| {
        Failure::failed("cannot write a configuration file", "see the cause").because(e)
    })?;
    outcome.gaps += gaps.len() as u64;
    outcome.warnings.extend(gaps.iter().map(|gap| format!("{}: {}", gap.object, gap.detail)));
    for placement in &checked.placements {
        let path = placement.target.as_ref().map(|path| path.display().to_string());
        match (&placement.action, path) {
            (PlaceAction::Write, Some(path)) => outcome.config_written.push(path),
            (PlaceAction::Differs, Some(path)) => outcome.warnings.push(format!(
                "{path} differs from the packaged {}; it was left alone",
                placement.setting
            )),
            _ => {}
        }
    }
    Ok(())
}

/// What became of the media files.
#[derive(Default)]
pub struct PlacedMedia {
    written: u64,
    equal: u64,
    warnings: Vec<String>,
}

impl PlacedMedia {
    /// Adds it to the outcome of the import.
    pub fn add_to(self, outcome: &mut ImportOutcome) {
        outcome.media_written += self.written;
        outcome.media_equal += self.equal;
        outcome.gaps += self.warnings.len() as u64;
        outcome.warnings.extend(self.warnings);
    }
}

/// How far the media are. They are written beside the rows and indexes, whose stages come first;
/// what was done by then is told when it is their turn.
pub struct MediaProgress<'a> {
    cx: &'a Context,
    any: bool,
    total: u64,
    told: Mutex<Option<u64>>,
    /// Whoever writes a file holds it for reading.
    writing: Arc<RwLock<()>>,
}

impl<'a> MediaProgress<'a> {
    /// Of the media of this package.
    pub fn new(cx: &'a Context, checked: &Checked) -> Self {
        let total = checked.package.manifest.volumes.iter().map(|volume| volume.size).sum();
        let any = !checked.package.manifest.sections.media.is_empty();
        Self { cx, any, total, told: Mutex::new(Some(0)), writing: Arc::default() }
    }

    /// Their turn has come.
    pub fn show(&self) {
        if !self.any {
            return;
        }
        self.cx.stage("media", self.total, Unit::Bytes);
        if let Some(done) = self.told.lock().ok().and_then(|mut told| told.take()) {
            self.cx.advance(done);
        }
    }

    /// Returns when nothing is being written any more: a file whose writing has begun is finished
    /// though nobody waits for it.
    pub async fn settled(&self) {
        drop(self.writing.write().await);
    }

    fn advance(&self, by: u64) {
        match self.told.lock().ok().as_deref_mut() {
            Some(Some(untold)) => *untold += by,
            _ => self.cx.advance(by),
        }
    }
}

/// Writes the media files, in parallel.
///
/// # Errors
/// [`Failure`] when an entry is damaged or the media store cannot be written.
pub async fn media(
    progress: &MediaProgress<'_>,
    request: &ImportRequest,
    checked: &Checked,
    contents: &Contents,
) -> Result<PlacedMedia, Failure> {
    let mut outcome = PlacedMedia::default();
    let root = &checked.opened.media_store;
    let of_media = contents.parts.iter().filter(|(part, _)| part.section == Section::Media);
    let index: Vec<_> = of_media.filter_map(|(_, names)| names.get("index")).flatten().collect();
    if index.is_empty() {
        return Ok(outcome);
    }
    let into = Placer::open(&checked.package, root, progress.writing.clone()).await?;
    for entry in index {
        let records = checked.package.records::<MediaRecord>(entry).await?;
        let placing = stream::iter(records.into_iter().map(|record| {
            let into = &into;
            async move {
                let placed = into.place(&record).await?;
                progress.advance(record.length);
                Ok::<_, Failure>((record, placed))
            }
        }));
        let mut placing = placing.buffer_unordered(request.lanes.max(1));
        while let Some((record, placed)) = placing.try_next().await? {
            match placed {
                Placed::Written => outcome.written += 1,
                Placed::Equal => outcome.equal += 1,
                Placed::Differs => {
                    let path = &record.path;
                    let warning = format!("media {path}: another file is there; it was left alone");
                    outcome.warnings.push(warning);
                }
            }
        }
    }
    Ok(outcome)
}

/// Puts files of a package into a media store, never over one that differs.
pub(crate) struct Placer<'a> {
    package: &'a Package,
    blobs: ContentPlaces,
    pub(crate) store: Arc<MediaStore>,
    /// Whoever writes a file holds it for reading.
    writing: Arc<RwLock<()>>,
}

impl<'a> Placer<'a> {
    /// For the store at `root`, which is made when it is not there.
    ///
    /// # Errors
    /// [`Failure`] when it cannot be made, or the package is damaged.
    pub(crate) async fn open(
        package: &'a Package,
        root: &Path,
        writing: Arc<RwLock<()>>,
    ) -> Result<Self, Failure> {
        let store = MediaStore::open(root);
        let store = store.map_err(|e| cannot_write(&root.display().to_string(), e))?;
        let blobs = ContentPlaces::of(package).await?;
        Ok(Self { package, blobs, store: Arc::new(store), writing })
    }

    /// Writes a file, unless there is one.
    ///
    /// # Errors
    /// [`Failure`] when an entry is damaged or the store cannot be written.
    pub(crate) async fn place(&self, record: &MediaRecord) -> Result<Placed, Failure> {
        let place = self.store.place(&record.path).ok_or_else(|| damaged(&record.path))?;
        let sha256: Digest = record.sha256.parse().map_err(|_| damaged(&record.path))?;
        let pieces = self.blobs.pieces(&sha256).ok_or_else(|| damaged(&record.path))?;
        let fail = |e| cannot_write(&record.path, e);
        if let [piece] = pieces.as_slice() {
            let bytes = self.package.content(piece).await?;
            let store = self.store.clone();
            let write = move || store.write(&place, &sha256, &[&bytes]);
            return self.write(write).await?.map_err(fail);
        }
        let (at, store) = (place.clone(), self.store.clone());
        if let Some(found) = apart(move || store.find(&at, &sha256)).await?.map_err(fail)? {
            return Ok(found);
        }
        let partial = self.store.begin(&place).map_err(fail)?;
        for piece in &pieces {
            let bytes = self.package.content(piece).await?;
            let to = partial.clone();
            self.write(move || append(&to, &bytes)).await?.map_err(fail)?;
        }
        self.store.finish(&partial, &place).map_err(fail)?;
        Ok(Placed::Written)
    }

    /// Writes on a thread of its own.
    async fn write<T: Send + 'static>(
        &self,
        write: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Failure> {
        let writing = self.writing.clone().read_owned().await;
        apart(move || {
            let written = write();
            drop(writing);
            written
        })
        .await
    }
}

/// A file of the media store cannot be written, or looked at.
pub(crate) fn cannot_write(path: &str, error: std::io::Error) -> Failure {
    Failure::failed(
        format!("cannot write media {path}"),
        "see that there is space and that we may write there, then run the command again",
    )
    .because(error)
}

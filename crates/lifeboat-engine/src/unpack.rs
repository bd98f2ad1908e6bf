//! Unpack: plain folders, JSON Lines and media files, for people and other programs.
//!
//! `DIR/<section>/<name>.jsonl` holds all records of a name, `DIR/media/files/…` the media as they
//! lie in the media store, `DIR/config/tree/…` the configuration files under the paths they had,
//! `DIR/manifest.json` the signed manifest. A run that does not come to its end leaves nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Component, Path, PathBuf};

use lifeboat_components::synapse::archive::MEDIA_INDEX;
use lifeboat_components::synapse::config::kept::KeptConfig;
use lifeboat_components::synapse::config::records::add_records;
use lifeboat_components::synapse::pick::RecordFilter;
use lifeboat_components::synapse::read::media::MediaRecord;
use lifeboat_components::synapse::write::media::{MediaStore, append};
use lifeboat_package::digest::Digest;
use lifeboat_package::id::{PartPath, Section};
use lifeboat_package::manifest::Part;
use lifeboat_package::selection::Selection;
use lifeboat_storage::{Access, Fresh};
use serde::Serialize;
use zeroize::Zeroizing;

use crate::context::{Context, Unit};
use crate::failure::Failure;
use crate::keyring::Identities;
use crate::reader::picked::{self, Picked};
use crate::reader::places::ContentPlaces;
use crate::reader::{EntryPlace, Package, damaged};

/// What was written.
#[derive(Debug, Clone, Default, Serialize)]
pub struct UnpackOutcome {
    /// Package id.
    pub package: String,
    /// Where.
    pub folder: String,
    /// Record files.
    pub record_files: u64,
    /// Records in them.
    pub records: u64,
    /// Configuration files.
    pub config_files: u64,
    /// Media files.
    pub media_files: u64,
    /// Bytes of both.
    pub bytes: u64,
    /// Gaps the export named.
    pub gaps: u64,
}

/// Unpacks a package into a new or empty folder.
///
/// # Errors
/// [`Failure`] when the package is damaged or the folder cannot be written; nothing is left there.
pub async fn unpack(
    cx: &Context,
    location: &str,
    identities: &Identities,
    (folder, selection): (&Path, &Selection),
    access: &Access,
) -> Result<UnpackOutcome, Failure> {
    let package = Package::open(location, identities, access).await?;
    let other = |part: &Part| !part.is_range_of_media();
    let entries = picked::entries_where(&package, selection, other).await?;
    let picked = picked::pick(&package, &entries, selection).await?;
    let fresh = make_fresh(cx, folder)?;
    let outcome = UnpackOutcome {
        package: package.manifest.package.to_string(),
        folder: folder.display().to_string(),
        gaps: package.manifest.gaps.total,
        ..UnpackOutcome::default()
    };
    let json = &package.manifest_json;
    create(&folder.join("manifest.json"))
        .and_then(|mut file| file.write_all(json))
        .map_err(|e| cannot_write(folder, e))?;
    cx.stage("unpack", picked.entries.iter().map(|(_, _, e)| e.record.raw).sum(), Unit::Bytes);
    let Picked { filter, entries: chosen } = picked;
    let store = Store::open(&package, folder)?;
    let mut unpacking = Unpacking { cx, folder, filter, store, files: BTreeMap::new(), outcome };
    for entry in &chosen {
        unpacking.entry(entry).await?;
    }
    // What lists files is looked for when it is known which: most of a package is not touched.
    for entry in &picked::files(&package, &unpacking.filter).await? {
        unpacking.entry(entry).await?;
    }
    let mut outcome = unpacking.finish()?;
    if selection.config {
        config_files(&package, &entries, folder, &mut outcome).await?;
    }
    fresh.keep();
    Ok(outcome)
}

/// A folder that fills.
struct Unpacking<'a> {
    cx: &'a Context,
    folder: &'a Path,
    filter: RecordFilter,
    store: Store<'a>,
    files: BTreeMap<PathBuf, BufWriter<File>>,
    outcome: UnpackOutcome,
}

impl Unpacking<'_> {
    /// Writes what was selected of an entry, and the files that it lists.
    async fn entry(
        &mut self,
        (part, name, place): &(PartPath, String, EntryPlace),
    ) -> Result<(), Failure> {
        self.cx.go_on()?;
        if part.section == Section::Media && !self.filter.may_take_media() {
            return Ok(());
        }
        let lines = self.store.package.content(place).await?;
        let broken = |e| damaged(place.record.path.as_str()).because(e);
        let lines = self.filter.lines(part.section, name, &lines).map_err(broken)?;
        self.cx.advance(place.record.raw);
        if lines.is_empty() {
            return Ok(());
        }
        if name == "readme" {
            return readme(&lines, self.folder);
        }
        let path = record_path(self.folder, *part, name);
        records(&lines, (&path, &mut self.files), &mut self.outcome)?;
        if part.section == Section::Media && name == MEDIA_INDEX {
            self.store.media(self.cx, &lines, &mut self.outcome).await?;
        }
        Ok(())
    }

    fn finish(self) -> Result<UnpackOutcome, Failure> {
        let mut outcome = self.outcome;
        for (path, mut file) in self.files {
            file.flush().map_err(|e| cannot_write(&path, e))?;
            outcome.record_files += 1;
        }
        Ok(outcome)
    }
}

/// Configuration files as files: `config/tree/` and the path they had.
async fn config_files(
    package: &Package,
    entries: &crate::reader::PartEntries,
    folder: &Path,
    outcome: &mut UnpackOutcome,
) -> Result<(), Failure> {
    let mut config = KeptConfig::default();
    let of_config = entries.iter().filter(|(part, _)| part.section == Section::Config);
    for (name, places) in of_config.flat_map(|(_, names)| names) {
        for place in places {
            let lines = Zeroizing::new(package.content(place).await?);
            add_records(&mut config, name, &lines)
                .map_err(|e| damaged(place.record.path.as_str()).because(e))?;
        }
    }
    let root = folder.join("config").join("tree");
    for file in &config.files {
        let plain = Path::new(&file.path).components().filter_map(|part| match part {
            Component::Normal(name) => Some(name),
            _ => None,
        });
        let path = root.join(plain.collect::<PathBuf>());
        match create(&path).and_then(|mut made| made.write_all(&file.bytes)) {
            Ok(()) => outcome.config_files += 1,
            // Two settings may name one file.
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
            Err(e) => return Err(cannot_write(&path, e)),
        }
    }
    Ok(())
}

/// A word to the person the package is about, where everybody looks first.
fn readme(lines: &[u8], folder: &Path) -> Result<(), Failure> {
    #[derive(serde::Deserialize)]
    struct Readme {
        text: String,
    }
    let readme: Readme = serde_json::from_slice(lines).map_err(|e| damaged("readme").because(e))?;
    let path = folder.join("README.txt");
    let written = create(&path).and_then(|mut file| file.write_all(readme.text.as_bytes()));
    written.map_err(|e| cannot_write(&path, e))
}

/// `<section>/<name>.jsonl`.
fn record_path(folder: &Path, part: PartPath, name: &str) -> PathBuf {
    folder.join(part.section.as_str()).join(format!("{name}.jsonl"))
}

fn records(
    lines: &[u8],
    (path, files): (&Path, &mut BTreeMap<PathBuf, BufWriter<File>>),
    outcome: &mut UnpackOutcome,
) -> Result<(), Failure> {
    if !files.contains_key(path) {
        let file = create(path).map_err(|e| cannot_write(path, e))?;
        files.insert(path.to_owned(), BufWriter::new(file));
    }
    let Some(file) = files.get_mut(path) else { return Ok(()) };
    file.write_all(lines).map_err(|e| cannot_write(path, e))?;
    outcome.records += lines.split_inclusive(|byte| *byte == b'\n').count() as u64;
    outcome.bytes += lines.len() as u64;
    Ok(())
}

/// The folder of media files.
struct Store<'a> {
    package: &'a Package,
    files: MediaStore,
    /// Looked for when the first file is wanted.
    blobs: Option<ContentPlaces>,
    seen: BTreeSet<String>,
}

impl<'a> Store<'a> {
    fn open(package: &'a Package, folder: &Path) -> Result<Self, Failure> {
        let root = folder.join("media").join("files");
        let files = MediaStore::open(&root).map_err(|e| cannot_write(&root, e))?;
        Ok(Self { package, files, blobs: None, seen: BTreeSet::new() })
    }

    /// Writes the files of some index records.
    async fn media(
        &mut self,
        cx: &Context,
        lines: &[u8],
        outcome: &mut UnpackOutcome,
    ) -> Result<(), Failure> {
        let blobs = match &mut self.blobs {
            Some(blobs) => blobs,
            none => none.insert(ContentPlaces::of(self.package).await?),
        };
        for line in lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            let record: MediaRecord =
                serde_json::from_slice(line).map_err(|e| damaged("index").because(e))?;
            if !self.seen.insert(record.path.clone()) {
                continue;
            }
            let store = &self.files;
            let path = store.place(&record.path).ok_or_else(|| damaged(&record.path))?;
            let sha256: Digest = record.sha256.parse().map_err(|_| damaged(&record.path))?;
            let partial = store.begin(&path).map_err(|e| cannot_write(&path, e))?;
            for piece in blobs.pieces(&sha256).ok_or_else(|| damaged(&record.path))? {
                cx.go_on()?;
                let bytes = self.package.content(&piece).await?;
                append(&partial, &bytes).map_err(|e| cannot_write(&path, e))?;
                cx.advance(bytes.len() as u64);
            }
            store.finish(&partial, &path).map_err(|e| cannot_write(&path, e))?;
            outcome.media_files += 1;
            outcome.bytes += record.length;
        }
        Ok(())
    }
}

/// The folder, new or empty: it will hold every secret of the server, and nothing when we fail.
///
/// # Errors
/// [`Failure`] when it cannot be made, or is not empty.
pub fn make_fresh<'a>(
    cx: &'a Context,
    folder: &'a Path,
) -> Result<Fresh<'a, impl Fn(String) + 'a>, Failure> {
    let made = Fresh::make(folder, |text| cx.note(text)).map_err(|e| cannot_write(folder, e))?;
    let what = || format!("{} is not empty", folder.display());
    let remedy = "name a new or empty folder; nothing was changed";
    made.ok_or_else(|| Failure::usage(what(), remedy))
}

/// Makes a file that only we can read, and its folders.
///
/// # Errors
/// When it is there, or cannot be made.
pub fn create(path: &Path) -> io::Result<File> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

/// A failure to write into the folder.
pub fn cannot_write(path: &Path, error: io::Error) -> Failure {
    Failure::failed(
        format!("cannot write {}", path.display()),
        "see that there is space and that we may write there",
    )
    .because(error)
}

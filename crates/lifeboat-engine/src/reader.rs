//! Reading a package: what is in the clear, and with an identity everything, whole or by range.

pub mod part;
pub mod picked;
pub mod places;
mod segments;

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use lifeboat_package::contents::{CONTENTS_NAME, Contents};
use lifeboat_package::header::{HEADER_NAME, Header, KEY_NAME};
use lifeboat_package::id::{PartPath, parse_volume_name};
use lifeboat_package::index::{IndexRecord, IndexRecords};
use lifeboat_package::key::PackageKey;
use lifeboat_package::limits::{KEY_FILE_BYTES, MANIFEST_RAW_BYTES};
use lifeboat_package::manifest::{MANIFEST_NAME, Manifest, Volume};
use lifeboat_package::seal::{HEAD, RangeKey, SealedRange, open_bytes, segment_around};
use lifeboat_storage::{Access, StorageError};
use serde::Serialize;
use serde::de::DeserializeOwned;
use zeroize::Zeroizing;

use self::segments::Segments;
use crate::failure::Failure;
use crate::files::{PackageFiles, storage};
use crate::keyring::{self, Identities};

/// Which package, and what opens it.
pub struct PackageRequest {
    /// File, folder or bucket.
    pub package: String,
    /// Without: the clear part only.
    pub identities: Option<Identities>,
    /// The process' environment.
    pub environment: Vec<(String, String)>,
}

/// The clear part of a package.
pub struct Clear {
    /// The files.
    pub files: PackageFiles,
    /// `header.json`.
    pub header: Header,
    /// `seal.json`.
    pub contents: Contents,
}

/// An open package.
pub struct Package {
    /// The clear part.
    pub clear: Clear,
    /// The key.
    pub key: PackageKey,
    /// What it holds.
    pub manifest: Manifest,
    /// The manifest's canonical JSON, as it was signed.
    pub manifest_json: Vec<u8>,
    segments: Segments,
}

/// Where an entry is.
#[derive(Debug, Clone)]
pub struct EntryPlace {
    /// Index of the volume in the manifest.
    pub volume: usize,
    /// What the volume's index says.
    pub record: IndexRecord,
}

/// The record entries of the parts that count: by part, then by name, in order of sequence.
pub type PartEntries = BTreeMap<PartPath, BTreeMap<String, Vec<EntryPlace>>>;

/// A package in a few words.
#[derive(Debug, Clone, Serialize)]
pub struct Named {
    /// Package id.
    pub package: String,
    /// Format version.
    pub version: String,
}

/// Opens the clear part of a package that stands alone.
///
/// # Errors
/// [`Failure`] when there is no package, its clear part is damaged, or it is a backup.
pub async fn open_clear(location: &str, access: &Access) -> Result<Clear, Failure> {
    let clear = open_any(location, access).await?;
    if clear.header.is_backup() {
        return Err(Failure::usage(
            format!("{location} is a backup, which needs the vault that it lies in"),
            "use lifeboat backup show or verify, or lifeboat restore, on the vault",
        ));
    }
    Ok(clear)
}

/// Opens the clear part of a package or a backup.
///
/// # Errors
/// [`Failure`] when there is none, or its clear part is damaged.
pub async fn open_any(location: &str, access: &Access) -> Result<Clear, Failure> {
    let files = PackageFiles::open(location, access).await?;
    let header = clear_file(&files, HEADER_NAME, MANIFEST_RAW_BYTES as u64).await?;
    let header = Header::parse(&header).map_err(|e| damaged(HEADER_NAME).because(e))?;
    let contents = clear_file(&files, CONTENTS_NAME, MANIFEST_RAW_BYTES as u64).await?;
    let contents = Contents::parse(&contents).map_err(|e| damaged(CONTENTS_NAME).because(e))?;
    if contents.package != *header.package() {
        return Err(damaged("seal.json: it belongs to another package, so it"));
    }
    Ok(Clear { files, header, contents })
}

impl Clear {
    /// Opens the package with an identity.
    ///
    /// # Errors
    /// [`Failure`] when no identity fits, or key, manifest or seal do not belong together.
    pub async fn open(self, identities: &Identities) -> Result<Package, Failure> {
        let id = *self.header.package();
        let key_age = clear_file(&self.files, KEY_NAME, KEY_FILE_BYTES as u64).await?;
        let key = keyring::unwrap(identities, &key_age, &id)?;
        self.header.check_key(&key).map_err(|e| damaged(HEADER_NAME).because(e))?;
        let sealed = clear_file(&self.files, MANIFEST_NAME, 2 * MANIFEST_RAW_BYTES as u64).await?;
        let frame = open_bytes(&key, &id, MANIFEST_NAME, &sealed)
            .map_err(|e| damaged(MANIFEST_NAME).because(e))?;
        let (manifest, manifest_json) =
            Manifest::from_frame(&frame).map_err(|e| damaged(MANIFEST_NAME).because(e))?;
        manifest
            .check_against(&self.header, &self.contents)
            .map_err(|e| damaged(CONTENTS_NAME).because(e))?;
        let segments = Segments::default();
        Ok(Package { clear: self, key, manifest, manifest_json, segments })
    }
}

impl Package {
    /// Opens a package with an identity.
    ///
    /// # Errors
    /// [`Failure`]; see [`open_clear`] and [`Clear::open`].
    pub async fn open(
        location: &str,
        identities: &Identities,
        access: &Access,
    ) -> Result<Self, Failure> {
        open_clear(location, access).await?.open(identities).await
    }

    /// The index of a volume, checked against the manifest, record by record.
    ///
    /// # Errors
    /// [`Failure`] when it cannot be read or is damaged.
    pub async fn index(
        &self,
        volume: &Volume,
    ) -> Result<impl Iterator<Item = Result<IndexRecord, Failure>>, Failure> {
        let place = &volume.index;
        let bytes = self.read(volume, place.offset, place.length).await?;
        if lifeboat_package::digest::Digest::of(&bytes) != place.sha256 {
            return Err(damaged(&volume.name));
        }
        let name = volume.name.clone();
        let broken = move |e| damaged(&name).because(e);
        let records = IndexRecords::parse(bytes).map_err(&broken)?;
        Ok(records.map(move |record| record.map_err(&broken)))
    }

    /// The record entries of all parts that the manifest names.
    ///
    /// # Errors
    /// [`Failure`] when an index is damaged.
    pub async fn part_entries(&self) -> Result<PartEntries, Failure> {
        self.part_entries_of(|_| true).await
    }

    /// The record entries of the parts that are wanted. Volumes that hold none are not touched.
    ///
    /// # Errors
    /// [`Failure`] when an index is damaged.
    pub async fn part_entries_of(
        &self,
        wanted: impl Fn(&PartPath) -> bool,
    ) -> Result<PartEntries, Failure> {
        let all = self.manifest.sections.all().map(|part| part.part);
        let mut parts: PartEntries =
            all.filter(|part| wanted(part)).map(|part| (part, BTreeMap::new())).collect();
        for (at, volume) in self.manifest.volumes.iter().enumerate() {
            if !volume.may_hold(&wanted) {
                continue;
            }
            for record in self.index(volume).await? {
                let record = record?;
                let Some((part, name, _)) = record.path.record() else { continue };
                let Some(names) = parts.get_mut(&part) else { continue };
                let name = name.to_owned();
                names.entry(name).or_default().push(EntryPlace { volume: at, record });
            }
        }
        for entries in parts.values_mut().flat_map(BTreeMap::values_mut) {
            entries.sort_by_key(|entry| entry.record.path.record().map(|(_, _, n)| n));
        }
        Ok(parts)
    }

    /// The content of an entry (decompressed, for records and segments), checked.
    ///
    /// # Errors
    /// [`Failure`] when it cannot be read or is damaged.
    pub async fn content(&self, entry: &EntryPlace) -> Result<Vec<u8>, Failure> {
        let IndexRecord { offset, length, path, .. } = &entry.record;
        let Some(volume) = self.manifest.volumes.get(entry.volume) else {
            return Err(damaged(path.as_str()));
        };
        let stored = self.read(volume, *offset, *length).await?;
        let record = entry.record.clone();
        let checked = apart(move || record.verify(stored)).await?;
        checked.map_err(|e| damaged(&volume.name).because(e))
    }

    /// The records of an entry, where there are few of them.
    ///
    /// # Errors
    /// [`Failure`] when it is damaged or one of them is not of this form.
    pub async fn records<T: DeserializeOwned>(
        &self,
        entry: &EntryPlace,
    ) -> Result<Vec<T>, Failure> {
        records(entry, &self.content(entry).await?)
    }

    /// Plaintext bytes of a volume.
    async fn read(&self, volume: &Volume, offset: u64, length: u64) -> Result<Vec<u8>, Failure> {
        let outside = |e| damaged(&volume.name).because(e);
        SealedRange::of(volume.size, offset, length).map_err(outside)?;
        let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or_default());
        let (mut at, end) = (offset, offset + length);
        while at < end {
            let stretch = segment_around(volume.size, at).map_err(outside)?;
            let segment = self.segments.segment(volume_number(volume), stretch.start);
            let open = || self.open_segment(volume, stretch.clone());
            let plaintext = segment.get_or_try_init(open).await?;
            let until = end.min(stretch.end);
            let within = |at: u64| usize::try_from(at - stretch.start).unwrap_or(usize::MAX);
            let wanted = plaintext.get(within(at)..within(until));
            bytes.extend_from_slice(wanted.ok_or_else(|| damaged(&volume.name))?);
            at = until;
        }
        Ok(bytes)
    }

    /// Begins to read the segment after this one, if the volume is read from front to end.
    fn read_ahead(&self, volume: &Volume, stretch: &Range<u64>) {
        let number = volume_number(volume);
        let is_first = stretch.start == 0;
        let before = segment_around(volume.size, stretch.start.saturating_sub(1));
        let is_in_order =
            !is_first && before.is_ok_and(|before| self.segments.is_kept(number, before.start));
        let Ok(next) = segment_around(volume.size, stretch.end) else { return };
        if !is_in_order || self.segments.is_kept(number, next.start) {
            return;
        }
        let range = SealedRange::of(volume.size, next.start, next.end - next.start);
        let Ok(range) = range else { return };
        if let Some(reading) = self.clear.files.read_ahead(&volume.name, range.bytes()) {
            self.segments.keep_ahead(number, next.start, reading);
        }
    }

    /// Reads and opens the segment that holds exactly these plaintext bytes.
    async fn open_segment(
        &self,
        volume: &Volume,
        stretch: Range<u64>,
    ) -> Result<Zeroizing<Vec<u8>>, Failure> {
        let broken = |e| damaged(&volume.name).because(e);
        let unreadable = |e| match e {
            // The manifest names it, and so many bytes of it: it was whole once.
            StorageError::NotFound { .. } | StorageError::Damaged { .. } => broken_off(volume, e),
            e => storage(Failure::failed(format!("cannot read {}", volume.name), ""), e),
        };
        let range = SealedRange::of(volume.size, stretch.start, stretch.end - stretch.start);
        let range = range.map_err(broken)?;
        let key = if let Some(key) = self.segments.key(volume_number(volume)) {
            key
        } else {
            let head = self.clear.files.read(&volume.name, 0..HEAD as u64).await;
            let head = head.map_err(unreadable)?;
            let id = &self.manifest.package;
            let key = RangeKey::new(&self.key, id, &volume.name, &head).map_err(broken)?;
            let key = Arc::new(key);
            self.segments.keep_key(volume_number(volume), &key);
            key
        };
        self.read_ahead(volume, &stretch);
        let sealed = match self.segments.take_ahead(volume_number(volume), stretch.start) {
            Some(reading) => reading.bytes().await,
            None => self.clear.files.read(&volume.name, range.bytes()).await,
        };
        let sealed = sealed.map_err(unreadable)?;
        let opened = apart(move || range.open(&key, &sealed)).await?;
        opened.map(Zeroizing::new).map_err(broken)
    }
}

/// Opens, checks, unpacks or writes on a thread of its own, so that lanes do so side by side.
///
/// # Errors
/// [`Failure`] when the thread is gone.
pub async fn apart<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Failure> {
    let cut_short = |e| Failure::failed("work was cut short", "run the command again").because(e);
    tokio::task::spawn_blocking(work).await.map_err(cut_short)
}

/// The records in the lines of an entry.
///
/// # Errors
/// [`Failure`] when one of them is not of this form.
pub(crate) fn records<T: DeserializeOwned>(
    entry: &EntryPlace,
    lines: &[u8],
) -> Result<Vec<T>, Failure> {
    let lines = lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    let record = |line| {
        serde_json::from_slice(line).map_err(|e| damaged(entry.record.path.as_str()).because(e))
    };
    lines.map(record).collect()
}

/// The number of a volume, 0 for a name that is none.
pub(crate) fn volume_number(volume: &Volume) -> u32 {
    parse_volume_name(&volume.name).unwrap_or_default()
}

async fn clear_file(files: &PackageFiles, name: &str, limit: u64) -> Result<Vec<u8>, Failure> {
    let read = files
        .read_whole(name, limit)
        .await
        .map_err(|e| storage(Failure::failed(format!("cannot read {name}"), ""), e))?;
    let missing = || {
        let damage = files.damage().map_or_else(String::new, |damage| format!(" ({damage})"));
        Failure::not_valid(
            format!("this is no whole package: {name} is missing or too large{damage}"),
            "if the export was cut short, run it again; else look for another copy",
        )
    };
    read.map(|bytes| bytes.to_vec()).ok_or_else(missing)
}

/// A volume is lost or cut off.
fn broken_off(volume: &Volume, error: StorageError) -> Failure {
    let what = format!("{} is missing or cut off", volume.name);
    Failure::not_valid(what, "look for another copy of the package").because(error)
}

/// An object of the package is damaged.
pub fn damaged(object: &str) -> Failure {
    Failure::not_valid(format!("{object} is damaged"), "look for another copy of the package")
}

//! Verify: is the package complete, and is every bit of it what was written? Reads everything,
//! trusts nothing.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::StreamExt;
use futures_util::stream;
use lifeboat_components::synapse::read::media::MediaRecord;
use lifeboat_package::contents::{CONTENTS_NAME, SealedFile};
use lifeboat_package::digest::Hasher;
use lifeboat_package::id::PartPath;
use lifeboat_package::manifest::Volume;
use lifeboat_package::unpack::{Entry, VolumeUnpacker};
use lifeboat_storage::Access;
use serde::Serialize;

use crate::context::{Context, Unit};
use crate::failure::Failure;
use crate::reader::{Clear, Package, PackageRequest, open_clear, volume_number};
use crate::signature::{fits_named_key, signers};

/// Volumes read at a time.
const LANES: usize = 2;

/// What was found.
#[derive(Debug, Clone, Default, Serialize)]
pub struct VerifyOutcome {
    /// Package id.
    pub package: String,
    /// Every file is there with its size.
    pub complete: bool,
    /// Everything that was checked is right.
    pub valid: bool,
    /// Whether an identity was given, so that the content was checked too.
    pub content_checked: bool,
    /// Server, when the content was checked.
    pub server_name: Option<String>,
    /// Who signed the manifest, with the key it names; whether that is to be trusted is for import
    /// to decide.
    pub signed_by: Vec<String>,
    /// Bytes read.
    pub bytes: u64,
    /// Entries checked.
    pub entries: u64,
    /// Records checked.
    pub records: u64,
    /// Gaps the export named.
    pub gaps: u64,
    /// What is wrong, each with the object's name.
    pub problems: Vec<String>,
}

/// Verifies a package. A package that is not valid is an outcome, not a failure.
///
/// # Errors
/// [`Failure`] when it cannot be read at all, or no identity opens it.
pub async fn verify(cx: &Context, request: &PackageRequest) -> Result<VerifyOutcome, Failure> {
    let access = Access::new(request.environment.iter().cloned());
    let clear = open_clear(&request.package, &access).await?;
    let mut outcome =
        VerifyOutcome { package: clear.header.package().to_string(), ..VerifyOutcome::default() };
    container(&clear, &mut outcome);
    outcome.complete = outcome.problems.is_empty();
    match &request.identities {
        None => {
            let total = clear.contents.files.iter().map(|file| file.size).sum();
            cx.stage("verify", total, Unit::Bytes);
            for file in &clear.contents.files {
                sealed_file(cx, &clear, file, &mut outcome).await?;
            }
        }
        Some(identities) => {
            let mut small = clear.contents.files.clone();
            small.retain(|file| !file.name.starts_with("volumes/"));
            for file in &small {
                sealed_file(cx, &clear, file, &mut outcome).await?;
            }
            if outcome.problems.is_empty() {
                let package = clear.open(identities).await?;
                content(cx, &package, &mut outcome).await?;
            }
            outcome.content_checked = true;
        }
    }
    outcome.valid = outcome.problems.is_empty();
    Ok(outcome)
}

/// Every file of the seal is there with its size, and nothing else.
fn container(clear: &Clear, outcome: &mut VerifyOutcome) {
    let mut problem = |text: String| outcome.problems.push(text);
    if let Some(damage) = clear.files.damage() {
        problem(format!("archive: {damage}"));
    }
    let mut seen = BTreeSet::new();
    for found in clear.files.found() {
        if !seen.insert(found.name.clone()) {
            problem(format!("{}: it is there twice", found.name));
        }
        let listed = clear.contents.file(&found.name);
        if listed.is_none() && found.name != CONTENTS_NAME {
            problem(format!("{}: it does not belong to the package", found.name));
        }
    }
    for file in &clear.contents.files {
        match clear.files.size(&file.name) {
            None => problem(format!("{}: it is missing", file.name)),
            Some(size) if size != file.size => {
                problem(format!("{}: {size} bytes, not {}", file.name, file.size));
            }
            Some(_) => {}
        }
    }
    if matches!(clear.files, crate::files::PackageFiles::Archive { .. }) {
        let found: Vec<String> = clear.files.found().into_iter().map(|file| file.name).collect();
        let listed = clear.contents.files.iter().map(|file| file.name.as_str());
        let expected: Vec<&str> = listed.chain([CONTENTS_NAME]).collect();
        if found != expected && outcome.problems.is_empty() {
            outcome.problems.push("archive: its members are in the wrong order".to_owned());
        }
    }
}

/// The SHA-256 of a file is the seal's.
async fn sealed_file(
    cx: &Context,
    clear: &Clear,
    file: &SealedFile,
    outcome: &mut VerifyOutcome,
) -> Result<(), Failure> {
    if clear.files.size(&file.name) != Some(file.size) {
        return Ok(());
    }
    let mut hasher = Hasher::new();
    let unreadable = |e: lifeboat_storage::StorageError| format!("{}: {e}", file.name);
    let mut pieces = match clear.files.stream(&file.name).await {
        Ok(pieces) => pieces,
        Err(e) => {
            outcome.problems.push(unreadable(e));
            return Ok(());
        }
    };
    loop {
        match pieces.next().await {
            Ok(Some(piece)) => {
                hasher.update(&piece);
                cx.advance(piece.len() as u64);
                outcome.bytes += piece.len() as u64;
            }
            Ok(None) => break,
            Err(e) => {
                outcome.problems.push(unreadable(e));
                return Ok(());
            }
        }
    }
    if hasher.finish() != file.sha256 {
        outcome.problems.push(format!("{}: its SHA-256 is not the seal's", file.name));
    }
    Ok(())
}

/// What volumes hold, as far as the checks across them need it.
#[derive(Default)]
pub struct Seen {
    /// Sealed bytes.
    pub bytes: u64,
    /// Entries.
    pub entries: u64,
    /// Records of parts that count.
    pub records: u64,
    parts: BTreeMap<PartPath, (u64, u64)>,
    /// Blobs that are there, and those that media are said to be in; each may be there twice.
    blobs: Vec<[u8; 32]>,
    wanted: Vec<[u8; 32]>,
    /// What is wrong.
    pub problems: Vec<String>,
}

impl Seen {
    /// Leaves out records of parts: in volumes that are borrowed for their content, those are
    /// somebody else's.
    #[must_use]
    pub fn without_parts(self) -> Self {
        Self { records: 0, parts: BTreeMap::new(), ..self }
    }

    /// Adds what was seen elsewhere.
    pub fn add(&mut self, seen: Self) {
        self.bytes += seen.bytes;
        self.entries += seen.entries;
        self.records += seen.records;
        for (part, (records, bytes)) in seen.parts {
            let sum = self.parts.entry(part).or_default();
            *sum = (sum.0 + records, sum.1 + bytes);
        }
        self.blobs.extend(seen.blobs);
        self.wanted.extend(seen.wanted);
        self.problems.extend(seen.problems);
    }
}

/// Reads volumes of a package whole.
pub async fn volumes(cx: &Context, package: &Package, volumes: &[&Volume]) -> Seen {
    let checks = volumes.iter().map(|volume| volume_content(cx, package, volume));
    let mut checks = stream::iter(checks).buffer_unordered(LANES);
    let mut all = Seen::default();
    while let Some(seen) = checks.next().await {
        all.add(seen);
    }
    all
}

async fn content(
    cx: &Context,
    package: &Package,
    outcome: &mut VerifyOutcome,
) -> Result<(), Failure> {
    let manifest = &package.manifest;
    outcome.server_name = Some(manifest.metadata.server_id.clone());
    outcome.gaps = manifest.gaps.total;
    outcome.signed_by = signers(manifest);
    if !outcome.signed_by.is_empty() && !fits_named_key(package)? {
        let signers = outcome.signed_by.join(", ");
        outcome.problems.push(format!("manifest.sealed: the signature of {signers} is wrong"));
    }
    cx.stage("verify", manifest.volumes.iter().map(|volume| volume.size).sum(), Unit::Bytes);
    let listed: Vec<&Volume> = manifest.volumes.iter().collect();
    let mut all = volumes(cx, package, &listed).await;
    parts(package, &mut all);
    all.blobs.sort_unstable();
    all.wanted.sort_unstable();
    all.wanted.dedup();
    for lost in all.wanted.iter().filter(|wanted| all.blobs.binary_search(wanted).is_err()) {
        let name = lifeboat_package::id::blob_path(lost, None);
        all.problems.push(format!("{name}: the media index names it, no volume holds it"));
    }
    outcome.bytes += all.bytes;
    outcome.entries = all.entries;
    outcome.records = all.records;
    outcome.problems.extend(all.problems);
    Ok(())
}

/// Compares the counts of each part with the manifest.
pub fn parts(package: &Package, all: &mut Seen) {
    for part in package.manifest.sections.all() {
        let found = all.parts.get(&part.part).copied().unwrap_or_default();
        if found != (part.records, part.bytes) {
            all.problems.push(format!(
                "{}: {} records in {} bytes, the manifest says {} in {}",
                part.part, found.0, found.1, part.records, part.bytes
            ));
        }
    }
}

async fn volume_content(cx: &Context, package: &Package, volume: &Volume) -> Seen {
    let mut seen = Seen::default();
    if let Err(problem) = read_volume(cx, package, volume, &mut seen).await {
        seen.problems.push(format!("{}: {problem}", volume.name));
    }
    seen
}

async fn read_volume(
    cx: &Context,
    package: &Package,
    volume: &Volume,
    seen: &mut Seen,
) -> Result<(), String> {
    let with_cause = |e: &dyn std::error::Error| match e.source() {
        Some(cause) => format!("{e}: {cause}"),
        None => e.to_string(),
    };
    let mut pieces = package.clear.files.stream(&volume.name).await.map_err(|e| with_cause(&e))?;
    let id = &package.manifest.package;
    let mut unpacker = Some(VolumeUnpacker::begin(&package.key, id, volume_number(volume)));
    while let Some(open) = unpacker.take() {
        let piece = pieces.next().await.map_err(|e| with_cause(&e))?;
        let length = piece.as_ref().map_or(0, |piece| piece.len() as u64);
        // Hashing and opening are the work here: off the runtime, so that lanes run side by side.
        let step = tokio::task::spawn_blocking(move || step(open, piece));
        let (rest, entries) = step.await.map_err(|e| e.to_string())?.map_err(|e| with_cause(&e))?;
        cx.advance(length);
        seen.bytes += length;
        for entry in &entries {
            take(package, entry, seen);
        }
        match rest {
            Step::More(open) => unpacker = Some(*open),
            Step::End(check) if volume.agrees_with(&check) => {}
            Step::End(_) => return Err("it is not the one the manifest names".to_owned()),
        }
    }
    Ok(())
}

enum Step {
    More(Box<VolumeUnpacker>),
    End(Volume),
}

fn step(
    mut unpacker: VolumeUnpacker,
    piece: Option<bytes::Bytes>,
) -> Result<(Step, Vec<Entry>), lifeboat_package::unpack::UnpackError> {
    let mut entries = Vec::new();
    let Some(piece) = piece else {
        let check = unpacker.finish(&mut entries)?;
        return Ok((Step::End(check.volume), entries));
    };
    unpacker.feed(&piece, &mut entries)?;
    Ok((Step::More(Box::new(unpacker)), entries))
}

fn take(package: &Package, entry: &Entry, seen: &mut Seen) {
    seen.entries += 1;
    if let Some((sha256, _)) = entry.path.blob() {
        seen.blobs.push(sha256);
        return;
    }
    let Some((part, name, _)) = entry.path.record() else { return };
    if !package.manifest.sections.all().any(|known| known.part == part) {
        return;
    }
    seen.records += entry.count.records;
    let sum = seen.parts.entry(part).or_default();
    *sum = (sum.0 + entry.count.records, sum.1 + entry.count.raw);
    if name == "index" {
        for line in entry.content.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            let record = serde_json::from_slice::<MediaRecord>(line);
            match record.ok().and_then(|record| record.sha256.parse().ok()) {
                Some(digest) => {
                    let digest: lifeboat_package::digest::Digest = digest;
                    seen.wanted.push(*digest.as_bytes());
                }
                None => seen.problems.push(format!("{}: a record is no media record", entry.path)),
            }
        }
    }
}

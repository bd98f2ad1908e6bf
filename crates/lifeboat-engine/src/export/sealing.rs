//! The end of an export: gaps, manifest, signature, seal. Before the seal is written there is no
//! package.

use std::collections::BTreeMap;

use lifeboat_components::matrix;
use lifeboat_components::matrix::SigningKey;
use lifeboat_components::synapse::layout::Pour;
use lifeboat_components::synapse::plan::{KeyRange, Work};
use lifeboat_components::synapse::read::why_nothing;
use lifeboat_package::contents::{BorrowedFile, Contents, SealedFile};
use lifeboat_package::digest::Digest;
use lifeboat_package::flow::Gap;
use lifeboat_package::manifest::{
    Borrowed, Cut, ExportType, MANIFEST_NAME, Manifest, Origin, Part, Table,
};
use lifeboat_package::seal::{FreshSeal, seal_bytes};
use serde_json::{Map, Value};

use super::source::{Source, database_fault};
use super::{ExportOutcome, gap};
use crate::context::Context;
use crate::failure::Failure;
use crate::journal::{ClearFile, PartDone};
use crate::writer::{Writer, target_fault};

/// Writes manifest and seal, and removes the journal.
///
/// # Errors
/// [`Failure`] when the target cannot be written; the next run goes on from here.
pub async fn commit(
    cx: &Context,
    source: &Source,
    writer: Writer,
    cuts: Vec<Cut>,
) -> Result<ExportOutcome, Failure> {
    let Writer { package, key, mut target, journal, volumes, parts, clear_files, .. } = writer;
    let parts = newest(parts);
    let mut manifest = Manifest::begin(&package, origin(cx, source), source.selection.clone());
    for done in &parts {
        let part = part_of(source, done)?;
        manifest.sections.get_mut(part.part.section).push(part);
        done.gaps.iter().for_each(|gap| manifest.gaps.add(gap));
    }
    manifest.tables = tables(source, &parts);
    manifest.volumes = volumes;
    manifest.cuts = cuts;
    if let Some(gap) = nothing_fits(source, &manifest).await? {
        cx.note(format!("{}: {}", gap.object, gap.detail));
        manifest.gaps.add(&gap);
    }
    let signed_by = sign(source, &mut manifest)?;
    let fault = |e| {
        Failure::failed("cannot write the manifest", "this is a fault of ours; please report it")
            .because(e)
    };
    let frame = manifest.to_frame().map_err(fault)?;
    let fresh = FreshSeal { salt: cx.random(), prefix: cx.random() };
    let sealed = seal_bytes(&key, &package, MANIFEST_NAME, &fresh, &frame);
    let contents = contents(&manifest, &clear_files, &sealed)?;
    target.put(MANIFEST_NAME, sealed).await.map_err(target_fault)?;
    target.commit(contents).await.map_err(target_fault)?;
    journal.remove()?;
    Ok(outcome(&manifest, &parts, signed_by))
}

/// Rooms were chosen and none of their events fits: that may be so, and it may be a slip of the
/// pen, so it must not look like a room in which nobody spoke.
async fn nothing_fits(source: &Source, manifest: &Manifest) -> Result<Option<Gap>, Failure> {
    let selection = &source.selection;
    let has_events = manifest.tables.iter().any(|table| table.name == "events" && table.rows > 0);
    // What a person sent may well be nothing.
    if has_events || !selection.is_cut() || selection.profile.is_some() {
        return Ok(None);
    }
    let mut rooms = Vec::new();
    for part in &source.plan {
        if let Work::Chosen { rooms: some, .. } = &part.work {
            rooms.extend(some.iter().cloned());
        }
    }
    if rooms.is_empty() {
        return Ok(None);
    }
    let unfit = why_nothing(source.cut.anchor(), &rooms, selection).await;
    let unfit = unfit.map_err(database_fault)?;
    let rooms =
        if rooms.len() == 1 { "1 room".to_owned() } else { format!("{} rooms", rooms.len()) };
    let detail = format!("none of {} events was asked for: {}", unfit.events, unfit.words());
    let remedy = "if that is a surprise, correct the clause that leaves nothing and export again";
    Ok(Some(gap("nothing-fits", &rooms, &detail, remedy)))
}

/// Of each part the last that was poured: a slice may have been poured again.
pub(super) fn newest(parts: Vec<PartDone>) -> Vec<PartDone> {
    let by_number: BTreeMap<u32, PartDone> =
        parts.into_iter().map(|part| (part.number, part)).collect();
    by_number.into_values().collect()
}

fn origin(cx: &Context, source: &Source) -> Origin {
    let versions = &source.versions;
    let mut about = BTreeMap::new();
    about.insert("postgresql".to_owned(), versions.postgresql.clone());
    about.insert("synapse_schema".to_owned(), versions.schema.to_string());
    about.insert("synapse_schema_compat".to_owned(), versions.schema_compat.to_string());
    about.insert("pending_updates".to_owned(), versions.pending_updates.to_string());
    if let Some(key) = source.reading.config.signing_keys().unwrap_or_default().first() {
        about.insert("signing_key".to_owned(), format!("{} {}", key.key_id(), key.public_base64()));
    }
    if let Some(of) = &source.of_backup {
        about.insert("backup".to_owned(), of.backup.clone());
        about.insert("recovery_point".to_owned(), of.recovery_point.clone());
    }
    let names = ["encoding", "collation", "ctype"];
    about.extend(names.iter().map(|n| (*n).to_owned()).zip(versions.locale.iter().cloned()));
    let full = source.selection.is_everything();
    Origin {
        server_id: source.reading.config.server_name.clone(),
        export_date: cx.timestamp(),
        export_type: if full { ExportType::Full } else { ExportType::Partial },
        generator: cx.generator.clone(),
        source: about,
    }
}

fn part_of(source: &Source, done: &PartDone) -> Result<Part, Failure> {
    let folder = done.folder.parse().map_err(|e| {
        Failure::failed("the journal names no part", "remove it and begin anew").because(e)
    })?;
    let planned = source.plan.iter().find(|part| part.number == done.number);
    let range = match planned.map(|part| &part.work) {
        Some(Work::Rooms(range) | Work::Chosen { range, .. } | Work::Media { range, .. }) => {
            range.clone()
        }
        _ => KeyRange::default(),
    };
    Ok(Part {
        part: folder,
        cut: done.cut,
        records: done.records,
        bytes: done.bytes,
        from: range.from,
        to: range.to,
    })
}

fn tables(source: &Source, parts: &[PartDone]) -> Vec<Table> {
    let mut rows: BTreeMap<&str, u64> = BTreeMap::new();
    for (table, count) in parts.iter().flat_map(|part| &part.rows) {
        *rows.entry(table).or_insert(0) += count;
    }
    let table = |table: &lifeboat_components::synapse::layout::StoredTable| Table {
        name: table.name.clone(),
        section: table.section.to_string(),
        columns: table.columns.iter().map(|c| (c.name.clone(), c.type_name.clone())).collect(),
        rows: rows.get(table.name.as_str()).copied().unwrap_or_default(),
        policy: match table.pour {
            _ if source.selection.is_partial() => "rows that were selected".to_owned(),
            Pour::ByRoom(_) => "rows by room".to_owned(),
            Pour::Whole => "rows".to_owned(),
            Pour::Never(reason) => format!("left out: {reason}"),
        },
    };
    source.reading.layout.tables().iter().map(table).collect()
}

/// Signs with the server's own key, where it could be read; without it, says so in the gaps.
fn sign(source: &Source, manifest: &mut Manifest) -> Result<Option<String>, Failure> {
    let keys = source.reading.config.signing_keys().unwrap_or_default();
    sign_as(&source.reading.config.server_name, &keys, manifest)
}

/// Signs with the first of these keys; without any, says so in the gaps.
///
/// # Errors
/// [`Failure`] when the manifest contradicts itself or the key cannot sign.
pub fn sign_as(
    server: &str,
    keys: &[SigningKey],
    manifest: &mut Manifest,
) -> Result<Option<String>, Failure> {
    let fault = |e: Box<dyn std::error::Error + Send + Sync>| {
        Failure::failed("cannot sign the manifest", "check the signing key file").because(e)
    };
    let Some(key) = keys.first() else {
        manifest.gaps.add(&gap(
            "unsigned",
            "signing key",
            "the server's signing key could not be read, so the package is not signed",
            "run as a user who may read signing_key_path; import asks for --accept-unsigned",
        ));
        return Ok(None);
    };
    let bytes = manifest.to_canonical().map_err(|e| fault(e.into()))?;
    let mut object: Map<String, Value> =
        serde_json::from_slice(&bytes).map_err(|e| fault(e.into()))?;
    object.remove("signatures");
    matrix::sign_json(&mut object, server, key).map_err(|e| fault(e.into()))?;
    if let Some(Value::Object(signatures)) = object.remove("signatures") {
        manifest.signatures = signatures;
    }
    Ok(Some(format!("{server} {}", key.key_id())))
}

/// The bytes of `seal.json`.
///
/// # Errors
/// [`Failure`] when the files are not those of a package.
pub fn contents(
    manifest: &Manifest,
    clear_files: &[ClearFile],
    sealed: &[u8],
) -> Result<Vec<u8>, Failure> {
    let fault = || Failure::failed("cannot write the seal", "this is a fault of ours");
    let mut files = Vec::with_capacity(manifest.volumes.len() + 3);
    for file in clear_files {
        let sha256 = file.sha256.parse().map_err(|_| fault())?;
        files.push(SealedFile { name: file.name.clone(), size: file.size, sha256 });
    }
    files.extend(manifest.volumes.iter().map(|volume| SealedFile {
        name: volume.name.clone(),
        size: volume.size,
        sha256: volume.sha256,
    }));
    files.push(SealedFile {
        name: MANIFEST_NAME.to_owned(),
        size: sealed.len() as u64,
        sha256: Digest::of(sealed),
    });
    let borrowed = manifest.borrowed.iter().map(|Borrowed { package, volume }| BorrowedFile {
        name: volume.name.clone(),
        package: *package,
        sha256: volume.sha256,
        size: volume.size,
    });
    let contents = Contents { package: manifest.package, files, borrowed: borrowed.collect() };
    contents.to_bytes().map_err(|e| fault().because(e))
}

pub(super) fn outcome(
    manifest: &Manifest,
    parts: &[PartDone],
    signed_by: Option<String>,
) -> ExportOutcome {
    let rows = |name: &str| {
        manifest.tables.iter().find(|table| table.name == name).map_or(0, |table| table.rows)
    };
    let media = &manifest.sections.media;
    ExportOutcome {
        package: manifest.package.to_string(),
        target: String::new(),
        server_name: manifest.metadata.server_id.clone(),
        size_bytes: manifest.volumes.iter().map(|volume| volume.size).sum(),
        volumes: manifest.volumes.len() as u64,
        volumes_resumed: 0,
        rooms: rows("rooms"),
        events: rows("events"),
        rows: manifest.tables.iter().map(|table| table.rows).sum(),
        media_files: media_files(media, parts),
        cuts: manifest.cuts.len() as u64,
        signed_by,
        gaps: manifest.gaps.clone(),
        seconds: 0,
        estimate_percent: 0,
    }
}

/// Index records of the media parts: all their records that are neither rows nor gaps.
fn media_files(media: &[Part], parts: &[PartDone]) -> u64 {
    let of_media = |done: &&PartDone| media.iter().any(|part| part.part.to_string() == done.folder);
    parts
        .iter()
        .filter(of_media)
        .map(|done| {
            let rows: u64 = done.rows.iter().map(|(_, rows)| rows).sum();
            done.records.saturating_sub(rows + done.gaps.len() as u64)
        })
        .sum()
}

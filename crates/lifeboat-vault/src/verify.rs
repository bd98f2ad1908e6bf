//! Verify: is a backup whole, and is every bit of it, and of what it borrows, what was written?

use std::collections::{BTreeMap, BTreeSet, HashSet};

use lifeboat_engine::context::{Context, Unit};
use lifeboat_engine::failure::{Code, Failure};
use lifeboat_engine::keyring::Identities;
use lifeboat_engine::signature::{fits_named_key, signers};
use lifeboat_engine::verify::{self as engine, Seen};
use lifeboat_package::backup::{
    Component, Content, DATABASES, DatabaseRecord, FILES, FileRecord, SEGMENTS, SegmentRecord,
    TABLES, TableRecord,
};
use lifeboat_package::contents::CONTENTS_NAME;
use lifeboat_package::digest::{Digest, Hasher};
use lifeboat_package::id::PackageId;
use lifeboat_package::manifest::Volume;
use serde::Serialize;

use crate::backup::OpenBackup;
use crate::layout::{ERASURES, Folder};
use crate::place::{EVERYTHING, Sealed, Survey, Vault, Verdict};

/// Problems that a verdict keeps.
const NOTED_PROBLEMS: usize = 20;

/// What was found.
#[derive(Debug, Clone, Default, Serialize)]
pub struct VerifyOutcome {
    /// Package id of the backup; `erasures` for the lists of what was taken back for good.
    pub backup: String,
    /// Every file is there with its size.
    pub complete: bool,
    /// Everything that was checked is right.
    pub valid: bool,
    /// Whether an identity was given, so that the content was checked too.
    pub content_checked: bool,
    /// Server, when the content was checked.
    pub server_name: Option<String>,
    /// Who signed the manifest.
    pub signed_by: Vec<String>,
    /// Volumes read, own and borrowed.
    pub volumes: u64,
    /// Bytes read.
    pub bytes: u64,
    /// Entries checked.
    pub entries: u64,
    /// Gaps that the backup names.
    pub gaps: u64,
    /// What is wrong, each with the object's name.
    pub problems: Vec<String>,
}

/// Reads a backup whole: with identities everything, without the sums of the sealed files. Notes
/// the verdict in the vault where it may.
///
/// # Errors
/// [`Failure`] when it cannot be read at all, or no identity opens it.
pub async fn verify(
    cx: &Context,
    vault: &Vault,
    survey: &Survey,
    (sealed, identities): (&Sealed, Option<&Identities>),
) -> Result<VerifyOutcome, Failure> {
    let backup = sealed.folder.id().to_string();
    let mut outcome = VerifyOutcome { backup, ..VerifyOutcome::default() };
    presence(survey, sealed, &mut outcome);
    outcome.complete = outcome.problems.is_empty();
    match identities {
        Some(identities) if outcome.complete => {
            outcome.content_checked = true;
            match OpenBackup::open(vault, survey, (&sealed.folder, identities)).await {
                Ok(open) => content(cx, &open, &mut outcome).await?,
                Err(e) if e.code == Code::NotValid => outcome.problems.push(e.what),
                Err(e) => return Err(e),
            }
            for sealed in lenders(survey, sealed).chain([sealed]) {
                for (name, file) in sealed.small_files() {
                    sum(cx, vault, (&name, &file.sha256), &mut outcome).await;
                }
            }
        }
        _ => scrub(cx, vault, (survey, sealed), &mut outcome).await,
    }
    outcome.valid = outcome.problems.is_empty();
    note(cx, vault, &sealed.folder, &outcome).await;
    Ok(outcome)
}

/// What can be said of one of [`Survey::damaged`].
pub fn unreadable(survey: &Survey, folder: &Folder) -> VerifyOutcome {
    let (backup, problems) = (folder.id().to_string(), vec![survey.wrong_seal(folder)]);
    VerifyOutcome { backup, problems, ..VerifyOutcome::default() }
}

/// The same, of the lists of what was taken back for good, by their problems.
pub fn of_erasures(problems: Vec<String>) -> VerifyOutcome {
    let backup = ERASURES.trim_end_matches('/').to_owned();
    VerifyOutcome { backup, complete: true, content_checked: true, problems, ..Default::default() }
}

/// The backups of whose volumes this one names some; of those whose seal can be read.
fn lenders<'a>(survey: &'a Survey, sealed: &Sealed) -> impl Iterator<Item = &'a Sealed> {
    let own = sealed.folder.id();
    let needed = needed(sealed);
    let is_lender = move |id: &PackageId| *id != own && needed.contains(id);
    survey.backups.iter().filter(move |sealed| is_lender(&sealed.folder.id()))
}

/// Every file that the seal names is there with its size; and of those it borrows from, what opens
/// their volumes.
fn presence(survey: &Survey, sealed: &Sealed, outcome: &mut VerifyOutcome) {
    let own = sealed.contents.files.iter().map(|file| (sealed.folder.file(&file.name), file.size));
    let borrowed = sealed.contents.borrowed.iter().map(|file| {
        let folder = survey.folder(&file.package).cloned();
        let folder = folder.unwrap_or_else(|| Folder::of("?", &file.package));
        (folder.file(&file.name), file.size)
    });
    for (name, size) in own.chain(borrowed) {
        match survey.files.get(&name) {
            None => outcome.problems.push(format!("{name}: it is missing")),
            Some(found) if *found != size => {
                outcome.problems.push(format!("{name}: {found} bytes, not {size}"));
            }
            Some(_) => {}
        }
    }
    for file in &sealed.contents.borrowed {
        let is_it = |lender: &&Sealed| lender.folder.id() == file.package;
        let Some(lender) = survey.backups.iter().find(is_it) else { continue };
        let mut own = lender.contents.files.iter();
        if !own.any(|own| own.name == file.name && own.sha256 == file.sha256) {
            let (seal, name) = (lender.folder.file(CONTENTS_NAME), &file.name);
            outcome.problems.push(format!("{seal}: it says otherwise of {name}"));
        }
    }
    let own = sealed.folder.id();
    let mut lenders: Vec<PackageId> = needed(sealed).into_iter().filter(|id| *id != own).collect();
    lenders.sort_unstable_by_key(PackageId::to_string);
    outcome.problems.extend(lenders.iter().flat_map(|lender| survey.lacks(lender)));
    let unsealed = survey.unfinished.iter().filter(|folder| lenders.contains(&folder.id()));
    let unsealed = unsealed.map(|folder| format!("{}: it is missing", folder.file(CONTENTS_NAME)));
    outcome.problems.extend(unsealed);
}

/// Sums of all sealed files, own and borrowed, and of what opens those that are: needs no key.
async fn scrub(
    cx: &Context,
    vault: &Vault,
    (survey, sealed): (&Survey, &Sealed),
    outcome: &mut VerifyOutcome,
) {
    let mut files: Vec<(String, Digest, u64)> = Vec::new();
    for file in &sealed.contents.files {
        files.push((sealed.folder.file(&file.name), file.sha256, file.size));
    }
    for file in &sealed.contents.borrowed {
        if let Some(folder) = survey.folder(&file.package) {
            files.push((folder.file(&file.name), file.sha256, file.size));
        }
    }
    for lender in lenders(survey, sealed) {
        files.extend(lender.small_files().map(|(name, file)| (name, file.sha256, file.size)));
    }
    cx.stage("verify", files.iter().map(|(.., size)| size).sum(), Unit::Bytes);
    for (name, sha256, size) in files {
        if survey.files.get(&name) == Some(&size) {
            outcome.volumes += u64::from(name.contains("/volumes/"));
            sum(cx, vault, (&name, &sha256), outcome).await;
        }
    }
}

/// Whether a file is what its seal says.
async fn sum(
    cx: &Context,
    vault: &Vault,
    (name, sha256): (&str, &Digest),
    outcome: &mut VerifyOutcome,
) {
    let mut hasher = Hasher::new();
    let read = async {
        let mut pieces = vault.place.stream(name).await?;
        while let Some(piece) = pieces.next().await? {
            hasher.update(&piece);
            cx.advance(piece.len() as u64);
            outcome.bytes += piece.len() as u64;
        }
        Ok::<_, lifeboat_storage::StorageError>(())
    };
    match read.await {
        Err(e) => outcome.problems.push(format!("{name}: {e}")),
        Ok(()) if hasher.finish() != *sha256 => {
            outcome.problems.push(format!("{name}: its SHA-256 is not the seal's"));
        }
        Ok(()) => {}
    }
}

/// Reads every volume, own and borrowed, and compares what the records name with what is there.
async fn content(
    cx: &Context,
    open: &OpenBackup,
    outcome: &mut VerifyOutcome,
) -> Result<(), Failure> {
    let manifest = open.manifest();
    outcome.server_name = Some(manifest.metadata.server_id.clone());
    outcome.gaps = manifest.gaps.total;
    outcome.signed_by = signers(manifest);
    if !outcome.signed_by.is_empty() && !fits_named_key(open.package())? {
        let signers = outcome.signed_by.join(", ");
        outcome.problems.push(format!("manifest.sealed: the signature of {signers} is wrong"));
    }
    let mut reading: Vec<(&lifeboat_engine::reader::Package, Vec<&Volume>)> =
        vec![(open.package(), manifest.volumes.iter().collect())];
    let mut lent: BTreeMap<String, Vec<&Volume>> = BTreeMap::new();
    for borrowed in &manifest.borrowed {
        lent.entry(borrowed.package.to_string()).or_default().push(&borrowed.volume);
    }
    for lender in open.lenders() {
        let volumes = lent.remove(&lender.manifest.package.to_string());
        reading.push((lender, volumes.unwrap_or_default()));
    }
    let total = reading.iter().flat_map(|(_, volumes)| volumes).map(|volume| volume.size).sum();
    cx.stage("verify", total, Unit::Bytes);
    let mut all = Seen::default();
    for (package, volumes) in reading {
        outcome.volumes += volumes.len() as u64;
        let seen = engine::volumes(cx, package, &volumes).await;
        let is_own = package.manifest.package == manifest.package;
        all.add(if is_own { seen } else { seen.without_parts() });
    }
    engine::parts(open.package(), &mut all);
    outcome.bytes += all.bytes;
    outcome.entries = all.entries;
    outcome.problems.append(&mut all.problems);
    let mut lost = BTreeSet::new();
    for component in &manifest.components {
        if let Err(e) = look_up(open, component, &mut lost).await {
            outcome.problems.push(format!("{}: {}", component.name, e.what));
        }
    }
    let told = |lost| format!("content {lost}: a record names it, no volume holds it");
    outcome.problems.extend(lost.iter().map(told));
    Ok(())
}

/// Whether the content that a component's records name is there, and its counts are right.
async fn look_up(
    open: &OpenBackup,
    component: &Component,
    lost: &mut BTreeSet<Digest>,
) -> Result<(), Failure> {
    let wrong = |what: String| Failure::not_valid(what, "look for another copy of the backup");
    let mut named = |content: &Content| {
        lost.extend(content.digests().iter().filter(|digest| !open.holds(digest)));
    };
    for record in open.records::<DatabaseRecord>(component, DATABASES).await? {
        let contents = [&record.pre_data, &record.post_data, &record.rights, &record.file];
        contents.into_iter().flatten().for_each(&mut named);
    }
    let mut rows: BTreeMap<(String, String, String), (u64, u64)> = BTreeMap::new();
    for entry in open.record_entries(component, SEGMENTS) {
        for record in open.package().records::<SegmentRecord>(&entry).await? {
            named(&record.content);
            let sum = rows.entry((record.database, record.schema, record.table)).or_default();
            *sum = (sum.0 + 1, sum.1 + record.rows);
        }
    }
    for table in open.records::<TableRecord>(component, TABLES).await? {
        let key = (table.database, table.schema, table.table);
        if rows.get(&key).copied().unwrap_or_default() != (table.segments, table.rows) {
            return Err(wrong(format!("table {}.{} has other rows than it should", key.1, key.2)));
        }
    }
    let mut files = 0;
    for entry in open.record_entries(component, FILES) {
        for record in open.package().records::<FileRecord>(&entry).await? {
            files += u64::from(record.content.is_some());
            record.content.iter().for_each(&mut named);
        }
    }
    if files != component.files {
        return Err(wrong(format!("{files} files, the manifest says {}", component.files)));
    }
    Ok(())
}

/// Volumes that a verify found wrong, by its newest verdict on each backup: what lies there must be
/// stored anew. Where a verdict says only that something is wrong, all volumes of the backup are.
///
/// # Errors
/// [`Failure`] when a verdict cannot be read.
pub async fn suspects(
    vault: &Vault,
    survey: &Survey,
) -> Result<HashSet<(PackageId, String)>, Failure> {
    let mut suspects = HashSet::new();
    for Sealed { folder, contents } in &survey.backups {
        let verdict = match vault.verdict(survey, folder).await {
            // A verdict that cannot be understood says nothing.
            Err(e) if e.code == Code::NotValid => None,
            verdict => verdict?,
        };
        let Some(verdict) = verdict.filter(|verdict| !verdict.valid) else { continue };
        let own = contents.volumes().iter().map(|file| (contents.package, &file.name));
        let borrowed = contents.borrowed.iter().map(|file| (file.package, &file.name));
        let all: Vec<(PackageId, &String)> = own.chain(borrowed).collect();
        let named =
            |name: &String| verdict.problems.iter().any(|told| told.contains(name.as_str()));
        let names_all = verdict.problems.len() < NOTED_PROBLEMS
            && verdict.problems.iter().all(|told| all.iter().any(|(_, n)| told.contains(*n)));
        let wrong = all.into_iter().filter(|(_, name)| !names_all || named(name));
        suspects.extend(wrong.map(|(package, name)| (package, name.clone())));
    }
    Ok(suspects)
}

async fn note(cx: &Context, vault: &Vault, folder: &Folder, outcome: &VerifyOutcome) {
    let verdict = Verdict {
        verified_at: cx.timestamp(),
        valid: outcome.valid,
        depth: if outcome.content_checked { EVERYTHING } else { "sealed" }.to_owned(),
        problems: outcome.problems.iter().take(NOTED_PROBLEMS).cloned().collect(),
    };
    if vault.note_verdict((folder, (cx.now)()), &verdict).await.is_err() {
        cx.note("the verdict could not be written into the vault; retention does not know of it");
    }
}

/// The packages that a backup needs.
pub fn needed(sealed: &Sealed) -> HashSet<PackageId> {
    let borrowed = sealed.contents.borrowed.iter().map(|file| file.package);
    borrowed.chain([sealed.contents.package]).collect()
}

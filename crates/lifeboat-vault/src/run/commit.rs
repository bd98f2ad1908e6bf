//! The end of a backup: manifest, signature, seal. Before the seal is written there is no backup.

use std::collections::{BTreeMap, BTreeSet};

use lifeboat_engine::context::Context;
use lifeboat_engine::export::sealing;
use lifeboat_engine::failure::Failure;
use lifeboat_engine::journal::{ClearFile, PartDone};
use lifeboat_engine::writer::Writer;
use lifeboat_package::backup::{Component, Group};
use lifeboat_package::header::BACKUP;
use lifeboat_package::manifest::{
    Borrowed, Cut, ExportType, MANIFEST_NAME, Manifest, Origin, Part,
};
use lifeboat_package::seal::{FreshSeal, seal_bytes};
use lifeboat_package::selection::Selection;

use super::{BackupRequest, locking};
use crate::forget::forget;
use crate::layout::Folder;
use crate::ledger::RunLedger;
use crate::place::{Vault, told};

/// What a backup is made of besides its volumes.
pub struct Made {
    /// The components.
    pub components: Vec<Component>,
    /// The groups.
    pub groups: Vec<Group>,
    /// The runs.
    pub cuts: Vec<Cut>,
}

/// Writes manifest and seal, and removes the journal. Whatever the backup needs must be in the
/// vault then: a run that was held up for days may have lost it to a prune.
///
/// # Errors
/// [`Failure`] when the vault cannot be written; the next run goes on from here.
pub async fn commit(
    cx: &Context,
    request: &BackupRequest,
    (vault, folder): (&Vault, &Folder),
    (writer, made): (Writer<RunLedger>, Made),
) -> Result<(Manifest, Option<String>), Failure> {
    let Writer { package, key, mut target, journal: ledger, volumes, parts, clear_files, .. } =
        writer;
    let mut source = BTreeMap::new();
    if let Some(key) = request.keys.signing.first() {
        source
            .insert("signing_key".to_owned(), format!("{} {}", key.key_id(), key.public_base64()));
    }
    let origin = Origin {
        server_id: request.server_name.clone(),
        export_date: cx.timestamp(),
        export_type: ExportType::Backup,
        generator: cx.generator.clone(),
        source,
    };
    let mut manifest = Manifest::begin(&package, origin, Selection::default());
    manifest.critical = vec![BACKUP.to_owned()];
    let last = made.cuts.last().map_or(1, |cut| cut.cut);
    for done in parts.iter().filter(|done| done.cut == last) {
        manifest.sections.backup.push(part_of(done)?);
        done.gaps.iter().for_each(|gap| manifest.gaps.add(gap));
    }
    manifest.borrowed = borrowed(&ledger)?;
    manifest.volumes = volumes;
    manifest.components = made.components;
    manifest.groups = made.groups;
    manifest.cuts = made.cuts;
    let keys = &request.keys;
    let signed_by = if keys.is_due || !keys.signing.is_empty() {
        sealing::sign_as(&request.server_name, &keys.signing, &mut manifest)?
    } else {
        None
    };
    let fault = |e| {
        Failure::failed("cannot write the manifest", "this is a fault of ours; please report it")
            .because(e)
    };
    let frame = manifest.to_frame().map_err(fault)?;
    let fresh = FreshSeal { salt: cx.random(), prefix: cx.random() };
    let sealed = seal_bytes(&key, &package, MANIFEST_NAME, &fresh, &frame);
    if !ledger.known.is_settled() {
        return Err(Failure::failed("a file changed while its copy was read", "run again"));
    }
    let contents = sealing::contents(&manifest, &clear_files, &sealed)?;
    let cannot = || Failure::failed("cannot write into the vault", "");
    target.put(MANIFEST_NAME, sealed).await.map_err(|e| told(cannot(), e))?;
    locking::hold(cx, (vault, folder), (&manifest, &clear_files)).await?;
    is_all_there(vault, folder, &manifest, &clear_files).await?;
    target.commit(contents).await.map_err(|e| told(cannot(), e))?;
    // A prune that took this run for cut short may have deleted between the last look and the seal:
    // then this is no backup. What it deletes from now on it knows to belong to one.
    if let Err(gone) = is_all_there(vault, folder, &manifest, &clear_files).await {
        forget(cx, vault, (&package, "its files were deleted while it was made")).await?;
        return Err(gone);
    }
    locking::hold_seal(vault, folder).await?;
    ledger.journal.remove()?;
    Ok((manifest, signed_by))
}

async fn is_all_there(
    vault: &Vault,
    folder: &Folder,
    manifest: &Manifest,
    clear_files: &[ClearFile],
) -> Result<(), Failure> {
    let survey = vault.survey().await?;
    let clear = clear_files.iter().map(|file| (folder.file(&file.name), file.size));
    let own = manifest.volumes.iter().map(|volume| (folder.file(&volume.name), volume.size));
    for (name, size) in clear.chain(own) {
        if survey.files.get(&name) != Some(&size) {
            return Err(lost(&name));
        }
    }
    for Borrowed { package, volume } in &manifest.borrowed {
        if !survey.has(package, &volume.name, volume.size) {
            return Err(lost(&format!("{} of {package}", volume.name)));
        }
    }
    Ok(())
}

fn lost(name: &str) -> Failure {
    Failure::failed(
        format!("the vault lost {name} while the backup was made; there is no new backup"),
        "see who deletes there (lifeboat backup prune, a lifecycle rule), then run again",
    )
}

fn part_of(done: &PartDone) -> Result<Part, Failure> {
    let part = done.folder.parse().map_err(|e| {
        Failure::failed("the journal names no part", "remove it and begin anew").because(e)
    })?;
    let (records, bytes) = (done.records, done.bytes);
    Ok(Part { part, cut: done.cut, records, bytes, from: None, to: None })
}

/// The volumes of other packages that this backup needs, in order.
fn borrowed(ledger: &RunLedger) -> Result<Vec<Borrowed>, Failure> {
    let used = ledger.known.used();
    let all = ledger.known.with_cache(crate::cache::Cache::all_volumes)?;
    let of_others = all
        .into_iter()
        .filter(|(number, borrowed)| used.contains(number) && borrowed.package != ledger.package);
    let mut found: Vec<Borrowed> = of_others.map(|(_, borrowed)| borrowed).collect();
    found.sort_by_key(|Borrowed { package, volume }| (package.to_string(), volume.name.clone()));
    let distinct: BTreeSet<(String, String)> =
        found.iter().map(|b| (b.package.to_string(), b.volume.name.clone())).collect();
    debug_assert_eq!(distinct.len(), found.len(), "the cache lists a volume once");
    Ok(found)
}

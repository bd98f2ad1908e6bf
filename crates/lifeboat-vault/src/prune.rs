//! `backup prune`: what no kept backup needs goes, in two phases.
//!
//! The first lists volumes that nobody owns or borrows, in a file of the vault; runs that begin
//! after it do not borrow them. The second, at a later call, deletes what is still on the list and
//! still needed by nobody, once no run is left that began before the list. A run shows itself by
//! its folder before it looks for lists, and a list is written before folders are looked for: so
//! one of the two sees the other, whatever the clocks say.

use std::collections::HashSet;

use lifeboat_engine::context::{Context, Unit};
use lifeboat_engine::failure::Failure;
use lifeboat_package::contents::CONTENTS_NAME;
use lifeboat_package::header::{HEADER_NAME, KEY_NAME};
use lifeboat_package::id::PackageId;
use lifeboat_package::manifest::MANIFEST_NAME;
use lifeboat_storage::StorageError;
use serde::{Deserialize, Serialize};

use crate::forget::forget;
use crate::layout::{ERASURES, FORGOTTEN, Folder, PARTIAL, PRUNES, VERIFIED, seconds_of, stamp};
use crate::place::{Sealed, Survey, Vault, told};

/// A list of what may be deleted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PruneList {
    /// Package and volume.
    pub volumes: Vec<(PackageId, String)>,
    /// Folders of runs that were under way when the list was written; `None` until that is known,
    /// and as long nothing of it may be deleted.
    pub running: Option<Vec<String>>,
}

/// What a prune did.
#[derive(Debug, Clone, Default, Serialize)]
pub struct PruneOutcome {
    /// Files that were deleted.
    pub deleted_files: u64,
    /// Their bytes.
    pub deleted_bytes: u64,
    /// Volumes that the next prune may delete.
    pub listed_volumes: u64,
    /// Their bytes.
    pub listed_bytes: u64,
    /// Runs that keep something from being deleted: under way, or cut short.
    pub waiting_for: Vec<String>,
    /// Runs that were under way after all, of which this prune deleted something: there is no
    /// backup of theirs.
    pub undone: Vec<String>,
    /// How many files the place did not let us delete: by a lock, or for want of rights.
    pub kept_back_files: u64,
    /// The first of them, with what the place said.
    pub kept_back: Vec<String>,
}

/// Files that a place did not let us delete, of which the outcome names as many.
const KEPT_BACK: usize = 20;

/// Records of drills that stay.
const DRILLS_KEPT: usize = 100;

/// The volumes on all lists.
///
/// # Errors
/// [`Failure`] when a list cannot be read.
pub async fn doomed(
    vault: &Vault,
    survey: &Survey,
) -> Result<HashSet<(PackageId, String)>, Failure> {
    let mut doomed = HashSet::new();
    for name in &survey.prunes {
        let list = vault.read_json::<PruneList>(name).await?;
        doomed.extend(list.into_iter().flat_map(|list| list.volumes));
    }
    Ok(doomed)
}

/// Prunes. Runs without a seal that were begun more than `abandoned_after` seconds ago count as cut
/// short for good.
///
/// # Errors
/// [`Failure`] when the vault cannot be read or written; what was not deleted stays listed.
pub async fn prune(
    cx: &Context,
    vault: &Vault,
    (abandoned_after, dry_run): (i64, bool),
) -> Result<PruneOutcome, Failure> {
    let mut outcome = PruneOutcome::default();
    let now = (cx.now)();
    let survey = vault.survey().await?;
    survey.demand_whole()?;
    let before: HashSet<PackageId> = survey.backups.iter().map(|s| s.folder.id()).collect();
    delete_listed(cx, vault, (&survey, now - abandoned_after), (dry_run, &mut outcome)).await?;
    let survey = vault.survey().await?;
    abandoned(vault, (&survey, now - abandoned_after), (dry_run, &mut outcome)).await?;
    list_dead(vault, &survey, (now, dry_run), &mut outcome).await?;
    let oldest = survey.kept().map(|kept| kept.folder.stamp()).min().unwrap_or_default();
    let is_old = |name: &&String| name.strip_prefix(ERASURES).is_some_and(|rest| rest < oldest);
    for name in survey.erasures.iter().filter(is_old) {
        delete(vault, &survey, name, (dry_run, &mut outcome)).await?;
    }
    let drills = survey.drills.len().saturating_sub(DRILLS_KEPT);
    for name in survey.drills.iter().take(drills) {
        delete(vault, &survey, name, (dry_run, &mut outcome)).await?;
    }
    if outcome.deleted_files > 0 && !dry_run {
        sealed_meanwhile(cx, vault, &before, &mut outcome).await?;
    }
    Ok(outcome)
}

/// A run that counted as cut short, and was not, can seal what this prune has deleted from. Before
/// its seal, and after, it looks whether all is there; what was deleted later than that is seen
/// here.
async fn sealed_meanwhile(
    cx: &Context,
    vault: &Vault,
    before: &HashSet<PackageId>,
    outcome: &mut PruneOutcome,
) -> Result<(), Failure> {
    let survey = vault.survey().await?;
    for Sealed { folder, contents } in survey.kept() {
        let id = folder.id();
        let own = contents.files.iter().map(|file| (id, &file.name, file.size));
        let borrowed = contents.borrowed.iter().map(|file| (file.package, &file.name, file.size));
        let is_whole =
            own.chain(borrowed).all(|(package, name, size)| survey.has(&package, name, size));
        if !before.contains(&id) && !is_whole {
            forget(cx, vault, (&id, "a prune deleted its files while it was made")).await?;
            outcome.undone.push(folder.as_str().to_owned());
        }
    }
    Ok(())
}

/// The second phase, for every list of which no run is left.
async fn delete_listed(
    cx: &Context,
    vault: &Vault,
    (survey, since): (&Survey, i64),
    (dry_run, outcome): (bool, &mut PruneOutcome),
) -> Result<(), Failure> {
    let live = survey.live_volumes();
    cx.stage("prune", survey.prunes.len() as u64, Unit::Items);
    for name in &survey.prunes {
        let Some(list) = vault.read_json::<PruneList>(name).await? else { continue };
        let Some(running) = &list.running else {
            // The prune that wrote it ended before it had looked for runs.
            if !dry_run {
                complete(vault, name, list).await?;
            }
            continue;
        };
        let still = survey.unfinished.iter().filter(|folder| {
            running.iter().any(|running| running == folder.as_str()) && begun(folder) >= since
        });
        let still: Vec<String> = still.map(|folder| folder.as_str().to_owned()).collect();
        if !still.is_empty() {
            outcome.waiting_for.extend(still);
            continue;
        }
        let mut is_done = true;
        for (package, volume) in &list.volumes {
            let Some(folder) = survey.folder(package) else { continue };
            if !live.contains(&(*package, volume.clone())) {
                let name = folder.file(volume);
                is_done &= delete(vault, survey, &name, (dry_run, outcome)).await?;
            }
        }
        // What is still there is still doomed: no run may borrow it.
        if is_done && !dry_run {
            let mut counted = PruneOutcome::default();
            delete(vault, survey, name, (dry_run, &mut counted)).await?;
            outcome.keep_back(counted);
        }
        cx.advance(1);
    }
    Ok(())
}

/// What a run that was cut short for good left, and forgotten backups of which no volume is left.
async fn abandoned(
    vault: &Vault,
    (survey, since): (&Survey, i64),
    (dry_run, outcome): (bool, &mut PruneOutcome),
) -> Result<(), Failure> {
    for folder in survey.unfinished.iter().filter(|folder| begun(folder) < since) {
        if !dry_run {
            vault.delete_partials(folder).await;
        }
        let prefix = folder.file("");
        let mut names: Vec<&String> =
            survey.files.keys().filter(|name| name.starts_with(&prefix)).collect();
        // The header last: as long as it is there, the folder is known as unfinished.
        names.sort_by_key(|name| name.ends_with(HEADER_NAME));
        let mark = format!("{PARTIAL}{}.json", folder.id());
        for name in names.into_iter().chain([&mark]) {
            delete(vault, survey, name, (dry_run, outcome)).await?;
        }
    }
    let gone = survey.backups.iter().filter(|sealed| {
        let folder = &sealed.folder;
        let is_left = |name: &str| survey.files.contains_key(&folder.file(name));
        survey.forgotten.contains(&folder.id())
            && !sealed.contents.volumes().iter().any(|file| is_left(&file.name))
    });
    for sealed in gone {
        let id = sealed.folder.id().to_string();
        let verdicts = format!("{VERIFIED}{id}/");
        let verdicts = survey.files.keys().filter(|name| name.starts_with(&verdicts)).cloned();
        // The seal late: without it this would be taken for a run under way. The mark last: without
        // it this would be taken for a backup that is kept.
        let files = [MANIFEST_NAME, KEY_NAME, HEADER_NAME, CONTENTS_NAME];
        let files = files.into_iter().map(|name| sealed.folder.file(name));
        let marks = [PARTIAL, FORGOTTEN].map(|folder| format!("{folder}{id}.json"));
        for name in verdicts.chain(files).chain(marks) {
            if !delete(vault, survey, &name, (dry_run, outcome)).await? {
                break;
            }
        }
    }
    Ok(())
}

/// The first phase.
async fn list_dead(
    vault: &Vault,
    survey: &Survey,
    (now, dry_run): (i64, bool),
    outcome: &mut PruneOutcome,
) -> Result<(), Failure> {
    let live = survey.live_volumes();
    let listed = doomed(vault, survey).await?;
    let mut list = PruneList::default();
    for sealed in survey.backups.iter().filter(|s| survey.forgotten.contains(&s.folder.id())) {
        for file in sealed.contents.volumes() {
            let volume = (sealed.folder.id(), file.name.clone());
            let is_there = survey.files.contains_key(&sealed.folder.file(&file.name));
            if is_there && !live.contains(&volume) && !listed.contains(&volume) {
                outcome.listed_volumes += 1;
                outcome.listed_bytes += file.size;
                list.volumes.push(volume);
            }
        }
    }
    if list.volumes.is_empty() || dry_run {
        return Ok(());
    }
    let name = format!("{PRUNES}{}.json", stamp(now));
    // Written twice: runs that begin while we look for runs must find a list.
    vault.write_json(&name, &list).await?;
    complete(vault, &name, list).await
}

/// Says which runs are under way, now that runs which begin see the list.
async fn complete(vault: &Vault, name: &str, mut list: PruneList) -> Result<(), Failure> {
    let survey = vault.survey().await?;
    let running = survey.unfinished.iter().map(|folder| folder.as_str().to_owned());
    list.running = Some(running.collect());
    vault.write_json(name, &list).await
}

impl PruneOutcome {
    fn keep_back(&mut self, other: Self) {
        self.kept_back_files += other.kept_back_files;
        self.kept_back.extend(other.kept_back);
    }
}

/// Deletes a file; false when the place does not let us, which is told and no reason to stop.
async fn delete(
    vault: &Vault,
    survey: &Survey,
    name: &str,
    (dry_run, outcome): (bool, &mut PruneOutcome),
) -> Result<bool, Failure> {
    let Some(size) = survey.files.get(name) else { return Ok(true) };
    let deleted = if dry_run { Ok(()) } else { vault.place.delete(name).await };
    match deleted {
        Ok(()) => {
            outcome.deleted_files += 1;
            outcome.deleted_bytes += size;
            Ok(true)
        }
        Err(e @ (StorageError::Denied { .. } | StorageError::Other { .. })) => {
            outcome.kept_back_files += 1;
            if outcome.kept_back.len() < KEPT_BACK {
                outcome.kept_back.push(format!("{name}: {e}"));
            }
            Ok(false)
        }
        Err(e) => {
            let what = format!("cannot delete {name} in the vault");
            Err(told(Failure::failed(what, ""), e))
        }
    }
}

fn begun(folder: &Folder) -> i64 {
    seconds_of(folder.stamp()).unwrap_or_default()
}

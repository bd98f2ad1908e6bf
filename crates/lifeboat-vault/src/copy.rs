//! `backup copy`: the kept backups of one vault in a second one, byte for byte and without a key.

use std::collections::{HashMap, HashSet};

use lifeboat_engine::context::{Context, Unit};
use lifeboat_engine::failure::Failure;
use lifeboat_package::contents::CONTENTS_NAME;
use lifeboat_package::digest::{Digest, Hasher};
use serde::Serialize;

use crate::layout::{DRILLS, ERASURES, FORGOTTEN, OWNER, PARTIAL, PINNED, VAULT};
use crate::place::{Sealed, Survey, Vault, told};
use crate::run::locking::hold_all;
use crate::verify::suspects;

const VOLUMES: &str = "volumes/";

/// What came of it.
#[derive(Debug, Clone, Default, Serialize)]
pub struct CopyOutcome {
    /// Backups that are in the second vault now.
    pub backups: u64,
    /// Files that were copied.
    pub copied_files: u64,
    /// Their bytes.
    pub copied_bytes: u64,
    /// Files that were there already.
    pub equal_files: u64,
    /// Of those that were copied: in the place of one that a verify of the second vault found
    /// wrong, or might have.
    pub replaced_files: u64,
}

/// A file to copy: name, sum, size.
type Listed = (String, Digest, u64);

/// Copies every kept backup and what it borrows. Every file is compared with the sum in its seal on
/// the way; seals are written last. Where the second vault was opened with a lock, everything that
/// its backups need is held for as long, also what was there. What is there with the right size is
/// not read again; what the newest verify of the second vault found wrong is copied anew.
///
/// # Errors
/// [`Failure`] when a vault cannot be read or written, or a file is damaged: it is not copied.
pub async fn copy(
    cx: &Context,
    (from, survey): (&Vault, &Survey),
    to: &Vault,
) -> Result<CopyOutcome, Failure> {
    survey.demand_whole()?;
    let there = to.survey().await?;
    let (sealed_there, doubted) = (sums(&there), doubted(to, &there).await?);
    let (files, seals) = listed(survey);
    let lists = survey.files.keys().filter(|name| name.starts_with(ERASURES));
    let needed = files.iter().map(|(name, ..)| name).chain(&seals).chain(lists);
    let mut needed: Vec<String> = needed.cloned().collect();
    needed.push(VAULT.to_owned());
    needed.extend(there.files.contains_key(OWNER).then(|| OWNER.to_owned()));
    cx.stage("copy", files.iter().map(|(.., size)| size).sum(), Unit::Bytes);
    let mut outcome = CopyOutcome { backups: seals.len() as u64, ..CopyOutcome::default() };
    for (name, sha256, size) in files {
        // A volume is written once; an envelope may have been written anew since.
        let is_same = name.contains(VOLUMES) || sealed_there.get(&name) == Some(&sha256);
        let is_doubted = doubted.contains(&name);
        if is_same && !is_doubted && there.files.get(&name) == Some(&size) {
            outcome.equal_files += 1;
            cx.advance(size);
            continue;
        }
        cx.go_on()?;
        one(cx, from, to, (&name, &sha256)).await?;
        outcome.copied_files += 1;
        outcome.copied_bytes += size;
        outcome.replaced_files += u64::from(is_doubted);
    }
    // Marks before seals: what was let go, and only lends, must not look kept there.
    let marks = survey.files.keys().filter(|name| {
        let folders = [FORGOTTEN, PARTIAL, PINNED, ERASURES, DRILLS];
        folders.iter().any(|folder| name.starts_with(folder)) && !there.files.contains_key(*name)
    });
    for name in marks.cloned().chain(seals) {
        let cannot = || Failure::failed(format!("cannot copy {name}"), "");
        let size = survey.files.get(&name).copied().unwrap_or_default();
        let bytes = from.place.read_whole(&name, size).await.map_err(|e| told(cannot(), e))?;
        to.place.put(&name, bytes).await.map_err(|e| told(cannot(), e))?;
    }
    if to.access.has_lock() {
        hold_all(cx, to, needed).await?;
    }
    Ok(outcome)
}

/// Files that a verify of a vault found wrong: volumes, and all small files of the backups they are
/// of, which are named in other ways.
async fn doubted(vault: &Vault, survey: &Survey) -> Result<HashSet<String>, Failure> {
    let suspects = suspects(vault, survey).await?;
    let mut doubted = HashSet::new();
    for sealed in &survey.backups {
        let id = sealed.folder.id();
        let own = suspects.iter().filter(|(package, _)| *package == id);
        let volumes: Vec<String> = own.map(|(_, name)| sealed.folder.file(name)).collect();
        if !volumes.is_empty() {
            doubted.extend(sealed.small_files().map(|(name, _)| name));
            doubted.extend(volumes);
        }
    }
    Ok(doubted)
}

/// What the seals of a vault say of its files.
fn sums(survey: &Survey) -> HashMap<String, Digest> {
    let of_backup = |sealed: &Sealed| {
        let files = sealed.contents.files.iter();
        let sums = files.map(|file| (sealed.folder.file(&file.name), file.sha256));
        sums.collect::<Vec<_>>()
    };
    survey.backups.iter().flat_map(of_backup).collect()
}

/// The files of kept backups and of those that they borrow from, and the seals of all of them.
fn listed(survey: &Survey) -> (Vec<Listed>, Vec<String>) {
    let live = survey.live_volumes();
    let (mut files, mut seals) = (Vec::new(), Vec::new());
    for sealed in &survey.backups {
        let id = sealed.folder.id();
        let is_kept = !survey.forgotten.contains(&id);
        let lends = live.iter().any(|(package, _)| *package == id);
        if !is_kept && !lends {
            continue;
        }
        for file in &sealed.contents.files {
            let is_volume = file.name.starts_with(VOLUMES);
            if !is_volume || live.contains(&(id, file.name.clone())) {
                files.push((sealed.folder.file(&file.name), file.sha256, file.size));
            }
        }
        seals.push(sealed.folder.file(CONTENTS_NAME));
    }
    (files, seals)
}

async fn one(
    cx: &Context,
    from: &Vault,
    to: &Vault,
    (name, sha256): (&str, &Digest),
) -> Result<(), Failure> {
    let cannot = || Failure::failed(format!("cannot copy {name}"), "");
    let mut pieces = from.place.stream(name).await.map_err(|e| told(cannot(), e))?;
    let mut upload = to.place.upload(name).await.map_err(|e| told(cannot(), e))?;
    let mut hasher = Hasher::new();
    while let Some(piece) = pieces.next().await.map_err(|e| told(cannot(), e))? {
        hasher.update(&piece);
        cx.advance(piece.len() as u64);
        upload.write(piece).await.map_err(|e| told(cannot(), e))?;
    }
    if hasher.finish() != *sha256 {
        upload.abort().await.map_err(|e| told(cannot(), e))?;
        return Err(Failure::not_valid(
            format!("{name} is damaged: its SHA-256 is not the seal's"),
            "it was not copied; lifeboat backup verify shows what else is wrong",
        ));
    }
    upload.finish().await.map_err(|e| told(cannot(), e))
}

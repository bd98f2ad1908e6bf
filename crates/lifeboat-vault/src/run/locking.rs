//! Object lock: everything that a backup needs is held in the bucket for as long as was asked.
//!
//! What a run writes is locked by the request that writes it. That it is, and that what the backup
//! borrows is locked for as long, is asked of the store before the backup counts as made.

use std::collections::BTreeSet;

use futures_util::{StreamExt as _, TryStreamExt as _};
use lifeboat_engine::context::Context;
use lifeboat_engine::failure::Failure;
use lifeboat_engine::journal::ClearFile;
use lifeboat_package::contents::CONTENTS_NAME;
use lifeboat_package::header::{HEADER_NAME, KEY_NAME};
use lifeboat_package::manifest::{Borrowed, MANIFEST_NAME, Manifest};
use lifeboat_storage::{Access, Location, Lock, Place, StorageError};
use lifeboat_suite::ObjectLock;

use crate::layout::{ERASURES, Folder, OWNER, VAULT, at};
use crate::place::{Vault, told};

const DAY: i64 = 86_400;
/// Objects that are asked about at once.
const AT_ONCE: usize = 8;

/// The lock of a run that begins at `started`.
pub fn of(rule: Option<ObjectLock>, started: i64) -> Option<Lock> {
    rule.map(|ObjectLock { mode, days }| Lock {
        mode,
        until: at(started.saturating_add(i64::from(days) * DAY)),
    })
}

/// Whether the vault can lock what is about to be written.
///
/// # Errors
/// [`Failure`] when it cannot.
pub async fn check(cx: &Context, location: &str, access: &Access) -> Result<(), Failure> {
    let cannot = || Failure::failed(format!("cannot lock anything in the vault {location}"), "");
    let parsed = Location::parse(location)
        .map_err(|e| Failure::usage(format!("{location} names no place"), "").because(e))?;
    let place = Place::open(&parsed, access).await.map_err(|e| told(cannot(), e))?;
    match place.has_lock().await {
        Ok(true) => Ok(()),
        Ok(false) => Err(Failure::failed(
            format!("the bucket of the vault {location} has no object lock"),
            "make a bucket with object lock and name it as vault, or take object_lock out of \
             lifeboat.yaml; nothing was written",
        )),
        Err(StorageError::Denied { .. }) => {
            cx.note(
                "these credentials may not ask whether the bucket has object lock \
                 (s3:GetBucketObjectLockConfiguration); if it has none, the first write fails",
            );
            Ok(())
        }
        Err(error) => Err(told(cannot(), error)),
    }
}

/// Holds everything that a backup is about to name, but for its seal.
///
/// # Errors
/// [`Failure`] when something cannot be held; there is no backup then.
pub async fn hold(
    cx: &Context,
    (vault, folder): (&Vault, &Folder),
    (manifest, clear_files): (&Manifest, &[ClearFile]),
) -> Result<(), Failure> {
    if !vault.access.has_lock() {
        return Ok(());
    }
    let survey = vault.survey().await?;
    let ours = [VAULT.to_owned(), OWNER.to_owned(), folder.file(MANIFEST_NAME)];
    let mut names = BTreeSet::from(ours);
    names.extend(clear_files.iter().map(|file| folder.file(&file.name)));
    names.extend(manifest.volumes.iter().map(|volume| folder.file(&volume.name)));
    // A restore takes back again what they name.
    let lists = survey.files.keys().filter(|name| name.starts_with(ERASURES));
    names.extend(lists.cloned());
    for Borrowed { package, volume } in &manifest.borrowed {
        // That it is there is looked at by the commit.
        let Some(lender) = survey.folder(package) else { continue };
        // Without these nobody reads the volume.
        let needed = [&volume.name, HEADER_NAME, KEY_NAME, MANIFEST_NAME, CONTENTS_NAME];
        names.extend(needed.map(|name| lender.file(name)));
    }
    hold_all(cx, vault, names).await
}

/// Holds files of a vault for as long as it was opened to.
///
/// # Errors
/// [`Failure`] when one of them cannot be held.
pub async fn hold_all(
    cx: &Context,
    vault: &Vault,
    names: impl IntoIterator<Item = String>,
) -> Result<(), Failure> {
    let held = futures_util::stream::iter(names).map(|name| hold_one(vault, name));
    let prolonged = held
        .buffer_unordered(AT_ONCE)
        .try_fold(0_u64, |sum, is_new| async move { Ok(sum + u64::from(is_new)) })
        .await?;
    cx.note(format!("object lock: {prolonged} files of the vault were prolonged"));
    Ok(())
}

/// Holds the seal, which makes the backup.
///
/// # Errors
/// [`Failure`] when it cannot be held.
pub async fn hold_seal(vault: &Vault, folder: &Folder) -> Result<(), Failure> {
    if !vault.access.has_lock() {
        return Ok(());
    }
    hold_one(vault, folder.file(CONTENTS_NAME)).await.map(drop)
}

async fn hold_one(vault: &Vault, name: String) -> Result<bool, Failure> {
    vault.place.hold(&name).await.map_err(|error| {
        let what = format!("cannot lock {name} in the vault");
        if matches!(error, StorageError::Denied { .. }) {
            let remedy = "allow s3:PutObjectRetention and s3:GetObjectRetention, then run again";
            return Failure::failed(what, remedy).because(error);
        }
        told(Failure::failed(what, ""), error)
    })
}

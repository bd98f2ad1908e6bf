//! A package that an earlier run finished just before it ended: only its journal is left to remove.

use lifeboat_package::contents::CONTENTS_NAME;
use lifeboat_package::id::PackageId;
use lifeboat_package::key::PackageKey;
use lifeboat_package::limits::MANIFEST_RAW_BYTES;
use lifeboat_package::manifest::{MANIFEST_NAME, Manifest};
use lifeboat_package::seal::open_bytes;
use lifeboat_storage::{Access, Location, Place};

use super::begin::{journal_path, remove_orphan};
use super::sealing::{newest, outcome};
use super::{ExportOutcome, ExportRequest};
use crate::context::Context;
use crate::failure::Failure;
use crate::files::{Target, beside, storage};
use crate::journal::{Earlier, Journal};
use crate::reader::{damaged, open_clear};
use crate::signature::signers;

/// Ends what an earlier run left to do, when that was nothing but to say that it is done.
///
/// # Errors
/// [`Failure`] when the journal or the target cannot be read, or the package is damaged.
pub async fn find(
    cx: &Context,
    request: &ExportRequest,
    access: &Access,
) -> Result<Option<ExportOutcome>, Failure> {
    let Some((journal, earlier)) = Journal::open(&journal_path(request)?)? else {
        return Ok(None);
    };
    if !is_committed(request, access).await? {
        return Ok(None);
    }
    let Some(manifest) = manifest_of(request, access, &earlier).await? else { return Ok(None) };
    if let Some(archive) = Target::archive_at(&request.target) {
        remove_orphan(&beside(&archive, ".partial"))?;
    }
    journal.remove()?;
    cx.note(format!(
        "package {} was whole already: an earlier run ended before it could say so",
        manifest.package
    ));
    let signed_by = signers(&manifest).into_iter().next();
    let volumes_resumed = manifest.volumes.len() as u64;
    let target = request.target.clone();
    let found = outcome(&manifest, &newest(earlier.parts), signed_by);
    Ok(Some(ExportOutcome { target, volumes_resumed, ..found }))
}

/// Whether there is a package, of whatever kind, under the target's name.
async fn is_committed(request: &ExportRequest, access: &Access) -> Result<bool, Failure> {
    if let Some(archive) = Target::archive_at(&request.target) {
        return Ok(archive.exists());
    }
    let cannot = || Failure::failed(format!("cannot look at {}", request.target), "");
    let location = Location::parse(&request.target).map_err(|e| cannot().because(e))?;
    let place = Place::open(&location, access).await.map_err(|e| storage(cannot(), e))?;
    match place.size(CONTENTS_NAME).await {
        Ok(_) => Ok(true),
        Err(lifeboat_storage::StorageError::NotFound { .. }) => Ok(false),
        Err(error) => Err(storage(cannot(), error)),
    }
}

/// The manifest of the package that is there; `None` when it is another one than the journal's.
async fn manifest_of(
    request: &ExportRequest,
    access: &Access,
    earlier: &Earlier,
) -> Result<Option<Manifest>, Failure> {
    let Ok(clear) = open_clear(&request.target, access).await else { return Ok(None) };
    let id = *clear.header.package();
    if PackageId::parse(&earlier.begun.package).ok() != Some(id) {
        return Ok(None);
    }
    let key = PackageKey::parse_key_text(&earlier.begun.key_text, &id)
        .map_err(|e| damaged("the journal").because(e))?;
    let limit = 2 * MANIFEST_RAW_BYTES as u64;
    let sealed = clear.files.read_whole(MANIFEST_NAME, limit).await;
    let sealed = sealed
        .map_err(|e| storage(damaged(MANIFEST_NAME), e))?
        .ok_or_else(|| damaged(MANIFEST_NAME))?;
    let frame = open_bytes(&key, &id, MANIFEST_NAME, &sealed)
        .map_err(|e| damaged(MANIFEST_NAME).because(e))?;
    let (manifest, _) =
        Manifest::from_frame(&frame).map_err(|e| damaged(MANIFEST_NAME).because(e))?;
    Ok(Some(manifest))
}

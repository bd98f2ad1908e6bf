//! The beginning of a package: the clear files and the journal, or what an earlier run left.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use lifeboat_components::synapse::facts;
use lifeboat_package::digest::Digest;
use lifeboat_package::header::{HEADER_NAME, Header, KEY_NAME};
use lifeboat_package::id::PackageId;
use lifeboat_package::key::PackageKey;
use lifeboat_package::manifest::Cut;
use lifeboat_storage::Access;

use super::ExportRequest;
use super::source::{Source, database_fault};
use crate::context::Context;
use crate::failure::Failure;
use crate::files::{Target, beside};
use crate::journal::{self, ClearFile, Earlier, Journal, PartDone};
use crate::keyring;
use crate::writer::{Writer, target_fault};

/// Rooms that a cut names as changed, at most.
const CHANGED_ROOMS: i64 = 10_000;

/// A package that can be written to.
pub struct Begun {
    /// The writer.
    pub writer: Writer,
    /// All cuts, this run's last.
    pub cut: Vec<Cut>,
    /// Volumes that were there already.
    pub resumed: u64,
    /// Parts that lie in them.
    pub earlier_parts: Vec<PartDone>,
}

/// Begins a package, or goes on with the one an earlier run began.
///
/// # Errors
/// [`Failure`] when the target or the journal cannot be used.
pub async fn begin(
    cx: &Context,
    request: &ExportRequest,
    access: &Access,
    source: &mut Source,
) -> Result<Begun, Failure> {
    let path = journal_path(request)?;
    match Journal::open(&path)? {
        Some((journal, earlier)) if !earlier.volumes.is_empty() => {
            resume(cx, request, access, (source, journal, earlier)).await
        }
        Some((journal, earlier)) => {
            // Nothing was finished: there is nothing to go on from.
            discard(request, access, (journal, &earlier)).await?;
            anew(cx, request, access, (source, &path)).await
        }
        None => anew(cx, request, access, (source, &path)).await,
    }
}

async fn anew(
    cx: &Context,
    request: &ExportRequest,
    access: &Access,
    (source, path): (&mut Source, &Path),
) -> Result<Begun, Failure> {
    if let Some(archive) = Target::archive_at(&request.target) {
        remove_orphan(&beside(&archive, ".partial"))?;
    }
    let package = PackageId::from_bytes(cx.random());
    let key = PackageKey::from_bytes(cx.random());
    let header = Header::of(&package, &key).to_bytes();
    let key_age = keyring::wrap(&request.recipients, &key, &package).map_err(|e| {
        Failure::failed("cannot wrap the package key for the recipients", "check -r").because(e)
    })?;
    let clear = |name: &str, bytes: &[u8]| ClearFile {
        name: name.to_owned(),
        size: bytes.len() as u64,
        sha256: Digest::of(bytes).to_string(),
    };
    let clear_files = vec![clear(HEADER_NAME, &header), clear(KEY_NAME, &key_age)];
    let made_folder = folder_of(request).is_some_and(|folder| !folder.exists());
    let mut target = Target::open(&request.target, access, None).await?;
    let begun = journal::Begun {
        package: package.to_string(),
        key_text: key.to_key_text(&package),
        clear_files: clear_files.clone(),
        server_name: source.reading.config.server_name.clone(),
        selection: request.selection.clone(),
        recipients: request.recipients.names(),
        folder: None,
        made_folder,
        plan: source.plan.clone(),
    };
    // The journal comes first, so that whatever is written has something that says whose it is.
    let mut journal = match Journal::begin(path, &begun) {
        Ok(journal) => journal,
        Err(failure) => {
            // Of what could not begin nothing is to stay; the first trouble is the one to tell.
            target.remove().await.ok();
            return Err(failure);
        }
    };
    target.put(HEADER_NAME, header).await.map_err(target_fault)?;
    target.put(KEY_NAME, key_age).await.map_err(target_fault)?;
    let cut = vec![cut_of(source, 1)];
    journal.cut(&cut[0])?;
    let writer = Writer {
        package,
        key: Arc::new(key),
        target,
        journal,
        clear_files,
        volumes: Vec::new(),
        parts: Vec::new(),
        volume_bytes: request.volume_bytes,
    };
    Ok(Begun { writer, cut, resumed: 0, earlier_parts: Vec::new() })
}

async fn resume(
    cx: &Context,
    request: &ExportRequest,
    access: &Access,
    (source, mut journal, earlier): (&mut Source, Journal, Earlier),
) -> Result<Begun, Failure> {
    let Earlier { begun, mut cuts, volumes, parts, archive_bytes } = earlier;
    let other = |what: &str| {
        Failure::usage(
            format!("an unfinished package of another {what} is at {}", request.target),
            "finish that one with its own command, or remove its .partial and .journal files",
        )
    };
    if begun.server_name != source.reading.config.server_name {
        return Err(other("server"));
    }
    if begun.selection != request.selection {
        return Err(other("selection"));
    }
    if sorted(begun.recipients) != sorted(request.recipients.names()) {
        return Err(other("choice of recipients"));
    }
    let package = PackageId::parse(&begun.package).map_err(|_| other("kind"))?;
    let key = PackageKey::parse_key_text(&begun.key_text, &package).map_err(|_| other("kind"))?;
    let target = Target::open(&request.target, access, Some(archive_bytes)).await?;
    source.plan = begun.plan;
    let check = super::recheck::check(cx, request, access, (&package, &key, &volumes));
    let known = super::unless_stopped(cx, check).await?;
    source.know(known);
    if let Some(last) = cuts.last_mut() {
        last.changed_rooms =
            facts::rooms_changed_since(source.cut.anchor(), last.position, CHANGED_ROOMS)
                .await
                .map_err(database_fault)?;
        journal.cut(last)?;
    }
    let cut = cut_of(source, u32::try_from(cuts.len() + 1).unwrap_or(u32::MAX));
    journal.cut(&cut)?;
    cuts.push(cut);
    let resumed = volumes.len() as u64;
    cx.note(format!(
        "going on with package {package}: {resumed} finished volumes, {} of {} parts are done",
        parts.len(),
        source.plan.len()
    ));
    let writer = Writer {
        package,
        key: Arc::new(key),
        target,
        journal,
        clear_files: begun.clear_files,
        volumes,
        parts: parts.clone(),
        volume_bytes: request.volume_bytes,
    };
    Ok(Begun { writer, cut: cuts, resumed, earlier_parts: parts })
}

fn cut_of(source: &Source, number: u32) -> Cut {
    Cut {
        cut: number,
        opened_at: source.cut.opened_at.clone(),
        snapshot: source.cut.snapshot.clone(),
        position: source.position,
        changed_rooms: Vec::new(),
    }
}

/// Where the journal is: beside an archive or folder; for a bucket in the user's state folder.
///
/// # Errors
/// [`Failure`] when there is no place for it.
pub fn journal_path(request: &ExportRequest) -> Result<PathBuf, Failure> {
    if let Some(path) = &request.journal {
        return Ok(path.clone());
    }
    let location = lifeboat_storage::Location::parse(&request.target)
        .map_err(|e| Failure::usage(format!("{} names no place", request.target), "").because(e))?;
    if let Some(path) = location.as_directory() {
        return Ok(beside(path, ".journal"));
    }
    let look = |name: &str| request.server.environment(name).map(PathBuf::from);
    let state = look("XDG_STATE_HOME").or_else(|| Some(look("HOME")?.join(".local/state")));
    let no_place = || {
        Failure::usage("there is no place for the journal", "name a local file with --journal FILE")
    };
    let folder = state.ok_or_else(no_place)?.join("lifeboat");
    std::fs::create_dir_all(&folder).map_err(|e| no_place().because(e))?;
    // The name says nothing: a bucket's name may be a customer's.
    let name = Digest::of(request.target.as_bytes()).to_string();
    Ok(folder.join(format!("{}.journal", name.get(..32).unwrap_or(&name))))
}

/// Removes what a cancelled export wrote: target and journal.
///
/// # Errors
/// [`Failure`] when something cannot be removed; it is named.
pub async fn clean_up(request: &ExportRequest, access: &Access) -> Result<(), Failure> {
    match Journal::open(&journal_path(request)?)? {
        Some((journal, earlier)) => discard(request, access, (journal, &earlier)).await,
        None => match Target::archive_at(&request.target) {
            Some(archive) => remove_orphan(&beside(&archive, ".partial")),
            None => Ok(()),
        },
    }
}

/// Removes an unfinished package and its journal.
async fn discard(
    request: &ExportRequest,
    access: &Access,
    (journal, earlier): (Journal, &Earlier),
) -> Result<(), Failure> {
    let removed = if let Some(archive) = Target::archive_at(&request.target) {
        remove_orphan(&beside(&archive, ".partial"))
    } else {
        let target = Target::open(&request.target, access, Some(0)).await?;
        target.remove().await.map_err(target_fault)
    };
    if let Some(folder) = folder_of(request) {
        // A folder that somebody else has put something into stays.
        std::fs::remove_dir(folder.join("volumes")).ok();
        if earlier.begun.made_folder {
            std::fs::remove_dir(&folder).ok();
        }
    }
    journal.remove()?;
    removed
}

/// The folder of this machine that the package's files go to.
fn folder_of(request: &ExportRequest) -> Option<PathBuf> {
    let location = lifeboat_storage::Location::parse(&request.target).ok()?;
    let is_archive = Target::archive_at(&request.target).is_some();
    location.as_directory().filter(|_| !is_archive).map(Path::to_owned)
}

fn sorted(mut names: Vec<String>) -> Vec<String> {
    names.sort();
    names
}

/// A partial archive without a journal cannot be gone on with: nobody has its key.
pub(super) fn remove_orphan(partial: &Path) -> Result<(), Failure> {
    // A file system that is read-only refuses to remove even what is not there.
    if !partial.exists() {
        return Ok(());
    }
    match std::fs::remove_file(partial) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(Failure::failed(
            format!("cannot remove {}, left by an earlier run", partial.display()),
            "remove it by hand",
        )
        .because(e)),
        _ => Ok(()),
    }
}

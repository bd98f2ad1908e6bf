//! The beginning of a backup: its clear files and its journal, or what an earlier run left.

use std::path::Path;
use std::sync::Arc;

use lifeboat_engine::context::Context;
use lifeboat_engine::failure::Failure;
use lifeboat_engine::files::Target;
use lifeboat_engine::journal::{self, ClearFile, Earlier, Journal};
use lifeboat_engine::keyring;
use lifeboat_package::contents::CONTENTS_NAME;
use lifeboat_package::digest::Digest;
use lifeboat_package::header::{HEADER_NAME, Header, KEY_NAME};
use lifeboat_package::id::PackageId;
use lifeboat_package::key::PackageKey;
use lifeboat_package::manifest::{Cut, Volume};
use lifeboat_package::selection::Selection;
use lifeboat_storage::StorageError;

use super::BackupRequest;
use crate::forget::Mark;
use crate::layout::{Folder, PACKAGES, PARTIAL, seconds_of, stamp};
use crate::place::{Vault, told};

/// A run that was cut short longer ago is not gone on with: a prune may be about to remove it.
const RESUMED_SECONDS: i64 = 3 * 24 * 3600;

/// A backup that can be written to.
pub struct Begun {
    /// Its folder.
    pub folder: Folder,
    /// Its key.
    pub key: Arc<PackageKey>,
    /// Where its files go.
    pub target: Target,
    /// What a resume needs.
    pub journal: Journal,
    /// The clear files.
    pub clear_files: Vec<ClearFile>,
    /// Volumes that an earlier run finished.
    pub volumes: Vec<Volume>,
    /// The runs that made it, this one last.
    pub cuts: Vec<Cut>,
}

/// Begins a backup, or goes on with the one an earlier run began.
///
/// # Errors
/// [`Failure`] when vault or journal cannot be used.
pub async fn begin(
    cx: &Context,
    request: &BackupRequest,
    vault: &Vault,
    path: &Path,
) -> Result<Begun, Failure> {
    let Some((journal, earlier)) = Journal::open(path)? else {
        return anew(cx, request, vault, path).await;
    };
    let folder = earlier.begun.folder.as_deref().and_then(Folder::parse);
    let Some(folder) = folder else {
        journal.remove()?;
        return anew(cx, request, vault, path).await;
    };
    if is_there(vault, &folder.file(CONTENTS_NAME)).await? {
        // It was whole; the run ended before it could say so.
        journal.remove()?;
        return anew(cx, request, vault, path).await;
    }
    let was_partial = is_there(vault, &partial_mark(&folder.id())).await?;
    let same = was_partial == request.is_partial
        && sorted(&earlier.begun.recipients) == sorted(&request.recipients.names())
        && earlier.begun.server_name == request.server_name;
    let age = (cx.now)() - seconds_of(folder.stamp()).unwrap_or_default();
    let may_go_on = same && !earlier.volumes.is_empty() && age < RESUMED_SECONDS;
    if may_go_on && is_all_there(vault, &folder, &earlier).await? {
        return resume(cx, vault, folder, (journal, earlier)).await;
    }
    discard(cx, vault, &folder).await;
    journal.remove()?;
    anew(cx, request, vault, path).await
}

async fn anew(
    cx: &Context,
    request: &BackupRequest,
    vault: &Vault,
    path: &Path,
) -> Result<Begun, Failure> {
    let stamp = stamp((cx.now)());
    let package = later_id(cx.random(), vault, &stamp).await?;
    let key = PackageKey::from_bytes(cx.random());
    let folder = Folder::of(&stamp, &package);
    let header = Header::of_backup(&package, &key).to_bytes();
    let key_age = keyring::wrap(&request.recipients, &key, &package)?;
    let clear = |name: &str, bytes: &[u8]| ClearFile {
        name: name.to_owned(),
        size: bytes.len() as u64,
        sha256: Digest::of(bytes).to_string(),
    };
    let clear_files = vec![clear(HEADER_NAME, &header), clear(KEY_NAME, &key_age)];
    let mut target = Target::open(&vault.package(&folder), &vault.access, None).await?;
    let begun = journal::Begun {
        package: package.to_string(),
        key_text: key.to_key_text(&package),
        clear_files: clear_files.clone(),
        server_name: request.server_name.clone(),
        selection: Selection::default(),
        recipients: request.recipients.names(),
        folder: Some(folder.as_str().to_owned()),
        made_folder: true,
        plan: Vec::new(),
    };
    // The journal comes first, so that whatever is written has something that says whose it is.
    let mut journal = Journal::begin(path, &begun)?;
    let cannot = || Failure::failed("cannot write into the vault", "");
    // The header says to a prune that a run is under way: before the run looks what it may borrow.
    target.put(HEADER_NAME, header).await.map_err(|e| told(cannot(), e))?;
    target.put(KEY_NAME, key_age).await.map_err(|e| told(cannot(), e))?;
    if request.is_partial {
        let mark = Mark { at: cx.timestamp(), reason: String::new() };
        vault.write_json(&partial_mark(&package), &mark).await?;
    }
    let cuts = vec![cut(cx, 1)];
    journal.cut(&cuts[0])?;
    let (key, volumes) = (Arc::new(key), Vec::new());
    Ok(Begun { folder, key, target, journal, clear_files, volumes, cuts })
}

/// An id that comes after those of all backups that were begun in the same second: backups are
/// ordered by when they were begun, then by id.
async fn later_id(random: [u8; 16], vault: &Vault, stamp: &str) -> Result<PackageId, Failure> {
    let cannot = || Failure::failed(format!("cannot read the vault {}", vault.location), "");
    let listed = vault.place.list().await.map_err(|e| told(cannot(), e))?;
    let folders = listed.iter().filter_map(|entry| {
        let (folder, _) = entry.name.strip_prefix(PACKAGES)?.split_once('/')?;
        Folder::parse(folder).filter(|folder| folder.stamp() == stamp)
    });
    let ids = folders.filter_map(|f| u128::from_str_radix(&f.id().to_string(), 16).ok());
    let random = u128::from_be_bytes(random);
    let id = ids.max().map_or(random, |last| {
        let room = (u128::MAX - last) / 16;
        last.saturating_add(1).saturating_add(random % room.max(1))
    });
    Ok(PackageId::from_bytes(id.to_be_bytes()))
}

async fn resume(
    cx: &Context,
    vault: &Vault,
    folder: Folder,
    (mut journal, earlier): (Journal, Earlier),
) -> Result<Begun, Failure> {
    let Earlier { begun, mut cuts, volumes, .. } = earlier;
    let unreadable = || {
        Failure::failed("the journal of an earlier run cannot be read", "remove it and run again")
    };
    let package = PackageId::parse(&begun.package).map_err(|e| unreadable().because(e))?;
    let key = PackageKey::parse_key_text(&begun.key_text, &package);
    let key = key.map_err(|e| unreadable().because(e))?;
    let target = Target::open(&vault.package(&folder), &vault.access, Some(0)).await?;
    let cut = cut(cx, u32::try_from(cuts.len() + 1).unwrap_or(u32::MAX));
    journal.cut(&cut)?;
    cuts.push(cut);
    cx.note(format!("going on with backup {package}: {} volumes are there", volumes.len()));
    let (key, clear_files) = (Arc::new(key), begun.clear_files);
    Ok(Begun { folder, key, target, journal, clear_files, volumes, cuts })
}

/// Removes what an earlier run left. Who may only add cannot: a prune does then.
async fn discard(cx: &Context, vault: &Vault, folder: &Folder) {
    let removed = async {
        let target = Target::open(&vault.package(folder), &vault.access, Some(0)).await?;
        target.remove().await.map_err(|e| Failure::failed("cannot remove", "").because(e))
    };
    if removed.await.is_err() {
        cx.note(format!(
            "{} was left unfinished; lifeboat backup prune removes it",
            folder.as_str()
        ));
    }
}

/// Whether everything that the journal lists is still in the vault: a prune may have removed it.
async fn is_all_there(vault: &Vault, folder: &Folder, earlier: &Earlier) -> Result<bool, Failure> {
    let clear = earlier.begun.clear_files.iter().map(|file| (&file.name, file.size));
    let volumes = earlier.volumes.iter().map(|volume| (&volume.name, volume.size));
    for (name, size) in clear.chain(volumes) {
        match vault.place.size(&folder.file(name)).await {
            Ok(found) if found == size => {}
            Ok(_) | Err(StorageError::NotFound { .. }) => return Ok(false),
            Err(e) => return Err(told(Failure::failed("cannot look into the vault", ""), e)),
        }
    }
    Ok(true)
}

/// The mark of a backup of some components only.
fn partial_mark(package: &PackageId) -> String {
    format!("{PARTIAL}{package}.json")
}

async fn is_there(vault: &Vault, name: &str) -> Result<bool, Failure> {
    match vault.place.size(name).await {
        Ok(_) => Ok(true),
        Err(StorageError::NotFound { .. }) => Ok(false),
        Err(e) => Err(told(Failure::failed("cannot look into the vault", ""), e)),
    }
}

fn cut(cx: &Context, number: u32) -> Cut {
    Cut {
        cut: number,
        opened_at: cx.timestamp(),
        snapshot: String::new(),
        position: 0,
        changed_rooms: Vec::new(),
    }
}

fn sorted(names: &[String]) -> Vec<String> {
    let mut names = names.to_vec();
    names.sort();
    names
}

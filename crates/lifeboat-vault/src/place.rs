//! The vault as a place: what lies in it, seen by one listing.

use std::collections::{BTreeMap, HashMap, HashSet};

use bytes::Bytes;
use lifeboat_engine::context::Context;
use lifeboat_engine::failure::Failure;
use lifeboat_package::contents::{CONTENTS_NAME, Contents, SealedFile};
use lifeboat_package::digest::Digest;
use lifeboat_package::id::PackageId;
use lifeboat_package::limits::MANIFEST_RAW_BYTES;
use lifeboat_storage::{Access, Location, Place, StorageError};
use serde::{Deserialize, Serialize};

use crate::layout::{
    DRILLS, ERASURES, FORGOTTEN, Folder, OWNER, PACKAGES, PARTIAL, PINNED, PROBES, PRUNES, VAULT,
    VERIFIED, seconds_of, stamp,
};

const FORMAT: &str = "lifeboat-vault";
const VERSION: &str = "1.0";
/// The folder of a package's volumes.
const VOLUMES: &str = "volumes/";
/// Seconds by which clocks of two machines may differ: what is dated later than that was made with
/// a clock that was wrong.
const CLOCKS_DIFFER: i64 = 24 * 60 * 60;
/// The depth of a verdict on what is in the sealed files, too.
pub(crate) const EVERYTHING: &str = "everything";
/// Verdicts on a backup that are looked at for one of everything.
const VERDICTS: usize = 60;
/// Bytes that a small file of the vault may have.
const SMALL_BYTES: u64 = 1 << 20;

/// An open vault.
pub struct Vault {
    /// Its files.
    pub place: Place,
    /// As the operator writes it.
    pub location: String,
    /// Its id: 32 hexadecimal digits.
    pub id: String,
    /// What opens places.
    pub access: Access,
}

/// `vault.json`.
#[derive(Serialize, Deserialize)]
struct Sign {
    format: String,
    version: String,
    vault: String,
}

/// `owner.json`.
#[derive(Serialize, Deserialize)]
struct Owner {
    /// SHA-256 of the vault's id, a line feed and the server's name: it can be compared, not read.
    server_sha256: String,
}

/// A backup that is whole.
pub struct Sealed {
    /// Its folder.
    pub folder: Folder,
    /// `seal.json`.
    pub contents: Contents,
}

impl Sealed {
    /// Its files that are no volumes, with their names in the vault.
    pub fn small_files(&self) -> impl Iterator<Item = (String, &SealedFile)> {
        let small = self.contents.files.iter().filter(|file| !file.name.starts_with(VOLUMES));
        small.map(|file| (self.folder.file(&file.name), file))
    }
}

/// What came of reading a backup whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// When: RFC 3339, UTC.
    pub verified_at: String,
    /// Whether everything was right.
    pub valid: bool,
    /// `everything`, or `sealed` when no identity was at hand.
    pub depth: String,
    /// What was wrong.
    pub problems: Vec<String>,
}

/// Whose a vault is, for one who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owned {
    /// The server that asks.
    ByIt,
    /// Another server.
    ByAnother,
    /// None yet.
    ByNobody,
}

/// Everything that lies in the vault.
#[derive(Default)]
pub struct Survey {
    /// Every file, with its size.
    pub files: HashMap<String, u64>,
    /// Whole backups, oldest first, those that were forgotten too.
    pub backups: Vec<Sealed>,
    /// Folders without a seal: runs that are under way, or were cut short.
    pub unfinished: Vec<Folder>,
    /// Folders of whole backups whose seal is damaged or gone: nobody knows what they borrow.
    pub damaged: Vec<Folder>,
    /// What retention let go.
    pub forgotten: HashSet<PackageId>,
    /// What must stay.
    pub pinned: HashSet<PackageId>,
    /// What was made of some components only.
    pub partial: HashSet<PackageId>,
    /// Verdicts of each backup, newest last: the names of their files.
    pub verified: BTreeMap<String, Vec<String>>,
    /// Lists of what may be pruned.
    pub prunes: Vec<String>,
    /// Records of drills, oldest first: the names of their files.
    pub drills: Vec<String>,
    /// Lists of what was taken back for good, oldest first: the names of their files.
    pub erasures: Vec<String>,
}

impl Vault {
    /// Opens a vault; makes one of an empty place when `cx` is there to draw its id.
    ///
    /// # Errors
    /// [`Failure`] when the place cannot be read, holds something else, or is empty and is not to
    /// be made a vault.
    pub async fn open(
        location: &str,
        access: &Access,
        make: Option<&Context>,
    ) -> Result<Self, Failure> {
        let (place, found) = look(location, access).await?;
        let id = match (found, make) {
            (Found::Vault(id), _) => id,
            (Found::Nothing, Some(cx)) => {
                let cannot = |e| told(cannot_open(location), e);
                let id = PackageId::from_bytes(cx.random()).to_string();
                let sign = Sign { format: FORMAT.into(), version: VERSION.into(), vault: id };
                let text = serde_json::to_vec(&sign).unwrap_or_default();
                place.put(VAULT, text.into()).await.map_err(cannot)?;
                sign.vault
            }
            (Found::Backups, _) => return Err(lost_sign(location)),
            (found, _) => return Err(no_vault(location, matches!(found, Found::Nothing))),
        };
        let location = location.trim_end_matches('/').to_owned();
        Ok(Self { place, location, id, access: access.clone() })
    }

    /// Whether there is nothing at a location, not even the folder.
    ///
    /// # Errors
    /// [`Failure`] when the place cannot be read, or what is there is no vault of this version.
    pub async fn is_nothing(location: &str, access: &Access) -> Result<bool, Failure> {
        let (_, found) = look(location, access).await?;
        Ok(matches!(found, Found::Nothing))
    }

    /// Sees that the vault is one of this server, and makes it so when it is nobody's yet:
    /// retention would count the backups of two servers as one row.
    ///
    /// # Errors
    /// [`Failure`] when it is another server's, or cannot be read or written.
    pub async fn demand_owner(&self, server: &str, make: bool) -> Result<(), Failure> {
        match self.owned(server).await? {
            Owned::ByAnother => Err(Failure::usage(
                format!("the vault {} belongs to another server than {server}", self.location),
                format!(
                    "give each server a vault of its own, for example a folder below; where the \
                     server got a new name, remove {OWNER} there"
                ),
            )),
            Owned::ByNobody if make => {
                let owner = Owner { server_sha256: self.owner_sum(server) };
                self.write_json(OWNER, &owner).await
            }
            Owned::ByIt | Owned::ByNobody => Ok(()),
        }
    }

    /// Whose the vault is, asked for a server's name: no more than a hash of it is kept.
    ///
    /// # Errors
    /// [`Failure`] when it cannot be read.
    pub async fn owned(&self, server: &str) -> Result<Owned, Failure> {
        Ok(match self.read_json::<Owner>(OWNER).await? {
            None => Owned::ByNobody,
            Some(owner) if owner.server_sha256 == self.owner_sum(server) => Owned::ByIt,
            Some(_) => Owned::ByAnother,
        })
    }

    fn owner_sum(&self, server: &str) -> String {
        Digest::of(format!("{}\n{server}", self.id).as_bytes()).to_string()
    }

    /// The location of a backup's package.
    pub fn package(&self, folder: &Folder) -> String {
        format!("{}/{PACKAGES}{}/", self.location, folder.as_str())
    }

    /// Removes what uploads into a backup's folder left that were cut short, where the place lets
    /// us: it is in no listing, and only takes room.
    pub async fn delete_partials(&self, folder: &Folder) {
        let Ok(location) = Location::parse(&self.package(folder)) else { return };
        if let Ok(place) = Place::open(&location, &self.access).await {
            place.delete_partials().await.ok();
        }
    }

    /// Lists everything and reads the seals. One that is damaged does not stand in the way of the
    /// other backups.
    ///
    /// # Errors
    /// [`Failure`] when something cannot be read.
    pub async fn survey(&self) -> Result<Survey, Failure> {
        let cannot = || Failure::failed(format!("cannot read the vault {}", self.location), "");
        let listed = self.place.list().await.map_err(|e| told(cannot(), e))?;
        let mut survey = Survey::default();
        let mut folders: BTreeMap<Folder, bool> = BTreeMap::new();
        for entry in listed {
            sort_in(&mut survey, &mut folders, &entry.name);
            survey.files.insert(entry.name, entry.size);
        }
        survey.drills.sort_unstable();
        survey.erasures.sort_unstable();
        for (folder, is_sealed) in folders {
            if !is_sealed {
                // Only what had a seal was ever verified.
                let was_sealed = survey.verified.contains_key(&folder.id().to_string());
                if was_sealed { &mut survey.damaged } else { &mut survey.unfinished }.push(folder);
                continue;
            }
            let name = folder.file(CONTENTS_NAME);
            let bytes = match self.place.read_whole(&name, MANIFEST_RAW_BYTES as u64).await {
                // A prune removed it since we listed.
                Err(StorageError::NotFound { .. }) => continue,
                Err(StorageError::Damaged { .. }) => Bytes::new(),
                read => read.map_err(|e| told(cannot(), e))?,
            };
            match Contents::parse(&bytes).ok().filter(|c| c.package == folder.id()) {
                Some(contents) => survey.backups.push(Sealed { folder, contents }),
                None => survey.damaged.push(folder),
            }
        }
        Ok(survey)
    }

    /// Reads a small JSON file of the vault; `None` when it is gone: a prune may have removed it
    /// since the vault was listed.
    ///
    /// # Errors
    /// [`Failure`] when it cannot be read or is not one.
    pub async fn read_json<T: for<'a> Deserialize<'a>>(
        &self,
        name: &str,
    ) -> Result<Option<T>, Failure> {
        let cannot = || Failure::failed(format!("cannot read {name} in the vault"), "");
        let bytes = match self.place.read_whole(name, MANIFEST_RAW_BYTES as u64).await {
            Err(StorageError::NotFound { .. }) => return Ok(None),
            read => read.map_err(|e| told(cannot(), e))?,
        };
        serde_json::from_slice(&bytes).map(Some).map_err(|e| {
            Failure::not_valid(format!("{name} in the vault is damaged"), "remove it").because(e)
        })
    }

    /// Writes a small JSON file of the vault.
    ///
    /// # Errors
    /// [`Failure`] when it cannot be written.
    pub async fn write_json(&self, name: &str, value: &impl Serialize) -> Result<(), Failure> {
        let text = serde_json::to_vec(value).unwrap_or_default();
        let cannot = || Failure::failed(format!("cannot write {name} into the vault"), "");
        self.place.put(name, Bytes::from(text)).await.map_err(|e| told(cannot(), e))
    }

    /// Deletes files of the vault.
    ///
    /// # Errors
    /// [`Failure`] when one cannot be deleted.
    pub async fn delete(&self, name: &str) -> Result<(), Failure> {
        let cannot = || {
            Failure::failed(
                format!("cannot delete {name} in the vault"),
                "deleting needs other rights than backup run does",
            )
        };
        self.place.delete(name).await.map_err(|e| cannot().because(e))
    }

    /// The newest verdict on a backup. Where that found the sealed files right and looked no
    /// deeper, it is the newest one of everything: sealed files that are right hold the same.
    ///
    /// # Errors
    /// [`Failure`] when it cannot be read.
    pub async fn verdict(
        &self,
        survey: &Survey,
        folder: &Folder,
    ) -> Result<Option<Verdict>, Failure> {
        let names = survey.verified.get(&folder.id().to_string()).map(Vec::as_slice);
        let mut newest: Option<Verdict> = None;
        for name in names.unwrap_or_default().iter().rev().take(VERDICTS) {
            let Some(verdict) = self.read_json::<Verdict>(name).await? else { continue };
            if verdict.depth == EVERYTHING || (newest.is_none() && !verdict.valid) {
                return Ok(Some(verdict));
            }
            newest.get_or_insert(verdict);
        }
        Ok(newest)
    }

    /// Notes a verdict.
    ///
    /// # Errors
    /// [`Failure`] when it cannot be written.
    pub async fn note_verdict(
        &self,
        (folder, now): (&Folder, i64),
        verdict: &Verdict,
    ) -> Result<(), Failure> {
        let name = format!("{VERIFIED}{}/{}.json", folder.id(), stamp(now));
        self.write_json(&name, verdict).await
    }
}

impl Survey {
    /// The whole backups that nobody has let go, oldest first.
    pub fn kept(&self) -> impl DoubleEndedIterator<Item = &Sealed> {
        self.backups.iter().filter(|sealed| !self.forgotten.contains(&sealed.folder.id()))
    }

    /// The folder of a package.
    pub fn folder(&self, id: &PackageId) -> Option<&Folder> {
        let folders = self.backups.iter().map(|sealed| &sealed.folder);
        let others = self.unfinished.iter().chain(&self.damaged);
        folders.chain(others).find(|folder| folder.id() == *id)
    }

    /// What says that seals are damaged.
    pub fn damage(&self) -> impl Iterator<Item = String> {
        self.damaged.iter().map(|folder| self.wrong_seal(folder))
    }

    /// What is wrong with the seal of one of [`Survey::damaged`].
    pub fn wrong_seal(&self, folder: &Folder) -> String {
        let name = folder.file(CONTENTS_NAME);
        let what = if self.files.contains_key(&name) { "damaged" } else { "missing" };
        format!("{name}: it is {what}")
    }

    /// For what must know of every backup what it needs.
    ///
    /// # Errors
    /// [`Failure`] when a seal is damaged.
    pub fn demand_whole(&self) -> Result<(), Failure> {
        self.damage().next().map_or(Ok(()), |what| {
            Err(Failure::not_valid(
                what,
                "bring this file from another copy of the vault (lifeboat backup copy makes one), \
                 or move its folder away; nothing was changed",
            ))
        })
    }

    /// Whether a volume is there with the size that a seal says, and with it what opens it.
    pub fn has(&self, package: &PackageId, name: &str, size: u64) -> bool {
        let folder = self.folder(package);
        let is_there = |folder: &Folder| self.files.get(&folder.file(name)) == Some(&size);
        folder.is_some_and(is_there) && self.lacks(package).next().is_none()
    }

    /// What is missing of a package beside its volumes, in words: without its seal, header, key and
    /// manifest nobody reads them. Of a run that is not done all of that is yet to come.
    pub fn lacks(&self, package: &PackageId) -> impl Iterator<Item = String> {
        let is_it = |folder: &&Folder| folder.id() == *package;
        let damaged = self.damaged.iter().find(is_it);
        let damaged = damaged.map(|folder| self.wrong_seal(folder));
        let sealed = self.backups.iter().find(|sealed| sealed.folder.id() == *package);
        let small = sealed.into_iter().flat_map(Sealed::small_files);
        let lost = small.filter_map(|(name, file)| match self.files.get(&name) {
            None => Some(format!("{name}: it is missing")),
            Some(found) if *found != file.size => {
                Some(format!("{name}: {found} bytes, not {}", file.size))
            }
            Some(_) => None,
        });
        damaged.into_iter().chain(lost)
    }

    /// The backup that `wanted` names: `latest`, which is the newest of the whole installation
    /// (where there is none, the newest of some components), an id, or the beginning of one id or
    /// folder. What is dated after `now`, seconds since 1970, is the latest only where nothing else
    /// is: a clock that was wrong once would have its backup restored for years.
    ///
    /// # Errors
    /// [`Failure`] when none or several fit.
    pub fn find(&self, wanted: &str, now: i64) -> Result<&Sealed, Failure> {
        if wanted == "latest" {
            let nothing = || {
                Failure::failed("there is no backup in the vault", "make one: lifeboat backup run")
            };
            let is_whole = |sealed: &&Sealed| !self.partial.contains(&sealed.folder.id());
            let is_past = |sealed: &&Sealed| {
                let begun = seconds_of(sealed.folder.stamp()).unwrap_or_default();
                begun <= now.saturating_add(CLOCKS_DIFFER)
            };
            let whole = self.kept().filter(is_past).rfind(is_whole);
            let newest = whole.or_else(|| self.kept().rfind(is_whole));
            return newest.or_else(|| self.kept().next_back()).ok_or_else(nothing);
        }
        let fits = |sealed: &&Sealed| {
            let folder = sealed.folder.as_str();
            folder.starts_with(wanted) || sealed.folder.id().to_string().starts_with(wanted)
        };
        let found: Vec<&Sealed> = self.backups.iter().filter(fits).collect();
        match found.as_slice() {
            [one] => Ok(one),
            [] if self.is_damaged(wanted) => Err(Failure::not_valid(
                format!("the seal of backup {wanted} is damaged or missing"),
                "take another backup, or bring its seal.json from another copy of the vault",
            )),
            [] => Err(Failure::usage(
                format!("there is no backup {wanted} in the vault"),
                "lifeboat backup list shows all",
            )),
            many => Err(Failure::usage(
                format!("{wanted} fits {} backups", many.len()),
                "give more of the id; lifeboat backup list shows all",
            )),
        }
    }

    fn is_damaged(&self, wanted: &str) -> bool {
        self.damaged.iter().any(|folder| {
            folder.as_str().starts_with(wanted) || folder.id().to_string().starts_with(wanted)
        })
    }

    /// The volumes that kept backups own or borrow.
    pub fn live_volumes(&self) -> HashSet<(PackageId, String)> {
        let mut live = HashSet::new();
        for Sealed { contents, .. } in self.kept() {
            let own = contents.volumes().iter();
            live.extend(own.map(|file| (contents.package, file.name.clone())));
            let borrowed = contents.borrowed.iter();
            live.extend(borrowed.map(|file| (file.package, file.name.clone())));
        }
        live
    }
}

fn sort_in(survey: &mut Survey, folders: &mut BTreeMap<Folder, bool>, name: &str) {
    if let Some(rest) = name.strip_prefix(PACKAGES) {
        if let Some((folder, file)) = rest.split_once('/')
            && let Some(folder) = Folder::parse(folder)
        {
            *folders.entry(folder).or_default() |= file == CONTENTS_NAME;
        }
        return;
    }
    let id = |rest: &str| PackageId::parse(rest.strip_suffix(".json")?).ok();
    if let Some(id) = name.strip_prefix(FORGOTTEN).and_then(id) {
        survey.forgotten.insert(id);
    } else if let Some(id) = name.strip_prefix(PINNED).and_then(id) {
        survey.pinned.insert(id);
    } else if let Some(id) = name.strip_prefix(PARTIAL).and_then(id) {
        survey.partial.insert(id);
    } else if name.starts_with(PRUNES) {
        survey.prunes.push(name.to_owned());
    } else if name.starts_with(ERASURES) {
        survey.erasures.push(name.to_owned());
    } else if name.starts_with(DRILLS) {
        survey.drills.push(name.to_owned());
    } else if let Some((id, _)) = name.strip_prefix(VERIFIED).and_then(|rest| rest.split_once('/'))
    {
        survey.verified.entry(id.to_owned()).or_default().push(name.to_owned());
    }
}

fn read_sign(location: &str, bytes: &[u8]) -> Result<String, Failure> {
    let sign: Option<Sign> = serde_json::from_slice(bytes).ok();
    let is_sign = |sign: &Sign| sign.format == FORMAT && PackageId::parse(&sign.vault).is_ok();
    match sign.filter(is_sign) {
        Some(sign) if sign.version.starts_with("1.") => Ok(sign.vault),
        Some(sign) => Err(Failure::not_valid(
            format!("{location}/{VAULT} is of version {}", sign.version),
            "use a Lifeboat that knows it, or another copy of the vault",
        )),
        None => Err(Failure::not_valid(format!("{location}/{VAULT} is damaged"), sign_again())),
    }
}

/// What is at a location.
enum Found {
    /// A vault, with its id.
    Vault(String),
    /// Backups, and no sign of their vault.
    Backups,
    /// Something else.
    Other,
    /// Nothing but what doctor tried.
    Nothing,
}

async fn look(location: &str, access: &Access) -> Result<(Place, Found), Failure> {
    let cannot = |e| told(cannot_open(location), e);
    let parsed = Location::parse(location)
        .map_err(|e| Failure::usage(format!("{location} names no place"), "").because(e))?;
    let place = Place::open(&parsed, access).await.map_err(cannot)?;
    let found = match place.read_whole(VAULT, SMALL_BYTES).await {
        Ok(bytes) => Found::Vault(read_sign(location, &bytes)?),
        Err(StorageError::NotFound { .. }) => {
            let there = place.list().await.map_err(cannot)?;
            if there.iter().any(|entry| entry.name.starts_with(PACKAGES)) {
                Found::Backups
            } else if there.iter().all(|entry| entry.name.starts_with(PROBES)) {
                Found::Nothing
            } else {
                Found::Other
            }
        }
        Err(e) => return Err(cannot(e)),
    };
    Ok((place, found))
}

fn cannot_open(location: &str) -> Failure {
    Failure::failed(format!("cannot open the vault {location}"), "")
}

fn lost_sign(location: &str) -> Failure {
    Failure::not_valid(format!("{location} has backups, and lost its {VAULT}"), sign_again())
}

fn sign_again() -> String {
    format!(
        "bring {VAULT} back from a copy of this very folder; to restore, one with any id will \
         do: {{\"format\":\"{FORMAT}\",\"version\":\"{VERSION}\",\"vault\":\"{}\"}}",
        "0".repeat(32)
    )
}

fn no_vault(location: &str, is_empty: bool) -> Failure {
    if is_empty {
        Failure::failed(
            format!("{location} is no vault: there is nothing in it"),
            "check the vault's location, or make a first backup: lifeboat backup run",
        )
    } else {
        Failure::usage(
            format!("{location} is no vault: there is something else in it"),
            "name an empty place, which the first backup makes a vault; nothing was changed",
        )
    }
}

/// A failure of a place, with its remedy.
pub(crate) fn told(failure: Failure, error: StorageError) -> Failure {
    let remedy = error.remedy().to_owned();
    Failure { remedy, ..failure.because(error) }
}

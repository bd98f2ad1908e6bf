//! A backup, open for reading: its own volumes and those that it borrows, as one.

use std::collections::BTreeMap;

use lifeboat_engine::failure::{Code, Failure};
use lifeboat_engine::keyring::Identities;
use lifeboat_engine::reader::places::ContentPlaces;
use lifeboat_engine::reader::{EntryPlace, Package, PartEntries, damaged, open_any};
use lifeboat_package::backup::{Component, Content};
use lifeboat_package::digest::Digest;
use lifeboat_package::id::{PackageId, PartPath, Section};
use lifeboat_package::manifest::Manifest;
use serde::de::DeserializeOwned;

use crate::layout::{Folder, PACKAGES, shown};
use crate::place::{Survey, Vault};

/// An open backup.
pub struct OpenBackup {
    /// Its own package first, then those that it borrows from.
    packages: Vec<Package>,
    /// Where content lies: in which of the packages, and in which entries.
    contents: ContentPlaces,
    entries: PartEntries,
}

impl OpenBackup {
    /// Opens a backup, and every package that it borrows from.
    ///
    /// # Errors
    /// [`Failure`] when one of them is missing or damaged, or no identity opens it.
    pub async fn open(
        vault: &Vault,
        survey: &Survey,
        (folder, identities): (&Folder, &Identities),
    ) -> Result<Self, Failure> {
        let damaged = match Self::opened(vault, survey, (folder, identities)).await {
            Err(failure) if failure.code == Code::NotValid => failure,
            opened => return opened,
        };
        let Some(other) = other(vault, survey, folder).await else { return Err(damaged) };
        let remedy = format!("{}; or take another backup: {other}", damaged.remedy);
        Err(Failure { remedy, ..damaged })
    }

    async fn opened(
        vault: &Vault,
        survey: &Survey,
        (folder, identities): (&Folder, &Identities),
    ) -> Result<Self, Failure> {
        let own = open_package(vault, folder, identities).await?;
        let mut wanted: BTreeMap<String, PackageId> = BTreeMap::new();
        for borrowed in &own.manifest.borrowed {
            wanted.insert(borrowed.package.to_string(), borrowed.package);
        }
        let mut packages = vec![own];
        for lender in wanted.into_values() {
            let folder = survey.folder(&lender).ok_or_else(|| lost(&lender))?;
            packages.push(open_package(vault, folder, identities).await?);
        }
        let contents = contents(&packages).await?;
        let entries = packages[0].part_entries_of(|part| part.section == Section::Backup).await?;
        Ok(Self { packages, contents, entries })
    }

    /// What a backup's manifest says, without a look at what it borrows.
    ///
    /// # Errors
    /// [`Failure`] when the package is damaged, or no identity opens it.
    pub async fn manifest_of(
        vault: &Vault,
        (folder, identities): (&Folder, &Identities),
    ) -> Result<Manifest, Failure> {
        Ok(open_package(vault, folder, identities).await?.manifest)
    }

    /// The backup's own package.
    pub fn package(&self) -> &Package {
        &self.packages[0]
    }

    /// The packages that it borrows from.
    pub fn lenders(&self) -> &[Package] {
        &self.packages[1..]
    }

    /// What it holds.
    pub fn manifest(&self) -> &Manifest {
        &self.packages[0].manifest
    }

    /// The component of this name.
    pub fn component(&self, name: &str) -> Option<&Component> {
        self.manifest().components.iter().find(|component| component.name == name)
    }

    /// The entries of a component's records of one name.
    pub fn record_entries(&self, component: &Component, name: &str) -> Vec<EntryPlace> {
        let of_part = |part: &PartPath| self.entries.get(part)?.get(name);
        component.parts.iter().filter_map(of_part).flatten().cloned().collect()
    }

    /// A component's records of one name. For those that are few; files and segments are read entry
    /// by entry.
    ///
    /// # Errors
    /// [`Failure`] when an entry is damaged.
    pub async fn records<T: DeserializeOwned>(
        &self,
        component: &Component,
        name: &str,
    ) -> Result<Vec<T>, Failure> {
        let mut all = Vec::new();
        for entry in self.record_entries(component, name) {
            all.extend(self.package().records::<T>(&entry).await?);
        }
        Ok(all)
    }

    /// Whether content is in one of the volumes.
    pub fn holds(&self, digest: &Digest) -> bool {
        self.contents.holds(digest)
    }

    /// How many pieces content has: a piece is at most one entry.
    ///
    /// # Errors
    /// [`Failure`] when it is in no volume.
    pub fn pieces<'a>(&'a self, content: &'a Content) -> Result<Vec<Piece<'a>>, Failure> {
        let mut pieces = Vec::new();
        for digest in content.digests() {
            let (package, entries) = self.contents.find(digest).ok_or_else(|| missing(digest))?;
            let package = &self.packages[package as usize];
            pieces.extend(entries.into_iter().map(|entry| Piece { package, entry }));
        }
        Ok(pieces)
    }

    /// Content that fits into memory, whole.
    ///
    /// # Errors
    /// [`Failure`] when it is damaged, in no volume, or larger than `limit` bytes.
    pub async fn whole(&self, content: &Content, limit: usize) -> Result<Vec<u8>, Failure> {
        let mut bytes = Vec::new();
        for piece in self.pieces(content)? {
            bytes.extend(piece.read().await?);
            if bytes.len() > limit {
                return Err(damaged("a backup's record, which names too much content,"));
            }
        }
        Ok(bytes)
    }
}

/// One entry of content.
pub struct Piece<'a> {
    package: &'a Package,
    entry: EntryPlace,
}

impl Piece<'_> {
    /// Its bytes, checked.
    ///
    /// # Errors
    /// [`Failure`] when it is damaged.
    pub async fn read(&self) -> Result<Vec<u8>, Failure> {
        self.package.content(&self.entry).await
    }
}

async fn open_package(
    vault: &Vault,
    folder: &Folder,
    identities: &Identities,
) -> Result<Package, Failure> {
    let opened =
        async { open_any(&vault.package(folder), &vault.access).await?.open(identities).await };
    // A backup is read from several packages: which one is it?
    opened.await.map_err(|e| match e.code {
        Code::NotValid => {
            Failure { what: format!("{PACKAGES}{}: {}", folder.as_str(), e.what), ..e }
        }
        _ => e,
    })
}

/// The newest other backup that was found right when it was verified last, in words; else the
/// newest other one.
async fn other(vault: &Vault, survey: &Survey, damaged: &Folder) -> Option<String> {
    let others = || survey.kept().rev().map(|sealed| &sealed.folder).filter(|one| *one != damaged);
    let words = |folder: &Folder, verified: &str| {
        format!("{} of {}, {verified}", folder.id(), shown(folder.stamp()))
    };
    for folder in others() {
        let verdict = vault.verdict(survey, folder).await.ok().flatten();
        if let Some(verdict) = verdict.filter(|verdict| verdict.valid) {
            return Some(words(folder, &format!("found right on {}", verdict.verified_at)));
        }
    }
    others().next().map(|folder| words(folder, "never found right"))
}

/// Where content lies, by the indexes of all volumes that the backup owns or borrows.
async fn contents(packages: &[Package]) -> Result<ContentPlaces, Failure> {
    let mut contents = ContentPlaces::default();
    let Some((own, _)) = packages.split_first() else { return Ok(contents) };
    for (package, number) in packages.iter().zip(0..) {
        let id = package.manifest.package;
        for (at, volume) in package.manifest.volumes.iter().enumerate() {
            let mut borrowed = own.manifest.borrowed.iter();
            if number == 0 || borrowed.any(|b| b.package == id && b.volume == *volume) {
                contents.add(package, (number, at)).await?;
            }
        }
    }
    contents.settle();
    Ok(contents)
}

fn missing(digest: &Digest) -> Failure {
    damaged(&format!("the backup: content {digest} is in none of its volumes, so it"))
}

fn lost(package: &PackageId) -> Failure {
    Failure::not_valid(
        format!("package {package}, which this backup borrows from, is not in the vault"),
        "use another copy of the vault, or another backup",
    )
}

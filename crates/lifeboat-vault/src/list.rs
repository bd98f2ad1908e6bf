//! `backup list` and `backup show`: what is in the vault.

use lifeboat_engine::failure::Failure;
use lifeboat_engine::keyring::Identities;
use lifeboat_engine::signature::signers;
use lifeboat_package::backup::{Component, Group};
use lifeboat_package::manifest::Gaps;
use serde::Serialize;

use crate::backup::OpenBackup;
use crate::forget::Mark;
use crate::layout::{FORGOTTEN, PINNED, seconds_of, shown};
use crate::place::{Sealed, Survey, Vault};

/// A backup as the list shows it: what can be seen without an identity.
#[derive(Debug, Clone, Serialize)]
pub struct Listed {
    /// Package id.
    pub backup: String,
    /// When it was begun: RFC 3339, UTC.
    pub begun_at: String,
    /// The same in seconds since 1970.
    pub begun: i64,
    /// Sealed bytes of its own volumes.
    pub own_bytes: u64,
    /// Sealed bytes of the volumes that it borrows.
    pub borrowed_bytes: u64,
    /// `everything` or `sealed` when it was verified last and found right, `wrong` when it was not,
    /// `never`.
    pub verified: String,
    /// When it was verified last: RFC 3339, UTC.
    pub verified_at: Option<String>,
    /// It was made of some components only.
    pub partial: bool,
    /// It is not to be forgotten.
    pub pinned: bool,
    /// Retention let it go.
    pub forgotten: bool,
}

/// The vault as the list shows it.
#[derive(Debug, Clone, Serialize)]
pub struct VaultList {
    /// Where it is.
    pub vault: String,
    /// Its id.
    pub id: String,
    /// Bytes of all its files.
    pub bytes: u64,
    /// Backups, oldest first.
    pub backups: Vec<Listed>,
    /// Folders without a seal: runs that are under way, or were cut short.
    pub unfinished: Vec<String>,
    /// Folders whose seal is damaged, or gone since it was verified.
    pub damaged: Vec<String>,
}

/// Lists the backups, those that were forgotten only if asked for.
///
/// # Errors
/// [`Failure`] when the vault cannot be read.
pub async fn list(vault: &Vault, survey: &Survey, all: bool) -> Result<VaultList, Failure> {
    let mut backups = Vec::new();
    for sealed in &survey.backups {
        let listed = listed(vault, survey, sealed).await?;
        if all || !listed.forgotten {
            backups.push(listed);
        }
    }
    Ok(VaultList {
        vault: vault.location.clone(),
        id: vault.id.clone(),
        bytes: survey.files.values().sum(),
        backups,
        unfinished: survey.unfinished.iter().map(|folder| folder.as_str().to_owned()).collect(),
        damaged: survey.damaged.iter().map(|folder| folder.as_str().to_owned()).collect(),
    })
}

/// One backup as the list shows it.
///
/// # Errors
/// [`Failure`] when its verdict cannot be read.
pub async fn listed(vault: &Vault, survey: &Survey, sealed: &Sealed) -> Result<Listed, Failure> {
    let verdict = vault.verdict(survey, &sealed.folder).await?;
    let id = sealed.folder.id();
    let stamp = sealed.folder.stamp();
    Ok(Listed {
        backup: id.to_string(),
        begun_at: shown(stamp),
        begun: seconds_of(stamp).unwrap_or_default(),
        own_bytes: sealed.contents.volumes().iter().map(|file| file.size).sum(),
        borrowed_bytes: sealed.contents.borrowed.iter().map(|file| file.size).sum(),
        verified: match &verdict {
            None => "never".to_owned(),
            Some(verdict) if verdict.valid => verdict.depth.clone(),
            Some(_) => "wrong".to_owned(),
        },
        verified_at: verdict.map(|verdict| verdict.verified_at),
        partial: survey.partial.contains(&id),
        pinned: survey.pinned.contains(&id),
        forgotten: survey.forgotten.contains(&id),
    })
}

/// The newest backup of the whole installation whose last verification found everything right.
pub fn newest_verified(backups: &[Listed]) -> Option<&Listed> {
    let right = |listed: &&Listed| {
        !listed.partial && !matches!(listed.verified.as_str(), "never" | "wrong")
    };
    backups.iter().filter(right).max_by_key(|listed| listed.begun)
}

/// A backup with what only an identity shows.
#[derive(Debug, Clone, Serialize)]
pub struct Shown {
    /// As the list shows it.
    #[serde(flatten)]
    pub listed: Listed,
    /// When and why it was pinned.
    pub pin: Option<Mark>,
    /// When and why it was let go.
    pub forget: Option<Mark>,
    /// What the manifest says, with an identity.
    pub content: Option<ShownContent>,
}

/// What the manifest says.
#[derive(Debug, Clone, Serialize)]
pub struct ShownContent {
    /// Server.
    pub server_name: String,
    /// When it was finished: RFC 3339, UTC.
    pub finished_at: String,
    /// The program that made it.
    pub generator: String,
    /// Who signed it.
    pub signed_by: Vec<String>,
    /// The components.
    pub components: Vec<Component>,
    /// Databases that were cut at one instant, and the proof.
    pub groups: Vec<Group>,
    /// What is missing.
    pub gaps: Gaps,
}

/// Shows a backup.
///
/// # Errors
/// [`Failure`] when it cannot be read or opened.
pub async fn show(
    vault: &Vault,
    survey: &Survey,
    (sealed, identities): (&Sealed, Option<&Identities>),
) -> Result<Shown, Failure> {
    let listed = listed(vault, survey, sealed).await?;
    let pin = mark(vault, (listed.pinned, PINNED), &listed.backup).await;
    let forget = mark(vault, (listed.forgotten, FORGOTTEN), &listed.backup).await;
    let content = match identities {
        None => None,
        Some(identities) => {
            let open = OpenBackup::open(vault, survey, (&sealed.folder, identities)).await?;
            let manifest = open.manifest();
            Some(ShownContent {
                server_name: manifest.metadata.server_id.clone(),
                finished_at: manifest.metadata.export_date.clone(),
                generator: manifest.metadata.generator.clone(),
                signed_by: signers(manifest),
                components: manifest.components.clone(),
                groups: manifest.groups.clone(),
                gaps: manifest.gaps.clone(),
            })
        }
    };
    Ok(Shown { listed, pin, forget, content })
}

/// A mark that cannot be read counts all the same, and hides nothing else of the backup.
async fn mark(vault: &Vault, (is_there, folder): (bool, &str), backup: &str) -> Option<Mark> {
    if !is_there {
        return None;
    }
    let read = vault.read_json(&format!("{folder}{backup}.json")).await;
    read.unwrap_or_else(|failure| Some(Mark { at: String::new(), reason: failure.to_string() }))
}

//! Which vault and which backup in it: the flags of the commands that look into one.

use std::path::PathBuf;

use lifeboat_engine::failure::Failure;
use lifeboat_storage::Access;
use lifeboat_suite::{Installation, ObjectLock, OwnPlaces};
use lifeboat_vault::place::{Survey, Vault};
use lifeboat_vault::run::locking;

use super::Session;
use super::installation::InstallationFlags;
use crate::secrets::IdentityFlags;

/// Which vault: the installation's, or one that is named.
#[derive(Debug, clap::Args)]
pub(super) struct VaultFlags {
    #[command(flatten)]
    installation: InstallationFlags,
    /// The vault instead of the installation's, such as its copy: on the worst day nothing else is
    /// left
    #[arg(long, value_name = "VAULT")]
    pub(super) vault: Option<String>,
}

/// Which backup, and what opens it.
#[derive(Debug, clap::Args)]
pub(super) struct OneBackupFlags {
    #[command(flatten)]
    pub(super) vault: VaultFlags,
    /// `latest`, or the beginning of an id
    #[arg(default_value = "latest")]
    pub(super) backup: String,
    #[command(flatten)]
    pub(super) identities: IdentityFlags,
}

impl VaultFlags {
    /// Opens the vault and looks at what is in it.
    pub(super) async fn open(&self, session: &Session) -> Result<(Vault, Survey), Failure> {
        let location = match &self.vault {
            Some(location) => location.clone(),
            None => self.installation(session)?.vault,
        };
        survey(session, &location).await
    }

    /// As [`Self::open`], to write what backups need: it is locked as the installation says.
    pub(super) async fn open_locked(&self, session: &Session) -> Result<(Vault, Survey), Failure> {
        if self.vault.is_some() {
            return self.open(session).await;
        }
        let installation = self.installation(session)?;
        let access = locked(session, installation.object_lock);
        opened(session, &installation.vault, &access).await
    }

    /// Reads what describes the installation.
    pub(super) fn installation(&self, session: &Session) -> Result<Installation, Failure> {
        self.installation.read(session)
    }

    pub(super) fn places(&self, session: &Session) -> Result<OwnPlaces, Failure> {
        self.installation.places(session)
    }

    /// The file that describes the installation.
    pub(super) fn config(&self, session: &Session) -> PathBuf {
        session.folder.join(&self.installation.config)
    }
}

/// Opens a vault and looks at what is in it; what is damaged is told.
pub(super) async fn survey(session: &Session, location: &str) -> Result<(Vault, Survey), Failure> {
    opened(session, location, &Access::new(session.environment.iter().cloned())).await
}

/// The way to a vault in which what is written now is locked for as long as is said.
pub(super) fn locked(session: &Session, rule: Option<ObjectLock>) -> Access {
    let lock = locking::of(rule, (session.context.now)());
    Access::new(session.environment.iter().cloned()).with_lock(lock)
}

async fn opened(
    session: &Session,
    location: &str,
    access: &Access,
) -> Result<(Vault, Survey), Failure> {
    let vault = Vault::open(location, access, None).await?;
    let survey = vault.survey().await?;
    survey.damage().for_each(|what| session.context.note(what));
    Ok((vault, survey))
}

//! The proof that an archived secret fits its database: which row to ask for, and what opens it.

use lifeboat_config::Secret;
use lifeboat_matrix::{PublicKeys, SigningKey};
use thiserror::Error;

use crate::env_file::EnvFile;
use crate::error::SuiteError;
use crate::installation::{Bridge, Component, Kind, SecretFile};
use crate::key_fit::{self, Misfit};
use crate::kinds;
use crate::view::read_text;

/// What is asked of a database, for a value that only the right secret opens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Proof {
    /// The name of the secret, as in [`SecretFile`].
    pub secret: &'static str,
    /// One row of one text, or none when nothing is stored yet.
    pub sql: &'static str,
}

/// The proof could not be brought.
#[derive(Debug, Error)]
pub enum ProofError {
    /// The secret is nowhere.
    #[error("its {0} was not found")]
    Absent(&'static str),
    /// It cannot be read.
    #[error("its secret cannot be read")]
    Unreadable(#[from] SuiteError),
    /// It does not fit.
    #[error("its secret does not fit")]
    Misfit(#[from] Misfit),
}

/// The proof of a kind; `None` where its database holds nothing encrypted.
pub fn proof(kind: Kind) -> Option<Proof> {
    let (secret, sql) = match kind {
        Kind::Mas => (
            "encryption secret",
            "SELECT encrypted_client_secret FROM oauth2_clients
             WHERE encrypted_client_secret IS NOT NULL
             UNION ALL
             SELECT encrypted_client_secret FROM upstream_oauth_providers
             WHERE encrypted_client_secret IS NOT NULL
             LIMIT 1",
        ),
        Kind::SlidingSync => (
            kinds::SYNC_SECRET,
            "SELECT token_encrypted FROM syncv3_sync2_tokens ORDER BY last_seen DESC LIMIT 1",
        ),
        Kind::Bridge(Bridge::Irc) => (
            kinds::PASSKEY,
            "SELECT password FROM client_config WHERE password IS NOT NULL LIMIT 1",
        ),
        _ => return None,
    };
    Some(Proof { secret, sql })
}

/// Opens the row that [`proof`] asked for with the secret of `component`. Blocks on the disk.
///
/// # Errors
/// See [`ProofError`].
pub fn check(component: &Component, stored: &str) -> Result<(), ProofError> {
    let absent = || ProofError::Absent(proof(component.kind).map_or("secret", |p| p.secret));
    match component.kind {
        Kind::Mas => {
            let secret = kinds::encryption_setting(component)?.ok_or_else(absent)?;
            Ok(key_fit::mas_encryption(&secret, stored)?)
        }
        Kind::SlidingSync => {
            let file = secret_of(component, kinds::SYNC_SECRET).ok_or_else(absent)?;
            let variables = EnvFile::read(&file.path)?;
            let secret = variables.get(kinds::SYNC_SECRET).ok_or_else(absent)?;
            Ok(key_fit::sliding_sync(secret, stored)?)
        }
        Kind::Bridge(Bridge::Irc) => {
            let file = secret_of(component, kinds::PASSKEY).ok_or_else(absent)?;
            let pem = Secret::new(read_text(&file.path)?.as_str());
            Ok(key_fit::irc_passkey(&pem, stored)?)
        }
        _ => Err(absent()),
    }
}

/// The keys that a Synapse signs with now, the first one first. Blocks on the disk.
///
/// # Errors
/// [`ProofError`] when there is none or it cannot be read.
pub fn signing_keys(component: &Component) -> Result<Vec<SigningKey>, ProofError> {
    let config = lifeboat_config::read(&component.config, &component.read_options())
        .map_err(|error| ProofError::Unreadable(SuiteError::Synapse(error)))?;
    config.signing_keys().map_err(|_| ProofError::Absent("signing key"))
}

/// The keys that the events of a Synapse may carry: those that it signs with, and those that it
/// lists as old ones. Blocks on the disk.
///
/// # Errors
/// [`ProofError`] when they cannot be read.
pub fn known_keys(component: &Component) -> Result<PublicKeys, ProofError> {
    let config = lifeboat_config::read(&component.config, &component.read_options())
        .map_err(|error| ProofError::Unreadable(SuiteError::Synapse(error)))?;
    let mut keys = PublicKeys::new();
    for key in config.signing_keys().map_err(|_| ProofError::Absent("signing key"))? {
        keys.insert_own(&config.server_name, &key);
    }
    for old in config.old_signing_keys().unwrap_or_default() {
        // One that cannot be read fits nothing.
        keys.insert(&config.server_name, &old.key_id, &old.key).ok();
    }
    Ok(keys)
}

/// The server name that a Synapse's own configuration says. Blocks on the disk.
///
/// # Errors
/// [`SuiteError`] when it cannot be read.
pub fn server_name(component: &Component) -> Result<String, SuiteError> {
    let config = lifeboat_config::read(&component.config, &component.read_options())
        .map_err(SuiteError::Synapse)?;
    Ok(config.server_name)
}

/// What Synapse and MAS share, as this one of them has it. Blocks on the disk.
///
/// # Errors
/// [`SuiteError`] when its configuration cannot be read.
pub fn shared_secret(component: &Component) -> Result<Option<Secret>, SuiteError> {
    match component.kind {
        Kind::Mas => kinds::shared_setting(component),
        Kind::Synapse => {
            let config = lifeboat_config::read(&component.config, &component.read_options())
                .map_err(SuiteError::Synapse)?;
            let secret = |name| config.kept.secret(name);
            Ok(secret("matrix_authentication_service.secret")
                .or_else(|| secret("experimental_features.msc3861.admin_token")))
        }
        _ => Ok(None),
    }
}

fn secret_of<'a>(component: &'a Component, name: &str) -> Option<&'a SecretFile> {
    component.secrets.iter().find(|secret| secret.name == name)
}

#[cfg(test)]
mod tests;

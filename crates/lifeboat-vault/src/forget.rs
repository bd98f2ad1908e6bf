//! `backup forget`: lets backups go. Nothing is deleted here; a prune deletes what no backup needs.

use lifeboat_engine::context::Context;
use lifeboat_engine::failure::Failure;
use lifeboat_package::id::PackageId;
use serde::{Deserialize, Serialize};

use crate::layout::{FORGOTTEN, PINNED};
use crate::place::Vault;

/// The mark of a backup that was let go, or that must stay.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Mark {
    /// When: RFC 3339, UTC.
    pub at: String,
    /// Why.
    pub reason: String,
}

/// Lets a backup go.
///
/// # Errors
/// [`Failure`] when the vault cannot be written.
pub async fn forget(
    cx: &Context,
    vault: &Vault,
    (backup, reason): (&PackageId, &str),
) -> Result<(), Failure> {
    let mark = Mark { at: cx.timestamp(), reason: reason.to_owned() };
    vault.write_json(&format!("{FORGOTTEN}{backup}.json"), &mark).await
}

/// Says that a backup must stay.
///
/// # Errors
/// [`Failure`] when the vault cannot be written.
pub async fn pin(
    cx: &Context,
    vault: &Vault,
    (backup, reason): (&PackageId, &str),
) -> Result<(), Failure> {
    let mark = Mark { at: cx.timestamp(), reason: reason.to_owned() };
    vault.write_json(&format!("{PINNED}{backup}.json"), &mark).await
}

/// Says that a backup need not stay any more.
///
/// # Errors
/// [`Failure`] when the vault cannot be written.
pub async fn unpin(vault: &Vault, backup: &PackageId) -> Result<(), Failure> {
    vault.delete(&format!("{PINNED}{backup}.json")).await
}

//! `backup key`: who can open the backups. Adding or removing recipients rewrites the envelopes of
//! all backups, 1 KB each, and the lists of what was taken back for good; nothing else.

use lifeboat_engine::context::{Context, Unit};
use lifeboat_engine::failure::Failure;
use lifeboat_engine::keyring::{self, Identities, Recipients};
use lifeboat_package::contents::{CONTENTS_NAME, Contents};
use lifeboat_package::digest::Digest;
use lifeboat_package::header::KEY_NAME;
use lifeboat_package::limits::KEY_FILE_BYTES;
use serde::Serialize;

use crate::erasures;
use crate::place::{Sealed, Survey, Vault, told};

/// What came of it.
#[derive(Debug, Clone, Default, Serialize)]
pub struct KeyOutcome {
    /// Backups whose envelope was rewritten.
    pub rewritten: u64,
    /// Lists of what was taken back for good that were sealed anew.
    pub lists: u64,
    /// Whom they are for now.
    pub recipients: Vec<String>,
    /// Folders of runs that go on or were cut short. A run that goes on seals its backup for those
    /// whom it began with.
    pub unfinished: Vec<String>,
}

/// Wraps the key of every backup for exactly these recipients. With `keeps`, only where the
/// identities open it afterwards, too.
///
/// # Errors
/// [`Failure`] when a backup or a list cannot be opened, or the vault cannot be written; those
/// before it are rewritten, and the same command goes on.
pub async fn rewrap(
    cx: &Context,
    vault: &Vault,
    survey: &Survey,
    (identities, recipients, keeps): (&Identities, &Recipients, bool),
) -> Result<KeyOutcome, Failure> {
    survey.demand_whole()?;
    let mut outcome = KeyOutcome {
        recipients: recipients.names(),
        unfinished: survey.unfinished.iter().map(|folder| folder.as_str().to_owned()).collect(),
        ..KeyOutcome::default()
    };
    cx.stage("envelopes", survey.backups.len() as u64, Unit::Items);
    for sealed in &survey.backups {
        one(vault, sealed, (identities, keeps), recipients).await?;
        outcome.rewritten += 1;
        cx.advance(1);
    }
    outcome.lists = erasures::reseal((vault, survey), (identities, recipients)).await?;
    Ok(outcome)
}

async fn one(
    vault: &Vault,
    sealed: &Sealed,
    (identities, keeps): (&Identities, bool),
    recipients: &Recipients,
) -> Result<(), Failure> {
    let name = sealed.folder.file(KEY_NAME);
    let cannot = |verb: &str| Failure::failed(format!("cannot {verb} {name}"), "");
    let read = vault.place.read_whole(&name, KEY_FILE_BYTES as u64).await;
    let envelope = read.map_err(|e| told(cannot("read"), e))?;
    let id = sealed.folder.id();
    let key = keyring::unwrap(identities, &envelope, &id)?;
    let envelope = keyring::wrap(recipients, &key, &id)?;
    if keeps && keyring::unwrap(identities, &envelope, &id).is_err() {
        return Err(Failure::usage(
            "the identity that was given could not open the backups any more",
            "add its recipient to `recipients` in lifeboat.yaml, or give an identity of one that \
             is there: only those, and the new one, are kept",
        ));
    }
    let mut contents = Contents { ..sealed.contents.clone() };
    for file in contents.files.iter_mut().filter(|file| file.name == KEY_NAME) {
        file.sha256 = Digest::of(&envelope);
        file.size = envelope.len() as u64;
    }
    let seal = contents.to_bytes().map_err(|e| {
        Failure::failed("cannot write the seal", "this is a fault of ours").because(e)
    })?;
    let put = vault.place.put(&name, envelope.into()).await;
    put.map_err(|e| told(cannot("write"), e))?;
    let seal_name = sealed.folder.file(CONTENTS_NAME);
    vault.place.put(&seal_name, seal.into()).await.map_err(|e| told(cannot("write"), e))
}

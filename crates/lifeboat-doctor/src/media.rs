//! Media that storage providers hold: whether each can be listed and read.

use lifeboat_components::synapse::media_path::FOLDERS;
use lifeboat_storage::access::Patience;
use lifeboat_storage::error::StorageError;
use lifeboat_storage::foreign::{Foreign, Found};
use lifeboat_suite::media::{ProviderAt, providers};
use lifeboat_suite::{Installation, Kind};

use crate::Examination;
use crate::finding::{Findings, Of, told};

/// Tries of one request.
const ATTEMPTS: u32 = 2;
const LACKS: &str = "a backup would lack the media that only it has: ";

pub(crate) async fn examine(
    installation: &Installation,
    with: &Examination,
    findings: &mut Findings,
) {
    for synapse in installation.of_kind(Kind::Synapse) {
        let mut of = findings.of(&synapse.name);
        for provider in providers(synapse, &with.environment) {
            let name = &provider.name;
            match provider.at {
                ProviderAt::Folder(folder) => match std::fs::read_dir(&folder) {
                    Ok(_) => of.fine(&format!("the media in {name} can be listed")),
                    Err(error) => of.warn(
                        &format!("cannot list the media in {name}: {error}"),
                        &format!("{LACKS}mount it, or run as a user that may read it"),
                    ),
                },
                ProviderAt::Bucket { bucket, prefix, access } => {
                    let patience = Patience { attempts: ATTEMPTS, ..Patience::USUAL };
                    let access = access.with_patience(patience);
                    match Foreign::open(&bucket, &prefix, &access).await {
                        Ok(foreign) => try_bucket(&foreign, name, &mut of).await,
                        Err(error) => refused(name, &error, &mut of),
                    }
                }
                ProviderAt::Unknown(why) => of.warn(
                    &format!("the media in {name} cannot be read: {why}"),
                    &format!("{LACKS}copy them into the media store before a backup"),
                ),
            }
        }
    }
}

/// Lists a bucket up to its first object, and reads that. Those without content may stand for
/// folders, and cannot be read.
async fn try_bucket(foreign: &Foreign, name: &str, of: &mut Of<'_>) {
    for folder in FOLDERS {
        match first(foreign, folder).await {
            Ok(Some(found)) => {
                return match read(foreign, &found.name).await {
                    Ok(()) => of.fine(&format!("the media in {name} can be listed and read")),
                    Err(error) => of.warn(
                        &format!(
                            "the media in {name} can be listed and not read: {}",
                            told(&error)
                        ),
                        &format!("{LACKS}allow s3:GetObject"),
                    ),
                };
            }
            Ok(None) => {}
            Err(error) => return refused(name, &error, of),
        }
    }
    of.warn(
        &format!("there are no media in {name}"),
        "if there should be some, compare bucket and prefix with what the store has",
    );
}

async fn first(foreign: &Foreign, folder: &str) -> Result<Option<Found>, StorageError> {
    let mut listing = foreign.list(folder)?;
    loop {
        match listing.next().await? {
            Some(found) if found.size == 0 => {}
            found => return Ok(found),
        }
    }
}

async fn read(foreign: &Foreign, name: &str) -> Result<(), StorageError> {
    foreign.read(name).await?.next().await.map(drop)
}

fn refused(name: &str, error: &StorageError, of: &mut Of<'_>) {
    of.warn(
        &format!("cannot list the media in {name}: {}", told(error)),
        &format!("{LACKS}correct its place or its keys; listing needs s3:ListBucket"),
    );
}

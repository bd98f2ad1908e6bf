//! `lifeboat backup`: whole components, into the vault.

mod erasures;
mod export;
mod keep;
mod look;
mod take;
mod unpack;

use lifeboat_engine::failure::Failure;

use super::{Ended, Session};

/// Back up whole components into the vault, and look after what is in it
///
/// Backups hold whole databases and file trees, sealed for the recipients in lifeboat.yaml; the
/// machine that makes them cannot read them back.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  lifeboat backup run -c lifeboat.yaml
  lifeboat backup list -c lifeboat.yaml
  lifeboat backup verify -c lifeboat.yaml -i identity.txt
  lifeboat backup forget -c lifeboat.yaml --dry-run
  lifeboat backup prune -c lifeboat.yaml")]
pub(crate) struct BackupFlags {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    Run(take::RunFlags),
    List(look::ListFlags),
    Show(look::ShowFlags),
    Verify(look::VerifyFlags),
    Forget(keep::ForgetFlags),
    Pin(keep::PinFlags),
    Unpin(keep::UnpinFlags),
    Prune(keep::PruneFlags),
    Key(keep::KeyFlags),
    Copy(keep::CopyFlags),
    Unpack(unpack::UnpackFlags),
    Export(Box<export::ExportFlags>),
    Erasures(erasures::ErasureFlags),
}

pub(crate) async fn run(session: &Session, flags: BackupFlags) -> Result<Ended, Failure> {
    match flags.verb {
        Verb::Run(flags) => take::run(session, flags).await,
        Verb::List(flags) => look::list(session, flags).await,
        Verb::Show(flags) => look::show(session, flags).await,
        Verb::Verify(flags) => look::verify(session, flags).await,
        Verb::Forget(flags) => keep::forget(session, flags).await,
        Verb::Pin(flags) => keep::pin(session, flags).await,
        Verb::Unpin(flags) => keep::unpin(session, flags).await,
        Verb::Prune(flags) => keep::prune(session, flags).await,
        Verb::Key(flags) => keep::key(session, flags).await,
        Verb::Copy(flags) => keep::copy(session, flags).await,
        Verb::Unpack(flags) => unpack::run(session, flags).await,
        Verb::Erasures(flags) => erasures::run(session, flags).await,
        Verb::Export(flags) => Box::pin(export::run(session, *flags)).await,
    }
}

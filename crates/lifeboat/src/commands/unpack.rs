//! `lifeboat unpack`: plain folders and JSON Lines.

use std::path::{Path, PathBuf};

use lifeboat_engine::failure::Failure;
use lifeboat_engine::unpack::{self, UnpackOutcome};
use lifeboat_storage::Access;

use super::selection::SelectionFlags;
use super::{Ended, Exit, Session, story};
use crate::secrets::IdentityFlags;
use crate::size;

/// Open a package into plain folders, JSON Lines and media files
///
/// What is written is not sealed any more: secrets of the server and private messages included.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  lifeboat unpack server.lifeboat -i identity.txt -d opened
  lifeboat unpack s3://bucket/server -i identity.txt -d board \\
      --room '#board:example.org' --since 2026-03-01 --media none")]
pub(crate) struct UnpackFlags {
    /// A file NAME.lifeboat, a folder, or s3://, gs://, az://
    package: String,
    #[command(flatten)]
    identities: IdentityFlags,
    /// Folder to write to, new or empty
    #[arg(short, long, value_name = "DIR")]
    directory: PathBuf,
    #[command(flatten)]
    selection: SelectionFlags,
}

pub(crate) async fn run(session: &Session, flags: UnpackFlags) -> Result<Ended, Failure> {
    let identities = flags.identities.demand(&session.context)?;
    let access = Access::new(session.environment.iter().cloned());
    let selection = flags.selection.selection()?;
    if lies_within(&flags.directory, Path::new(&flags.package)) {
        let what = format!("{} lies in the package itself", flags.directory.display());
        return Err(Failure::usage(what, "name a folder elsewhere; nothing was changed"));
    }
    let (cx, to) = (&session.context, (flags.directory.as_path(), &selection));
    let unpacking = unpack::unpack(cx, &flags.package, &identities, to, &access);
    let outcome = session.until_stopped(Box::pin(unpacking)).await?;
    let exit = Exit::with_gaps(outcome.gaps);
    Ok(Ended::new("unpack", &outcome, lines(&outcome), exit))
}

/// Whether a folder, which need not be there, lies in another.
fn lies_within(folder: &Path, other: &Path) -> bool {
    let Ok(other) = other.canonicalize() else { return false };
    let is_there = |path: &&Path| !path.as_os_str().is_empty() && path.exists();
    let nearest = folder.ancestors().find(is_there).unwrap_or(Path::new("."));
    nearest.canonicalize().is_ok_and(|nearest| nearest.starts_with(other))
}

fn lines(outcome: &UnpackOutcome) -> Vec<String> {
    let content = format!(
        "{} in {}, {}, {}",
        size::count(outcome.records, "record", "records"),
        size::count(outcome.record_files, "file", "files"),
        size::count(outcome.media_files, "media file", "media files"),
        size::bytes(outcome.bytes),
    );
    let gaps = match outcome.gaps {
        0 => "none".to_owned(),
        gaps => format!("{gaps}, listed in server/gaps.jsonl"),
    };
    vec![
        story::line("package", &outcome.package),
        story::line("folder", &outcome.folder),
        story::line("content", &content),
        story::line("gaps", &gaps),
    ]
}

//! `lifeboat backup unpack`.

use std::path::PathBuf;

use lifeboat_engine::failure::Failure;
use lifeboat_package::selection::Pattern;
use lifeboat_restore::unpack::{self, Wanted};
use lifeboat_vault::backup::OpenBackup;

use crate::commands::vault::OneBackupFlags;
use crate::commands::{Ended, Exit, Session, story};
use crate::size;

/// Write a backup, or a part of it, as plain files: SQL, COPY files, file trees
///
/// What is written is not sealed any more: secrets and private messages included.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  lifeboat backup unpack -i identity.txt -d out --component synapse --file '*/signing.key'
  lifeboat backup unpack -i identity.txt -d out --table public.users
  lifeboat backup unpack 4f2a -i identity.txt -d out --file '*/local_content/AB/CD/*'")]
pub(super) struct UnpackFlags {
    #[command(flatten)]
    of: OneBackupFlags,
    /// Folder to write to, new or empty
    #[arg(short, long, value_name = "DIR")]
    directory: PathBuf,
    /// Only this component; may be repeated
    #[arg(long, value_name = "NAME")]
    component: Vec<String>,
    /// Only tables that fit, by name or schema.name, with * and ?; may be repeated
    #[arg(long, value_name = "PATTERN", value_parser = Pattern::parse)]
    table: Vec<Pattern>,
    /// Only files whose whole path fits, with * and ?; may be repeated
    #[arg(long, value_name = "PATTERN", value_parser = Pattern::parse)]
    file: Vec<Pattern>,
}

pub(super) async fn run(session: &Session, flags: UnpackFlags) -> Result<Ended, Failure> {
    let identities = flags.of.identities.demand(&session.context)?;
    let (vault, survey) = flags.of.vault.open(session).await?;
    let sealed = survey.find(&flags.of.backup, (session.context.now)())?;
    let open = OpenBackup::open(&vault, &survey, (&sealed.folder, &identities)).await?;
    for name in &flags.component {
        if open.component(name).is_none() {
            let what = format!("there is no component {name} in the backup");
            return Err(Failure::usage(what, "lifeboat backup show lists them"));
        }
    }
    let wanted = Wanted { components: flags.component, tables: flags.table, files: flags.file };
    let to = (&wanted, flags.directory.as_path());
    let outcome = Box::pin(unpack::unpack(&session.context, &open, to)).await?;
    let content = format!(
        "{} with {}, {}, {}",
        size::count(outcome.tables, "table", "tables"),
        size::count(outcome.rows, "row", "rows"),
        size::count(outcome.files, "file", "files"),
        size::bytes(outcome.bytes),
    );
    let mut lines = vec![
        story::line("backup", &outcome.backup),
        story::line("folder", &outcome.folder),
        story::line("content", &content),
    ];
    if outcome.links_left > 0 {
        let left = size::count(outcome.links_left, "symbolic link", "symbolic links");
        lines.push(story::line("left", &format!("{left}; a restore makes them")));
    }
    Ok(Ended::new("backup unpack", &outcome, lines, Exit::Done))
}

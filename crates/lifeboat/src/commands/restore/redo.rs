//! `lifeboat restore erasures`: what was purged and closed since the backup, done again.

use std::path::PathBuf;

use lifeboat_engine::failure::Failure;
use lifeboat_restore::redo::{Redo, RedoOutcome, RedoRequest, Redone, redo};
use lifeboat_restore::run::recovery_point;
use lifeboat_vault::backup::OpenBackup;
use lifeboat_vault::erasures::after;

use crate::commands::installation::around;
use crate::commands::vault::VaultFlags;
use crate::commands::{Ended, Exit, Session, story};
use crate::secrets::{IdentityFlags, first_line};

/// Purge rooms and history and close accounts again, as was done since the backup; only list them
/// without --yes
///
/// After a restore, when Synapse runs again: the lists in the vault say which rooms and which
/// history were purged and which accounts were closed after the backup was made. Synapse does it,
/// asked as an administrator. What is not there any more is left alone, so running it again does
/// nothing twice.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  lifeboat restore erasures 4f2a -i identity.txt
  lifeboat restore erasures 4f2a -i identity.txt --admin-token-file token.txt --yes")]
pub(super) struct RedoFlags {
    #[command(flatten)]
    vault: VaultFlags,
    /// The backup that was restored: the beginning of its id, or `latest`. Of another, other things
    /// were taken back since
    #[arg(required = true)]
    backup: String,
    #[command(flatten)]
    identities: IdentityFlags,
    /// The Synapse that is meant, where there are several
    #[arg(long, value_name = "NAME")]
    component: Option<String>,
    /// Where Synapse answers; else a port of this machine that its configuration names
    #[arg(long, value_name = "URL")]
    homeserver: Option<String>,
    /// File with the access token of an administrator of Synapse; its first line counts
    #[arg(long, value_name = "FILE")]
    admin_token_file: Option<PathBuf>,
    /// Do what is listed
    #[arg(long, requires = "admin_token_file")]
    yes: bool,
}

pub(super) async fn run(session: &Session, flags: RedoFlags) -> Result<Ended, Failure> {
    let cx = &session.context;
    let identities = flags.identities.demand(cx)?;
    let installation = flags.vault.installation(session)?;
    let token = flags.admin_token_file.filter(|_| flags.yes);
    let token = token.map(|path| first_line(cx, &session.folder.join(path))).transpose()?;
    let (vault, survey) = flags.vault.open(session).await?;
    let sealed = survey.find(&flags.backup, (session.context.now)())?;
    let open = OpenBackup::open(&vault, &survey, (&sealed.folder, &identities)).await?;
    let made = recovery_point(open.manifest());
    let ledger = after((&vault, &survey), &identities, (open.manifest(), &made)).await?;
    let request = RedoRequest {
        component: flags.component,
        address: flags.homeserver,
        token,
        around: around(session),
    };
    let subject = (&installation, &ledger);
    let outcome = Box::pin(redo(cx, subject, request)).await?;
    let exit = Exit::with_gaps(outcome.gaps());
    Ok(Ended::new("restore erasures", &outcome, lines(&outcome), exit))
}

fn lines(outcome: &RedoOutcome) -> Vec<String> {
    let until = outcome.until.as_deref().unwrap_or("nothing is known since the backup");
    let mut lines = vec![story::line("as of", until)];
    for Redone { what, id, before, done, problem } in &outcome.things {
        let what = match what {
            Redo::PurgeRoom => "purge room",
            Redo::PurgeHistory => "purge history of room",
            Redo::Close => "close account",
            Redo::Erase => "close and forget account",
        };
        let word = if *done { "done" } else { "open" };
        let end = before.as_ref().map(|before| format!(" before {}", before.event));
        lines.push(story::line(word, &format!("{what} {id}{}", end.unwrap_or_default())));
        lines.extend(problem.iter().map(|problem| format!("          {problem}")));
    }
    let (rooms, accounts) = (outcome.rooms_gone, outcome.accounts_closed);
    lines.push(story::line("gone", &format!("{rooms} rooms, {accounts} accounts: nothing to do")));
    lines.extend(outcome.problems.iter().map(|problem| story::line("GAP", problem)));
    let is_open = |thing: &Redone| !thing.done && thing.problem.is_none();
    if !outcome.acted && outcome.things.iter().any(is_open) {
        let next = "the same with --admin-token-file FILE --yes does it";
        lines.push(story::line("next", next));
    }
    lines
}

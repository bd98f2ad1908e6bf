//! `lifeboat report`: the plan for the worst day of this installation.

use std::path::{Path, PathBuf};

use lifeboat_engine::failure::Failure;
use lifeboat_engine::keyring::Identities;
use lifeboat_report::{Facts, gather::gather};
use lifeboat_storage::Access;
use lifeboat_suite::Installation;
use lifeboat_vault::place::{Survey, Vault};
use serde_json::json;

use super::installation::InstallationFlags;
use super::restore::write_file;
use super::{Ended, Exit, Session, story};
use crate::secrets::IdentityFlags;

/// Write the disaster-recovery plan of this installation, to be printed
///
/// What there is and what is lost without it, when it was last backed up, verified and drilled, how
/// old the newest verified backup is, the order of a restore, what to do when and with which
/// commands, what to revoke after a leak, who can open the backups. What was not seen is said to be
/// not known. With an identity the plan says of each component which backup has it.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  lifeboat report -c lifeboat.yaml -i identity.txt -o plan.html
  lifeboat report -c lifeboat.yaml > plan.md")]
pub(crate) struct ReportFlags {
    #[command(flatten)]
    installation: InstallationFlags,
    #[command(flatten)]
    identities: IdentityFlags,
    /// File to write, instead of standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// How it is written [default: by the end of FILE, else md]
    #[arg(long, value_enum)]
    format: Option<Format>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// Markdown
    Md,
    /// One HTML file without scripts
    Html,
}

pub(crate) async fn run(session: &Session, flags: ReportFlags) -> Result<Ended, Failure> {
    let identities = flags.identities.read(&session.context)?;
    let installation = flags.installation.read(session)?;
    let config = session.folder.join(&flags.installation.config);
    let facts = facts(session, (&installation, &config), identities.as_ref()).await?;
    let by_end = flags.output.as_deref().and_then(Path::extension);
    let is_html = by_end.is_some_and(|end| end.eq_ignore_ascii_case("html"));
    let by_end = if is_html { Format::Html } else { Format::Md };
    let text = match flags.format.unwrap_or(by_end) {
        Format::Md => lifeboat_report::markdown(&facts),
        Format::Html => lifeboat_report::html(&facts),
    };
    let exit = Exit::with_gaps(u64::from(facts.vault_problem.is_some()));
    let problem = &facts.vault_problem;
    let Some(output) = flags.output else {
        let outcome = json!({ "text": text, "vault_problem": problem });
        return Ok(Ended::new("report", &outcome, vec![text.trim_end().to_owned()], exit));
    };
    let path = session.folder.join(output);
    write_file(&path, &text)?;
    let shown = path.display().to_string();
    let outcome = json!({ "file": shown, "vault_problem": problem });
    let mut lines = vec![story::line("written", &shown)];
    lines.extend(problem.iter().map(|problem| story::line("GAP", problem)));
    Ok(Ended::new("report", &outcome, lines, exit))
}

/// The plan as Markdown, as far as it is known without an identity.
///
/// # Errors
/// [`Failure`] when the installation cannot be used.
pub(super) async fn text(
    session: &Session,
    subject: (&Installation, &Path),
) -> Result<String, Failure> {
    Ok(lifeboat_report::markdown(&facts(session, subject, None).await?))
}

async fn facts(
    session: &Session,
    subject: (&Installation, &Path),
    identities: Option<&Identities>,
) -> Result<Facts, Failure> {
    let cx = &session.context;
    match open(session, subject.0).await {
        Ok((vault, survey)) => gather(cx, subject, Ok((&vault, &survey)), identities).await,
        Err(failure) => gather(cx, subject, Err(&failure), identities).await,
    }
}

async fn open(session: &Session, installation: &Installation) -> Result<(Vault, Survey), Failure> {
    let access = Access::new(session.environment.iter().cloned());
    let vault = Vault::open(&installation.vault, &access, None).await?;
    let survey = vault.survey().await?;
    Ok((vault, survey))
}

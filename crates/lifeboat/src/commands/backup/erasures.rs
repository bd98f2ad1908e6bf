//! `lifeboat backup erasures`: what was taken back for good, listed in the vault.

use lifeboat_engine::failure::Failure;
use lifeboat_engine::keyring::Recipients;
use lifeboat_vault::erasures::{ErasureRequest, databases, note};
use lifeboat_vault::place::Vault;
use lifeboat_vault::subjects::{server_keys, subjects};

use crate::commands::installation::{InstallationFlags, around};
use crate::commands::vault::locked;
use crate::commands::{Ended, Exit, Session, story};
use crate::size;

/// List in the vault what was taken back for good since the last time
///
/// A backup brings back what was erased after it was made: redacted messages, people who asked to
/// be forgotten, closed accounts, purged rooms. The list lets a restore take them back again. Every
/// `backup run` writes one; this command, which takes a second, is for a timer in between.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  lifeboat backup erasures -c lifeboat.yaml")]
pub(super) struct ErasureFlags {
    #[command(flatten)]
    installation: InstallationFlags,
}

pub(super) async fn run(session: &Session, flags: ErasureFlags) -> Result<Ended, Failure> {
    let installation = flags.installation.read(session)?;
    let databases =
        databases(&subjects(&installation, &[], (&around(session), &session.environment))?);
    if databases.is_empty() {
        let what = "there is no Synapse in the installation, on PostgreSQL";
        return Err(Failure::usage(what, "lifeboat config check shows what there is"));
    }
    let access = locked(session, installation.object_lock);
    let vault = Vault::open(&installation.vault, &access, None).await?;
    let survey = vault.survey().await?;
    let request = ErasureRequest {
        server_name: &installation.server_name,
        signing_keys: &server_keys(&installation).signing,
        recipients: &Recipients::parse(&installation.recipients)?,
        databases,
        state: installation.state.clone(),
        always: false,
    };
    let noted = note(&session.context, (&vault, &survey), request).await?;
    let written = if noted.is_news { "written" } else { "nothing new, nothing written" };
    let redacted = size::count(noted.redacted, "event", "events");
    let lines = vec![
        story::line("list", &format!("{written}: {} to {}", noted.from, noted.until)),
        story::line("redacted", &redacted),
        story::line("purged", &noted.purged.to_string()),
        story::line("people", &format!("{}, forgotten or closed, in all", noted.people)),
    ];
    Ok(Ended::new("backup erasures", &noted, lines, Exit::Done))
}

//! `lifeboat backup run`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use lifeboat_engine::failure::Failure;
use lifeboat_engine::keyring::Recipients;
use lifeboat_package::backup::{Component, Group};
use lifeboat_package::limits::VOLUME_TARGET_BYTES;
use lifeboat_suite::OWN;
use lifeboat_suite::runs::{self, Task};
use lifeboat_suite::{Installation, Kind, proof};
use lifeboat_vault::run::tree::Tree;
use lifeboat_vault::run::{BackupOutcome, BackupRequest, run as back_up};
use lifeboat_vault::subjects::{server_keys, subjects};

use crate::commands::export::parse_volume_size;
use crate::commands::installation::{InstallationFlags, around};
use crate::commands::{Ended, Exit, Session, report, restore, story};
use crate::size;

/// Back up all components, or some, into the vault
///
/// What the vault has already is borrowed, not stored again. The same command again goes on after a
/// crash.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  lifeboat backup run -c lifeboat.yaml
  lifeboat backup run --component synapse --component mas")]
pub(super) struct RunFlags {
    #[command(flatten)]
    installation: InstallationFlags,
    /// Only this component; may be repeated
    #[arg(long, value_name = "NAME")]
    component: Vec<String>,
    /// What is read in parallel
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = lanes)]
    lanes: usize,
    /// Compress less and faster
    #[arg(long)]
    fast: bool,
    /// Seconds in which Synapse and MAS must be cut at one instant
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    cut_budget: u64,
    /// Go on when they could not be, and say so in the backup
    #[arg(long)]
    allow_skew: bool,
    /// Size at which the next volume begins, 1MiB to 3GiB [default: 256MiB]
    #[arg(long, value_name = "SIZE", value_parser = parse_volume_size)]
    volume_size: Option<u64>,
    /// Folder with a `pg_dump` that fits the database server
    #[arg(long, value_name = "DIR")]
    pg_bin: Option<PathBuf>,
}

fn lanes(text: &str) -> Result<usize, String> {
    let lanes = text.parse().ok().filter(|lanes| (1..=64).contains(lanes));
    lanes.ok_or_else(|| "give a number from 1 to 64".to_owned())
}

pub(super) async fn run(session: &Session, flags: RunFlags) -> Result<Ended, Failure> {
    let installation = flags.installation.read(session)?;
    demand_name(&installation)?;
    let mut components =
        subjects(&installation, &flags.component, (&around(session), &session.environment))?;
    let config = session.folder.join(&flags.installation.config);
    let plan = plan(session, (&installation, &config)).await?;
    if let Some(own) = components.iter_mut().find(|subject| subject.name == OWN) {
        own.trees.push(Tree { role: "plan".to_owned(), root: plan, without: Vec::new() });
    }
    let request = BackupRequest {
        vault: installation.vault.clone(),
        recipients: Recipients::parse(&installation.recipients)?,
        state: installation.state.clone(),
        server_name: installation.server_name.clone(),
        keys: server_keys(&installation),
        is_partial: installation
            .components
            .iter()
            .any(|known| !flags.component.is_empty() && !flags.component.contains(&known.name)),
        components,
        environment: session.environment.clone(),
        client_folder: flags.pg_bin,
        lanes: flags.lanes,
        level: if flags.fast { 1 } else { 3 },
        volume_bytes: flags.volume_size.unwrap_or(VOLUME_TARGET_BYTES),
        object_lock: installation.object_lock,
        budget: Duration::from_secs(flags.cut_budget),
        allow_skew: flags.allow_skew,
    };
    let began = (session.context.now)();
    let outcome = Box::pin(back_up(&session.context, request)).await?;
    if flags.component.is_empty() {
        // Where it cannot be noted, `lifeboat schedule` calls a backup due that is not.
        runs::record(&installation.state, Task::Backup, began).ok();
    }
    let exit = Exit::with_gaps(outcome.gaps.total);
    Ok(Ended::new("backup run", &outcome, lines(&outcome), exit))
}

/// A backup under another server's name would be found by nobody. A configuration that cannot be
/// read is told later.
fn demand_name(installation: &Installation) -> Result<(), Failure> {
    let written = &installation.server_name;
    for synapse in installation.of_kind(Kind::Synapse) {
        if let Ok(own) = proof::server_name(synapse)
            && own != *written
        {
            let what = format!(
                "{} is the Synapse of {own}, and lifeboat.yaml says {written}",
                synapse.name
            );
            return Err(Failure::usage(what, "correct server_name, or the path in `config:`"));
        }
    }
    Ok(())
}

/// The plan for the worst day, as it is before this run: a copy of it goes into the backup, where
/// it is found when nothing else is left.
async fn plan(session: &Session, subject: (&Installation, &Path)) -> Result<PathBuf, Failure> {
    let state = &subject.0.state;
    let text = report::text(session, subject).await?;
    std::fs::create_dir_all(state).map_err(|e| {
        let what = format!("cannot make the state folder {}", state.display());
        Failure::failed(what, "name another with `state:` in lifeboat.yaml").because(e)
    })?;
    let path = state.join("plan.md");
    restore::write_file(&path, &text)?;
    Ok(path)
}

fn lines(outcome: &BackupOutcome) -> Vec<String> {
    let stored = format!(
        "{} in {}, {} borrowed",
        size::bytes(outcome.stored_bytes),
        size::count(outcome.volumes, "volume", "volumes"),
        outcome.volumes_borrowed,
    );
    let mut lines = vec![
        story::line("backup", &outcome.backup),
        story::line("vault", &outcome.vault),
        story::line("server", &outcome.server_name),
        story::line("stored", &stored),
    ];
    lines.extend(outcome.components.iter().map(component));
    lines.extend(outcome.groups.iter().filter(|group| group.members.len() > 1).map(group));
    let signed = outcome.signed_by.as_deref().unwrap_or("nobody");
    lines.push(story::line("signed", signed));
    lines.extend(story::gaps(&outcome.gaps));
    lines.push(story::line("time", &format!("{} s", outcome.seconds)));
    lines
}

/// One component in a line.
pub(super) fn component(component: &Component) -> String {
    let mut parts = Vec::new();
    for database in &component.databases {
        let rows = size::count(database.rows, "row", "rows");
        parts.push(match database.engine.as_str() {
            "sqlite" => format!("{} (SQLite, {})", database.name, size::bytes(database.bytes)),
            _ => format!("{} ({rows}, {})", database.name, size::bytes(database.bytes)),
        });
    }
    if component.files > 0 {
        let files = size::count(component.files, "file", "files");
        parts.push(format!("{files} ({})", size::bytes(component.file_bytes)));
    }
    if parts.is_empty() {
        parts.push("nothing".to_owned());
    }
    story::line(&component.name, &parts.join(", "))
}

/// One group in a line.
pub(super) fn group(group: &Group) -> String {
    let members: Vec<String> =
        group.members.iter().map(|m| format!("{}/{}", m.component, m.database)).collect();
    let how = format!(
        "{} by {}, window {} µs, {}",
        members.join(" + "),
        group.method,
        group.window_micros,
        size::count(group.tries, "try", "tries"),
    );
    story::line("cut", &how)
}

//! `lifeboat drill`: a backup restored for practice, beside what runs.

use lifeboat_engine::failure::Failure;
use lifeboat_restore::drill::{DrillOutcome, DrillRequest, drill, not_opened};
use lifeboat_suite::runs::{self, Task};
use lifeboat_vault::backup::OpenBackup;

use super::installation::around;
use super::vault::{OneBackupFlags, survey};
use super::{Ended, Exit, Session, restart, story};
use crate::size;

/// Restore a backup for practice, beside what runs: check it, time it, and take it away again
///
/// Databases get the names of those in use with `_drill` at the end, on the same servers; files go
/// into the folder `drill` below the state folder, which only you can enter. Nothing that runs is
/// stopped, started or changed. Where the addresses of databases are is read from the components'
/// own configuration on this machine.
///
/// With `drill: {synapse: […]}` in lifeboat.yaml the real Synapse is started on the copy, in a
/// network namespace of its own (as root, with `unshare`): without federation, pushers, mail,
/// application services, workers, OIDC and URL previews, with its database by a Unix socket. It
/// must become well, tell the signing key of the backup and know old tokens; then it is killed.
/// Where it cannot be cut off it is not started, and that is a gap. Without `drill:` no server is
/// started.
///
/// How it went is noted in the vault, for `lifeboat report`. The exit code is 1 when a step fails
/// or the check finds a difference.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  lifeboat drill -c lifeboat.yaml -i identity.txt
  lifeboat drill -c lifeboat.yaml -i identity.txt 4f1c --keep    (then look at the copy)")]
pub(crate) struct DrillFlags {
    #[command(flatten)]
    of: OneBackupFlags,
    /// Leave databases and files there; the next drill removes them
    #[arg(long)]
    keep: bool,
    /// Sessions that load in parallel
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = lanes())]
    lanes: u8,
}

fn lanes() -> clap::builder::RangedI64ValueParser<u8> {
    clap::value_parser!(u8).range(1..=64)
}

pub(crate) async fn run(session: &Session, flags: DrillFlags) -> Result<Ended, Failure> {
    let cx = &session.context;
    let identities = flags.of.identities.demand(cx)?;
    let installation = flags.of.vault.installation(session)?;
    let location = flags.of.vault.vault.as_ref().unwrap_or(&installation.vault);
    let (vault, survey) = survey(session, location).await?;
    let sealed = survey.find(&flags.of.backup, (session.context.now)())?;
    let began = (cx.now)();
    let opening = OpenBackup::open(&vault, &survey, (&sealed.folder, &identities)).await;
    let open = match opening {
        Ok(open) => open,
        Err(failure) => return Err(not_opened(cx, &vault, (&sealed.folder, began), failure).await),
    };
    let request = DrillRequest {
        config: flags.of.vault.config(session),
        around: around(session),
        lanes: usize::from(flags.lanes),
        keep: flags.keep,
        environment: restart::passed(&session.environment),
    };
    let drilling = drill(cx, (&vault, &survey), (&open, &installation), request);
    let outcome = Box::pin(drilling).await?;
    if outcome.record.ok {
        // Where it cannot be noted, `lifeboat schedule` calls a drill due that is not.
        runs::record(&installation.state, Task::Drill, began).ok();
    }
    let passed = Exit::with_gaps(outcome.record.gaps);
    let exit = if outcome.record.ok { passed } else { Exit::WouldFail };
    Ok(Ended::new("drill", &outcome, lines(&outcome), exit))
}

fn lines(outcome: &DrillOutcome) -> Vec<String> {
    let record = &outcome.record;
    let mut lines =
        vec![story::line("backup", &record.backup), story::line("as of", &record.recovery_point)];
    for (step, done) in &outcome.done {
        lines.push(format!("{:>4}  {} ({} s)", step.number, step.what.words(), done.seconds));
        lines.extend(done.lines.iter().map(|line| format!("        {line}")));
        lines.extend(done.gaps.iter().map(|gap| format!("        GAP: {gap}")));
    }
    lines.extend(outcome.left_open.iter().map(|left| story::line("GAP", left)));
    if let Some(folder) = &outcome.kept {
        let kept = format!("{}, and the databases _drill", folder.display());
        lines.push(story::line("kept", &kept));
    }
    let span = |seconds: i64| size::seconds(u64::try_from(seconds).unwrap_or_default());
    let started =
        if record.servers_started { "Synapse was started" } else { "no server was started" };
    let time = if record.ok {
        format!("{} to put it back; {started}", span(record.seconds))
    } else {
        "not known: the drill did not get it back".to_owned()
    };
    lines.push(story::line("RTO", &time));
    let age = match record.verified_age {
        Some(age) => format!("{}, the age of the newest verified backup", span(age)),
        None => "not known: no backup was verified".to_owned(),
    };
    lines.push(story::line("RPO", &age));
    if !record.ok {
        let step = outcome.failed_step.as_deref().unwrap_or("the beginning");
        lines.push(story::line("FAILED", &format!("at step {step}")));
        lines.extend(outcome.reasons.iter().map(|reason| format!("        {reason}")));
    }
    lines
}

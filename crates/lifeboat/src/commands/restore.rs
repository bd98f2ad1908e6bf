//! `lifeboat restore`: a backup, back to where it came from.

mod redo;

use std::fs;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use lifeboat_engine::failure::Failure;
use lifeboat_restore::accept::{AcceptOutcome, accept};
use lifeboat_restore::report::RestoreReport;
use lifeboat_restore::run::{
    self as restoring, Attempt, Failed, RestoreOutcome, RestorePlan, RestoreRequest, recovery_point,
};
use lifeboat_restore::targets::Targets;
use lifeboat_suite::{STATE, Surroundings};
use lifeboat_vault::backup::OpenBackup;
use lifeboat_vault::erasures::after;

use super::installation::{InstallationFlags, around};
use super::vault::{OneBackupFlags, survey};
use super::{Ended, Exit, Session, restart, story};
use crate::size;

/// Drills that are looked at for how long a restore takes.
const DRILLS: usize = 30;
/// What is said where none has passed.
const NO_DRILL: &str = "no drill yet: lifeboat drill -c lifeboat.yaml -i identity.txt";

/// Put components back from a backup, step by step
///
/// Everything stands still while data is put back, secrets come before data, and what was put back
/// is checked before it is started. The same command again goes on after a crash.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  lifeboat restore plan -c lifeboat.yaml -i identity.txt
  lifeboat restore run -c lifeboat.yaml -i identity.txt
  lifeboat restore run --vault s3://bucket/vault -i identity.txt    (the machine is new)
  lifeboat restore run -i identity.txt --component synapse --root /srv/copy --beside _copy
  lifeboat restore erasures 4f2a -i identity.txt    (lists what was purged since; --yes purges it)
  lifeboat restore accept -c lifeboat.yaml          (lists what --replace kept; --yes removes it)")]
pub(crate) struct RestoreFlags {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Say what would be done, in which order, and what would be lost; change nothing
    Plan(Box<StepFlags>),
    /// Put the components back
    Run(Box<RunFlags>),
    Erasures(Box<redo::RedoFlags>),
    /// List what `--replace` kept under other names; drop and delete it with --yes
    ///
    /// Only what a restore noted that it renamed, as long as it is still the same database or
    /// file. A database that is in use stops it before anything is removed.
    Accept(AcceptFlags),
}

#[derive(Debug, clap::Args)]
struct AcceptFlags {
    #[command(flatten)]
    installation: InstallationFlags,
    /// Folder of the journal, when the restore was given one; else the installation's
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
    /// Drop and delete what is listed
    #[arg(long)]
    yes: bool,
}

/// What to put back, and where.
#[derive(Debug, clap::Args)]
struct StepFlags {
    #[command(flatten)]
    of: OneBackupFlags,
    /// Only this component; may be repeated
    #[arg(long, value_name = "NAME")]
    component: Vec<String>,
    /// Only this step, by name or number; may be repeated
    #[arg(long, value_name = "STEP", conflicts_with = "from_step")]
    only: Vec<String>,
    /// Begin with this step
    #[arg(long, value_name = "STEP")]
    from_step: Option<String>,
    /// Keep what is in the way under another name, instead of stopping
    #[arg(long)]
    replace: bool,
    /// Put files below this folder instead of /
    #[arg(long, value_name = "DIR")]
    root: Option<PathBuf>,
    /// Add this to the name of every database, so that those in use stay as they are
    #[arg(long, value_name = "SUFFIX", value_parser = suffix)]
    beside: Option<String>,
    /// Start nothing: the last steps are left to you
    #[arg(long)]
    no_start: bool,
    /// Folder for the journal; else the installation's
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
    /// Sessions that load in parallel
    #[arg(long, value_name = "N", default_value_t = 2)]
    #[arg(value_parser = clap::value_parser!(u8).range(1..=64))]
    lanes: u8,
}

#[derive(Debug, clap::Args)]
struct RunFlags {
    #[command(flatten)]
    steps: StepFlags,
    /// Write what was done, checked and left open to this file, also when a step fails: JSON if it
    /// ends in .json, HTML if in .html, else text
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
}

fn suffix(text: &str) -> Result<String, String> {
    let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    if text.is_empty() || text.len() > 20 || !text.chars().all(is_plain) {
        return Err("give 1 to 20 of a-z, 0-9 and _".to_owned());
    }
    Ok(text.to_owned())
}

pub(crate) async fn run(session: &Session, flags: RestoreFlags) -> Result<Ended, Failure> {
    let (flags, report, is_plan) = match flags.verb {
        Verb::Plan(flags) => (*flags, None, true),
        Verb::Run(flags) => (flags.steps, flags.report, false),
        Verb::Accept(flags) => return accepted(session, flags).await,
        Verb::Erasures(flags) => return Box::pin(redo::run(session, *flags)).await,
    };
    let identities = flags.of.identities.demand(&session.context)?;
    let (location, own) = places(session, &flags)?;
    let (vault, survey) = survey(session, &location).await?;
    let sealed = survey.find(&flags.of.backup, (session.context.now)())?;
    let open = OpenBackup::open(&vault, &survey, (&sealed.folder, &identities)).await?;
    // The file may come back in a step of this, and the same command must find its journal then.
    let state = match flags.state.clone().or(own) {
        Some(state) => state,
        None => restoring::own_state(&open, &flags.of.vault.config(session))
            .await?
            .unwrap_or_else(|| PathBuf::from(STATE)),
    };
    let made = recovery_point(open.manifest());
    let erasures = after((&vault, &survey), &identities, (open.manifest(), &made)).await?;
    let root = flags.root.map(|root| std::path::absolute(&root).unwrap_or(root));
    let request = RestoreRequest {
        erasures: Some(erasures),
        components: flags.component,
        only: flags.only,
        from_step: flags.from_step,
        config: flags.of.vault.config(session),
        state,
        targets: Targets {
            // What was put back below it is read, and not what it is a copy of.
            around: Surroundings { root: root.clone(), ..around(session) },
            root,
            suffix: flags.beside,
        },
        replace: flags.replace,
        rights: true,
        no_commands: flags.no_start,
        passed: restart::passed(&session.environment),
        lanes: usize::from(flags.lanes),
        portion: None,
    };
    let cx = &session.context;
    if is_plan {
        let mut plan = restoring::plan(cx, &open, &request).await?;
        match vault.drills(&survey, DRILLS).await {
            Ok(drills) => plan.time_by(&drills),
            Err(failure) => cx.note(format!("how long drills took is not known: {failure}")),
        }
        return Ok(Ended::new("restore plan", &plan, plan_lines(&plan), Exit::Done));
    }
    let report = report.map(|path| ReportFile::begin(&session.folder.join(path)));
    let report = report.transpose()?;
    let attempt = Box::pin(restoring::attempt(cx, &open, &request)).await;
    let written = report.map(|report| report.write(&RestoreReport::of(&attempt, (cx.now)())));
    let Attempt { outcome, failed } = attempt;
    if let Some(Failed { failure, .. }) = failed {
        // Why the restore failed matters more than why there is no report of it.
        if let Some(Err(unwritten)) = written {
            cx.note(unwritten.what);
        }
        return Err(failure);
    }
    written.transpose()?;
    let exit = Exit::with_gaps(outcome.gaps);
    Ok(Ended::new("restore run", &outcome, lines(&outcome), exit))
}

/// A report that is to be written: whether it can be is seen before anything is done.
struct ReportFile {
    path: PathBuf,
    file: Opened,
}

/// What a report is written into.
enum Opened {
    /// A new file, which takes its name when it is whole.
    New(tempfile::NamedTempFile),
    /// A device or a pipe, which must stay one.
    Special(fs::File),
}

impl ReportFile {
    fn begin(path: &Path) -> Result<Self, Failure> {
        // What a link leads to is written, and the link stays.
        let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        let is_special = fs::metadata(&path).is_ok_and(|found| !found.is_file() && !found.is_dir());
        let opened = if is_special {
            fs::File::options().write(true).open(&path).map(Opened::Special)
        } else {
            tempfile::NamedTempFile::new_in(path.parent().unwrap_or(&path)).map(Opened::New)
        };
        let file = opened.map_err(|e| unwritable(&path, e))?;
        Ok(Self { path, file })
    }

    fn write(self, report: &RestoreReport) -> Result<(), Failure> {
        let end = self.path.extension().map(|end| end.to_string_lossy().to_lowercase());
        let text = match end.as_deref() {
            Some("json") => serde_json::to_string_pretty(report).unwrap_or_default(),
            Some("html") => report.html(),
            _ => report.text(),
        };
        self.put(&text)
    }

    fn put(self, text: &str) -> Result<(), Failure> {
        let written = match self.file {
            Opened::Special(mut file) => file.write_all(text.as_bytes()),
            Opened::New(mut file) => file
                .write_all(text.as_bytes())
                .and_then(|()| file.persist(&self.path).map(drop).map_err(|e| e.error)),
        };
        written.map_err(|e| unwritable(&self.path, e))
    }
}

/// Writes a file of ours whole, or not at all; into a device or a pipe as it comes.
pub(super) fn write_file(path: &Path, text: &str) -> Result<(), Failure> {
    ReportFile::begin(path)?.put(text)
}

fn unwritable(path: &Path, error: std::io::Error) -> Failure {
    let what = format!("cannot write the report {}", path.display());
    let remedy = match error.kind() {
        ErrorKind::StorageFull => "free some space there, then run the same command again",
        _ => "name a file in a folder that is there",
    };
    Failure::failed(what, remedy).because(error)
}

/// The vault, and the state folder that the installation's file names, where that is there. Its
/// components may be lost.
fn places(session: &Session, flags: &StepFlags) -> Result<(String, Option<PathBuf>), Failure> {
    match (flags.of.vault.places(session), &flags.of.vault.vault) {
        (Ok(own), vault) => Ok((vault.clone().unwrap_or(own.vault), Some(own.state))),
        // On a new machine there is no installation yet: the backup holds it.
        (Err(_), Some(vault)) => Ok((vault.clone(), None)),
        (Err(failure), None) => Err(Failure {
            remedy: "on a new machine name the vault with --vault; the backup holds the rest"
                .to_owned(),
            ..failure
        }),
    }
}

async fn accepted(session: &Session, flags: AcceptFlags) -> Result<Ended, Failure> {
    let mut installation = flags.installation.read(session)?;
    if let Some(state) = flags.state {
        installation.state = session.folder.join(state);
    }
    let subject = (&installation, &around(session));
    let outcome = Box::pin(accept(&session.context, subject, flags.yes)).await?;
    let exit = Exit::with_gaps(outcome.unknown.len() as u64);
    Ok(Ended::new("restore accept", &outcome, accept_lines(&outcome), exit))
}

fn accept_lines(outcome: &AcceptOutcome) -> Vec<String> {
    let word = if outcome.removed { "removed" } else { "kept" };
    let mut lines = Vec::new();
    for kept in &outcome.kept {
        lines.push(story::line(word, &kept.what));
        lines.push(format!("          was {}, until {}", kept.was, kept.at));
        if let Some(step) = &kept.waits_for {
            lines.push(format!("          the restore has not done its step {step} yet"));
        }
    }
    lines.extend(outcome.unknown.iter().map(|unknown| story::line("GAP", unknown)));
    if lines.is_empty() {
        lines.push(story::line("kept", "nothing"));
    }
    if !outcome.removed && !outcome.kept.is_empty() {
        lines.push(story::line("next", "the same with --yes removes it"));
    }
    lines
}

fn plan_lines(plan: &RestorePlan) -> Vec<String> {
    let mut lines = vec![
        story::line("backup", &plan.backup),
        story::line("server", &plan.server_name),
        story::line("as of", &plan.recovery_point),
    ];
    for planned in &plan.steps {
        let told = match (planned.done, planned.drilled_seconds) {
            (true, _) => " (done)".to_owned(),
            (false, Some(seconds)) => format!(" ({})", span(seconds)),
            (false, None) => String::new(),
        };
        lines.push(format!("{:>4}  {}{told}", planned.step.number, planned.words));
        if let Some(target) = &planned.target {
            lines.push(format!("        → {target}"));
        }
    }
    lines.extend(plan.missing.iter().map(|missing| story::line("MISSING", missing)));
    lines.extend(plan.losses.iter().map(|loss| story::line("lost", loss)));
    lines.push(story::line("time", &time(plan)));
    lines.extend(plan.obstacles.iter().map(|obstacle| story::line("OBSTACLE", obstacle)));
    lines
}

fn time(plan: &RestorePlan) -> String {
    let Some(time) = &plan.time else { return NO_DRILL.to_owned() };
    let mut text = format!("{} by the drill of {}", span(time.seconds), time.drilled_at);
    if !time.not_drilled.is_empty() {
        text = format!("{text}, without {}", time.not_drilled.join(", "));
    }
    text
}

fn span(seconds: i64) -> String {
    size::seconds(u64::try_from(seconds).unwrap_or_default())
}

fn lines(outcome: &RestoreOutcome) -> Vec<String> {
    let mut lines = vec![
        story::line("backup", &outcome.backup),
        story::line("server", &outcome.server_name),
        story::line("as of", &outcome.recovery_point),
    ];
    lines.extend(outcome.missing.iter().map(|missing| story::line("GAP", missing)));
    if !outcome.before.is_empty() {
        let numbers: Vec<String> =
            outcome.before.iter().map(|(step, _)| step.number.to_string()).collect();
        let before = size::count(outcome.done_before, "step", "steps");
        let again = "--only NUMBER does one again";
        let text = format!("{before} done by an earlier run ({}); {again}", numbers.join(", "));
        lines.push(story::line("before", &text));
    }
    for (step, done) in outcome.before.iter().filter(|(_, done)| !done.gaps.is_empty()) {
        lines.push(format!("{:>4}  {} (by an earlier run)", step.number, step.what.words()));
        lines.extend(done.gaps.iter().map(|gap| format!("        GAP: {gap}")));
    }
    for (step, done) in &outcome.steps {
        lines.push(format!("{:>4}  {} ({} s)", step.number, step.what.words(), done.seconds));
        lines.extend(done.lines.iter().map(|line| format!("        {line}")));
        lines.extend(done.gaps.iter().map(|gap| format!("        GAP: {gap}")));
    }
    lines.extend(outcome.next.iter().map(|next| story::line("next", next)));
    lines.push(story::line("time", &format!("{} s", outcome.seconds)));
    lines
}

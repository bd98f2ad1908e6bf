//! The drill: a backup, restored beside what runs, checked, timed, and taken away again.
//!
//! Nothing that runs is stopped, started or written to: databases get names of their own, files go
//! below a folder of our own. Where the installation says how, the real Synapse is started on what
//! was put back, cut off from the network. So nothing of a drill ever reaches the network but our
//! own way to the databases and the vault.

use std::path::{Path, PathBuf};

use lifeboat_engine::context::Context;
use lifeboat_engine::failure::{Code, Failure};
use lifeboat_package::manifest::Manifest;
use lifeboat_suite::{Installation, Surroundings};
use lifeboat_vault::backup::OpenBackup;
use lifeboat_vault::drills::{DrillRecord, DrilledStep};
use lifeboat_vault::layout::{Folder, at, shown};
use lifeboat_vault::list::{list, newest_verified};
use lifeboat_vault::place::{Survey, Vault};
use serde::Serialize;

use self::start::{Came, Start};
use crate::files::demand_room;
use crate::journal::StepDone;
use crate::plan::{self, Step, What};
use crate::report;
use crate::run::{self, RestoreOutcome, RestoreRequest};
use crate::scratch::{Purpose, Scratch};
use crate::targets::Targets;

mod cut_off;
mod start;

/// How to drill.
pub struct DrillRequest {
    /// The installation's file.
    pub config: PathBuf,
    /// What libpq would take from the surroundings.
    pub around: Surroundings,
    /// Sessions that load in parallel.
    pub lanes: usize,
    /// Whether what was made stays, to be looked at; the next drill removes it.
    pub keep: bool,
    /// Variables that what is started may get.
    pub environment: Vec<(String, String)>,
}

/// How a drill went.
#[derive(Debug, Clone, Serialize)]
pub struct DrillOutcome {
    /// What the vault keeps of it.
    #[serde(flatten)]
    pub record: DrillRecord,
    /// What the steps did, in words.
    pub done: Vec<(Step, StepDone)>,
    /// The step that failed.
    pub failed_step: Option<String>,
    /// Why, in words.
    pub reasons: Vec<String>,
    /// What was left open besides the gaps of the steps.
    pub left_open: Vec<String>,
    /// Where what was put back is, when it was to stay.
    pub kept: Option<PathBuf>,
}

/// Restores a backup beside what runs, checks it, notes how it went in the vault, and removes what
/// it made. That a step fails is an outcome.
///
/// # Errors
/// [`Failure`] when the drill cannot begin, or was stopped.
pub async fn drill(
    cx: &Context,
    (vault, survey): (&Vault, &Survey),
    (open, installation): (&OpenBackup, &Installation),
    request: DrillRequest,
) -> Result<DrillOutcome, Failure> {
    let begun = (cx.now)();
    let setting = (installation, &request.around);
    let purpose = (Purpose::Drill, installation.state.as_path());
    let mut scratch = Scratch::make(cx, purpose, setting).await?;
    let mut restore = rehearsal(&request, scratch.folder());
    let ended = match room(open.manifest(), scratch.folder()) {
        Ok(()) => rehearse(cx, open, &mut restore, &mut scratch).await,
        Err(failure) => Err(Broken { step: Some("space".to_owned()), failure }),
    };
    let mut outcome = told(cx, open, &mut restore, ended);
    if outcome.record.ok && installation.drill.synapse.is_some() {
        let environment = &request.environment;
        let subject = (open, installation, environment.as_slice());
        let started = started(cx, subject, (&restore, scratch.folder()), &mut outcome);
        // That it was stopped is told below, when everything was removed.
        Box::pin(started).await.ok();
    }
    outcome.record.seconds = (cx.now)() - begun;
    if request.keep {
        outcome.kept = Some(scratch.folder().to_owned());
    } else {
        let left = scratch.clear().await;
        outcome.left_open.extend(left.into_iter().map(|left| format!("not removed: {left}")));
    }
    cx.go_on()?;
    let listed = list(vault, survey, false).await?;
    let verified = newest_verified(&listed.backups);
    outcome.record.verified_age = verified.map(|listed| begun - listed.begun);
    outcome.record.drilled_at = at(begun);
    outcome.record.gaps += outcome.left_open.len() as u64;
    if let Err(failure) = vault.note_drill(begun, &outcome.record).await {
        outcome.left_open.push(format!("not noted in the vault: {failure}"));
        outcome.record.gaps += 1;
    }
    Ok(outcome)
}

/// A drill that found its backup damaged before the first step: noted in the vault as the failure
/// it is. It was begun at `begun`, in seconds since 1970.
pub async fn not_opened(
    cx: &Context,
    vault: &Vault,
    (folder, begun): (&Folder, i64),
    failure: Failure,
) -> Failure {
    if failure.code != Code::NotValid {
        return failure;
    }
    let record = DrillRecord {
        backup: folder.id().to_string(),
        drilled_at: at(begun),
        seconds: (cx.now)() - begun,
        recovery_point: shown(folder.stamp()),
        problems: vec!["open: it is damaged".to_owned()],
        ..DrillRecord::default()
    };
    if let Err(unwritten) = vault.note_drill(begun, &record).await {
        cx.note(format!("not noted in the vault: {unwritten}"));
    }
    failure
}

/// Starts Synapse on what was put back, and notes what came of it.
async fn started(
    cx: &Context,
    (open, installation, environment): (&OpenBackup, &Installation, &[(String, String)]),
    (restore, folder): (&RestoreRequest, &Path),
    outcome: &mut DrillOutcome,
) -> Result<(), Failure> {
    let components = &open.manifest().components;
    let Some(synapse) = components.iter().find(|component| component.kind == "synapse") else {
        outcome.left_open.push("the backup has no Synapse that could be started".to_owned());
        return Ok(());
    };
    let (drill, component) = (&installation.drill, synapse.name.as_str());
    let what = What::Start { component: component.to_owned() };
    cx.note(format!("{}, cut off from the network", what.words()));
    let start = Start { open, restore, drill, folder, component, environment };
    let record = &mut outcome.record;
    match start.run(cx).await? {
        Came::Refused(reason) => {
            outcome.left_open.push(format!("{component} was not started: {reason}"));
        }
        Came::Wrong(reasons) => {
            record.ok = false;
            record.problems.push(format!("{}: it failed", what.name()));
            outcome.failed_step.get_or_insert(what.name());
            outcome.reasons.extend(reasons);
        }
        Came::Right(done) => {
            record.servers_started = true;
            record.steps.push(DrilledStep { step: what.name(), seconds: done.seconds });
            record.gaps += done.gaps.len() as u64;
            let number = outcome.done.last().map_or(1, |(step, _)| step.number + 1);
            outcome.done.push((Step { number, name: what.name(), what }, done));
        }
    }
    Ok(())
}

/// The restore that is practised.
fn rehearsal(request: &DrillRequest, folder: &Path) -> RestoreRequest {
    RestoreRequest {
        components: Vec::new(),
        only: Vec::new(),
        from_step: None,
        config: request.config.clone(),
        state: folder.join("journal"),
        targets: Targets {
            root: Some(folder.join("root")),
            suffix: Some(Purpose::Drill.suffix().to_owned()),
            around: request.around.clone(),
        },
        replace: false,
        rights: false,
        erasures: None,
        no_commands: true,
        passed: Vec::new(),
        lanes: request.lanes,
        portion: None,
    }
}

/// Where a drill ended early.
struct Broken {
    /// The step, where it is not the first one that the journal does not have.
    step: Option<String>,
    failure: Failure,
}

impl From<Failure> for Broken {
    fn from(failure: Failure) -> Self {
        Self { step: None, failure }
    }
}

/// Whether there is room for the files and the SQLite databases.
fn room(manifest: &Manifest, folder: &Path) -> Result<(), Failure> {
    let files = manifest.components.iter().map(|component| component.file_bytes);
    let databases = manifest.components.iter().flat_map(|component| &component.databases);
    let sqlite = databases.filter(|database| database.engine == "sqlite").map(|found| found.bytes);
    demand_room(files.chain(sqlite).sum(), folder)
}

/// First the configuration, which says where databases are; then these are made, then filled.
async fn rehearse(
    cx: &Context,
    open: &OpenBackup,
    restore: &mut RestoreRequest,
    scratch: &mut Scratch,
) -> Result<RestoreOutcome, Broken> {
    let is_first =
        |what: &What| matches!(what, What::Fence | What::Configuration { .. } | What::Secrets);
    let steps = run::progress(cx, open, restore)?.into_iter().map(|(step, _)| step);
    restore.only = steps.filter(|step| is_first(&step.what)).map(|step| step.name).collect();
    Box::pin(run::run(cx, open, restore)).await?;
    for place in run::databases(cx, open, restore)? {
        let making = What::Database { component: place.0.clone(), database: place.1.clone() };
        let broken = |failure| Broken { step: Some(making.name()), failure };
        scratch.database(open, place).await.map_err(broken)?;
    }
    restore.only.clear();
    Ok(Box::pin(run::run(cx, open, restore)).await?)
}

/// What came of the steps.
fn told(
    cx: &Context,
    open: &OpenBackup,
    restore: &mut RestoreRequest,
    ended: Result<RestoreOutcome, Broken>,
) -> DrillOutcome {
    let (mut failed_step, mut reasons) = (None, Vec::new());
    let mut done = match ended {
        Ok(outcome) => outcome.before.into_iter().chain(outcome.steps).collect::<Vec<_>>(),
        Err(Broken { step, failure }) => {
            restore.only.clear();
            let progress = run::progress(cx, open, restore).unwrap_or_default();
            let undone = progress.iter().find(|(_, done)| done.is_none());
            failed_step = step.or_else(|| undone.map(|(step, _)| step.name.clone()));
            reasons.push(report::why(&failure).join(": "));
            progress.into_iter().filter_map(|(step, done)| Some((step, done?))).collect()
        }
    };
    done.sort_by_key(|(step, _)| step.number);
    let mut problems: Vec<String> =
        failed_step.iter().map(|step| format!("{step}: it failed")).collect();
    if let Some((step, differences)) = different(&done) {
        problems.push(format!("{step}: {} differences", differences.len()));
        failed_step.get_or_insert(step);
        reasons.extend(differences);
    }
    let manifest = open.manifest();
    let drilled = |(step, done): &(Step, StepDone)| DrilledStep {
        step: step.name.clone(),
        seconds: done.seconds,
    };
    let record = DrillRecord {
        backup: manifest.package.to_string(),
        ok: problems.is_empty() && reasons.is_empty(),
        steps: done.iter().map(drilled).collect(),
        components: manifest.components.iter().map(|c| c.name.clone()).collect(),
        recovery_point: run::recovery_point(manifest),
        gaps: done.iter().map(|(_, done)| done.gaps.len() as u64).sum(),
        problems,
        ..DrillRecord::default()
    };
    let left_open = plan::missing(manifest, plan::NOT_MISSING_OR_TOLD);
    DrillOutcome { record, done, failed_step, reasons, left_open, kept: None }
}

/// What the check found to be other than in the backup. In a restore that is for the operator to
/// decide about; of a drill it is the end.
fn different(done: &[(Step, StepDone)]) -> Option<(String, Vec<String>)> {
    let (step, check) = done.iter().find(|(step, _)| step.what == What::Check)?;
    (!check.gaps.is_empty()).then(|| (step.name.clone(), check.gaps.clone()))
}

#[cfg(test)]
mod tests;

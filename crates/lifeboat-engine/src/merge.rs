//! Import into a living server of the same name: rooms and users beside those that are there.
//!
//! read → check → look → plan → apply → verify. What is recommended never takes anything away. All
//! that belongs together (the accounts, the rooms of one part) goes in one transaction, so that a
//! run that was cut short is gone on with by the same command, and a dry run is the same run
//! without the commit. What was added is noted in the target and can be taken back.

mod apply;
mod files;
mod given;
mod look;
mod outcome;
mod plan_file;
mod report;
mod undo;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use lifeboat_components::synapse::merge::look as there;
use lifeboat_components::synapse::write::target::{self, State};
use lifeboat_package::manifest::ExportType;
use lifeboat_package::selection::Selection;
use lifeboat_rules::plan::PlanError;
use lifeboat_storage::Access;

use crate::context::Context;
use crate::failure::Failure;
use crate::import::ImportRequest;
use crate::import::check::{answering_port, database_fault};
use crate::import::databases;
use crate::reader::{Package, apart};
use crate::server::Opened;
use report::CLIENT_ACCESS;

pub use lifeboat_components::synapse::merge::belongings::Mapped;

pub use self::outcome::{MergeOutcome, RoomDone, UndoOutcome};
pub use self::undo::undo;

/// What to import, and how.
pub struct MergeRequest {
    /// Package, target, trust.
    pub import: ImportRequest,
    /// What of the package.
    pub selection: Selection,
    /// Where the plan is kept. A file that is there is followed; one that is not is written, and
    /// nothing else is done.
    pub plan_file: Option<PathBuf>,
    /// Accounts of the package whose belongings go to others: from, to.
    pub map_users: Vec<(String, String)>,
    /// What restarts Synapse when something was changed.
    pub restart: Option<Restart>,
    /// Do everything but keep nothing.
    pub dry_run: bool,
}

/// A way to restart Synapse.
pub struct Restart {
    /// It in words.
    pub words: String,
    /// Does it, and waits for its end: what was said, or what is wrong.
    pub run: Arc<dyn Fn() -> Result<Vec<String>, String> + Send + Sync>,
}

/// How long Synapse may take to answer after its restart.
const PATIENCE: Duration = Duration::from_mins(1);
/// How often it is asked.
const PACE: Duration = Duration::from_millis(200);

/// Whether the target's database holds a server that an import goes beside.
///
/// Nothing goes into a server by accident: it has to be `wanted`, by naming what of the package, or
/// the package is a part of a server, which can go nowhere else.
///
/// # Errors
/// [`Failure`] when configuration or package cannot be used or the database not be reached.
pub async fn is_living(request: &ImportRequest, wanted: bool) -> Result<bool, Failure> {
    if !wanted && !is_part(request).await? {
        return Ok(false);
    }
    let mut opened = request.server.open()?;
    let found = databases::look(&mut opened).await?.into_iter().next();
    let Some(fitness) = found.and_then(|main| main.fitness) else { return Ok(false) };
    match fitness.state {
        State::Foreign(_) | State::Imported { .. } => {}
        State::Empty | State::HalfFilled { .. } => return Ok(false),
    }
    let session = target::session(&opened.main).await.map_err(database_fault)?;
    there::is_synapse(&session).await.map_err(database_fault)
}

async fn is_part(request: &ImportRequest) -> Result<bool, Failure> {
    let access = Access::new(request.server.environment.iter().cloned());
    let package = Package::open(&request.package, &request.identities, &access).await?;
    Ok(package.manifest.metadata.export_type == ExportType::Partial)
}

/// Imports into a living server, or says what that would do.
///
/// # Errors
/// [`Failure`]; batches that were finished stay, what was under way is not there.
pub async fn merge(cx: &Context, request: MergeRequest) -> Result<MergeOutcome, Failure> {
    let began = (cx.now)();
    let ended = tokio::select! {
        ended = run(cx, &request) => ended,
        _ = cx.stopped() => Err(Failure::stopped(
            "stopped; what was under way is not there, finished batches are",
            "run the same command again to go on, or take back what is there: lifeboat import undo",
        )),
    };
    ended.map(|outcome| MergeOutcome { seconds: (cx.now)() - began, ..outcome })
}

async fn run(cx: &Context, request: &MergeRequest) -> Result<MergeOutcome, Failure> {
    let mut looked = look::look(cx, request).await?;
    if let Some(path) = &request.plan_file {
        let Some(edited) = plan_file::read(path)? else {
            looked.plan.map_users(&request.map_users).map_err(cannot_follow)?;
            plan_file::write(path, &looked.plan)?;
            return Ok(looked.planned(path));
        };
        looked.plan = looked.plan.follow(&edited).map_err(cannot_follow)?;
    }
    looked.plan.map_users(&request.map_users).map_err(cannot_follow)?;
    given::demand_targets(&looked).await?;
    if let Some(line) = looked.plan.stops().next() {
        return Err(Failure::failed(
            format!("the plan says stop for {}: {}", line.id, line.reason),
            "nothing was changed; change the plan, or the server, then run it again",
        ));
    }
    let mut outcome = apply::apply(cx, request, &looked).await?;
    if let Some(restart) = request.restart.as_ref().filter(|_| outcome.changed) {
        restarted(cx, (restart, &looked.opened), &mut outcome).await?;
    }
    let report = report::report(cx, request, (&mut looked, &outcome)).await?;
    if report.checks.iter().any(|check| check.name == CLIENT_ACCESS && !check.lets_pass()) {
        outcome.next.push(
            "if Synapse was not restarted since the last import, restart it (all of its workers), \
             then run the same command again"
                .to_owned(),
        );
    }
    outcome.report = Some(report);
    if request.dry_run {
        target::roll_back(&looked.session).await.map_err(database_fault)?;
    }
    Ok(outcome)
}

/// Restarts Synapse; a restart that fails does not undo the import.
async fn restarted(
    cx: &Context,
    (restart, opened): (&Restart, &Opened),
    outcome: &mut MergeOutcome,
) -> Result<(), Failure> {
    let words = &restart.words;
    cx.note(format!("restarting Synapse: {words}"));
    let run = Arc::clone(&restart.run);
    match apart(move || run()).await? {
        Ok(said) => said.into_iter().for_each(|line| cx.note(line)),
        Err(why) => {
            outcome.gaps += 1;
            outcome.warnings.push(format!("Synapse was not restarted by `{words}`: {why}"));
            return Ok(());
        }
    }
    outcome.restarted = true;
    outcome.next.retain(|step| !step.starts_with("restart Synapse"));
    let answers = async {
        while answering_port(opened).is_none() {
            tokio::time::sleep(PACE).await;
        }
    };
    if tokio::time::timeout(PATIENCE, answers).await.is_err() {
        let seconds = PATIENCE.as_secs();
        outcome.gaps += 1;
        outcome.warnings.push(format!("Synapse does not answer {seconds} s after its restart"));
    }
    Ok(())
}

fn cannot_follow(error: PlanError) -> Failure {
    let remedy = "change the plan, or have it written anew into another file";
    Failure::failed("the plan cannot be followed", remedy).because(error)
}

//! `restore plan` and `restore run`: the steps, one after the other.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};

use lifeboat_components::synapse::portion::Portion;
use lifeboat_engine::context::Context;
use lifeboat_engine::failure::Failure;
use lifeboat_package::backup::{Component, FILES, FileRecord};
use lifeboat_package::manifest::Manifest;
use lifeboat_postgres::connect::Connector;
use lifeboat_suite::{Component as Installed, Installation, OWN, OwnPlaces, Surroundings};
use lifeboat_vault::backup::OpenBackup;
use lifeboat_vault::drills::DrillRecord;
use lifeboat_vault::erasures::ErasureLedger;
use lifeboat_vault::layout::stamp;
use lifeboat_vault::run::tree::is_configuration;
use serde::Serialize;

use crate::files::{in_the_way, path_of};
use crate::journal::{Journal, StepDone};
use crate::plan::{self, Step, What};
use crate::targets::{TargetDatabase, Targets};

mod doing;

/// Bytes of an installation's file.
const CONFIG_BYTES: usize = 1 << 20;

/// What to restore, and how.
pub struct RestoreRequest {
    /// The components, all when empty.
    pub components: Vec<String>,
    /// Only these steps, by name or number; all when empty.
    pub only: Vec<String>,
    /// The step to begin with, by name or number.
    pub from_step: Option<String>,
    /// The installation's file, where it is to be.
    pub config: PathBuf,
    /// Where the journal is.
    pub state: PathBuf,
    /// Where things go.
    pub targets: Targets,
    /// Whether what is in the way is kept under another name; else it stops a step.
    pub replace: bool,
    /// What was taken back after the backup was made; `None` when that is not to be looked at.
    pub erasures: Option<ErasureLedger>,
    /// Whether others get the rights they had; nobody does in what is only for us.
    pub rights: bool,
    /// Whether nothing is stopped and started.
    pub no_commands: bool,
    /// Variables that commands of the operator get.
    pub passed: Vec<(String, String)>,
    /// Sessions that load in parallel.
    pub lanes: usize,
    /// What is needed of a Synapse that is put back for an export alone; else everything is.
    pub portion: Option<Portion>,
}

/// What a restore would do.
#[derive(Debug, Clone, Serialize)]
pub struct RestorePlan {
    /// Package id.
    pub backup: String,
    /// Server.
    pub server_name: String,
    /// When the backup was made: what came after it is lost. RFC 3339, UTC.
    pub recovery_point: String,
    /// The steps.
    pub steps: Vec<PlannedStep>,
    /// What the backup does not have.
    pub missing: Vec<String>,
    /// What will be lost or has to be done by hand.
    pub losses: Vec<String>,
    /// What stands in the way.
    pub obstacles: Vec<String>,
    /// How long it will take, by the last drill that passed.
    pub time: Option<PlannedTime>,
}

/// How long a restore will take, by a drill.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PlannedTime {
    /// When the drill was: RFC 3339, UTC.
    pub drilled_at: String,
    /// Seconds of the steps that are still to be done, as far as the drill did them.
    pub seconds: i64,
    /// Steps still to be done that the drill did not do, by name.
    pub not_drilled: Vec<String>,
}

/// A step and what it touches.
#[derive(Debug, Clone, Serialize)]
pub struct PlannedStep {
    /// The step.
    #[serde(flatten)]
    pub step: Step,
    /// What it does, in words.
    pub words: String,
    /// Where to, when that is known already.
    pub target: Option<String>,
    /// An earlier run has done it.
    pub done: bool,
    /// Seconds it took in the last drill that passed.
    pub drilled_seconds: Option<i64>,
}

/// How a restore ended.
#[derive(Debug, Clone, Serialize)]
pub struct RestoreOutcome {
    /// Package id.
    pub backup: String,
    /// Server.
    pub server_name: String,
    /// When the backup was made. RFC 3339, UTC.
    pub recovery_point: String,
    /// The steps that were done now, with what came of them.
    pub steps: Vec<(Step, StepDone)>,
    /// Steps that an earlier run had done.
    pub done_before: u64,
    /// What came of them.
    pub before: Vec<(Step, StepDone)>,
    /// What the backup does not have.
    pub missing: Vec<String>,
    /// What is missing or to be decided, of earlier runs too.
    pub gaps: u64,
    /// What to do next.
    pub next: Vec<String>,
    /// Seconds it took.
    pub seconds: i64,
}

/// A restore under way.
struct Restoring<'a> {
    cx: &'a Context,
    open: &'a OpenBackup,
    request: &'a RestoreRequest,
    components: Vec<&'a Component>,
    /// Known once its configuration is back.
    installation: Option<Installation>,
    stamp: String,
    /// The step that is being done.
    doing: String,
}

/// Says what [`run`] would do, and changes nothing.
///
/// # Errors
/// [`Failure`] when a component is not in the backup.
pub async fn plan(
    cx: &Context,
    open: &OpenBackup,
    request: &RestoreRequest,
) -> Result<RestorePlan, Failure> {
    let restoring = Restoring::begin(cx, open, request)?;
    let journal = Journal::find(&request.state, &restoring.name()).ok().flatten();
    let manifest = open.manifest();
    let mut planned = Vec::new();
    let mut obstacles = Vec::new();
    for step in restoring.steps()? {
        let done = journal.as_ref().is_some_and(|j| j.done.contains_key(&step.name));
        let target = restoring.target(&step.what).await;
        match &target {
            // What this restore has put there is in nobody's way.
            Some((_, Some(obstacle))) if !done => obstacles.push(obstacle.clone()),
            _ if done => {}
            _ => obstacles.extend(restoring.files_in_the_way(&step.what).await?),
        }
        planned.push(PlannedStep {
            words: step.what.words(),
            target: target.map(|(shown, _)| shown),
            done,
            drilled_seconds: None,
            step,
        });
    }
    Ok(RestorePlan {
        backup: manifest.package.to_string(),
        server_name: manifest.metadata.server_id.clone(),
        recovery_point: restoring.recovery_point(),
        steps: planned,
        missing: plan::missing(manifest, plan::NOT_MISSING),
        losses: plan::losses(&restoring.components).into_iter().chain(restoring.parted()).collect(),
        obstacles,
        time: None,
    })
}

impl RestorePlan {
    /// Says how long it will take, by the last of `drills` (oldest first) that passed.
    pub fn time_by(&mut self, drills: &[DrillRecord]) {
        let Some(drill) = drills.iter().rev().find(|drill| drill.ok) else { return };
        let (mut seconds, mut not_drilled) = (0, Vec::new());
        for planned in &mut self.steps {
            let drilled = drill.steps.iter().find(|drilled| drilled.step == planned.step.name);
            planned.drilled_seconds = drilled.map(|drilled| drilled.seconds);
            match planned.drilled_seconds {
                _ if planned.done => {}
                Some(took) => seconds += took,
                None => not_drilled.push(planned.step.name.clone()),
            }
        }
        let drilled_at = drill.drilled_at.clone();
        self.time = Some(PlannedTime { drilled_at, seconds, not_drilled });
    }
}

/// Restores.
///
/// # Errors
/// [`Failure`] of the first step that fails; the same command goes on with it.
pub async fn run(
    cx: &Context,
    open: &OpenBackup,
    request: &RestoreRequest,
) -> Result<RestoreOutcome, Failure> {
    let outcome = Box::pin(attempt(cx, open, request)).await;
    match outcome.failed {
        Some(failed) => Err(failed.failure),
        None => Ok(outcome.outcome),
    }
}

/// How far a restore came.
pub struct Attempt {
    /// What was done.
    pub outcome: RestoreOutcome,
    /// Where it ended early.
    pub failed: Option<Failed>,
}

/// Where a restore ended early.
pub struct Failed {
    /// The step, if it was one.
    pub step: Option<Step>,
    /// Why.
    pub failure: Failure,
    /// The steps after it.
    pub not_done: Vec<Step>,
}

/// Restores; what was done is told also when a step fails.
pub async fn attempt(cx: &Context, open: &OpenBackup, request: &RestoreRequest) -> Attempt {
    let started = (cx.now)();
    let missing = plan::missing(open.manifest(), plan::NOT_MISSING_OR_TOLD);
    let mut outcome = RestoreOutcome {
        backup: open.manifest().package.to_string(),
        server_name: open.manifest().metadata.server_id.clone(),
        recovery_point: recovery_point(open.manifest()),
        steps: Vec::new(),
        done_before: 0,
        before: Vec::new(),
        gaps: missing.len() as u64,
        missing,
        next: Vec::new(),
        seconds: 0,
    };
    let failed = match Restoring::begin(cx, open, request) {
        Ok(mut restoring) => Box::pin(restoring.all(&mut outcome)).await.err(),
        Err(failure) => Some(failure.into()),
    };
    outcome.seconds = (cx.now)() - started;
    Attempt { outcome, failed }
}

impl From<Failure> for Failed {
    fn from(failure: Failure) -> Self {
        Self { step: None, failure, not_done: Vec::new() }
    }
}

/// Where the installation of a backup keeps what is its own on the machine, by its file in the
/// backup, which is to lie at `config`. `None` when the backup does not have it.
///
/// # Errors
/// [`Failure`] when the backup is damaged.
pub async fn own_state(open: &OpenBackup, config: &Path) -> Result<Option<PathBuf>, Failure> {
    let Some(own) = open.component(OWN) else { return Ok(None) };
    let records = open.records::<FileRecord>(own, FILES).await?;
    let file = records.into_iter().find(|record| path_of(record) == config);
    let Some(content) = file.and_then(|record| record.content) else { return Ok(None) };
    let text = open.whole(&content, CONFIG_BYTES).await?;
    let places = String::from_utf8(text).ok().and_then(|t| OwnPlaces::parse(config, &t).ok());
    Ok(places.map(|places| places.state))
}

/// The steps of a restore that is not over, with what came of those that are done.
///
/// # Errors
/// [`Failure`] when the journal cannot be read.
pub fn progress(
    cx: &Context,
    open: &OpenBackup,
    request: &RestoreRequest,
) -> Result<Vec<(Step, Option<StepDone>)>, Failure> {
    let restoring = Restoring::begin(cx, open, request)?;
    let mut done = restoring.journal()?.done;
    let steps = restoring.steps()?.into_iter();
    Ok(steps.map(|step| (step.clone(), done.remove(&step.name))).collect())
}

/// The installation that a restore puts back, as far as it has.
///
/// # Errors
/// [`Failure`] when it cannot be read.
pub(crate) fn installation(
    cx: &Context,
    open: &OpenBackup,
    request: &RestoreRequest,
) -> Result<Installation, Failure> {
    let mut restoring = Restoring::begin(cx, open, request)?;
    restoring.installation()?;
    restoring.installation.ok_or_else(|| Failure::failed("no installation", ""))
}

/// A database of a component: the component's name, the database's name there, where it goes.
pub type Place = (String, String, Connector);

/// The PostgreSQL databases that a restore fills.
///
/// # Errors
/// [`Failure`] when the installation cannot be read, or does not say where one is.
pub fn databases(
    cx: &Context,
    open: &OpenBackup,
    request: &RestoreRequest,
) -> Result<Vec<Place>, Failure> {
    let mut restoring = Restoring::begin(cx, open, request)?;
    let mut places = Vec::new();
    for component in restoring.components.clone() {
        let found = restoring.connectors(component)?.into_iter();
        places.extend(found.map(|(name, connector)| (component.name.clone(), name, connector)));
    }
    Ok(places)
}

impl<'a> Restoring<'a> {
    fn begin(
        cx: &'a Context,
        open: &'a OpenBackup,
        request: &'a RestoreRequest,
    ) -> Result<Self, Failure> {
        let all = &open.manifest().components;
        for name in &request.components {
            if open.component(name).is_none() {
                let known: Vec<&str> = all.iter().map(|c| c.name.as_str()).collect();
                return Err(Failure::usage(
                    format!("there is no component {name} in the backup"),
                    format!("there are: {}", known.join(", ")),
                ));
            }
        }
        let wanted =
            |c: &&Component| request.components.is_empty() || request.components.contains(&c.name);
        let components = all.iter().filter(wanted).collect();
        let stamp = stamp((cx.now)());
        let (installation, doing) = (None, String::new());
        let mut restoring = Self { cx, open, request, components, installation, stamp, doing };
        restoring.read_installation().ok();
        Ok(restoring)
    }

    /// What the restore is called where things are noted of it.
    fn name(&self) -> String {
        let backup = self.open.manifest().package.to_string();
        match &self.request.targets.suffix {
            Some(suffix) => format!("{backup}{suffix}"),
            None => backup,
        }
    }

    /// Does the steps that an earlier run has not done.
    async fn all(&mut self, outcome: &mut RestoreOutcome) -> Result<(), Failed> {
        let request = self.request;
        let _alone = alone(&request.state)?;
        let mut journal = self.journal()?;
        let mut steps = self.steps()?.into_iter();
        let fences = journal.lacks_data(steps.as_slice());
        while let Some(step) = steps.next() {
            // Roles may have been made since, and to give rights again does no harm.
            let is_rights = matches!(step.what, What::Rights { .. });
            let is_due = is_rights || (fences && step.what == What::Fence);
            let is_asked = is_due || !request.only.is_empty();
            if let Some(done) = journal.done.get(&step.name).filter(|_| !is_asked) {
                outcome.done_before += 1;
                outcome.gaps += done.gaps.len() as u64;
                outcome.before.push((step, done.clone()));
                continue;
            }
            match Box::pin(self.one(&step, &mut journal)).await {
                Ok(done) => {
                    outcome.gaps += done.gaps.len() as u64;
                    outcome.steps.push((step, done));
                }
                Err(failure) => {
                    return Err(Failed { step: Some(step), failure, not_done: steps.collect() });
                }
            }
        }
        let whole = self.steps()?.iter().all(|step| journal.done.contains_key(&step.name));
        // Rights are given again also after a restore is over: that begins no other.
        if journal.is_of_rights() || (whole && request.only.is_empty()) {
            journal.remove()?;
        }
        outcome.next = self.next();
        Ok(())
    }

    /// Does a step and notes it.
    async fn one(&mut self, step: &Step, journal: &mut Journal) -> Result<StepDone, Failure> {
        let cx = self.cx;
        cx.go_on()?;
        cx.note(format!("step {}: {}", step.number, step.what.words()));
        let begun = (cx.now)();
        self.doing.clone_from(&step.name);
        let done = Box::pin(self.step(&step.what)).await.map_err(|failure| Failure {
            what: format!("step {} ({}): {}", step.number, step.name, failure.what),
            ..failure
        })?;
        let done = StepDone { seconds: (cx.now)() - begun, ..done };
        journal.note(step, done.clone())?;
        Ok(done)
    }

    fn journal(&self) -> Result<Journal, Failure> {
        Journal::open(&self.request.state, &self.name(), self.cx.timestamp())
    }

    fn recovery_point(&self) -> String {
        recovery_point(self.open.manifest())
    }

    /// The steps that were asked for.
    fn steps(&self) -> Result<Vec<Step>, Failure> {
        let mut steps = plan::steps(&self.components);
        if self.request.no_commands {
            let starts = |what: &What| matches!(what, What::Start { .. } | What::Gate);
            steps.retain(|step| !starts(&step.what));
        }
        if !self.request.rights {
            steps.retain(|step| !matches!(step.what, What::Rights { .. }));
        }
        if self.request.erasures.is_none() {
            steps.retain(|step| !matches!(step.what, What::Erasures { .. }));
        }
        let fits = |step: &Step, name: &str| step.name == name || step.number.to_string() == name;
        let known = |name: &String| {
            steps.iter().any(|step| fits(step, name)).then_some(()).ok_or_else(|| {
                Failure::usage(
                    format!("there is no step {name}"),
                    "lifeboat restore plan shows all",
                )
            })
        };
        self.request.only.iter().chain(&self.request.from_step).try_for_each(known)?;
        // Whichever step is asked for: no data is put back under what runs.
        let fence = steps.first().filter(|step| step.what == What::Fence).cloned();
        if let Some(from) = &self.request.from_step {
            let at = steps.iter().position(|step| fits(step, from)).unwrap_or_default();
            steps.drain(..at);
        }
        if !self.request.only.is_empty() {
            steps.retain(|step| self.request.only.iter().any(|name| fits(step, name)));
        }
        let is_fenced = steps.iter().any(|step| step.what == What::Fence);
        if !is_fenced && steps.iter().any(|step| step.what.puts_data()) {
            steps.splice(..0, fence);
        }
        Ok(steps)
    }

    /// Where only one of Synapse and MAS is put back in its place: what that means.
    fn parted(&self) -> Option<String> {
        let is_put_back = |one: &Component| self.components.iter().any(|put| put.name == one.name);
        let all = self.open.manifest().components.iter().filter(|one| plan::is_core(one));
        let (put, left): (Vec<&Component>, Vec<&Component>) = all.partition(|one| is_put_back(one));
        let (put, left) = (put.first()?, left.first()?);
        self.request.targets.suffix.is_none().then(|| {
            format!(
                "{} comes back without {}: users, devices and sessions of the two will be of \
                 different moments. Put both back, unless you know that they fit",
                put.name, left.name
            )
        })
    }

    /// The installation's file: where it was put back, else where it is.
    fn config(&self) -> PathBuf {
        let path = self.request.targets.place(&self.request.config);
        if path.exists() { path } else { self.request.config.clone() }
    }

    /// Reads the installation from where its file is, or was put back.
    fn read_installation(&mut self) -> Result<(), Failure> {
        let path = self.config();
        let around: &Surroundings = &self.request.targets.around;
        let found = lifeboat_suite::read(&path, around).map_err(|e| {
            Failure::failed(
                format!("cannot read the installation {}", path.display()),
                format!(
                    "name it with -c; the first steps of a restore put it back. Were they done, \
                     and is all gone again, remove restore-{}.json in {}, and begin anew",
                    self.name(),
                    self.request.state.display()
                ),
            )
            .because(e)
        })?;
        self.installation = Some(found);
        Ok(())
    }

    fn installation(&mut self) -> Result<&Installation, Failure> {
        if self.installation.is_none() {
            self.read_installation()?;
        }
        self.installation.as_ref().ok_or_else(|| Failure::failed("no installation", ""))
    }

    fn installed(&self, name: &str) -> Option<&Installed> {
        self.installation.as_ref()?.component(name)
    }

    fn component(&self, name: &str) -> Result<&'a Component, Failure> {
        let found = self.components.iter().find(|component| component.name == name);
        found.copied().ok_or_else(|| Failure::usage(format!("no component {name}"), ""))
    }

    /// The files that a step would stop at.
    async fn files_in_the_way(&self, what: &What) -> Result<Option<String>, Failure> {
        let (name, is_first) = match what {
            What::Configuration { component } => (component, true),
            What::Files { component } => (component, false),
            _ => return Ok(None),
        };
        let component = self.component(name)?;
        let wanted = |role: &str| is_configuration(role) == is_first;
        let found = in_the_way(self.open, (component, &self.request.targets), wanted).await?;
        Ok(found.map(|(count, path)| {
            let path = path.display();
            format!("{name}: {count} files there have another size or time, the first {path}")
        }))
    }

    /// Where a step puts something, and what stands in its way.
    async fn target(&self, what: &What) -> Option<(String, Option<String>)> {
        let What::Database { component, database } = what else { return None };
        let installation = self.installation.as_ref()?;
        let target = self.request.targets.database(installation, (component, database)).ok()?;
        let obstacle = match &target {
            TargetDatabase::Sqlite(path) if path.exists() => {
                Some(format!("{} is there", path.display()))
            }
            TargetDatabase::Sqlite(_) => None,
            TargetDatabase::Postgres(connector) => match connector.connect().await {
                Err(_) => None,
                Ok(session) => {
                    let things = lifeboat_postgres::restore::things_in(&session, 1).await.ok()?;
                    let is_full = !things.is_empty();
                    is_full.then(|| format!("database {} is not empty", connector.database()))
                }
            },
        };
        Some((target.shown(), obstacle))
    }
}

/// Keeps other restores away that would write the same journals, for as long as it lasts.
fn alone(state: &Path) -> Result<File, Failure> {
    let cannot = |e: std::io::Error| {
        let what = format!("cannot use the state folder {}", state.display());
        Failure::failed(what, "name another one with --state").because(e)
    };
    std::fs::create_dir_all(state).map_err(cannot)?;
    let folder = File::open(state).map_err(cannot)?;
    match folder.try_lock() {
        // Where a file system cannot lock, nobody is kept from a restore on that account.
        Ok(()) | Err(TryLockError::Error(_)) => Ok(folder),
        Err(TryLockError::WouldBlock) => Err(Failure::failed(
            format!("another restore is under way with the state folder {}", state.display()),
            "wait for its end; the restore of something else wants another --state",
        )),
    }
}

/// The moment that a backup gets back: RFC 3339, UTC.
pub fn recovery_point(manifest: &Manifest) -> String {
    let opened = manifest.groups.iter().find(|group| !group.opened_at.is_empty());
    opened.map_or_else(|| manifest.metadata.export_date.clone(), |group| group.opened_at.clone())
}

#[cfg(test)]
mod tests;

//! `restore plan` and `restore run`: the steps, one after the other.

use std::path::PathBuf;

use lifeboat_components::synapse::sequences::MARGIN;
use lifeboat_engine::context::{Context, Unit};
use lifeboat_engine::failure::Failure;
use lifeboat_package::backup::Component;
use lifeboat_package::manifest::Manifest;
use lifeboat_postgres::connect::Connector;
use lifeboat_suite::{Component as Installed, Installation, Kind, Surroundings};
use lifeboat_vault::backup::OpenBackup;
use lifeboat_vault::erasures::ErasureLedger;
use lifeboat_vault::layout::stamp;
use serde::Serialize;

use crate::database::{Kept, Loading, put_back};
use crate::files::{Placing, place};
use crate::journal::{Journal, StepDone};
use crate::plan::{self, Step, What};
use crate::targets::{TargetDatabase, Targets};
use crate::{fence, gate, rules, secrets};

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
    /// Whether nothing is stopped and started.
    pub no_commands: bool,
    /// Variables that commands of the operator get.
    pub passed: Vec<(String, String)>,
    /// Sessions that load in parallel.
    pub lanes: usize,
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
    /// What will be lost or has to be done by hand.
    pub losses: Vec<String>,
    /// What stands in the way.
    pub obstacles: Vec<String>,
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
    let journal = restoring.journal().ok();
    let manifest = open.manifest();
    let mut planned = Vec::new();
    let mut obstacles = Vec::new();
    for step in restoring.steps()? {
        let target = restoring.target(&step.what).await;
        if let Some((_, Some(obstacle))) = &target {
            obstacles.push(obstacle.clone());
        }
        planned.push(PlannedStep {
            words: step.what.words(),
            target: target.map(|(shown, _)| shown),
            done: journal.as_ref().is_some_and(|j| j.done.contains_key(&step.name)),
            step,
        });
    }
    if let Some(journal) = journal.filter(|journal| journal.done.is_empty()) {
        journal.remove()?;
    }
    Ok(RestorePlan {
        backup: manifest.package.to_string(),
        server_name: manifest.metadata.server_id.clone(),
        recovery_point: restoring.recovery_point(),
        steps: planned,
        losses: plan::losses(&restoring.components),
        obstacles,
    })
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
    let started = (cx.now)();
    let mut restoring = Restoring::begin(cx, open, request)?;
    let mut journal = restoring.journal()?;
    let steps = restoring.steps()?;
    let mut outcome = RestoreOutcome {
        backup: open.manifest().package.to_string(),
        server_name: open.manifest().metadata.server_id.clone(),
        recovery_point: restoring.recovery_point(),
        steps: Vec::new(),
        done_before: 0,
        before: Vec::new(),
        gaps: 0,
        next: Vec::new(),
        seconds: 0,
    };
    let fences = journal.lacks_data(&steps);
    for step in steps {
        let is_asked = !request.only.is_empty() || (fences && step.what == What::Fence);
        if let Some(done) = journal.done.get(&step.name).filter(|_| !is_asked) {
            outcome.done_before += 1;
            outcome.gaps += done.gaps.len() as u64;
            outcome.before.push((step, done.clone()));
            continue;
        }
        cx.go_on()?;
        cx.note(format!("step {}: {}", step.number, step.what.words()));
        let begun = (cx.now)();
        let done = Box::pin(restoring.step(&step.what)).await.map_err(|failure| Failure {
            what: format!("step {} ({}): {}", step.number, step.name, failure.what),
            ..failure
        })?;
        let done = StepDone { seconds: (cx.now)() - begun, ..done };
        outcome.gaps += done.gaps.len() as u64;
        journal.note(&step.name, done.clone())?;
        outcome.steps.push((step, done));
    }
    let whole = restoring.steps()?.iter().all(|step| journal.done.contains_key(&step.name));
    if whole && request.only.is_empty() {
        journal.remove()?;
    }
    outcome.next = restoring.next();
    outcome.seconds = (cx.now)() - started;
    Ok(outcome)
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
        let mut restoring = Self { cx, open, request, components, installation: None, stamp };
        restoring.read_installation().ok();
        Ok(restoring)
    }

    fn journal(&self) -> Result<Journal, Failure> {
        let backup = self.open.manifest().package.to_string();
        let name = match &self.request.targets.suffix {
            Some(suffix) => format!("{backup}{suffix}"),
            None => backup,
        };
        Journal::open(&self.request.state, &name, self.cx.timestamp())
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
        if let Some(from) = &self.request.from_step {
            let at = steps.iter().position(|step| fits(step, from)).unwrap_or_default();
            steps.drain(..at);
        }
        if !self.request.only.is_empty() {
            steps.retain(|step| self.request.only.iter().any(|name| fits(step, name)));
        }
        Ok(steps)
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
                "name it with -c; the first step of a restore puts it back",
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

    async fn step(&mut self, what: &What) -> Result<StepDone, Failure> {
        match what {
            What::Fence => self.fence().await,
            What::Configuration { component } => self.configuration(component).await,
            What::Secrets => self.secrets(),
            What::Database { component, database } => self.database((component, database)).await,
            What::Rules { component } => self.rules(component).await,
            What::Files { component } => {
                let placing = self.placing();
                let subject = (self.component(component)?, &placing);
                self.cx.stage("files", subject.0.file_bytes, Unit::Bytes);
                place(self.cx, self.open, subject, |role| !is_configuration(role)).await
            }
            What::Compare => self.compare().await,
            What::Check => self.check().await,
            What::Erasures { component } => self.erasures(component).await,
            What::Start { component } => self.start(component).await,
            What::Gate => self.gate().await,
        }
    }

    fn placing(&self) -> Placing<'a> {
        let (replace, stamp) = (self.request.replace, self.stamp.clone());
        Placing { targets: &self.request.targets, replace, stamp }
    }

    async fn fence(&self) -> Result<StepDone, Failure> {
        let mut done = StepDone::default();
        if self.request.targets.suffix.is_some() {
            done.lines.push("restored beside what runs: nothing is stopped".to_owned());
            return Ok(done);
        }
        let mut last_first = self.components.clone();
        last_first.sort_by_key(|component| std::cmp::Reverse(plan::rank(&component.kind)));
        if self.installation.is_none() && self.config().exists() {
            done.gaps.push(format!(
                "{} cannot be read, so nothing was stopped: see that nothing runs",
                self.config().display()
            ));
        }
        for component in last_first {
            match self.installed(&component.name) {
                Some(installed) if installed.is_blind() => done.gaps.push(format!(
                    "{}: no command to stop it, and no health_url to ask: see that it is down",
                    component.name
                )),
                Some(installed) => {
                    done.lines.push(fence::down(installed, &self.request.passed).await?);
                }
                None if component.kind == "lifeboat" => {}
                None => done.lines.push(format!("{} is not there yet", component.name)),
            }
        }
        Ok(done)
    }

    async fn configuration(&mut self, name: &str) -> Result<StepDone, Failure> {
        let placing = self.placing();
        let subject = (self.component(name)?, &placing);
        let done = place(self.cx, self.open, subject, is_configuration).await?;
        self.installation = None;
        Ok(done)
    }

    fn secrets(&mut self) -> Result<StepDone, Failure> {
        let names: Vec<String> = self.components.iter().map(|c| c.name.clone()).collect();
        let targets = &self.request.targets;
        secrets::demand(self.installation()?, (&names, targets))
    }

    async fn database(&mut self, (component, database): (&str, &str)) -> Result<StepDone, Failure> {
        let kept = Kept::find(self.open, self.component(component)?, database).await?;
        let target = self.target_of(component, database)?;
        let placing = self.placing();
        let loading = Loading {
            lanes: self.request.lanes,
            replace: self.request.replace,
            stamp: self.stamp.clone(),
            placing: &placing,
        };
        put_back(self.cx, &kept, (&target, &loading)).await
    }

    fn target_of(&mut self, component: &str, database: &str) -> Result<TargetDatabase, Failure> {
        let request = self.request;
        request.targets.database(self.installation()?, (component, database))
    }

    /// The PostgreSQL databases of a component.
    fn connectors(&mut self, component: &Component) -> Result<Vec<(String, Connector)>, Failure> {
        let mut found = Vec::new();
        for database in &component.databases {
            if let TargetDatabase::Postgres(connector) =
                self.target_of(&component.name, &database.name)?
            {
                found.push((database.name.clone(), *connector));
            }
        }
        Ok(found)
    }

    async fn rules(&mut self, name: &str) -> Result<StepDone, Failure> {
        let component = self.component(name)?;
        let mut all = StepDone::default();
        for (database, connector) in self.connectors(component)? {
            let done = if component.kind == "synapse" {
                let kept = Kept::find(self.open, component, &database).await?;
                rules::synapse(self.cx, &kept, (&connector, MARGIN)).await?
            } else {
                rules::mas(&connector).await?
            };
            all.lines.extend(done.lines);
            all.gaps.extend(done.gaps);
        }
        Ok(all)
    }

    async fn erasures(&mut self, name: &str) -> Result<StepDone, Failure> {
        let component = self.component(name)?;
        let main = self.connectors(component)?.into_iter().find(|(name, _)| name == "main");
        match (&self.request.erasures, main) {
            (Some(ledger), Some((_, connector))) => rules::erasures(&connector, ledger).await,
            _ => Ok(StepDone::default()),
        }
    }

    async fn compare(&mut self) -> Result<StepDone, Failure> {
        let of_kind = |kind: &str| self.components.iter().find(|c| c.kind == kind).copied();
        let (Some(synapse), Some(mas)) = (of_kind("synapse"), of_kind("mas")) else {
            return Ok(StepDone::default());
        };
        let groups = |component: &Component| component.databases.first().map(|d| d.group);
        if groups(synapse) != groups(mas) {
            return Err(Failure::failed(
                "Synapse and MAS are of different cuts in this backup",
                "restore another backup: mixed, MAS deletes devices that it does not know",
            ));
        }
        let (one, other) = (self.connectors(synapse)?, self.connectors(mas)?);
        let (Some((_, one)), Some((_, other))) = (one.first(), other.first()) else {
            return Ok(StepDone::default());
        };
        rules::compare((one, &self.open.manifest().metadata.server_id), other).await
    }

    async fn check(&mut self) -> Result<StepDone, Failure> {
        let mut done = StepDone::default();
        for component in self.components.clone() {
            for (database, connector) in self.connectors(component)? {
                let kept = Kept::find(self.open, component, &database).await?;
                gate::rows(&kept, &connector, &mut done).await?;
                if component.kind == "synapse"
                    && database == "main"
                    && let Some(installed) = self.installed(&component.name)
                {
                    gate::synapse(self.cx, installed, &connector, &mut done).await?;
                }
            }
            gate::files(self.open, (component, &self.request.targets), &mut done).await?;
        }
        Ok(done)
    }

    async fn start(&mut self, name: &str) -> Result<StepDone, Failure> {
        self.installation()?;
        let mut done = StepDone::default();
        let Some(installed) = self.installed(name) else { return Ok(done) };
        match fence::up(self.cx, installed, &self.request.passed).await? {
            Some(line) => done.lines.push(line),
            None => done.gaps.push(format!("start {name} yourself: it has no command for that")),
        }
        Ok(done)
    }

    async fn gate(&mut self) -> Result<StepDone, Failure> {
        let mut done = StepDone::default();
        for component in self.components.clone() {
            if component.kind != "synapse" {
                continue;
            }
            let connectors = self.connectors(component)?;
            let (Some((_, connector)), Some(installed)) =
                (connectors.first(), self.installed(&component.name))
            else {
                continue;
            };
            gate::clients(self.cx, installed, connector, &mut done).await?;
        }
        Ok(done)
    }

    /// What is left to do, by what is known of the kinds.
    fn next(&self) -> Vec<String> {
        let mut next = Vec::new();
        for component in &self.components {
            let kind = self.installed(&component.name).map(|installed| installed.kind);
            let Some(kind) = kind else { continue };
            if matches!(kind, Kind::Synapse | Kind::Mas) {
                // The rules of these two were applied; their gaps say what is left to decide.
                continue;
            }
            let steps = lifeboat_suite::catalogue::row(kind).after_restore;
            next.extend(steps.iter().map(|step| format!("{}: {step}", component.name)));
        }
        if self.components.iter().any(|component| component.kind == "synapse") {
            next.push("open it to clients, then to federation".to_owned());
        }
        next
    }
}

/// The moment that a backup gets back: RFC 3339, UTC.
pub fn recovery_point(manifest: &Manifest) -> String {
    let opened = manifest.groups.iter().find(|group| !group.opened_at.is_empty());
    opened.map_or_else(|| manifest.metadata.export_date.clone(), |group| group.opened_at.clone())
}

fn is_configuration(role: &str) -> bool {
    matches!(role, "config" | "secrets")
}

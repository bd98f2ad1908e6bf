//! What each kind of step does.

use lifeboat_components::synapse::sequences::MARGIN;
use lifeboat_engine::context::Unit;
use lifeboat_engine::failure::Failure;
use lifeboat_package::backup::Component;
use lifeboat_postgres::connect::Connector;
use lifeboat_suite::Kind;
use lifeboat_vault::layout::seconds_at;
use lifeboat_vault::run::tree::is_configuration;

use super::Restoring;
use crate::aside::Asides;
use crate::database::{Kept, Loading, put_back};
use crate::files::{Placing, place};
use crate::journal::StepDone;
use crate::plan::{self, What};
use crate::rules::Raising;
use crate::targets::TargetDatabase;
use crate::{fence, gate, redo, rights, rules, secrets};

/// Numbers of one sequence that are taken to have been given out in a second since the backup: more
/// than the largest servers give.
const A_SECOND: u64 = 100;
/// The number of the first step, the fence.
const FENCE: &str = "1";

impl<'a> Restoring<'a> {
    /// Does a step.
    pub(super) async fn step(&mut self, what: &What) -> Result<StepDone, Failure> {
        match what {
            What::Fence => self.fence().await,
            What::Configuration { component } => self.configuration(component).await,
            What::Secrets => self.secrets().await,
            What::Database { component, database } => self.database((component, database)).await,
            What::Rules { component } => self.rules(component).await,
            What::Rights { component } => self.rights(component).await,
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
        let place = (self.request.state.as_path(), self.name());
        let asides = Asides::of((place.0, &place.1), &self.doing, self.cx.timestamp());
        let (targets, lanes) = (&self.request.targets, self.request.lanes);
        Placing { targets, replace, stamp, asides, lanes }
    }

    async fn fence(&self) -> Result<StepDone, Failure> {
        let mut done = StepDone::default();
        if self.request.targets.suffix.is_some() {
            done.lines.push("restored beside what runs: nothing is stopped".to_owned());
            return Ok(done);
        }
        done.gaps.extend(self.parted());
        let mut last_first = self.fenced()?;
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

    /// Components of which nothing may run: all; where steps are chosen, those that get data by
    /// them, and Synapse and MAS never one without the other.
    fn fenced(&self) -> Result<Vec<&'a Component>, Failure> {
        let all = self.components.clone();
        let asks_for_it = |name: &String| [What::Fence.name(), FENCE.to_owned()].contains(name);
        if self.request.only.is_empty() || self.request.only.iter().any(asks_for_it) {
            return Ok(all);
        }
        let steps = self.steps()?;
        let puts = steps.iter().filter(|step| step.what.puts_data());
        let given: Vec<&str> = puts.filter_map(|step| step.what.component()).collect();
        let is_given = |component: &&Component| given.contains(&component.name.as_str());
        let has_core = all.iter().any(|one| is_given(one) && plan::is_core(one));
        Ok(all
            .into_iter()
            .filter(|one| is_given(one) || (has_core && plan::is_core(one)))
            .collect())
    }

    async fn configuration(&mut self, name: &str) -> Result<StepDone, Failure> {
        let placing = self.placing();
        let subject = (self.component(name)?, &placing);
        let done = place(self.cx, self.open, subject, is_configuration).await?;
        self.installation = None;
        Ok(done)
    }

    async fn secrets(&mut self) -> Result<StepDone, Failure> {
        let (open, components) = (self.open, self.components.clone());
        let targets = &self.request.targets;
        secrets::demand(open, self.installation()?, (&components, targets)).await
    }

    async fn database(&mut self, (component, database): (&str, &str)) -> Result<StepDone, Failure> {
        if let Some(owner) = self.shared_with((component, database))? {
            let line = format!("it is the database of {owner} too, and put back there");
            return Ok(StepDone { lines: vec![line], ..StepDone::default() });
        }
        let kept = Kept::find(self.open, self.component(component)?, database).await?;
        let target = self.target_of(component, database)?;
        let placing = self.placing();
        let loading = Loading {
            lanes: self.request.lanes,
            replace: self.request.replace,
            stamp: self.stamp.clone(),
            placing: &placing,
            portion: self.request.portion.as_ref(),
        };
        put_back(self.cx, &kept, (&target, &loading)).await
    }

    /// The component before this one that has the same database, where all are put back.
    fn shared_with(
        &mut self,
        (component, database): (&str, &str),
    ) -> Result<Option<String>, Failure> {
        if !self.request.only.is_empty() || self.request.from_step.is_some() {
            return Ok(None);
        }
        let own = self.target_of(component, database)?.shown();
        for step in plan::steps(&self.components) {
            let What::Database { component: earlier, database: other } = step.what else {
                continue;
            };
            if (earlier.as_str(), other.as_str()) == (component, database) {
                break;
            }
            // Where it cannot be found its own step says so.
            if self.target_of(&earlier, &other).is_ok_and(|there| there.shown() == own) {
                return Ok(Some(earlier));
            }
        }
        Ok(None)
    }

    pub(super) fn target_of(
        &mut self,
        component: &str,
        database: &str,
    ) -> Result<TargetDatabase, Failure> {
        let request = self.request;
        request.targets.database(self.installation()?, (component, database))
    }

    /// The PostgreSQL databases of a component.
    pub(super) fn connectors(
        &mut self,
        component: &Component,
    ) -> Result<Vec<(String, Connector)>, Failure> {
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
                let replaced = self
                    .placing()
                    .asides
                    .replaced((&component.name, &database), &connector.place())?;
                let raising = Raising { margin: self.margin(), replaced };
                rules::synapse(self.cx, &kept, (&connector, &raising)).await?
            } else {
                rules::mas(&connector).await?
            };
            all.lines.extend(done.lines);
            all.gaps.extend(done.gaps);
        }
        Ok(all)
    }

    /// How far sequences are raised: the older the backup, the more was given out since.
    fn margin(&self) -> u64 {
        let cut = seconds_at(&self.recovery_point()).unwrap_or(i64::MAX);
        let lost = u64::try_from((self.cx.now)().saturating_sub(cut)).unwrap_or_default();
        MARGIN.saturating_add(lost.saturating_mul(A_SECOND))
    }

    async fn rights(&mut self, name: &str) -> Result<StepDone, Failure> {
        let component = self.component(name)?;
        let mut all = StepDone::default();
        for (database, connector) in self.connectors(component)? {
            let kept = Kept::find(self.open, component, &database).await?;
            let done = rights::give_again(&kept, &connector).await?;
            all.lines.extend(done.lines);
            all.gaps.extend(done.gaps);
        }
        Ok(all)
    }

    async fn erasures(&mut self, name: &str) -> Result<StepDone, Failure> {
        let component = self.component(name)?;
        let main = self.connectors(component)?.into_iter().find(|(name, _)| name == "main");
        match (&self.request.erasures, main) {
            (Some(ledger), Some((_, connector))) => {
                let backup = self.open.manifest().package.to_string();
                rules::erasures(&connector, (ledger, &backup)).await
            }
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
            for database in &component.databases {
                let database = database.name.as_str();
                if self.shared_with((&component.name, database))?.is_some() {
                    continue;
                }
                let kept = Kept::find(self.open, component, database).await?;
                let connector = match self.target_of(&component.name, database)? {
                    TargetDatabase::Postgres(connector) => connector,
                    TargetDatabase::Sqlite(path) => {
                        if let Some(content) = &kept.record.file {
                            gate::sqlite(self.open, (content, &path), &mut done).await?;
                        }
                        continue;
                    }
                };
                let counted = gate::rows(&kept, &connector, &mut done).await;
                counted.map_err(|failure| Failure {
                    what: format!("{}/{database}: {}", component.name, failure.what),
                    ..failure
                })?;
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
            // Files are there, and nothing runs of them.
            None if installed.kind == Kind::Files => {}
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
    pub(super) fn next(&self) -> Vec<String> {
        if !self.request.only.is_empty() {
            return vec!["the other steps: the same command without --only".to_owned()];
        }
        if self.request.targets.suffix.is_some() {
            let why = "it would speak as your server, and notify real phones";
            return vec![format!(
                "look at the copy; do not start it where it has a network: {why}"
            )];
        }
        let mut next = Vec::new();
        if self.request.no_commands {
            let starting = plan::steps(&self.components).into_iter().filter_map(|step| {
                let What::Start { component } = step.what else { return None };
                Some(component)
            });
            let runs = |name: &String| {
                let kind = self.installed(name).map(|installed| installed.kind);
                kind.is_none_or(|kind| !matches!(kind, Kind::Files | Kind::Database))
            };
            let names = starting.filter(runs).collect::<Vec<_>>().join(", ");
            if !names.is_empty() {
                next.push(format!("start, in this order: {names}"));
            }
        }
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
            let erasures = self.request.erasures.as_ref().map(|ledger| &ledger.erasures);
            if erasures.is_some_and(|e| !e.purged.is_empty() || !e.deactivated.is_empty()) {
                let command = redo::command(&self.open.manifest().package.to_string());
                next.push(format!(
                    "when Synapse runs: {command} (rooms and history that were purged since, \
                     accounts that were closed)"
                ));
            }
            next.push("open it to clients, then to federation".to_owned());
        }
        next
    }
}

//! What is compared: a package, and a target that holds its finished import.

use std::collections::BTreeSet;

use lifeboat_components::postgres::Client;
use lifeboat_components::synapse::check;
use lifeboat_components::synapse::check::Findings;
use lifeboat_components::synapse::check::run::{Run, sign_of_start};
use lifeboat_components::synapse::config::kept::KeptConfig;
use lifeboat_components::synapse::layout::{Holds, STATE_STORE};
use lifeboat_components::synapse::write::target::State;
use lifeboat_storage::Access;

use super::Check;
use crate::context::Context;
use crate::failure::Failure;
use crate::import::check::{Contents, answering_port, database_fault, read_config};
use crate::import::databases::{self, Database};
use crate::import::{ImportRequest, trust};
use crate::reader::Package;
use crate::server::Opened;

/// Package and target.
pub(super) struct Subject {
    /// The package.
    pub(super) package: Package,
    /// Where everything in it is.
    pub(super) contents: Contents,
    /// Its configuration.
    pub(super) config: KeptConfig,
    /// The target.
    pub(super) opened: Opened,
    /// Why the package is trusted.
    pub(super) trust: String,
    /// The databases and where they are.
    pub(super) place: String,
    /// Whether the database says itself that it holds this import.
    is_noted: bool,
    /// Whether Synapse has run on it.
    pub(super) run: Run,
    /// By what that was seen.
    pub(super) run_seen_by: Option<String>,
    /// The port on which it answers now.
    pub(super) port: Option<u16>,
    /// What samples are drawn with.
    pub(super) seed: u64,
    /// Sessions, and threads, at a time.
    pub(super) lanes: usize,
    /// How far sequences were to be raised.
    pub(super) margin: u64,
}

impl Subject {
    /// Opens both.
    ///
    /// # Errors
    /// [`Failure`]; see [`super::verify`].
    pub(super) async fn open(cx: &Context, request: &ImportRequest) -> Result<Self, Failure> {
        let access = Access::new(request.server.environment.iter().cloned());
        let package = Package::open(&request.package, &request.identities, &access).await?;
        let mut opened = request.server.open()?;
        let (ours, theirs) = (&package.manifest.metadata.server_id, &opened.config.server_name);
        if ours != theirs {
            return Err(Failure::failed(
                format!("the package is of {ours}, the target is {theirs}"),
                "name the package that was imported here",
            ));
        }
        let trust = trust::demand(&package, &opened.config, request)?;
        let databases = databases::look(&mut opened).await?;
        let mut is_noted = true;
        for database in &databases {
            is_noted &= is_import_of(&package, database)?;
        }
        demand_one_run(&databases)?;
        let place = databases.iter().map(Database::words).collect::<Vec<_>>().join(", ");
        let session = check::session(&opened.main).await.map_err(database_fault)?;
        let port = answering_port(&opened);
        let run_seen_by = match port {
            Some(port) => Some(format!("a Matrix server answers on port {port}")),
            None => sign_of_start(&session).await.map_err(database_fault)?,
        };
        let run = if run_seen_by.is_some() { Run::AfterFirstStart } else { Run::BeforeFirstStart };
        cx.note(format!("checking {ours} against its package, {}", run.words()));
        Ok(Self {
            contents: Contents::read(&package).await?,
            config: read_config(&package).await?,
            package,
            opened,
            trust,
            place,
            is_noted,
            run,
            run_seen_by,
            port,
            seed: u64::from_be_bytes(cx.random()),
            lanes: request.lanes.max(1),
            margin: request.margin,
        })
    }

    /// A session on the main database.
    pub(super) async fn session(&self) -> Result<Client, Failure> {
        check::session(&self.opened.main).await.map_err(database_fault)
    }

    /// A session on the database of the state store, where that is another.
    pub(super) async fn state_session(&self) -> Result<Option<Client>, Failure> {
        match &self.opened.state {
            Some(state) => Ok(Some(check::session(state).await.map_err(database_fault)?)),
            None => Ok(None),
        }
    }

    /// A session on each database, with what it holds.
    pub(super) async fn sessions(&self) -> Result<Vec<(Holds, Client)>, Failure> {
        let main = self.session().await?;
        Ok(match self.state_session().await? {
            None => vec![(Holds::Everything, main)],
            Some(state) => vec![(Holds::AllButState, main), (Holds::StateStore, state)],
        })
    }

    /// What the database says of itself.
    pub(super) fn import_check(&self) -> Check {
        let package = self.package.manifest.package;
        let mut findings = Findings { checked: 1, ..Findings::default() };
        if self.is_noted {
            let summary = format!("the database holds the finished import of package {package}");
            return Check::made("import", summary, findings);
        }
        findings.note("the database holds no note of an import; it was compared all the same");
        Check::made("import", format!("nothing says that this is package {package}"), findings)
    }
}

/// Which of two sessions sees a table.
pub(super) fn sees<'a>(main: &'a Client, state: Option<&'a Client>, table: &str) -> &'a Client {
    state.filter(|_| STATE_STORE.contains(&table)).unwrap_or(main)
}

/// Two databases of one server were filled by one import.
fn demand_one_run(databases: &[Database]) -> Result<(), Failure> {
    let runs = databases.iter().filter_map(|database| match &database.fitness.as_ref()?.state {
        State::Imported { run, .. } => Some(run),
        _ => None,
    });
    let runs: BTreeSet<_> = runs.collect();
    if runs.len() > 1 {
        return Err(Failure::failed(
            "the two databases hold different imports of this package",
            "name in `databases:` the two that were imported together",
        ));
    }
    Ok(())
}

/// Whether the database says that it is; one that says otherwise is a failure.
fn is_import_of(package: &Package, found: &Database) -> Result<bool, Failure> {
    let database = found.connector.database();
    let id = package.manifest.package.to_string();
    let import = "import the package first: the same command without --verify";
    match found.fitness.as_ref().map(|fitness| &fitness.state) {
        None => Err(Failure::failed(format!("database {database} is not there"), import)),
        Some(State::Empty) => Err(Failure::failed(format!("database {database} is empty"), import)),
        Some(State::HalfFilled { .. }) => Err(Failure::failed(
            format!("database {database} holds an import that was cut short"),
            "run the import again: it clears away what is there and begins anew",
        )),
        Some(State::Imported { package, .. }) if *package != id => Err(Failure::failed(
            format!("database {database} holds the import of package {package}, this is {id}"),
            "name the package that was imported",
        )),
        Some(State::Imported { .. }) => Ok(true),
        Some(State::Foreign(_)) => Ok(false),
    }
}

//! A Synapse of a backup, put back beside what runs, so that a part of it can be exported.
//!
//! Its databases are made on the same servers under other names, with the rows that the export
//! needs; of its media only what is asked for is put into a folder of our own. Nothing that runs is
//! stopped, started or written to.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use lifeboat_components::synapse::choose::choose;
use lifeboat_components::synapse::portion::Portion;
use lifeboat_engine::context::Context;
use lifeboat_engine::failure::Failure;
use lifeboat_engine::import::check::database_fault;
use lifeboat_engine::server::ServerRequest;
use lifeboat_package::selection::Selection;
use lifeboat_suite::{Installation, Surroundings};
use lifeboat_vault::backup::OpenBackup;
use lifeboat_vault::erasures::ErasureLedger;
use lifeboat_vault::layout::stamp;

use crate::aside::Asides;
use crate::database::part;
use crate::files::{Placing, gather};
use crate::plan::What;
use crate::run::{self, RestoreOutcome, RestoreRequest};
use crate::scratch::{Purpose, Scratch};
use crate::targets::Targets;

/// What to copy, and how.
pub struct CopyRequest {
    /// The component; the one Synapse of the backup when it is not said.
    pub component: Option<String>,
    /// The installation's file.
    pub config: PathBuf,
    /// What was taken back after the backup was made: it is not exported.
    pub erasures: ErasureLedger,
    /// What libpq would take from the surroundings.
    pub around: Surroundings,
    /// The process' environment, for the export.
    pub environment: Vec<(String, String)>,
    /// Sessions that load in parallel.
    pub lanes: usize,
    /// What will be exported: no more is put back, where that can be told.
    pub selection: Selection,
}

/// A Synapse beside the one in use.
pub struct SynapseCopy<'a> {
    open: &'a OpenBackup,
    component: String,
    scratch: Scratch,
    restore: RestoreRequest,
    selection: Selection,
    /// What putting it back could not do.
    pub gaps: Vec<String>,
    /// How to read it.
    pub server: ServerRequest,
}

impl<'a> SynapseCopy<'a> {
    /// Puts the databases back.
    ///
    /// # Errors
    /// [`Failure`] when the backup has no such Synapse, this machine does not know it, or a
    /// database refuses; nothing is left then.
    pub async fn make(
        cx: &Context,
        open: &'a OpenBackup,
        (installation, request): (&Installation, CopyRequest),
    ) -> Result<Self, Failure> {
        let component = chosen(open, request.component.as_deref())?;
        let installed = installation.component(&component).ok_or_else(|| {
            Failure::usage(
                format!("the installation has no component {component}"),
                "name it in lifeboat.yaml as it was when the backup was made",
            )
        })?;
        let kept = open.component(&component).ok_or_else(|| unknown(Some(&component)))?;
        let wanted = (&request.selection, request.lanes);
        let portion = part::find(cx, (open, kept), wanted).await?;
        let purpose = (Purpose::Export, installation.state.as_path());
        let setting = (installation, &request.around);
        let scratch = Scratch::make(cx, purpose, setting).await?;
        let server = ServerRequest {
            config_paths: installed.config.clone(),
            database_url: None,
            database_suffix: Some(Purpose::Export.suffix().to_owned()),
            media_store: Some(scratch.folder().join("media")),
            workdir: installed.workdir.clone(),
            environment: request.environment.clone(),
        };
        let selection = request.selection.clone();
        let restore = RestoreRequest { portion, ..beside(&component, request, scratch.folder()) };
        let gaps = Vec::new();
        let mut copy = Self { open, component, scratch, restore, selection, gaps, server };
        match Box::pin(copy.fill(cx)).await {
            Ok(outcome) => {
                // What the rules leave to be decided is about starting it, and nobody does.
                let of_databases = |what: &What| matches!(what, What::Database { .. });
                let steps = outcome.steps.into_iter();
                let steps = steps.filter(|(step, _)| of_databases(&step.what));
                copy.gaps = steps.flat_map(|(_, done)| done.gaps).collect();
                Ok(copy)
            }
            Err(failure) => {
                for left in copy.clear().await {
                    cx.note(format!("not removed: {left}"));
                }
                Err(failure)
            }
        }
    }

    async fn fill(&mut self, cx: &Context) -> Result<RestoreOutcome, Failure> {
        let is_data = |what: &What| {
            matches!(what, What::Database { .. } | What::Rules { .. } | What::Erasures { .. })
        };
        let steps = run::progress(cx, self.open, &self.restore)?.into_iter();
        let steps = steps.filter(|(step, _)| is_data(&step.what));
        self.restore.only = steps.map(|(step, _)| step.name).collect();
        for place in run::databases(cx, self.open, &self.restore)? {
            self.scratch.database(self.open, place).await?;
        }
        let outcome = run::run(cx, self.open, &self.restore).await?;
        if let Some(portion) = &self.restore.portion {
            self.demand_rooms(portion).await?;
        }
        Ok(outcome)
    }

    /// Whatever the export will choose was put back: a room that was not would leave empty.
    async fn demand_rooms(&self, portion: &Portion) -> Result<(), Failure> {
        let main = self.server.open()?.main.connect().await.map_err(database_fault)?;
        // What fits nothing, the export says.
        let Ok(chosen) = choose(&main, &self.selection).await else { return Ok(()) };
        match chosen.rooms.iter().find(|room| !portion.rooms.contains(&room.room_id)) {
            None => Ok(()),
            Some(room) => Err(Failure::failed(
                format!("room {} was not put back", room.room_id),
                "this is a fault of ours, please report it; meanwhile restore all of it beside \
                 what runs (lifeboat restore run --beside _old) and export from there",
            )),
        }
    }

    /// Puts files of the media store back, by their paths below it.
    ///
    /// # Errors
    /// [`Failure`] when the backup is damaged, or they cannot be written.
    pub async fn media(&self, cx: &Context, wanted: &BTreeSet<String>) -> Result<(), Failure> {
        let Some(component) = self.open.component(&self.component) else { return Ok(()) };
        let into = self.scratch.folder().join("media");
        std::fs::create_dir_all(&into).map_err(|e| {
            Failure::failed(format!("cannot make {}", into.display()), "").because(e)
        })?;
        let stamp = stamp((cx.now)());
        let place = (self.restore.state.as_path(), Purpose::Export.suffix());
        let asides = Asides::of(place, "media", cx.timestamp());
        let (targets, lanes) = (&self.restore.targets, self.restore.lanes);
        let placing = Placing { targets, replace: false, stamp, asides, lanes };
        gather(cx, self.open, (component, &placing), (wanted, &into)).await?;
        Ok(())
    }

    /// Drops the databases and removes the folder; what could not be removed, in words.
    pub async fn clear(mut self) -> Vec<String> {
        self.scratch.clear().await
    }
}

/// The Synapse that is meant.
fn chosen(open: &OpenBackup, wanted: Option<&str>) -> Result<String, Failure> {
    let all = open.manifest().components.iter().filter(|component| component.kind == "synapse");
    let names: Vec<&str> = all.map(|component| component.name.as_str()).collect();
    match (wanted, names.as_slice()) {
        (Some(name), names) if names.contains(&name) => Ok(name.to_owned()),
        (None, [name]) => Ok((*name).to_owned()),
        (None, []) | (Some(_), _) => Err(unknown(wanted)),
        (None, names) => Err(Failure::usage(
            "there are several in the backup",
            format!("say which with --component: {}", names.join(", ")),
        )),
    }
}

fn unknown(wanted: Option<&str>) -> Failure {
    let what = match wanted {
        Some(name) => format!("there is no Synapse called {name} in the backup"),
        None => "there is no Synapse in the backup".to_owned(),
    };
    Failure::usage(what, "lifeboat backup show lists what is in it")
}

fn beside(component: &str, request: CopyRequest, folder: &Path) -> RestoreRequest {
    RestoreRequest {
        components: vec![component.to_owned()],
        only: Vec::new(),
        from_step: None,
        config: request.config,
        state: folder.join("journal"),
        targets: Targets {
            root: Some(folder.join("root")),
            suffix: Some(Purpose::Export.suffix().to_owned()),
            around: request.around,
        },
        replace: false,
        rights: false,
        erasures: Some(request.erasures),
        no_commands: true,
        passed: Vec::new(),
        lanes: request.lanes,
        portion: None,
    }
}

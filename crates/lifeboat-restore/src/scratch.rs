//! What a drill or an export from a backup makes, listed before it is made: so that it goes away
//! again, also after a crash.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use lifeboat_engine::context::Context;
use lifeboat_engine::failure::Failure;
use lifeboat_engine::import::check::database_fault;
use lifeboat_postgres::connect::Connector;
use lifeboat_postgres::restore::drop_database;
use lifeboat_suite::{Installation, Surroundings};
use lifeboat_vault::backup::OpenBackup;
use serde::{Deserialize, Serialize};

use crate::database::Kept;
use crate::database::make::{administration, make};
use crate::run::Place;
use crate::targets::{TargetDatabase, Targets};

/// What a copy of a backup is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// A drill.
    Drill,
    /// An export.
    Export,
}

impl Purpose {
    /// The folder below the state folder, and the file that says what was made.
    fn name(self) -> &'static str {
        match self {
            Self::Drill => "drill",
            Self::Export => "export",
        }
    }

    /// What the name of every database of it ends with.
    pub(crate) fn suffix(self) -> &'static str {
        match self {
            Self::Drill => "_drill",
            Self::Export => "_export",
        }
    }
}

/// The folder and the databases of a copy.
pub(crate) struct Scratch {
    purpose: Purpose,
    folder: PathBuf,
    list: PathBuf,
    made: Vec<(Made, Connector)>,
    /// Held as long as the copy.
    _lock: File,
}

/// A database that was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Made {
    component: String,
    database: String,
    /// Its name on the server.
    name: String,
    /// The server.
    place: String,
}

impl Scratch {
    /// Makes the folder below the state folder, for us alone, after what an earlier run left was
    /// removed.
    ///
    /// # Errors
    /// [`Failure`] when another one is under way, or what is left cannot be removed.
    pub(crate) async fn make(
        cx: &Context,
        (purpose, state): (Purpose, &Path),
        (installation, around): (&Installation, &Surroundings),
    ) -> Result<Self, Failure> {
        fs::create_dir_all(state).map_err(|e| cannot("use the state folder", state, e))?;
        let name = purpose.name();
        let lock = lock(purpose, &state.join(format!("{name}.lock")))?;
        let (folder, list) = (state.join(name), state.join(format!("{name}.json")));
        let left: Vec<Made> = match fs::read(&list) {
            Ok(text) => serde_json::from_slice(&text).unwrap_or_default(),
            Err(_) => Vec::new(),
        };
        let mut scratch = Self { purpose, folder, list, made: Vec::new(), _lock: lock };
        for made in left {
            match made.connector(purpose, installation, around) {
                Some(connector) => scratch.made.push((made, connector)),
                None => cx.note(format!(
                    "an earlier {name} left database {} at {}: drop it by hand",
                    made.name, made.place
                )),
            }
        }
        let left = scratch.clear().await;
        if let Some(first) = left.first() {
            let what = format!("what an earlier {name} left cannot be removed: {first}");
            return Err(Failure::failed(what, "remove it, then run the same command again"));
        }
        let made = fs::DirBuilder::new().mode(0o700).create(&scratch.folder);
        made.map_err(|e| cannot("make", &scratch.folder, e))?;
        Ok(scratch)
    }

    /// The folder.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Makes a database. One that is there is not ours, and is left alone.
    ///
    /// # Errors
    /// [`Failure`] when there is one of this name, or it cannot be made.
    pub(crate) async fn database(
        &mut self,
        open: &OpenBackup,
        (component, database, connector): Place,
    ) -> Result<(), Failure> {
        let kept = open.component(&component).ok_or_else(|| Failure::failed("lost", ""))?;
        let facts = Kept::find(open, kept, &database).await?.facts()?;
        let (name, place) = (connector.database(), connector.place());
        let purpose = self.purpose.name();
        if connector.connect().await.is_ok() {
            return Err(Failure::failed(
                format!("there is a database {name} at {place}, which no {purpose} made"),
                format!("drop it or give it another name: the {purpose} uses it"),
            ));
        }
        self.made.push((Made { component, database, name, place }, connector.clone()));
        self.write()?;
        let made = make(&connector, &facts).await;
        if made.is_err() {
            // It may be there after all, and then it is somebody else's.
            self.made.pop();
            self.write()?;
        }
        made
    }

    /// Drops the databases and removes the folder; what could not be removed, in words.
    pub(crate) async fn clear(&mut self) -> Vec<String> {
        let mut left = Vec::new();
        for (made, connector) in std::mem::take(&mut self.made) {
            if let Err(failure) = drop_made(&connector).await {
                left.push(format!("database {} at {}: {failure}", made.name, made.place));
                self.made.push((made, connector));
            }
        }
        let ended = match fs::remove_dir_all(&self.folder) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
            _ if self.made.is_empty() => match fs::remove_file(&self.list) {
                Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
                _ => Ok(()),
            },
            _ => Ok(()),
        };
        left.extend(ended.err().map(|e| format!("{}: {e}", self.folder.display())));
        left
    }

    fn write(&self) -> Result<(), Failure> {
        let made: Vec<&Made> = self.made.iter().map(|(made, _)| made).collect();
        let text = serde_json::to_vec(&made).unwrap_or_default();
        let folder = self.list.parent().unwrap_or(Path::new("."));
        let failed = |e| cannot("write", &self.list, e);
        let file = tempfile::NamedTempFile::new_in(folder).map_err(failed)?;
        fs::write(file.path(), text).map_err(failed)?;
        file.as_file().sync_all().map_err(failed)?;
        file.persist(&self.list).map_err(|e| failed(e.error))?;
        Ok(())
    }
}

impl Made {
    /// The way to it, if the installation still has the database that it stands beside.
    fn connector(
        &self,
        purpose: Purpose,
        installation: &Installation,
        around: &Surroundings,
    ) -> Option<Connector> {
        let (suffix, around) = (Some(purpose.suffix().to_owned()), around.clone());
        let targets = Targets { root: None, suffix, around };
        match targets.database(installation, (&self.component, &self.database)) {
            Ok(TargetDatabase::Postgres(connector))
                if connector.database() == self.name && connector.place() == self.place =>
            {
                Some(*connector)
            }
            _ => None,
        }
    }
}

async fn drop_made(connector: &Connector) -> Result<(), Failure> {
    let administration = administration(connector).await?;
    drop_database(&administration, &connector.database()).await.map_err(database_fault)
}

fn lock(purpose: Purpose, path: &Path) -> Result<File, Failure> {
    let mut how = fs::OpenOptions::new();
    how.read(true).write(true).create(true).truncate(false).mode(0o600);
    let lock = how.open(path).map_err(|e| cannot("use", path, e))?;
    if lock.try_lock().is_err() {
        let what = format!("another {} is under way", purpose.name());
        return Err(Failure::failed(what, "wait for it, or stop it"));
    }
    Ok(lock)
}

fn cannot(verb: &str, path: &Path, error: io::Error) -> Failure {
    Failure::failed(
        format!("cannot {verb} {}", path.display()),
        "name a folder we may write with `state:` in lifeboat.yaml",
    )
    .because(error)
}

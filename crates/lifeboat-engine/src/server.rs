//! Opening a Synapse: its configuration, the way to its databases, its media store.

use std::path::PathBuf;

use lifeboat_components::postgres::connect::Connector;
use lifeboat_components::synapse::config::database::{DataStore, DatabaseError, DatabaseSettings};
use lifeboat_components::synapse::config::target::{DatabaseTarget, Surroundings};
use lifeboat_components::synapse::config::{ReadOptions, SynapseConfig, read};

use crate::failure::Failure;

/// Which server.
#[derive(Clone)]
pub struct ServerRequest {
    /// `homeserver.yaml`, further files and folders of files, in order.
    pub config_paths: Vec<PathBuf>,
    /// The database instead of the one the configuration names.
    pub database_url: Option<String>,
    /// What the name of each database has at its end that the configuration does not say: for a
    /// copy beside the one in use.
    pub database_suffix: Option<String>,
    /// The media store instead of the one the configuration names.
    pub media_store: Option<PathBuf>,
    /// The working directory of the Synapse process, from which relative paths in its configuration
    /// hold.
    pub workdir: PathBuf,
    /// The process' environment.
    pub environment: Vec<(String, String)>,
}

/// A server's configuration, and how to reach what it stores.
pub struct Opened {
    /// Configuration.
    pub config: SynapseConfig,
    /// The main database.
    pub main: Connector,
    /// The database of the state store, where that is another.
    pub state: Option<Connector>,
    /// Media store.
    pub media_store: PathBuf,
    /// What could not be used.
    pub notes: Vec<String>,
}

impl ServerRequest {
    /// The value of an environment variable.
    pub fn environment(&self, name: &str) -> Option<&str> {
        let found = self.environment.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str())
    }

    /// Reads the configuration and makes connectors; connects to nothing yet.
    ///
    /// # Errors
    /// [`Failure`] when the configuration cannot be used.
    pub fn open(&self) -> Result<Opened, Failure> {
        let options = ReadOptions::of(&self.workdir);
        let config = read(&self.config_paths, &options)
            .map_err(|e| Failure::failed("cannot read the configuration", "").because(e))?;
        let around = Surroundings {
            user: self.environment("LOGNAME").or(self.environment("USER")).map(str::to_owned),
            home: self.environment("HOME").map(PathBuf::from),
            passfile: self.environment("PGPASSFILE").map(PathBuf::from),
            ..Surroundings::default()
        };
        let fail = |e: DatabaseError| {
            let remedy = "check `database:` in the configuration, or give --database-url";
            Failure::failed("cannot use the database settings", remedy).because(e)
        };
        let mut settings = match &self.database_url {
            // The main database alone is no server: every room's state would be missing.
            Some(_) if config.databases(&around).is_ok_and(|settings| settings.is_split()) => {
                return Err(Failure::failed(
                    "the configuration names two databases, --database-url can name only one",
                    "leave --database-url out, and name a copy of homeserver.yaml that has what \
                     should differ in `databases:`",
                ));
            }
            Some(url) => {
                DatabaseSettings::single(DatabaseTarget::parse(url, &around).map_err(fail)?)
            }
            None => config.databases(&around).map_err(fail)?,
        };
        let notes = settings
            .databases
            .iter_mut()
            .filter_map(|database| database.target.find_password(&around))
            .collect();
        let connector = |store| {
            let connector = settings.holding(store).target.connector().map_err(fail)?;
            match &self.database_suffix {
                None => Ok(connector),
                Some(suffix) => connector.beside(suffix).ok_or_else(|| {
                    let name = connector.database();
                    Failure::failed(format!("{name}{suffix} is too long for a database"), "")
                }),
            }
        };
        let main = connector(DataStore::Main)?;
        let state = if settings.is_split() { Some(connector(DataStore::State)?) } else { None };
        let media_store = self.media_store.clone();
        let media_store = media_store.unwrap_or_else(|| config.media.store_path.clone());
        Ok(Opened { config, main, state, media_store, notes })
    }
}

//! Which installation: the flag of the commands that work with `lifeboat.yaml`.

use std::path::PathBuf;

use lifeboat_engine::failure::Failure;
use lifeboat_suite::{Installation, OwnPlaces, SuiteError, Surroundings};

use super::Session;

/// The installation.
#[derive(Debug, clap::Args)]
pub(crate) struct InstallationFlags {
    /// The file that describes the installation
    #[arg(short, long, value_name = "FILE", default_value = "/etc/lifeboat/lifeboat.yaml")]
    pub(crate) config: PathBuf,
}

impl InstallationFlags {
    /// Reads it, and what its components say of themselves.
    pub(crate) fn read(&self, session: &Session) -> Result<Installation, Failure> {
        let path = session.folder.join(&self.config);
        lifeboat_suite::read(&path, &around(session)).map_err(refused)
    }

    /// Reads of it what needs none of its components.
    pub(crate) fn places(&self, session: &Session) -> Result<OwnPlaces, Failure> {
        OwnPlaces::read(&session.folder.join(&self.config)).map_err(refused)
    }
}

/// What the way to a database takes from the environment.
pub(crate) fn around(session: &Session) -> Surroundings {
    let variable = |name: &str| {
        let found = session.environment.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.clone())
    };
    Surroundings {
        user: variable("LOGNAME").or_else(|| variable("USER")),
        home: variable("HOME").map(PathBuf::from),
        passfile: variable("PGPASSFILE").map(PathBuf::from),
        ..Surroundings::default()
    }
}

fn refused(error: SuiteError) -> Failure {
    let remedy = error.remedy();
    match error {
        SuiteError::Component { component, source } => {
            Failure::usage(format!("the component `{component}` cannot be used"), remedy)
                .because(source)
        }
        error => Failure::usage("cannot use the configuration", remedy).because(error),
    }
}

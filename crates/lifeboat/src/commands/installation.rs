//! The flags that name an installation, the same for every command about a whole suite.

use std::path::PathBuf;

use lifeboat_engine::failure::Failure;
use lifeboat_suite::{Installation, Surroundings};

use super::Session;

/// Which installation.
#[derive(Debug, clap::Args)]
pub(crate) struct InstallationFlags {
    /// The installation's lifeboat.yaml
    #[arg(short, long, value_name = "FILE", default_value = "/etc/lifeboat/lifeboat.yaml")]
    config: PathBuf,
}

impl InstallationFlags {
    /// Reads the installation.
    pub(crate) fn read(&self, session: &Session) -> Result<Installation, Failure> {
        let path = session.folder.join(&self.config);
        lifeboat_suite::read(&path, &around(session)).map_err(|e| {
            Failure::usage(
                "cannot read the installation",
                "lifeboat config check shows what is wrong, lifeboat config example how it looks",
            )
            .because(e)
        })
    }
}

/// What libpq would take from the process' surroundings.
pub(crate) fn around(session: &Session) -> Surroundings {
    let look = |name: &str| {
        session.environment.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone())
    };
    Surroundings {
        user: look("LOGNAME").or_else(|| look("USER")),
        home: look("HOME").map(PathBuf::from),
        ..Surroundings::default()
    }
}

//! Why an installation cannot be read. Errors name places and settings, never values that could
//! be secrets.

use std::path::{Path, PathBuf};

use lifeboat_config::ConfigError;
use lifeboat_config::database::DatabaseError;
use lifeboat_config::yaml::Mark;
use thiserror::Error;

/// `lifeboat.yaml`, or the configuration of a component it names, cannot be used.
#[derive(Debug, Error)]
pub enum SuiteError {
    /// A file cannot be read.
    #[error("cannot read {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What to do.
        remedy: &'static str,
        /// Cause.
        source: std::io::Error,
    },
    /// There is no file that describes the installation.
    #[error("there is no {path}")]
    NoInstallation {
        /// Where it should be.
        path: PathBuf,
    },
    /// A file is not what it should be.
    #[error("{path}:{line}:{column}: {detail}")]
    Syntax {
        /// The file.
        path: PathBuf,
        /// Line, from 1.
        line: usize,
        /// Column, from 1.
        column: usize,
        /// What is wrong.
        detail: String,
    },
    /// A key that nobody knows.
    #[error("{place}: there is no key `{key}` in {section}")]
    Unknown {
        /// File, line, column.
        place: String,
        /// As written.
        key: String,
        /// Where it stands.
        section: String,
        /// The key that was probably meant.
        nearest: Option<&'static str>,
    },
    /// A setting has a value that cannot be used.
    #[error("{place}: `{setting}` {wrong}")]
    Setting {
        /// File, line, column.
        place: String,
        /// The setting.
        setting: String,
        /// What is wrong, as a phrase.
        wrong: String,
        /// What to do.
        remedy: String,
    },
    /// A setting that must be there is not.
    #[error("{place}: `{setting}` is missing")]
    Missing {
        /// File, line, column of what it belongs to.
        place: String,
        /// The setting.
        setting: String,
        /// What to do.
        remedy: String,
    },
    /// A secret stands where anybody may read it.
    #[error("{place}: `{setting}` holds a password")]
    Password {
        /// File, line, column.
        place: String,
        /// The setting.
        setting: String,
    },
    /// A component cannot be used.
    #[error("the component `{component}` cannot be used")]
    Component {
        /// Its name.
        component: String,
        /// Cause.
        source: Box<SuiteError>,
    },
    /// Its database settings cannot be used.
    #[error("the database settings in {place} cannot be used")]
    Database {
        /// The file or setting.
        place: String,
        /// Cause.
        source: DatabaseError,
    },
    /// A homeserver.yaml cannot be used.
    #[error("Synapse's configuration cannot be used")]
    Synapse(#[source] ConfigError),
}

impl SuiteError {
    /// What to do.
    pub fn remedy(&self) -> String {
        match self {
            Self::Read { remedy, .. } => (*remedy).to_owned(),
            Self::NoInstallation { .. } => {
                "name the file with -c FILE; `lifeboat config example` prints one to begin with"
                    .to_owned()
            }
            Self::Syntax { .. } => "correct the file".to_owned(),
            Self::Unknown { nearest: Some(nearest), .. } => format!("did you mean `{nearest}`?"),
            Self::Unknown { .. } => {
                "remove it; the reference page of lifeboat.yaml names every key".to_owned()
            }
            Self::Setting { remedy, .. } | Self::Missing { remedy, .. } => remedy.clone(),
            Self::Password { .. } => {
                "leave the password out and put it into ~/.pgpass, or write the whole address \
                 into a file with mode 0600 and name that as database_url_file"
                    .to_owned()
            }
            Self::Component { source, .. } => source.remedy(),
            Self::Database { .. } => {
                "correct them, or say database_url: in lifeboat.yaml".to_owned()
            }
            Self::Synapse(_) => "name all files that Synapse is started with".to_owned(),
        }
    }
}

/// `file:line:column`.
pub(crate) fn place(path: &Path, mark: Mark) -> String {
    format!("{}:{}:{}", path.display(), mark.line, mark.column)
}

//! Where the server is: the flags of the commands that read or fill one.

use std::path::{Path, PathBuf};

use lifeboat_engine::failure::Failure;
use lifeboat_engine::server::ServerRequest;

use super::Session;
use crate::secrets;

/// The server's configuration, and what to use instead of what it says.
#[derive(Debug, clap::Args)]
pub(crate) struct ServerFlags {
    /// homeserver.yaml, or a folder of such files; may be repeated, later ones win
    #[arg(long, value_name = "PATH", required = true, help_heading = "Server")]
    synapse: Vec<PathBuf>,
    /// Folder that Synapse runs in: relative paths in its configuration begin there
    /// [default: that of the first --synapse]
    #[arg(long, value_name = "DIR", help_heading = "Server")]
    workdir: Option<PathBuf>,
    /// The database instead of the configured one, without a password
    #[arg(long, value_name = "URL", conflicts_with = "database_url_file", help_heading = "Server")]
    database_url: Option<String>,
    /// File whose first line is the address of the database, with a password if it has one
    #[arg(long, value_name = "FILE", help_heading = "Server")]
    database_url_file: Option<PathBuf>,
    /// The media store instead of the configured one
    #[arg(long, value_name = "DIR", help_heading = "Server")]
    media_store: Option<PathBuf>,
}

impl ServerFlags {
    /// With every path made absolute from where we were called: Synapse runs elsewhere.
    pub(super) fn request(self, session: &Session) -> Result<ServerRequest, Failure> {
        let from = |path: PathBuf| session.folder.join(path);
        let argument = self.database_url.as_ref();
        let database_url =
            secrets::database_url(&session.context, argument, self.database_url_file.as_ref())?;
        let config_paths: Vec<PathBuf> = self.synapse.into_iter().map(from).collect();
        let workdir = self.workdir.map(from);
        Ok(ServerRequest {
            workdir: workdir.unwrap_or_else(|| folder_of(&config_paths, &session.folder)),
            config_paths,
            database_url,
            database_suffix: None,
            media_store: self.media_store.map(from),
            environment: session.environment.clone(),
        })
    }
}

/// The folder of the first configuration file, or the first folder of such files.
fn folder_of(config_paths: &[PathBuf], otherwise: &Path) -> PathBuf {
    let first = config_paths.first().map_or(otherwise, PathBuf::as_path);
    if first.is_dir() { first.to_owned() } else { first.parent().unwrap_or(first).to_owned() }
}

/// Work that is done side by side.
#[derive(Debug, clap::Args)]
pub(crate) struct LaneFlags {
    /// Database sessions that work side by side [default: one a core]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=64))]
    lanes: Option<u16>,
}

impl LaneFlags {
    pub(crate) fn count(&self) -> usize {
        let cores = || std::thread::available_parallelism().map_or(1, usize::from).min(64);
        self.lanes.map_or_else(cores, usize::from)
    }
}

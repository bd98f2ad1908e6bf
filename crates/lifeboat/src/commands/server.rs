//! Where the server is: the flags of the commands that read or fill one.

use std::path::PathBuf;

use lifeboat_engine::failure::Failure;

use crate::secrets;

/// The server's configuration, and what to use instead of what it says.
#[derive(Debug, clap::Args)]
pub(crate) struct ServerFlags {
    /// homeserver.yaml, or a folder of such files; may be repeated, later ones win
    #[arg(long, value_name = "PATH", required = true, help_heading = "Server")]
    pub(crate) synapse: Vec<PathBuf>,
    /// The database instead of the configured one, without a password
    #[arg(long, value_name = "URL", conflicts_with = "database_url_file", help_heading = "Server")]
    database_url: Option<String>,
    /// File whose first line is the address of the database, with a password if it has one
    #[arg(long, value_name = "FILE", help_heading = "Server")]
    database_url_file: Option<PathBuf>,
    /// The media store instead of the configured one
    #[arg(long, value_name = "DIR", help_heading = "Server")]
    pub(crate) media_store: Option<PathBuf>,
}

impl ServerFlags {
    pub(crate) fn database_url(&self) -> Result<Option<String>, Failure> {
        secrets::database_url(self.database_url.as_ref(), self.database_url_file.as_ref())
    }
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

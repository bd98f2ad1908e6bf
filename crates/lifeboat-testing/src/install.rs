//! What tests need and a fresh Debian lacks is installed, once, and said line by line.
//!
//! Programs come from Debian, into the system; Python and Node packages go into a folder of ours
//! (`target/tools`, or `LIFEBOAT_TOOLS`), so nothing else on the machine sees them. A stamp in each
//! part says that it is whole and what it was made from; a lock lets several test processes ask at
//! the same time.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use crate::{WorldError, postgres};

mod debian;
mod packages;

/// Called with each line that tells what is being installed.
pub type Say<'a> = &'a dyn Fn(&str);

/// Something that can be installed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// PostgreSQL's server and client, from Debian.
    Postgres,
    /// The connection pooler, from Debian.
    Pooler,
    /// The `age` program, from Debian.
    Age,
    /// What backups are piped through beside `age`, and what measures it: `zstd`, `time`.
    Pipes,
    /// Other programs that back up, to be measured beside ours, from Debian.
    Peers,
    /// Synapse in a Python environment of its own.
    Synapse,
    /// The servers beside it, in one Python environment: Sydent, mautrix-telegram, pantalaimon.
    Neighbours,
    /// The Python packages of the programs that fill and read servers, and of independent readers.
    Probes,
    /// The JavaScript client, from npm.
    Node,
    /// Chromium from Debian, and from npm what checks pages in it.
    Browser,
}

impl Part {
    /// All parts that tests use.
    pub const ALL: [Self; 9] = [
        Self::Postgres,
        Self::Pooler,
        Self::Age,
        Self::Pipes,
        Self::Synapse,
        Self::Neighbours,
        Self::Probes,
        Self::Node,
        Self::Browser,
    ];
}

/// The folder of installed tools.
#[derive(Debug, Clone)]
pub struct Tools {
    root: PathBuf,
}

impl Tools {
    /// Installs those parts that are missing.
    ///
    /// # Errors
    /// When a package cannot be installed; the error has what the installer printed.
    pub fn ready(parts: &[Part], say: Say<'_>) -> Result<Self, WorldError> {
        let root = root();
        fs::create_dir_all(&root).map_err(WorldError::io(format!("make {}", root.display())))?;
        let root = root.canonicalize().map_err(WorldError::io("find the folder of tools"))?;
        let tools = Self { root };
        let _turn = lock(&tools.root.join("install.lock"))?;
        for part in parts {
            tools.install(*part, say)?;
        }
        Ok(tools)
    }

    /// Makes a Python environment `name` with these packages, and returns its interpreter.
    ///
    /// # Errors
    /// When a package cannot be installed.
    pub fn python(
        &self,
        name: &str,
        requirements: &[&str],
        say: Say<'_>,
    ) -> Result<PathBuf, WorldError> {
        let _turn = lock(&self.root.join("install.lock"))?;
        packages::python(&self.root.join(name), requirements, say)
    }

    /// The archive of a PostgreSQL of this major version, for [`crate::Cluster::start_other`].
    ///
    /// # Errors
    /// When it cannot be installed.
    pub fn postgres_archive(&self, major: u32, say: Say<'_>) -> Result<PathBuf, WorldError> {
        let _turn = lock(&self.root.join("install.lock"))?;
        packages::postgres(&self.root.join(format!("postgresql-{major}")), major, say)
    }

    fn install(&self, part: Part, say: Say<'_>) -> Result<(), WorldError> {
        match part {
            // A client alone leaves the same folder behind, so the server is looked for itself.
            Part::Postgres if postgres::newest_programs().is_ok() => Ok(()),
            Part::Postgres => debian::install(debian::POSTGRES, say),
            Part::Pooler => debian::install(debian::POOLER, say),
            Part::Age => debian::install(debian::AGE, say),
            Part::Pipes => debian::install(debian::PIPES, say),
            Part::Peers => debian::install(debian::PEERS, say),
            Part::Synapse => {
                packages::python(&self.root.join("synapse"), packages::SYNAPSE, say).map(drop)
            }
            Part::Neighbours => {
                packages::python(&self.root.join("neighbours"), packages::NEIGHBOURS, say).map(drop)
            }
            Part::Probes => {
                packages::python(&self.root.join("probes"), packages::PROBES, say).map(drop)
            }
            Part::Node => packages::node(&self.root.join("node"), packages::NODE, say),
            Part::Browser => {
                debian::install(debian::BROWSER, say)?;
                packages::node(&self.root.join("browser"), packages::BROWSER, say)
            }
        }
    }

    /// The folder itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The interpreter that has Synapse.
    pub fn synapse_python(&self) -> PathBuf {
        self.root.join("synapse/bin/python")
    }

    /// The interpreter that has the servers beside Synapse.
    pub fn neighbour_python(&self) -> PathBuf {
        self.root.join("neighbours/bin/python")
    }

    /// The interpreter that has the packages of our own Python programs.
    pub fn probe_python(&self) -> PathBuf {
        self.root.join("probes/bin/python")
    }

    /// The folder in which Node finds the JavaScript client (`node_modules` is in it).
    pub fn node_folder(&self) -> PathBuf {
        self.root.join("node")
    }

    /// The script that checks a page for people who see, hear or move differently.
    pub fn page_checker(&self) -> PathBuf {
        self.root.join("browser/node_modules/axe-core/axe.min.js")
    }

    /// The version of the installed Synapse.
    ///
    /// # Errors
    /// When Synapse is not installed.
    pub fn synapse_version(&self) -> Result<String, WorldError> {
        packages::version_of(&self.root.join("synapse"), "matrix_synapse")
    }
}

/// Waits for a lock that other processes may hold. It ends when the file is dropped.
pub(crate) fn lock(path: &Path) -> Result<File, WorldError> {
    let task = || format!("lock {}", path.display());
    let file = File::create(path).map_err(WorldError::io(task()))?;
    file.lock().map_err(WorldError::io(task()))?;
    Ok(file)
}

fn root() -> PathBuf {
    match std::env::var_os("LIFEBOAT_TOOLS") {
        Some(path) => PathBuf::from(path),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/tools"),
    }
}

//! A seeded homeserver, ready in seconds.
//!
//! The first call fills a new server, which takes a while, and keeps the stopped result in the
//! folder of tools. Later calls, in any process, start from a copy of it. So every world of one
//! size has the same rooms, users and tokens, and none can harm another.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::install::Say;
use crate::{
    Cluster, Homeserver, Part, Role, Scratch, ServerOptions, Tools, WorldError, script, wait,
};

mod cache;
mod planted;

/// The name of the seeded homeserver, and of those its data is put back into.
pub const SERVER_NAME: &str = "lifeboat.test";
const DATABASE: &str = "synapse";

/// Where a homeserver keeps its rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Databases {
    /// All in one database.
    One,
    /// The state store in a database of its own.
    Split,
}

/// How much there is in a world.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Size {
    /// Of everything something; seeded in about half a minute.
    Small,
    /// More users, rooms and messages of the same kinds.
    Large,
}

impl Size {
    /// The word `seed.py` knows it by.
    pub fn name(self) -> &'static str {
        match self {
            Self::Small => "small",
            Self::Large => "large",
        }
    }
}

/// A private PostgreSQL with a seeded Synapse that runs on it.
#[derive(Debug)]
pub struct World {
    // Dropped first to last: Synapse, PostgreSQL, their files.
    /// The seeded homeserver, running.
    pub server: Homeserver,
    /// Its database server.
    pub cluster: Cluster,
    scratch: Scratch,
    tools: Tools,
}

impl World {
    /// A small world; says on standard error what it installs.
    ///
    /// # Errors
    /// When something cannot be installed, started or seeded.
    pub fn small() -> Result<Self, WorldError> {
        Self::open(Size::Small, &say_on_stderr)
    }

    /// A small world whose homeserver keeps its state in a database of its own.
    ///
    /// # Errors
    /// When something cannot be installed, started or seeded.
    pub fn split() -> Result<Self, WorldError> {
        Self::open_with(Size::Small, Databases::Split, &say_on_stderr)
    }

    /// A world of a size.
    ///
    /// # Errors
    /// When something cannot be installed, started or seeded.
    pub fn open(size: Size, say: Say<'_>) -> Result<Self, WorldError> {
        Self::open_with(size, Databases::One, say)
    }

    fn open_with(size: Size, databases: Databases, say: Say<'_>) -> Result<Self, WorldError> {
        let tools = Tools::ready(&[Part::Postgres, Part::Synapse, Part::Probes], say)?;
        let scratch = Scratch::new("world")?;
        cache::copy_into(scratch.path(), &tools, (size, databases), say)?;
        let cluster = Cluster::start(scratch.path())?;
        let mut server = seeded_server(&tools, scratch.path(), &cluster, databases)?;
        server.start()?;
        Ok(Self { server, cluster, scratch, tools })
    }

    /// A homeserver of the same name that was never started: an empty database, an empty folder
    /// with a configuration, no signing key. `database` names both.
    ///
    /// # Errors
    /// When the database or the configuration cannot be made.
    pub fn empty_server(&self, database: &str) -> Result<Homeserver, WorldError> {
        self.empty_with(database, Databases::One)
    }

    /// The same with two empty databases, `database` and one for the state store.
    ///
    /// # Errors
    /// When a database or the configuration cannot be made.
    pub fn empty_split_server(&self, database: &str) -> Result<Homeserver, WorldError> {
        self.empty_with(database, Databases::Split)
    }

    fn empty_with(&self, database: &str, databases: Databases) -> Result<Homeserver, WorldError> {
        let options = options(database, databases);
        make_databases(&self.cluster, &options)?;
        let directory = self.scratch.path().join(database);
        Homeserver::prepare(&self.tools, &directory, &self.cluster, options)
    }

    /// Waits until Synapse has summed up what is unread, which it does every half minute: then it
    /// forgets notifications that were read, and what clients see of them changes. A world begins
    /// like that; a test that wrote to it waits for it anew.
    ///
    /// # Errors
    /// When the database cannot be asked, or Synapse has not done so after three minutes.
    pub fn settle(&self, server: &Homeserver) -> Result<(), WorldError> {
        settle(&self.cluster, server)
    }

    /// Writes down everything clients can see of a homeserver that has this world's accounts.
    /// The file of facts is named `label`.
    ///
    /// # Errors
    /// When the homeserver cannot be read.
    pub fn capture(&self, server: &Homeserver, label: &str) -> Result<PathBuf, WorldError> {
        let facts = self.scratch.path().join(format!("{label}.facts.json"));
        script::capture(&self.tools, server, &self.state(), &facts)?;
        Ok(facts)
    }

    /// Compares two captures; the text has the counts. Facts whose names match one of the shell
    /// patterns in `allowed` may differ.
    ///
    /// # Errors
    /// When they differ; the error lists the differences.
    pub fn compare(
        &self,
        left: &Path,
        right: &Path,
        allowed: &[&str],
    ) -> Result<String, WorldError> {
        script::compare(&self.tools, left, right, allowed)
    }

    /// The file with users, tokens, rooms, media and keys of the seeding.
    pub fn state(&self) -> PathBuf {
        self.scratch.path().join(cache::STATE)
    }

    /// A folder for a test's own files; it goes with the world.
    pub fn directory(&self) -> &Path {
        self.scratch.path()
    }

    /// The installed tools.
    pub fn tools(&self) -> &Tools {
        &self.tools
    }
}

fn settle(cluster: &Cluster, server: &Homeserver) -> Result<(), WorldError> {
    const QUESTION: &str = "SELECT (SELECT stream_ordering
                FROM event_push_summary_stream_ordering)
            >= (SELECT max(stream_ordering) FROM events)
        AND (SELECT stream_id FROM event_push_summary_last_receipt_stream_id)
            >= (SELECT max(stream_id) FROM receipts_linearized)
        AND (SELECT stream_id FROM stats_incremental_position)
            >= (SELECT max(stream_id) FROM current_state_delta_stream)";
    let is_settled = || Ok(cluster.psql(server.database(), QUESTION)? == "t");
    if wait::until(Duration::from_mins(3), is_settled)? {
        return Ok(());
    }
    let server = "Synapse, to sum up what is unread within three minutes".to_owned();
    Err(WorldError::NotReady { server, log: String::new() })
}

/// Writes a line to standard error. A closed standard error is no reason to stop.
pub fn say_on_stderr(line: &str) {
    use std::io::Write;
    drop(writeln!(std::io::stderr(), "{line}"));
}

fn seeded_server(
    tools: &Tools,
    directory: &Path,
    cluster: &Cluster,
    databases: Databases,
) -> Result<Homeserver, WorldError> {
    let options = options(DATABASE, databases);
    Homeserver::prepare(tools, &directory.join("server"), cluster, options)
}

fn options(database: &str, databases: Databases) -> ServerOptions {
    let state = || format!("{database}_state");
    ServerOptions {
        server_name: SERVER_NAME.to_owned(),
        database: database.to_owned(),
        state_database: (databases == Databases::Split).then(state),
        role: Role::named(DATABASE),
    }
}

fn make_databases(cluster: &Cluster, options: &ServerOptions) -> Result<(), WorldError> {
    let names = [Some(&options.database), options.state_database.as_ref()];
    names.into_iter().flatten().try_for_each(|name| cluster.create_database(name, &options.role))
}

/// Copies a folder with owners, modes and times; shares blocks where the file system can.
fn copy_tree(from: &Path, to: &Path) -> Result<(), WorldError> {
    let output = Command::new("cp")
        .args(["-a", "--reflink=auto", "--"])
        .arg(from)
        .arg(to)
        .output()
        .map_err(WorldError::io("run cp"))?;
    if output.status.success() { Ok(()) } else { Err(WorldError::command("cp -a", &output)) }
}

//! What is measured on: a database with the schema that a real Synapse made, filled by the SQL in
//! `benches/`, and a media store that fits its rows. Made once for each scale, then kept.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use lifeboat_testing::{Cluster, Homeserver, Part, Role, ServerOptions, Tools, WorldError, wait};

use super::media;
use crate::shell::{Done, say, show_chain};

/// Events, rooms and users of scale 1. Rooms stay as many on other scales, so that they grow.
const EVENTS: u64 = 170_000;
const ROOMS: u64 = 400;
const USERS: u64 = 2_000;

const SERVER_NAME: &str = "bench.test";
/// The role, and the database that is measured.
const SOURCE: &str = "bench";
/// The database that is restored into, over and over.
const TARGET: &str = "restored";
/// Synapse makes indexes in the background when it is new.
const SETTLE_LIMIT: Duration = Duration::from_mins(5);

/// A filled server, its database running.
pub(super) struct Stage {
    /// The database server.
    pub(super) cluster: Cluster,
    /// The homeserver; it does not run.
    pub(super) source: Homeserver,
    tools: Tools,
    folder: PathBuf,
    /// The SQL that fills it.
    pub(super) programs: PathBuf,
}

impl Stage {
    /// The stage of this scale, made when it is missing or was made in another way.
    ///
    /// # Errors
    /// Something cannot be installed, started or filled.
    pub(super) fn open(root: &Path, folder: &Path, scale: u64) -> Done<Self> {
        let parts = [Part::Postgres, Part::Age, Part::Synapse, Part::Pipes, Part::Peers];
        let tools = Tools::ready(&parts, &say).map_err(|e| show_chain(&e))?;
        let folder = folder.join(format!("scale-{scale}"));
        let programs = root.join("benches");
        let stamp = stamp(&programs, &tools, scale)?;
        let stamped = folder.join("stamp");
        let is_made = fs::read_to_string(&stamped).is_ok_and(|found| found == stamp);
        if !is_made {
            clear(&folder)?;
        }
        let stage = Self::start(tools, folder, programs).map_err(|e| show_chain(&e))?;
        if is_made {
            return Ok(stage);
        }
        let stage = stage.fill(scale)?;
        fs::write(&stamped, stamp).map_err(|e| format!("write {}: {e}", stamped.display()))?;
        Ok(stage)
    }

    fn start(tools: Tools, folder: PathBuf, programs: PathBuf) -> Result<Self, WorldError> {
        let cluster = Cluster::start(&folder.join("cluster"))?;
        let source =
            Homeserver::prepare(&tools, &folder.join("synapse"), &cluster, options(SOURCE))?;
        Ok(Self { cluster, source, tools, folder, programs })
    }

    /// The schema from a Synapse that starts on an empty database, then rows and files.
    fn fill(mut self, scale: u64) -> Done<Self> {
        say("\n=== Synapse makes its schema");
        self.make_schema().map_err(|e| show_chain(&e))?;
        say("=== rows");
        let mut psql = self.psql();
        for (name, count) in [("events", EVENTS), ("users", USERS)] {
            psql.arg("-v").arg(format!("{name}={}", count * scale));
        }
        psql.arg("-v").arg(format!("rooms={ROOMS}"));
        for program in ["rooms.sql", "accounts.sql"] {
            psql.arg("-f").arg(self.programs.join(program));
        }
        finish(psql.stdin(Stdio::null()))?;
        say("=== media");
        let list = self.folder.join("media.tsv");
        let listed = media::make(&self.source.media_store(), scale)?;
        fs::write(&list, listed).map_err(|e| format!("write {}: {e}", list.display()))?;
        let listed = File::open(&list).map_err(|e| format!("open {}: {e}", list.display()))?;
        let mut psql = self.psql();
        finish(psql.arg("-f").arg(self.programs.join("media.sql")).stdin(listed))?;
        self.cluster.psql(SOURCE, "CHECKPOINT").map_err(|e| show_chain(&e))?;
        Ok(self)
    }

    fn make_schema(&mut self) -> Result<(), WorldError> {
        let role = Role::named(SOURCE);
        self.cluster.create_role(&role, true)?;
        self.cluster.create_database(SOURCE, &role)?;
        self.source.make_signing_key()?;
        self.source.start()?;
        let path = self.programs.join("unfinished.sql");
        let question = fs::read_to_string(&path)
            .map_err(WorldError::io(format!("read {}", path.display())))?;
        let settled =
            wait::until(SETTLE_LIMIT, || Ok(self.cluster.psql(SOURCE, &question)? == "0"))?;
        self.source.stop();
        if settled {
            return Ok(());
        }
        Err(WorldError::Missing {
            thing: "the end of Synapse's background updates".into(),
            remedy: "look into its log; on a busy machine try again".into(),
        })
    }

    fn psql(&self) -> Command {
        let mut psql = Command::new(self.cluster.programs().join("psql"));
        psql.args(["-X", "-q", "-o", "/dev/null", "-U", "postgres", "-d", SOURCE, "-h"]);
        psql.arg(self.cluster.socket_directory()).arg("-p").arg(self.cluster.port().to_string());
        psql
    }

    /// How to reach the measured database.
    pub(super) fn source_url(&self) -> String {
        self.cluster.url(SOURCE, &Role::named(SOURCE))
    }

    /// How to reach the database that is restored into.
    pub(super) fn target_url(&self) -> String {
        self.cluster.url(TARGET, &Role::named(SOURCE))
    }

    /// An empty database and a homeserver's folder below `folder` with nothing but a configuration
    /// and the signing key of the measured one.
    ///
    /// # Errors
    /// The database or a file cannot be made.
    pub(super) fn empty_target(&self, folder: &Path) -> Done<Homeserver> {
        clear(folder)?;
        let make = || {
            self.cluster.psql("postgres", &format!("DROP DATABASE IF EXISTS {TARGET}"))?;
            self.cluster.create_database(TARGET, &Role::named(SOURCE))?;
            let target = Homeserver::prepare(&self.tools, folder, &self.cluster, options(TARGET))?;
            fs::copy(self.source.signing_key(), target.signing_key())
                .map_err(WorldError::io("copy the signing key"))?;
            Ok(target)
        };
        make().map_err(|e: WorldError| show_chain(&e))
    }

    /// Lets the owner of the measured database make others.
    ///
    /// # Errors
    /// The server refuses.
    pub(super) fn let_make_databases(&self) -> Done {
        let sql = format!("ALTER ROLE {SOURCE} CREATEDB");
        self.cluster.psql("postgres", &sql).map_err(|e| show_chain(&e))?;
        Ok(())
    }

    /// Bytes of the measured database.
    ///
    /// # Errors
    /// The database does not answer.
    pub(super) fn database_bytes(&self) -> Done<u64> {
        let sql = "SELECT pg_database_size(current_database())";
        let bytes = self.cluster.psql(SOURCE, sql).map_err(|e| show_chain(&e))?;
        bytes.parse().map_err(|_| format!("`{bytes}` is not a size"))
    }

    /// Files and bytes of the media store.
    ///
    /// # Errors
    /// The store cannot be read.
    pub(super) fn media_size(&self) -> Done<(u64, u64)> {
        let store = self.source.media_store();
        measure(&store).map_err(|e| format!("measure {}: {e}", store.display()))
    }

    /// The versions of the servers.
    ///
    /// # Errors
    /// One of them does not tell.
    pub(super) fn versions(&self) -> Done<String> {
        let sql = "SELECT current_setting('server_version')";
        let postgres = self.cluster.psql(SOURCE, sql).map_err(|e| show_chain(&e))?;
        let synapse = self.tools.synapse_version().map_err(|e| show_chain(&e))?;
        Ok(format!("PostgreSQL {postgres}, schema of Synapse {synapse}"))
    }

    /// Says where everything is, for whoever wants to run commands by hand.
    pub(super) fn tell(&self) {
        say("\nThe database server runs until this program is ended (Ctrl-C).");
        say(&format!("  database   {}", self.source_url()));
        for path in self.source.config_paths() {
            say(&format!("  --synapse  {}", path.display()));
        }
    }
}

fn options(database: &str) -> ServerOptions {
    ServerOptions {
        server_name: SERVER_NAME.to_owned(),
        database: database.to_owned(),
        state_database: None,
        role: Role::named(SOURCE),
    }
}

/// What a stage was made from; another text means making it anew.
fn stamp(programs: &Path, tools: &Tools, scale: u64) -> Done<String> {
    let synapse = tools.synapse_version().map_err(|e| show_chain(&e))?;
    let mut stamp = format!("media 1\n{synapse}\n{}\n", EVENTS * scale);
    for program in ["rooms.sql", "accounts.sql", "media.sql"] {
        let path = programs.join(program);
        let text =
            fs::read_to_string(&path).map_err(|e| format!("read {}: {e}", path.display()))?;
        stamp.push_str(&text);
    }
    Ok(stamp)
}

fn finish(command: &mut Command) -> Done {
    let status = command.status().map_err(|e| format!("start psql: {e}"))?;
    if status.success() { Ok(()) } else { Err(format!("psql ended with {status}")) }
}

/// Removes a folder if it is there.
pub(super) fn clear(folder: &Path) -> Done {
    match fs::remove_dir_all(folder) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
            Err(format!("clear {}: {e}", folder.display()))
        }
        _ => Ok(()),
    }
}

/// Files and bytes below a folder.
fn measure(folder: &Path) -> std::io::Result<(u64, u64)> {
    let (mut files, mut bytes) = (0, 0);
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let facts = entry.metadata()?;
        let inside = if facts.is_dir() { measure(&entry.path())? } else { (1, facts.len()) };
        files += inside.0;
        bytes += inside.1;
    }
    Ok((files, bytes))
}

//! A private PostgreSQL: own folder, own port, own socket, gone when dropped.
//!
//! Debian's newest server binaries are used. A server refuses to run as root, so as root it runs as
//! `postgres`; otherwise as ourselves. Durability is off: a test's database may die, a test's time
//! matters.

use std::ffi::OsString;
use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::child::{Account, Guarded, Launch};
use crate::port::Port;
use crate::{Scratch, WorldError, wait};

mod held;

pub use held::Held;

const DEBIAN_SERVERS: &str = "/usr/lib/postgresql";
const SUPERUSER: &str = "postgres";
const START_LIMIT: Duration = Duration::from_mins(1);

/// A database role that logs in with a password over TCP.
#[derive(Debug, Clone)]
pub struct Role {
    /// Its name.
    pub name: String,
    /// Its password; a test's, not a secret.
    pub password: String,
}

impl Role {
    /// A role of this name with a password made from it.
    pub fn named(name: &str) -> Self {
        Self { name: name.to_owned(), password: format!("{name}-password") }
    }
}

/// A running PostgreSQL server.
#[derive(Debug)]
pub struct Cluster {
    // Dropped first to last: the server stops before its folders go.
    server: Guarded,
    port: Port,
    socket: Scratch,
    programs: PathBuf,
    directory: PathBuf,
    account: Option<Account>,
    /// Where the programs are, when they are not the system's.
    _unpacked: Option<Scratch>,
}

impl Cluster {
    /// Starts the server whose database files are in `directory`, which is made when it is missing.
    ///
    /// # Errors
    /// When PostgreSQL is not installed, the folder cannot be used, or the server does not start.
    pub fn start(directory: &Path) -> Result<Self, WorldError> {
        Self::start_with(directory, newest_programs()?, None)
    }

    /// Starts a standby that follows this server, with its files in `directory`.
    ///
    /// # Errors
    /// When the files cannot be copied or it does not start.
    pub fn start_standby(&self, directory: &Path) -> Result<Self, WorldError> {
        let files = directory.join("pgdata");
        let mut copy = Command::new(self.programs.join("pg_basebackup"));
        copy.args(["-R", "-X", "stream", "-c", "fast", "-N", "-U", SUPERUSER, "-h"])
            .arg(self.socket.path())
            .args(["-p", &self.port().to_string(), "-D"])
            .arg(&files);
        let output = copy.output().map_err(WorldError::io("run pg_basebackup"))?;
        if !output.status.success() {
            return Err(WorldError::command("pg_basebackup", &output));
        }
        if let Some(Account { uid, gid }) = unprivileged_account()? {
            let owner = format!("{uid}:{gid}");
            let mut give = Command::new("chown");
            give.args(["-R", &owner]).arg(&files);
            let output = give.output().map_err(WorldError::io("run chown"))?;
            if !output.status.success() {
                return Err(WorldError::command("chown", &output));
            }
        }
        Self::start_with(directory, self.programs.clone(), None)
    }

    /// Starts a server of another version than Debian's, from an archive of its programs.
    ///
    /// # Errors
    /// As [`Self::start`], and when the archive cannot be unpacked.
    pub fn start_other(directory: &Path, archive: &Path) -> Result<Self, WorldError> {
        // The server's account may not be let into our own folders.
        let unpacked = Scratch::new("pgbin")?;
        let output = Command::new("tar")
            .args(["--strip-components=1", "-xzf"])
            .arg(archive)
            .arg("-C")
            .arg(unpacked.path())
            .output()
            .map_err(WorldError::io("run tar"))?;
        if !output.status.success() {
            return Err(WorldError::command(format!("tar {}", archive.display()), &output));
        }
        // The archive's root has its own mode.
        fs::set_permissions(unpacked.path(), Permissions::from_mode(0o711))
            .map_err(WorldError::io("open the folder of programs"))?;
        Self::start_with(directory, unpacked.path().join("bin"), Some(unpacked))
    }

    fn start_with(
        directory: &Path,
        programs: PathBuf,
        unpacked: Option<Scratch>,
    ) -> Result<Self, WorldError> {
        let account = unprivileged_account()?;
        let files = directory.join("pgdata");
        if !files.join("PG_VERSION").exists() {
            initialise(&programs, &files, account)?;
        }
        let socket = Scratch::new("pg")?;
        if let Some(account) = account {
            hand_over(socket.path(), account)?;
        }
        fs::set_permissions(socket.path(), Permissions::from_mode(0o700))
            .map_err(WorldError::io("close the socket folder"))?;
        let port = Port::claim()?;
        let server = Guarded::spawn(launch(&programs, directory, socket.path(), &port, account)?)?;
        let directory = directory.to_owned();
        let mut cluster =
            Self { server, port, socket, programs, directory, account, _unpacked: unpacked };
        cluster.wait_ready()?;
        Ok(cluster)
    }

    /// Stops the server in order and starts it again on the same port.
    ///
    /// # Errors
    /// When it does not come up again.
    pub fn restart(&mut self) -> Result<(), WorldError> {
        self.server.stop();
        self.start_again()
    }

    /// Kills the server as a power cut would, and starts it again.
    ///
    /// # Errors
    /// When it does not come up again.
    pub fn crash(&mut self) -> Result<(), WorldError> {
        self.server.kill();
        self.start_again()
    }

    /// Stops the server in order; its files stay.
    pub fn stop(mut self) {
        self.server.stop();
    }

    fn start_again(&mut self) -> Result<(), WorldError> {
        let (socket, port) = (self.socket.path(), &self.port);
        let launch = launch(&self.programs, &self.directory, socket, port, self.account)?;
        self.server = Guarded::spawn(launch)?;
        self.wait_ready()
    }

    fn wait_ready(&mut self) -> Result<(), WorldError> {
        let mut ended = false;
        let mut question = Command::new(self.programs.join("pg_isready"));
        question.args(["-q", "-U", SUPERUSER, "-h"]).arg(self.socket.path()).arg("-p");
        question.arg(self.port.number().to_string());
        let server = &mut self.server;
        let ready = wait::until(START_LIMIT, || {
            ended = server.has_ended();
            let answer = question.status().map_err(WorldError::io("run pg_isready"))?;
            Ok(ended || answer.success())
        })?;
        if ended || !ready {
            return Err(self.server.not_ready("waited a minute for a connection"));
        }
        Ok(())
    }

    /// The server's process id.
    pub fn pid(&self) -> u32 {
        self.server.pid()
    }

    /// The TCP port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port.number()
    }

    /// The folder of the unix socket.
    pub fn socket_directory(&self) -> &Path {
        self.socket.path()
    }

    /// The folder of PostgreSQL's programs (`pg_dump`, `psql`, …) of the server's version.
    pub fn programs(&self) -> &Path {
        &self.programs
    }

    /// A connection URL for a role, over TCP with its password.
    pub fn url(&self, database: &str, role: &Role) -> String {
        let Role { name, password } = role;
        format!("postgresql://{name}:{password}@127.0.0.1:{}/{database}", self.port())
    }

    /// Runs SQL as superuser and returns what it printed: unaligned, one row a line.
    ///
    /// # Errors
    /// When a statement fails; the first failure ends the run.
    pub fn psql(&self, database: &str, sql: &str) -> Result<String, WorldError> {
        let output = Command::new(self.programs.join("psql"))
            .args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-U", SUPERUSER])
            .arg("-h")
            .arg(self.socket.path())
            .arg("-p")
            .arg(self.port().to_string())
            .args(["-d", database, "-c", sql])
            .output()
            .map_err(WorldError::io("run psql"))?;
        if !output.status.success() {
            return Err(WorldError::command(format!("psql {database}: {sql}"), &output));
        }
        Ok(String::from_utf8_lossy(&output.stdout).trim_end().to_owned())
    }

    /// Makes a role that may log in, and with `createdb` may make databases.
    ///
    /// # Errors
    /// When it exists or its name is not accepted.
    pub fn create_role(&self, role: &Role, createdb: bool) -> Result<(), WorldError> {
        let right = if createdb { "CREATEDB" } else { "NOCREATEDB" };
        let Role { name, password } = role;
        let sql = format!("CREATE ROLE \"{name}\" LOGIN {right} PASSWORD '{password}'");
        self.psql(SUPERUSER, &sql).map(drop)
    }

    /// Makes an empty database as Synapse wants it: UTF8, `C` collation.
    ///
    /// # Errors
    /// When it exists or the owner does not.
    pub fn create_database(&self, name: &str, owner: &Role) -> Result<(), WorldError> {
        let sql = format!(
            "CREATE DATABASE \"{name}\" OWNER \"{}\" TEMPLATE template0 \
             ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C'",
            owner.name
        );
        self.psql(SUPERUSER, &sql).map(drop)
    }

    /// Removes a database, ending its connections.
    ///
    /// # Errors
    /// When it does not exist.
    pub fn drop_database(&self, name: &str) -> Result<(), WorldError> {
        self.psql(SUPERUSER, &format!("DROP DATABASE \"{name}\" WITH (FORCE)")).map(drop)
    }
}

/// The newest major version of PostgreSQL's server that Debian has put here.
///
/// # Errors
/// When there is none.
pub fn newest_programs() -> Result<PathBuf, WorldError> {
    let versions = fs::read_dir(DEBIAN_SERVERS).into_iter().flatten().flatten();
    versions
        .filter_map(|entry| {
            let major: u32 = entry.file_name().to_str()?.parse().ok()?;
            let programs = entry.path().join("bin");
            programs.join("initdb").exists().then_some((major, programs))
        })
        .max()
        .map(|(_, programs)| programs)
        .ok_or_else(|| WorldError::Missing {
            thing: format!("a PostgreSQL server in {DEBIAN_SERVERS}"),
            remedy: "install the Debian package postgresql".into(),
        })
}

fn launch(
    programs: &Path,
    directory: &Path,
    socket: &Path,
    port: &Port,
    account: Option<Account>,
) -> Result<Launch, WorldError> {
    let files = directory.join("pgdata");
    let log = directory.join("postgres.log");
    let mut command: Vec<OsString> = vec![programs.join("postgres").into(), "-D".into()];
    command.push(files.clone().into());
    command.extend(["-p".into(), port.number().to_string().into()]);
    let socket = format!("unix_socket_directories={}", socket.display());
    for setting in [
        "listen_addresses=127.0.0.1",
        socket.as_str(),
        "fsync=off",
        "synchronous_commit=off",
        "full_page_writes=off",
        "shared_buffers=96MB",
        "min_wal_size=8MB",
        "max_connections=100",
    ] {
        command.extend(["-c".into(), setting.into()]);
    }
    // A restart after a crash must not find the lock of a process id that came back.
    let stale = files.join("postmaster.pid");
    if stale.exists() {
        fs::remove_file(&stale).map_err(WorldError::io("remove a dead server's lock"))?;
    }
    Ok(Launch {
        name: "PostgreSQL".into(),
        command,
        directory: files,
        log,
        stop_signal: "INT",
        account,
    })
}

fn initialise(programs: &Path, files: &Path, account: Option<Account>) -> Result<(), WorldError> {
    fs::create_dir_all(files).map_err(WorldError::io(format!("make {}", files.display())))?;
    let mut command = Command::new(programs.join("initdb"));
    command
        .args(["--username", SUPERUSER, "--encoding=UTF8", "--locale=C", "--wal-segsize=2"])
        .args(["--auth-local=trust", "--auth-host=scram-sha-256", "--no-sync", "-D"])
        .arg(files)
        .current_dir(files);
    if let Some(account) = account {
        hand_over(files, account)?;
        command.uid(account.uid).gid(account.gid);
    }
    let output = command.output().map_err(WorldError::io("run initdb"))?;
    if output.status.success() { Ok(()) } else { Err(WorldError::command("initdb", &output)) }
}

fn hand_over(path: &Path, account: Account) -> Result<(), WorldError> {
    chown(path, Some(account.uid), Some(account.gid))
        .map_err(WorldError::io(format!("give {} to postgres", path.display())))
}

/// None when we are not root and so need no other account.
pub(crate) fn unprivileged_account() -> Result<Option<Account>, WorldError> {
    let ourselves = fs::metadata("/proc/self").map_err(WorldError::io("look at /proc/self"))?;
    if ourselves.uid() != 0 {
        return Ok(None);
    }
    let ask = |flag: &str| -> Result<u32, WorldError> {
        let output = Command::new("id")
            .args([flag, SUPERUSER])
            .output()
            .map_err(WorldError::io("run id"))?;
        String::from_utf8_lossy(&output.stdout).trim().parse().map_err(|_| WorldError::Missing {
            thing: "the account postgres".into(),
            remedy: "install the Debian package postgresql".into(),
        })
    };
    Ok(Some(Account { uid: ask("-u")?, gid: ask("-g")? }))
}

//! Servers that cannot outlive us.
//!
//! Each server is started through a few lines of shell. A background part of them reads a pipe
//! whose other end only this process holds: when we close it, or are killed in whatever way, the
//! read ends and the server is told to stop, then killed. So stopping in order and dying share one
//! path, and no server is left over after `kill -9` of a test.

use std::ffi::OsString;
use std::fs::OpenOptions;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::Duration;

use crate::{WorldError, wait};

/// `$1` is the signal that asks the server to stop, `$2` the tenths of a second it then has.
/// The server takes the place of the shell, so that the process id we know is the server's.
const LIFELINE: &str = r#"
signal=$1 tenths=$2; shift 2
exec 3<&0
(
    cat <&3 >/dev/null
    kill -s "$signal" $$ || exit 0
    while [ "$tenths" -gt 0 ] && kill -0 $$; do sleep 0.1; tenths=$((tenths - 1)); done
    kill -s KILL $$
) 2>/dev/null &
exec "$@" </dev/null 3<&-
"#;

/// The account a server runs under, when it must not run as root.
#[derive(Debug, Clone, Copy)]
pub struct Account {
    /// User id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
}

/// How to start a server.
#[derive(Debug)]
pub struct Launch {
    /// What it is called in errors.
    pub name: String,
    /// The program and its arguments.
    pub command: Vec<OsString>,
    /// Its working folder.
    pub directory: PathBuf,
    /// The file that gets what it prints.
    pub log: PathBuf,
    /// The signal that asks it to stop, as `kill -s` names it.
    pub stop_signal: &'static str,
    /// Another account than ours.
    pub account: Option<Account>,
}

/// A running server that ends when this value is dropped or this process ends.
#[derive(Debug)]
pub struct Guarded {
    name: String,
    log: PathBuf,
    child: Child,
    lifeline: Option<ChildStdin>,
}

impl Guarded {
    /// Seconds a server has to stop before it is killed.
    const GRACE_SECONDS: u32 = 20;

    /// Starts the server in a process group of its own.
    ///
    /// # Errors
    /// When the log cannot be opened or the shell not started. A program that does not exist shows
    /// as an early exit.
    pub fn spawn(launch: Launch) -> Result<Self, WorldError> {
        let log = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&launch.log)
            .map_err(WorldError::io(format!("open {}", launch.log.display())))?;
        let log_too = log.try_clone().map_err(WorldError::io("share the log of a server"))?;
        let mut command = Command::new("/bin/sh");
        command
            .args(["-c", LIFELINE, "lifeline", launch.stop_signal])
            .arg((Self::GRACE_SECONDS * 10).to_string())
            .args(&launch.command)
            .current_dir(&launch.directory)
            .stdin(Stdio::piped())
            .stdout(log)
            .stderr(log_too)
            .process_group(0);
        if let Some(account) = launch.account {
            command.uid(account.uid).gid(account.gid);
        }
        let mut child =
            command.spawn().map_err(WorldError::io(format!("start {}", launch.name)))?;
        let lifeline = child.stdin.take();
        Ok(Self { name: launch.name, log: launch.log, child, lifeline })
    }

    /// The server's process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// True when the server has ended by itself.
    pub fn has_ended(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }

    /// Asks the server to stop, kills it when it takes too long, and waits for its end.
    pub fn stop(&mut self) {
        drop(self.lifeline.take());
        // The only error is that it was waited for before.
        drop(self.child.wait());
    }

    /// Kills the server and its child processes at once, as a power cut would, and waits until
    /// none of them is left.
    pub fn kill(&mut self) {
        let family = children_of(self.pid());
        drop(self.child.kill());
        self.stop();
        for child in &family {
            drop(Command::new("kill").args(["-s", "KILL", child]).stderr(Stdio::null()).status());
        }
        let gone = || Ok(!family.iter().any(|child| Path::new("/proc").join(child).exists()));
        drop(wait::until(Duration::from_secs(10), gone));
    }

    /// An error that shows the end of the server's log.
    pub fn not_ready(&self, waited: &str) -> WorldError {
        WorldError::NotReady { server: format!("{} ({waited})", self.name), log: tail(&self.log) }
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        self.stop();
    }
}

/// The ids of a process's children, as the kernel lists them: `id (name) state parent …`.
fn children_of(parent: u32) -> Vec<String> {
    let parent = parent.to_string();
    let processes = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    processes
        .filter_map(|process| {
            let status = std::fs::read_to_string(process.path().join("stat")).ok()?;
            // A name may hold spaces and parentheses, so what follows the last one counts.
            let (_, rest) = status.rsplit_once(')')?;
            let found = rest.split_whitespace().nth(1)?;
            (found == parent).then(|| process.file_name().to_string_lossy().into_owned())
        })
        .collect()
}

fn tail(path: &Path) -> String {
    let bytes = std::fs::read(path).unwrap_or_default();
    crate::failure::last_lines(&String::from_utf8_lossy(&bytes), 30)
}

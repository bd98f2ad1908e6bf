//! A program that reaches no network: it has a network namespace of its own, with a loopback device
//! and nothing else.
//!
//! It has a namespace of process numbers, too, so that whatever it starts ends with it. Unix
//! sockets are files: by them, and by them alone, it reaches what else is on this machine.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use rustix::process::{Pid, Signal, kill_process_group};

/// util-linux.
const UNSHARE: &str = "unshare";
const ALONE: [&str; 4] = ["--net", "--pid", "--fork", "--kill-child"];
/// Brings the loopback device up, where there is a program for it, and becomes the program.
const INSIDE: &str = "ip link set lo up; exec \"$@\"";
/// Who we are with, as the kernel shows it.
const OWN_NETWORK: &str = "/proc/self/ns/net";
/// Variables that it gets of ours; addresses of sockets are not among them.
const PASSED: [&str; 5] = ["PATH", "HOME", "USER", "LOGNAME", "LANG"];
/// Bytes at the end of what it said that are looked at.
const SAID_BYTES: u64 = 16 << 10;
/// Lines of them that are told.
const SAID_LINES: usize = 6;

/// A program that runs cut off. Dropping it kills it and all that it started.
pub(super) struct CutOff {
    child: Child,
    log: PathBuf,
}

/// Why nothing can be cut off here, in words.
///
/// # Errors
/// The reason.
pub(super) fn probe(environment: &[(String, String)]) -> Result<(), String> {
    let mut command = unshare(environment);
    command.args(["--", "readlink", OWN_NETWORK]).stdin(Stdio::null());
    let output = command.output().map_err(|e| format!("{UNSHARE} of util-linux: {e}"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(format!("not as root? {}", said.trim().replace('\n', "; ")));
    }
    let own = std::fs::read_link(OWN_NETWORK).map_err(|e| format!("{OWN_NETWORK}: {e}"))?;
    let there = String::from_utf8_lossy(&output.stdout);
    if there.trim().is_empty() || Path::new(there.trim()) == own {
        return Err("it has our network all the same".to_owned());
    }
    Ok(())
}

fn unshare(environment: &[(String, String)]) -> Command {
    let mut command = Command::new(UNSHARE);
    let passed = environment.iter().filter(|(name, _)| PASSED.contains(&name.as_str()));
    command.args(ALONE).env_clear().envs(passed.cloned());
    command
}

impl CutOff {
    /// Starts a program in a folder; what it says goes into a file.
    ///
    /// # Errors
    /// As the system says.
    pub(super) fn start(
        words: &[String],
        (folder, log): (&Path, &Path),
        environment: &[(String, String)],
    ) -> io::Result<Self> {
        let file = File::create(log)?;
        let mut command = unshare(environment);
        command.args(["--", "sh", "-c", INSIDE, "sh"]).args(words).current_dir(folder);
        command.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file).process_group(0);
        Ok(Self { child: command.spawn()?, log: log.to_owned() })
    }

    /// How it ended, if it has.
    pub(super) fn ended(&mut self) -> io::Result<Option<ExitStatus>> {
        self.child.try_wait()
    }

    /// The last lines it said.
    pub(super) fn said(&self) -> Vec<String> {
        let mut said = Vec::new();
        if let Ok(mut file) = File::open(&self.log) {
            let length = file.metadata().map(|found| found.len()).unwrap_or_default();
            // Where it cannot be read there is nothing to tell.
            file.seek(SeekFrom::Start(length.saturating_sub(SAID_BYTES))).ok();
            file.take(SAID_BYTES).read_to_end(&mut said).ok();
        }
        let said = String::from_utf8_lossy(&said);
        let lines: Vec<&str> = said.lines().rev().take(SAID_LINES).collect();
        lines.into_iter().rev().map(str::to_owned).collect()
    }
}

impl Drop for CutOff {
    fn drop(&mut self) {
        // Both fail only when it has ended and was waited for.
        if let Some(group) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) {
            kill_process_group(group, Signal::KILL).ok();
        }
        self.child.wait().ok();
    }
}

#[cfg(test)]
mod tests;

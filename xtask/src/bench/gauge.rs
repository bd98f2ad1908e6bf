//! What a command costs: time on the wall, processor time of it and its children, the most memory
//! of one of its processes, and the processor time that the database server spent meanwhile.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use crate::shell::Done;

/// Ticks a second in `/proc/PID/stat`, the same on every Linux that Debian runs on.
const TICKS: f64 = 100.0;

/// What one run cost.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Cost {
    /// Seconds on the wall.
    pub(super) wall: f64,
    /// Seconds of the processor, in the command and its children.
    pub(super) cpu: f64,
    /// Seconds of the processor, in the database server.
    pub(super) server: f64,
    /// The most memory of one process, in MiB.
    pub(super) memory: f64,
    /// What was written, in MB; 0 when that is not the question.
    pub(super) size: f64,
}

/// Runs shell words in one folder, with the same variables, and tells what they cost.
pub(super) struct Gauge {
    server: u32,
    folder: PathBuf,
    variables: Vec<(&'static str, OsString)>,
}

impl Gauge {
    /// A gauge that runs in `folder` and looks at the database server of that process id.
    pub(super) fn new(server: u32, folder: &Path) -> Self {
        Self { server, folder: folder.to_owned(), variables: Vec::new() }
    }

    /// Sets a variable of the shell.
    pub(super) fn set(&mut self, name: &'static str, value: impl Into<OsString>) {
        self.variables.push((name, value.into()));
    }

    /// Lets the shell look for programs in these folders first.
    pub(super) fn search(&mut self, folders: &[&Path]) {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let folders = folders.iter().map(|folder| folder.to_path_buf());
        let all = folders.chain(std::env::split_paths(&path));
        // A folder whose name has a colon cannot be searched; then a program is not found.
        self.set("PATH", std::env::join_paths(all).unwrap_or(path));
    }

    /// Runs shell words in bash under `time` and returns their cost and what they printed.
    ///
    /// # Errors
    /// They end with anything but 0.
    pub(super) fn measure(&self, script: &str) -> Done<(Cost, String)> {
        // What earlier runs wrote must not be written out at the cost of this one.
        drop(Command::new("sync").status());
        let notes = self.folder.join("time");
        let before = server_seconds(self.server);
        let begin = Instant::now();
        let output = Command::new("/usr/bin/time")
            .args(["-q", "-f", "%U %S %M", "-o"])
            .arg(&notes)
            .args(["bash", "-e", "-o", "pipefail", "-c", script])
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .current_dir(&self.folder)
            .output()
            .map_err(|e| format!("start time: {e}"))?;
        let wall = begin.elapsed().as_secs_f64();
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            return Err(format!("`{script}` ended with {}: {}", output.status, said.trim()));
        }
        let text = fs::read_to_string(&notes).map_err(|e| format!("read what time wrote: {e}"))?;
        let numbers: Vec<f64> =
            text.split_whitespace().filter_map(|word| word.parse().ok()).collect();
        let [user, system, kibibytes] = numbers[..] else {
            return Err(format!("time wrote `{}`", text.trim()));
        };
        let cost = Cost {
            wall,
            cpu: user + system,
            server: server_seconds(self.server) - before,
            memory: kibibytes / 1024.0,
            size: 0.0,
        };
        Ok((cost, String::from_utf8_lossy(&output.stdout).into_owned()))
    }
}

/// The median of each number by itself.
pub(super) fn median(costs: &[Cost]) -> Cost {
    let middle = |pick: fn(&Cost) -> f64| {
        let mut values: Vec<f64> = costs.iter().map(pick).collect();
        values.sort_by(f64::total_cmp);
        values.get(values.len() / 2).copied().unwrap_or_default()
    };
    Cost {
        wall: middle(|cost| cost.wall),
        cpu: middle(|cost| cost.cpu),
        server: middle(|cost| cost.server),
        memory: middle(|cost| cost.memory),
        size: middle(|cost| cost.size),
    }
}

/// Processor time of a server, of its children, and of those that have ended.
fn server_seconds(server: u32) -> f64 {
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let ticks = processes.filter_map(|process| {
        let number: u32 = process.file_name().to_str()?.parse().ok()?;
        let text = fs::read_to_string(process.path().join("stat")).ok()?;
        // A name may hold spaces and parentheses, so what follows the last one counts.
        let (_, rest) = text.rsplit_once(") ")?;
        let words: Vec<&str> = rest.split(' ').collect();
        let parent: u32 = words.get(1)?.parse().ok()?;
        let sum = |from: usize, to: usize| -> f64 {
            words.get(from..to).into_iter().flatten().filter_map(|w| w.parse::<f64>().ok()).sum()
        };
        match (number == server, parent == server) {
            (true, _) => Some(sum(11, 15)),
            (_, true) => Some(sum(11, 13)),
            _ => None,
        }
    });
    ticks.sum::<f64>() / TICKS
}

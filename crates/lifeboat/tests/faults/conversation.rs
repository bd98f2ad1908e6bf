//! Running the binary and reading what it tells as JSON Lines.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

/// How a run ended and what it told.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) exit: Option<i32>,
    pub(crate) lines: Vec<Value>,
    #[expect(dead_code, reason = "shown when a test fails")]
    pub(crate) stderr: String,
}

/// The binary, with `--json`, and nothing of our environment that could change what it does.
pub(crate) fn lifeboat() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lifeboat"));
    command.env_clear().stdin(Stdio::null()).arg("--json");
    command
}

/// Runs a command to its end.
pub(crate) fn run(command: &mut Command) -> Said {
    let output = command.output().unwrap();
    Said {
        exit: output.status.code(),
        lines: lines(&output.stdout),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

fn lines(text: &[u8]) -> Vec<Value> {
    let lines = text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    lines.map(|line| serde_json::from_slice(line).unwrap()).collect()
}

impl Said {
    /// The last line: the result or the error.
    pub(crate) fn last(&self) -> &Value {
        self.lines.last().unwrap_or_else(|| panic!("it says nothing: {self:?}"))
    }

    /// What a command that ended well found.
    pub(crate) fn outcome(&self) -> &Value {
        assert_eq!(self.last()["event"], "result", "{self:?}");
        &self.last()["outcome"]
    }

    /// Everything an error tells, as one text.
    pub(crate) fn error(&self) -> String {
        assert_eq!(self.last()["event"], "error", "{self:?}");
        self.last().to_string()
    }

    /// The notes, one a line.
    pub(crate) fn notes(&self) -> String {
        let notes = self.lines.iter().filter(|line| line["event"] == "note");
        notes.filter_map(|note| note["text"].as_str()).collect::<Vec<_>>().join("\n")
    }
}

/// A run under way.
pub(crate) struct Running {
    child: Child,
    told: Vec<u8>,
    stdout: BufReader<std::process::ChildStdout>,
}

impl Running {
    pub(crate) fn start(command: &mut Command) -> Self {
        let spawned = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        let mut child = spawned.unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        Self { child, told: Vec::new(), stdout }
    }

    /// Waits until it has told so many lines, or has ended.
    pub(crate) fn hear(&mut self, lines: usize) {
        for _ in 0..lines {
            if self.stdout.read_until(b'\n', &mut self.told).unwrap() == 0 {
                return;
            }
        }
    }

    /// Watches until `seen` says yes; false when the run has ended before.
    pub(crate) fn watch(&mut self, mut seen: impl FnMut() -> bool) -> bool {
        loop {
            if seen() {
                return true;
            }
            if self.child.try_wait().unwrap().is_some() {
                return false;
            }
            // A look a millisecond: what is waited for takes a few of them.
            std::thread::park_timeout(std::time::Duration::from_millis(1));
        }
    }

    /// Sends a signal; a run that has ended by then gets none.
    pub(crate) fn signal(&mut self, signal: Signal) {
        if self.child.try_wait().unwrap().is_none() {
            let pid = Pid::from_raw(i32::try_from(self.child.id()).unwrap()).unwrap();
            kill_process(pid, signal).unwrap();
        }
    }

    /// Waits for the end.
    pub(crate) fn end(mut self) -> Said {
        self.stdout.read_to_end(&mut self.told).unwrap();
        let mut stderr = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
        let exit = self.child.wait().unwrap().code();
        // A line that a kill cut short is none.
        let whole = self.told.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        Said { exit, lines: lines(&self.told[..whole]), stderr }
    }
}

/// Every file under a folder, by its path in it.
pub(crate) fn files_under(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(&next).into_iter().flatten().flatten() {
            if entry.path().is_dir() {
                folders.push(entry.path());
            }
            let path = entry.path();
            found.push(path.strip_prefix(folder).unwrap().display().to_string());
        }
    }
    found.sort();
    found
}

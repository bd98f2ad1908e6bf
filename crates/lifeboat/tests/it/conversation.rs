//! Running the program and looking at what it said.

use std::ffi::OsStr;
use std::process::{Command, Stdio};

/// What the program said.
pub(crate) struct Said {
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) exit: i32,
}

/// The program, with nothing of ours in its environment.
pub(crate) fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lifeboat"));
    command.env_clear().stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Runs the program to its end.
pub(crate) fn lifeboat<I: AsRef<OsStr>>(words: impl IntoIterator<Item = I>) -> Said {
    let output = program().args(words).output().unwrap();
    Said {
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
        exit: output.status.code().expect("ended by itself"),
    }
}

impl Said {
    /// The last line as JSON.
    pub(crate) fn last_json(&self) -> serde_json::Value {
        serde_json::from_str(self.stdout.lines().last().unwrap()).unwrap()
    }
}

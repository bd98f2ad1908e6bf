//! Running the program and looking at what it said.

use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::process::{Command, Stdio};

use lifeboat_testing::Homeserver;
use serde_json::Value;

/// Everything was done.
pub(crate) const DONE: i32 = 0;
/// Done, with gaps that are listed.
pub(crate) const GAPS: i32 = 3;

/// Not as it was in the package.
pub(crate) const NOT_VALID: i32 = 4;

/// What the program said.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) exit: i32,
}

impl Said {
    /// The last line as JSON: the result or the error of a run with `--json`.
    pub(crate) fn last_json(&self) -> Value {
        let last = self.stdout.lines().last().unwrap_or_else(|| panic!("{self:?}"));
        serde_json::from_str(last).unwrap()
    }

    /// The result of a run with `--json` that had to end with `exit`.
    pub(crate) fn result(&self, exit: i32) -> Value {
        assert_eq!(self.exit, exit, "{self:?}");
        self.last_json()["outcome"].clone()
    }
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

/// The words that name a server.
pub(crate) fn server_words(server: &Homeserver) -> Vec<OsString> {
    let paths = server.config_paths();
    paths.into_iter().flat_map(|path| ["--synapse".into(), path.into_os_string()]).collect()
}

/// The words of an import of `package` into `server`, told as JSON.
pub(crate) fn import_words(package: &Path, identity: &Path, server: &Homeserver) -> Vec<OsString> {
    let mut words: Vec<OsString> = vec!["import".into(), package.into(), "--json".into()];
    words.extend(["-i".into(), identity.into()]);
    words.extend(server_words(server));
    words
}

//! An installation of files and `SQLite`, small enough to be made for one test.

use std::fs;
use std::path::{Path, PathBuf};

use crate::conversation::{Said, lifeboat};

/// Everything was done.
pub(crate) const DONE: i32 = 0;
/// It failed.
pub(crate) const FAILED: i32 = 1;
/// The request makes no sense.
pub(crate) const USAGE: i32 = 2;
/// Done; what is missing is listed.
pub(crate) const GAPS: i32 = 3;
/// Damaged.
pub(crate) const NOT_VALID: i32 = 4;

/// An installation of files with its vault.
pub(crate) struct Small {
    folder: tempfile::TempDir,
    pub(crate) recipient: String,
}

impl Small {
    /// With these components, of what lies in `data`.
    pub(crate) fn new(components: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("data")).unwrap();
        let identity = folder.path().join("identity.txt");
        let made = lifeboat(["keygen", "--json", "-o", identity.to_str().unwrap()]);
        let recipient = made.last_json()["outcome"]["recipient"].as_str().unwrap().to_owned();
        let text = format!(
            "server_name: example.org\nvault: vault\nstate: state\nrecipients: [{recipient}]\n\
             components:\n{components}"
        );
        fs::write(folder.path().join("lifeboat.yaml"), text).unwrap();
        Self { folder, recipient }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    pub(crate) fn text(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }

    /// Says the words to the program, with `-c`.
    pub(crate) fn say(&self, words: &[&str]) -> Said {
        let config = self.text("lifeboat.yaml");
        lifeboat([words, &["-c", &config]].concat())
    }

    /// Says the words to the program, with `-c` and `-i`.
    pub(crate) fn ask(&self, words: &[&str]) -> Said {
        self.say(&[words, &["-i", &self.text("identity.txt")]].concat())
    }

    /// Makes a backup; the folder of its package.
    pub(crate) fn back_up(&self) -> PathBuf {
        let said = self.say(&["backup", "run", "--json"]);
        assert!([DONE, GAPS].contains(&said.exit), "{}", said.stdout);
        let backup = said.last_json()["outcome"]["backup"].as_str().unwrap().to_owned();
        let packages = fs::read_dir(self.path("vault/packages")).unwrap();
        let mut packages = packages.map(|package| package.unwrap().path());
        packages.find(|package| package.display().to_string().ends_with(&backup)).unwrap()
    }

    /// Puts the newest backup back below a folder, where the installation's own then is.
    pub(crate) fn restore(&self, below: &str, more: &[&str]) -> Said {
        let (root, state) = (self.text(below), self.text(&format!("{below}-state")));
        let words = ["restore", "run", "--no-start", "--root", &root, "--state", &state];
        self.ask(&[&words[..], more].concat())
    }

    /// Where something is after [`Self::restore`].
    pub(crate) fn below(&self, below: &str, name: &str) -> PathBuf {
        self.path(below).join(self.path(name).strip_prefix("/").unwrap())
    }
}

pub(crate) fn last_name(path: &Path) -> &str {
    path.file_name().unwrap().to_str().unwrap()
}

/// A component of what lies in `data`.
pub(crate) const FILES: &str = "  - {kind: files, name: web, paths: data}\n";

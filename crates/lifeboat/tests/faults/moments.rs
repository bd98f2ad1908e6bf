//! The three kinds of target, and the moments of an export as its journal shows them.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use lifeboat_storage::{Access, Entry, Location, Place};
use lifeboat_testing::World;
use serde_json::Value;

use crate::conversation::files_under;
use crate::harbour::harbour;

/// Where a package is written.
pub(crate) struct Berth {
    pub(crate) folder: PathBuf,
    pub(crate) target: String,
    pub(crate) environment: Vec<(String, String)>,
}

impl Berth {
    /// One file.
    pub(crate) fn archive() -> Self {
        Self::local("server.lifeboat")
    }

    /// A folder.
    pub(crate) fn folder() -> Self {
        Self::local("server/")
    }

    /// A bucket.
    pub(crate) fn bucket() -> Self {
        let (name, environment) = harbour().bucket();
        let target = format!("s3://{name}/daily/server");
        Self { folder: harbour().folder(), target, environment }
    }

    fn local(name: &str) -> Self {
        let folder = harbour().folder();
        // The test's own files lie in `folder`, the target alone in a folder below.
        fs::create_dir(folder.join("quay")).unwrap();
        let target = folder.join("quay").join(name).display().to_string();
        Self { folder, target, environment: Vec::new() }
    }

    /// The export of the seeded database to here.
    pub(crate) fn export(&self, world: &World) -> Command {
        let mut command = harbour().export(world, &self.folder, &self.target);
        command.envs(self.environment.iter().cloned());
        command
    }

    /// The journal, wherever it is.
    pub(crate) fn journal(&self) -> PathBuf {
        if self.target.starts_with("s3:") {
            let state = self.folder.join("state/lifeboat");
            let names = fs::read_dir(&state).into_iter().flatten().flatten();
            let mut paths = names.map(|entry| entry.path());
            return paths.next().unwrap_or_else(|| state.join("none"));
        }
        PathBuf::from(format!("{}.journal", self.target.trim_end_matches('/')))
    }

    /// Everything that is at the target and in the state folder.
    pub(crate) fn left(&self) -> Vec<String> {
        let mut left = files_under(&self.folder.join("quay"));
        let state = files_under(&self.folder.join("state"));
        left.extend(state.into_iter().filter(|name| name != "lifeboat"));
        left.extend(self.objects().into_iter().map(|object| object.name));
        left
    }

    /// The objects of the bucket, none for other targets.
    pub(crate) fn objects(&self) -> Vec<Entry> {
        self.in_bucket(async |place| place.list().await.unwrap()).unwrap_or_default()
    }

    /// Uploads in the bucket that never finished; they are removed.
    pub(crate) fn unfinished_uploads(&self) -> u64 {
        self.in_bucket(async |place| place.delete_partials().await.unwrap()).unwrap_or_default()
    }

    /// Does something with the bucket.
    pub(crate) fn in_bucket<T>(&self, ask: impl AsyncFnOnce(Place) -> T) -> Option<T> {
        let location = Location::parse(&self.target).unwrap();
        if location.as_directory().is_some() {
            return None;
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        Some(runtime.block_on(async {
            let access = Access::new(self.environment.iter().cloned());
            ask(Place::open(&location, &access).await.unwrap()).await
        }))
    }

    /// What an ended export leaves: the package and nothing else.
    pub(crate) fn assert_only_package(&self) {
        let left = self.left();
        let stray = |name: &&String| name.ends_with(".partial") || name.ends_with(".journal");
        assert!(!left.iter().any(|name| stray(&name)), "{left:?}");
        assert!(!left.is_empty());
        assert_eq!(self.unfinished_uploads(), 0);
    }
}

/// What a journal says.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Noted {
    /// Name and SHA-256 of each finished volume.
    pub(crate) volumes: Vec<(String, String)>,
    /// Cuts.
    pub(crate) cuts: usize,
    /// The text with the package key.
    pub(crate) key: String,
}

/// Reads a journal; one that is not there notes nothing.
pub(crate) fn noted(journal: &Path) -> Noted {
    let mut noted = Noted::default();
    let Ok(text) = fs::read_to_string(journal) else { return noted };
    for line in text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()) {
        if let Some(key) = line["key_text"].as_str() {
            key.trim().rsplit(' ').next().unwrap().clone_into(&mut noted.key);
        } else if line.get("cut").is_some() {
            noted.cuts += 1;
        } else if line.get("volume").is_some() {
            noted.volumes.push(named(&line["volume"]["volume"]));
        }
    }
    noted
}

/// Name and SHA-256 of a volume.
pub(crate) fn named(volume: &Value) -> (String, String) {
    let word = |key: &str| volume[key].as_str().unwrap().to_owned();
    (word("name"), word("sha256"))
}

/// Volumes that a journal notes so far, counted without parsing.
pub(crate) fn volumes_so_far(journal: &Path) -> usize {
    let text = fs::read(journal).unwrap_or_default();
    let lines = text.split(|byte| *byte == b'\n');
    lines.filter(|line| line.starts_with(br#"{"volume":"#)).count()
}

/// The journal holds a key: only its owner may read it.
pub(crate) fn assert_private(journal: &Path) {
    if let Ok(about) = fs::metadata(journal) {
        assert_eq!(about.permissions().mode() & 0o777, 0o600, "{}", journal.display());
    }
}

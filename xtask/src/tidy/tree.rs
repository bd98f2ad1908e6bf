//! The files of the project as plain values, so that a rule can be tried on a made-up tree.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use crate::shell::Done;

/// Every file that belongs to the project: path from the root, with `/`, and text.
/// Files that are not UTF-8 are kept with empty text: they have a name and nothing to read.
pub(super) struct Tree {
    files: BTreeMap<String, String>,
}

impl Tree {
    /// A tree of these files.
    #[cfg(test)]
    pub(super) fn of(files: &[(&str, &str)]) -> Self {
        let files = files.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned()));
        Self { files: files.collect() }
    }

    /// Reads everything under `root` that `.gitignore` does not name.
    pub(super) fn read(root: &Path) -> Done<Self> {
        let ignored = fs::read_to_string(root.join(".gitignore")).unwrap_or_default();
        let ignored: Vec<&str> = ignored.lines().map(str::trim).filter(|l| !l.is_empty()).collect();
        let mut tree = Self { files: BTreeMap::new() };
        tree.read_folder(root, "", &ignored)?;
        Ok(tree)
    }

    fn read_folder(&mut self, folder: &Path, prefix: &str, ignored: &[&str]) -> Done {
        let trouble = |e: std::io::Error| format!("read folder {}: {e}", folder.display());
        for entry in fs::read_dir(folder).map_err(trouble)? {
            let entry = entry.map_err(trouble)?;
            let Some(name) = entry.file_name().to_str().map(str::to_owned) else {
                return Err(format!("a file name in {} is not UTF-8", folder.display()));
            };
            let path = format!("{prefix}{name}");
            let kind = entry.file_type().map_err(trouble)?;
            if name == ".git" || is_ignored(&path, ignored) {
                continue;
            }
            if kind.is_dir() {
                self.read_folder(&entry.path(), &format!("{path}/"), ignored)?;
            } else if kind.is_file() {
                let bytes = fs::read(entry.path()).map_err(trouble)?;
                self.files.insert(path, String::from_utf8(bytes).unwrap_or_default());
            }
        }
        Ok(())
    }

    /// How many files there are.
    pub(super) fn len(&self) -> usize {
        self.files.len()
    }

    /// The text of one file.
    pub(super) fn text(&self, path: &str) -> Option<&str> {
        self.files.get(path).map(String::as_str)
    }

    /// Whether there is such a file, or a folder with files.
    pub(super) fn holds(&self, path: &str) -> bool {
        let folder = format!("{}/", path.trim_end_matches('/'));
        self.files.contains_key(path) || self.files.keys().any(|file| file.starts_with(&folder))
    }

    /// Path and text of every file.
    pub(super) fn files(&self) -> impl Iterator<Item = (&str, &str)> {
        self.files.iter().map(|(path, text)| (path.as_str(), text.as_str()))
    }

    /// Path and text of every file whose name ends in `.` and `extension`.
    pub(super) fn with_extension(&self, extension: &str) -> impl Iterator<Item = (&str, &str)> {
        let end = format!(".{extension}");
        self.files().filter(move |(path, _)| path.ends_with(&end))
    }

    /// The folders that hold a crate of the workspace, for example `crates/lifeboat-package`.
    pub(super) fn crates(&self) -> BTreeSet<&str> {
        self.files
            .keys()
            .filter_map(|path| path.strip_suffix("/Cargo.toml"))
            .filter(|folder| *folder == "xtask" || is_member(folder))
            .collect()
    }
}

fn is_member(folder: &str) -> bool {
    folder.strip_prefix("crates/").is_some_and(|name| !name.contains('/'))
}

/// Understands the two forms that our `.gitignore` uses: `/path` and `name/`.
fn is_ignored(path: &str, ignored: &[&str]) -> bool {
    ignored.iter().any(|pattern| match pattern.strip_prefix('/') {
        Some(from_root) => path == from_root,
        None => path.rsplit('/').next() == Some(pattern.trim_end_matches('/')),
    })
}

/// Whether the file holds tests and nothing that ships.
pub(super) fn is_test(path: &str) -> bool {
    path.contains("/tests/") || path.ends_with("/tests.rs")
}

/// The last component of a crate's folder: its name.
pub(super) fn crate_name(folder: &str) -> &str {
    folder.rsplit('/').next().unwrap_or(folder)
}

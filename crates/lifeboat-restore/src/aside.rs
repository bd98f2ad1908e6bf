//! What a restore puts aside, noted before it is done: `restore accept` removes just that.
//!
//! A name alone would not do: somebody else may take it. So what is noted says which thing it is,
//! too: the number that PostgreSQL gave the database, the inode of the file. Both stay when a name
//! changes. What is noted and was not done after all names nothing.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::fs;
use std::io::{self, Write as _};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use lifeboat_engine::failure::Failure;
use serde::{Deserialize, Serialize};

use crate::files::unhex;

/// The end of the name of a list.
const END: &str = ".kept";
/// Bytes of a list that are read.
const LIST_BYTES: u64 = 256 << 20;

/// Something that was put aside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Aside {
    /// The step of the restore that did it.
    pub step: String,
    /// When: RFC 3339, UTC.
    pub at: String,
    /// What.
    #[serde(flatten)]
    pub thing: Thing,
}

/// A thing that has another name now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "thing")]
pub enum Thing {
    /// A database of PostgreSQL.
    Database(KeptDatabase),
    /// A file, folder or link.
    Path(KeptPath),
}

/// A database that was renamed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptDatabase {
    /// The component whose place it had.
    pub component: String,
    /// The component's name for it.
    pub database: String,
    /// What the names of all databases of the restore end with.
    pub suffix: Option<String>,
    /// The server.
    pub place: String,
    /// Its name before.
    pub was: String,
    /// Its name now.
    pub name: String,
    /// What the server knows it by, whatever its name.
    pub oid: u32,
}

/// A file, folder or link that was renamed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptPath {
    /// Where it was, for people.
    pub was: String,
    /// Where it is: its bytes in hexadecimal, because a path need not be a text.
    path: String,
    /// What the file system knows it by.
    inode: u64,
}

impl KeptPath {
    /// The note of what is at `was` and will be at `path`.
    ///
    /// # Errors
    /// As the system says when it cannot be looked at.
    pub(crate) fn of(was: &Path, path: &Path) -> io::Result<Self> {
        let inode = fs::symlink_metadata(was)?.ino();
        let mut bytes = String::new();
        for byte in path.as_os_str().as_bytes() {
            // Writing into a text cannot fail.
            write!(bytes, "{byte:02x}").ok();
        }
        let path = bytes;
        Ok(Self { was: was.display().to_string(), path, inode })
    }

    /// Where it is.
    pub fn path(&self) -> PathBuf {
        PathBuf::from(OsString::from_vec(unhex(&self.path).unwrap_or_default()))
    }

    /// Whether it is still there, and not something else of its name.
    pub(crate) fn is_there(&self) -> bool {
        fs::symlink_metadata(self.path()).is_ok_and(|found| found.ino() == self.inode)
    }

    /// Deletes it.
    pub(crate) fn delete(&self) -> io::Result<()> {
        let path = self.path();
        if fs::symlink_metadata(&path)?.is_dir() {
            fs::remove_dir_all(path)
        } else {
            fs::remove_file(path)
        }
    }
}

/// Where a restore notes what it puts aside.
#[derive(Clone)]
pub struct Asides {
    path: PathBuf,
    step: String,
    at: String,
}

/// The list of a restore, read.
#[derive(Debug)]
pub(crate) struct AsideList {
    /// The name of the restore's journal: its backup, and what its databases end with.
    pub(crate) restore: String,
    pub(crate) path: PathBuf,
    pub(crate) asides: Vec<Aside>,
}

impl Asides {
    /// The list of a restore, for a step that is done at `at`.
    pub(crate) fn of((folder, restore): (&Path, &str), step: &str, at: String) -> Self {
        let path = folder.join(format!("restore-{restore}{END}"));
        Self { path, step: step.to_owned(), at }
    }

    /// Notes what is about to be put aside.
    ///
    /// # Errors
    /// [`Failure`] when it cannot be written: nothing is put aside then.
    pub(crate) fn note(&self, thing: Thing) -> Result<(), Failure> {
        let aside = Aside { step: self.step.clone(), at: self.at.clone(), thing };
        self.append(&aside).map_err(|e| {
            Failure::failed(
                format!("cannot note in {} what is put aside", self.path.display()),
                "name a folder we may write with `state:` in lifeboat.yaml",
            )
            .because(e)
        })
    }

    /// Whether an earlier run of this restore was about to put a database aside: on this server,
    /// of this name, known as `oid`.
    ///
    /// # Errors
    /// [`Failure`] when the list cannot be read.
    pub(crate) fn has_database(&self, place: &str, was: &str, oid: u32) -> Result<bool, Failure> {
        if !self.path.exists() {
            return Ok(false);
        }
        let is_it = |aside: &Aside| match &aside.thing {
            Thing::Database(kept) => {
                (kept.place.as_str(), kept.was.as_str()) == (place, was) && kept.oid == oid
            }
            Thing::Path(_) => false,
        };
        Ok(read(&self.path)?.iter().any(is_it))
    }

    /// The databases that this restore put aside where it puts one back.
    ///
    /// # Errors
    /// [`Failure`] when the list cannot be read.
    pub(crate) fn replaced(
        &self,
        (component, database): (&str, &str),
        place: &str,
    ) -> Result<Vec<KeptDatabase>, Failure> {
        if !self.path.exists() {
            return Ok(Vec::new());
        }
        let kept = read(&self.path)?.into_iter().filter_map(|aside| match aside.thing {
            Thing::Database(kept) => Some(kept),
            Thing::Path(_) => None,
        });
        let is_of = |kept: &KeptDatabase| {
            (kept.component.as_str(), kept.database.as_str()) == (component, database)
                && kept.place == place
        };
        Ok(kept.filter(is_of).collect())
    }

    fn append(&self, aside: &Aside) -> io::Result<()> {
        // A line that a crash cut off must not spoil the next one.
        let mut line = serde_json::to_vec(aside)?;
        line.insert(0, b'\n');
        let mut how = fs::OpenOptions::new();
        let mut file = how.append(true).create(true).mode(0o600).open(&self.path)?;
        file.write_all(&line)?;
        file.sync_data()
    }
}

/// The lists in a state folder, by name.
///
/// # Errors
/// [`Failure`] when one cannot be read.
pub(crate) fn lists(folder: &Path) -> Result<Vec<AsideList>, Failure> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(unreadable(folder, e)),
    };
    let mut lists = Vec::new();
    for entry in entries {
        let path = entry.map_err(|e| unreadable(folder, e))?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let restore = name.strip_prefix("restore-").and_then(|name| name.strip_suffix(END));
        let Some(restore) = restore.map(str::to_owned) else { continue };
        lists.push(AsideList { asides: read(&path)?, restore, path });
    }
    lists.sort_by(|one, other| one.path.cmp(&other.path));
    Ok(lists)
}

fn read(path: &Path) -> Result<Vec<Aside>, Failure> {
    let size = fs::metadata(path).map_err(|e| unreadable(path, e))?.len();
    if size > LIST_BYTES {
        let why = io::Error::other(format!("it has {size} bytes, more than {LIST_BYTES}"));
        return Err(unreadable(path, why));
    }
    let text = fs::read(path).map_err(|e| unreadable(path, e))?;
    let lines = text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    // What a crash cut off was not done.
    Ok(lines.filter_map(|line| serde_json::from_slice(line).ok()).collect())
}

fn unreadable(path: &Path, error: io::Error) -> Failure {
    let what = format!("cannot read what was kept: {}", path.display());
    Failure::failed(what, "run as who ran the restore").because(error)
}

#[cfg(test)]
mod tests;

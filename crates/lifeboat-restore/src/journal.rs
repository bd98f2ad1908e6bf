//! What was done of a restore: the same command goes on after it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use lifeboat_engine::failure::Failure;
use serde::{Deserialize, Serialize};

use crate::plan::{Step, What};

/// What came of a step.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepDone {
    /// What was done, in lines.
    pub lines: Vec<String>,
    /// What is missing or to be decided, in lines.
    pub gaps: Vec<String>,
    /// Seconds it took.
    pub seconds: i64,
}

/// The journal of a restore.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Journal {
    /// The backup.
    pub backup: String,
    /// When it was begun: RFC 3339, UTC.
    pub begun_at: String,
    /// Steps that were done, by name.
    pub done: BTreeMap<String, StepDone>,
    #[serde(skip)]
    path: PathBuf,
}

impl Journal {
    /// Opens the journal of the restore of a backup, or begins one.
    ///
    /// # Errors
    /// [`Failure`] when it cannot be read or written.
    pub fn open(folder: &Path, backup: &str, now: String) -> Result<Self, Failure> {
        if let Some(journal) = Self::find(folder, backup)? {
            return Ok(journal);
        }
        let path = folder.join(name(backup));
        std::fs::create_dir_all(folder).map_err(|e| unusable(&path, e))?;
        let journal = Self { backup: backup.to_owned(), begun_at: now, path, ..Self::default() };
        journal.write()?;
        Ok(journal)
    }

    /// The journal of the restore of a backup, if that is under way.
    ///
    /// # Errors
    /// [`Failure`] when it cannot be read.
    pub fn find(folder: &Path, backup: &str) -> Result<Option<Self>, Failure> {
        let path = folder.join(name(backup));
        match std::fs::read(&path) {
            Ok(text) => {
                let journal: Self = serde_json::from_slice(&text).map_err(|e| {
                    let what = format!("the journal {} is damaged", path.display());
                    Failure::failed(what, "remove it; every step is done again").because(e)
                })?;
                Ok(Some(Self { path, ..journal }))
            }
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(unusable(&path, e)),
        }
    }

    /// Notes that a step was done. What was done to a database that was there before is not done to
    /// the one that this step made.
    ///
    /// # Errors
    /// [`Failure`] when the journal cannot be written.
    pub fn note(&mut self, step: &Step, done: StepDone) -> Result<(), Failure> {
        if let What::Database { component, .. } = &step.what {
            for what in What::after_database(component) {
                self.done.remove(&what.name());
            }
        }
        self.done.insert(step.name.clone(), done);
        self.write()
    }

    /// Whether some of `steps` are still to write data. What was stopped before may run again by
    /// now, and nothing may run then.
    pub fn lacks_data(&self, steps: &[Step]) -> bool {
        steps.iter().any(|step| step.what.puts_data() && !self.done.contains_key(&step.name))
    }

    /// Whether nothing was done but what is done each time.
    pub fn is_of_rights(&self) -> bool {
        !self.done.is_empty() && self.done.keys().all(|name| name.starts_with("rights/"))
    }

    /// Removes it: the restore is over.
    ///
    /// # Errors
    /// [`Failure`] when it cannot be removed.
    pub fn remove(self) -> Result<(), Failure> {
        std::fs::remove_file(&self.path).map_err(|e| {
            Failure::failed(format!("cannot remove {}", self.path.display()), "remove it by hand")
                .because(e)
        })
    }

    fn write(&self) -> Result<(), Failure> {
        let cannot = |e: std::io::Error| {
            Failure::failed(
                format!("cannot write the journal {}", self.path.display()),
                "free some space",
            )
            .because(e)
        };
        let folder = self.path.parent().unwrap_or(Path::new("."));
        let text = serde_json::to_vec_pretty(self).unwrap_or_default();
        let file = tempfile::NamedTempFile::new_in(folder).map_err(cannot)?;
        std::fs::write(file.path(), text).map_err(cannot)?;
        file.persist(&self.path).map_err(|e| cannot(e.error))?;
        Ok(())
    }
}

fn name(backup: &str) -> String {
    format!("restore-{backup}.json")
}

fn unusable(path: &Path, error: std::io::Error) -> Failure {
    Failure::failed(
        format!("cannot use the journal {}", path.display()),
        "name a folder we may write with `state:` in lifeboat.yaml",
    )
    .because(error)
}

//! The journal beside a package that is being made: what the next run needs to go on after a crash.
//!
//! It holds the package key, so it is readable by its owner alone and goes with the commit, the
//! cancel or the clean-up. JSON Lines, added to after each finished volume; a line that a crash cut
//! short is ignored.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use lifeboat_components::synapse::plan::Part;
use lifeboat_package::flow::Gap;
use lifeboat_package::manifest::{Cut, Volume};
use lifeboat_package::selection::Selection;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::failure::Failure;
use crate::writer::{Finished, Ledger};

/// A journal longer than this is not ours.
const JOURNAL_BYTES: u64 = 1 << 30;

/// How a package was begun: its first line.
#[derive(Serialize, Deserialize)]
pub struct Begun {
    /// Package id.
    pub package: String,
    /// The text of `key.age`'s plaintext: the package key.
    pub key_text: Zeroizing<String>,
    /// SHA-256 of `header.json` and of `key.age`, with their sizes.
    pub clear_files: Vec<ClearFile>,
    /// Server that is exported.
    pub server_name: String,
    /// What was asked for.
    pub selection: Selection,
    /// Whom it is sealed for.
    pub recipients: Vec<String>,
    /// The folder of the package in its vault, for a backup.
    #[serde(default)]
    pub folder: Option<String>,
    /// Whether the target is a folder that was made for it.
    pub made_folder: bool,
    /// All parts.
    pub plan: Vec<Part>,
}

/// A clear file that is written already.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClearFile {
    /// Name.
    pub name: String,
    /// Bytes.
    pub size: u64,
    /// SHA-256, hexadecimal.
    pub sha256: String,
}

/// A part all of whose entries lie in finished volumes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartDone {
    /// Folder in the package.
    pub folder: String,
    /// Number of the part in the plan.
    pub number: u32,
    /// The cut it was read under.
    pub cut: u32,
    /// Records.
    pub records: u64,
    /// Raw bytes of the records.
    pub bytes: u64,
    /// Rows by table.
    pub rows: Vec<(String, u64)>,
    /// Gaps found in it.
    pub gaps: Vec<Gap>,
}

/// A further line.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Line {
    Cut(Cut),
    Volume { volume: Volume, parts: Vec<PartDone>, archive_bytes: u64 },
}

/// What an earlier run left.
pub struct Earlier {
    /// How it began.
    pub begun: Begun,
    /// The cuts it made.
    pub cuts: Vec<Cut>,
    /// The volumes it finished.
    pub volumes: Vec<Volume>,
    /// The parts that lie in them whole.
    pub parts: Vec<PartDone>,
    /// Archive bytes after the last of them.
    pub archive_bytes: u64,
}

/// An open journal.
pub struct Journal {
    file: File,
    path: PathBuf,
}

impl Journal {
    /// Begins a journal.
    ///
    /// # Errors
    /// [`Failure`] when it exists or cannot be written.
    pub fn begin(path: &Path, begun: &Begun) -> Result<Self, Failure> {
        let mut how = OpenOptions::new();
        how.write(true).create_new(true).mode(0o600);
        let file = how.open(path).map_err(|e| cannot("begin", path, e))?;
        let mut journal = Self { file, path: path.to_owned() };
        match journal.add(begun) {
            Ok(()) => Ok(journal),
            Err(failure) => {
                // A part of the line is of no use, and may hold a part of the key.
                journal.remove().ok();
                Err(failure)
            }
        }
    }

    /// Opens the journal of an earlier run, `None` when there is none.
    ///
    /// # Errors
    /// [`Failure`] when it cannot be read, is no journal, or a run is using it.
    pub fn open(path: &Path) -> Result<Option<(Self, Earlier)>, Failure> {
        let mut file = match OpenOptions::new().read(true).append(true).open(path) {
            Ok(file) => file,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(cannot("open", path, e)),
        };
        lock(&file, path)?;
        let mut text = Zeroizing::new(Vec::new());
        (&file).take(JOURNAL_BYTES).read_to_end(&mut text).map_err(|e| cannot("read", path, e))?;
        let Some(earlier) = parse(&text) else {
            // The run died before its first line was whole: there is nothing to go on from.
            drop(file);
            std::fs::remove_file(path).map_err(|e| cannot("remove", path, e))?;
            return Ok(None);
        };
        if !text.ends_with(b"\n") {
            file.write_all(b"\n").map_err(|e| cannot("add to", path, e))?;
        }
        Ok(Some((Self { file, path: path.to_owned() }, earlier)))
    }

    /// Notes a cut; one of the number of the last takes its place.
    ///
    /// # Errors
    /// [`Failure`] when the journal cannot be written.
    pub fn cut(&mut self, cut: &Cut) -> Result<(), Failure> {
        self.add(&Line::Cut(cut.clone()))
    }

    /// Removes the journal: the package is whole, or given up.
    ///
    /// # Errors
    /// [`Failure`] when it cannot be removed; it holds the key, so that must be known.
    pub fn remove(self) -> Result<(), Failure> {
        std::fs::remove_file(&self.path).map_err(|e| cannot("remove", &self.path, e))
    }

    fn add(&mut self, line: &impl Serialize) -> Result<(), Failure> {
        lock(&self.file, &self.path)?;
        let mut text = Zeroizing::new(serde_json::to_vec(line).map_err(|e| {
            Failure::failed("cannot write the journal", "this is a fault of ours").because(e)
        })?);
        text.push(b'\n');
        self.file
            .write_all(&text)
            .and_then(|()| self.file.sync_data())
            .map_err(|e| cannot("add to", &self.path, e))
    }
}

impl Ledger for Journal {
    fn volume(&mut self, finished: Finished<'_>) -> Result<(), Failure> {
        let Finished { volume, parts, archive_bytes, .. } = finished;
        self.add(&Line::Volume { volume: volume.clone(), parts: parts.to_vec(), archive_bytes })
    }
}

fn lock(file: &File, path: &Path) -> Result<(), Failure> {
    file.try_lock().map_err(|_| {
        Failure::failed(
            format!(
                "another run is making this package (its journal {} is locked)",
                path.display()
            ),
            "wait for it, or stop it and run this command again",
        )
    })
}

fn cannot(verb: &str, path: &Path, error: io::Error) -> Failure {
    let remedy = match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            "free some space, then run the same command again"
        }
        io::ErrorKind::ReadOnlyFilesystem => {
            "mount it writable or give another place; the journal's own is --journal FILE"
        }
        _ => "give a place we may write with --journal FILE",
    };
    Failure::failed(format!("cannot {verb} the journal {}", path.display()), remedy).because(error)
}

fn parse(text: &[u8]) -> Option<Earlier> {
    let mut lines = text.split(|byte| *byte == b'\n');
    let begun: Begun = serde_json::from_slice(lines.next()?).ok()?;
    let (cuts, volumes, parts) = (Vec::new(), Vec::new(), Vec::new());
    let mut earlier = Earlier { begun, cuts, volumes, parts, archive_bytes: 0 };
    for line in lines.filter_map(|line| serde_json::from_slice::<Line>(line).ok()) {
        match line {
            Line::Cut(cut) => {
                earlier.cuts.pop_if(|last| last.cut == cut.cut);
                earlier.cuts.push(cut);
            }
            Line::Volume { volume, parts, archive_bytes } => {
                earlier.volumes.push(volume);
                earlier.parts.extend(parts);
                earlier.archive_bytes = archive_bytes;
            }
        }
    }
    Some(earlier)
}

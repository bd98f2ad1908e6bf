//! Media files at the target: there, of the length and with the SHA-256 of the package's index.

use std::io;
use std::path::{Component, Path, PathBuf};

use lifeboat_package::digest::Digest;

use super::Findings;
use super::run::Run;
use crate::synapse::read::media::MediaRecord;
use crate::synapse::write::media::hash;

/// Kinds of files that Synapse removes by itself, or that can be had again.
const PASSING: [&str; 5] =
    ["local_thumbnail", "remote", "remote_thumbnail", "url_cache", "url_cache_thumbnail"];

/// What was found of one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FileState {
    /// As in the package.
    Equal,
    /// Not there.
    Missing,
    /// There and not the same; how.
    Differs(String),
}

/// Looks at the file of a record below `root`. Blocks on the disk; memory does not grow with the
/// file.
pub fn look(root: &Path, record: &MediaRecord) -> FileState {
    let Some(place) = place(root, &record.path) else {
        return FileState::Differs("its path leaves the media store".to_owned());
    };
    let Ok(sha256) = record.sha256.parse::<Digest>() else {
        return FileState::Differs("the index has no SHA-256 for it".to_owned());
    };
    match measure(&place, record.length) {
        Ok(Measured::Length(length)) => {
            FileState::Differs(format!("{length} bytes, the package has {}", record.length))
        }
        Ok(Measured::NoFile) => FileState::Differs("it is not a regular file".to_owned()),
        Ok(Measured::Hash(found)) if found == sha256 => FileState::Equal,
        Ok(Measured::Hash(_)) => FileState::Differs("its SHA-256 is another".to_owned()),
        Err(e) if e.kind() == io::ErrorKind::NotFound => FileState::Missing,
        Err(e) => FileState::Differs(format!("it cannot be read: {e}")),
    }
}

/// Judges what was found. Pure.
pub fn judge(record: &MediaRecord, state: FileState, run: Run, findings: &mut Findings) {
    findings.checked += 1;
    let passing = PASSING.contains(&record.kind.as_str());
    match state {
        FileState::Equal => {}
        FileState::Missing if run == Run::AfterFirstStart && passing => {
            findings.note(format!("{}: gone since the start ({})", record.path, record.kind));
        }
        FileState::Missing => findings.problem(&record.path, format!("missing ({})", record.mxc)),
        FileState::Differs(how) => {
            findings.problem(&record.path, format!("{how} ({})", record.mxc));
        }
    }
}

enum Measured {
    NoFile,
    Length(u64),
    Hash(Digest),
}

fn measure(place: &Path, length: u64) -> io::Result<Measured> {
    let about = std::fs::symlink_metadata(place)?;
    if !about.is_file() {
        return Ok(Measured::NoFile);
    }
    if about.len() != length {
        return Ok(Measured::Length(about.len()));
    }
    hash(place).map(Measured::Hash)
}

/// Where a file lies; `None` for a path that leaves the store.
fn place(root: &Path, path: &str) -> Option<PathBuf> {
    let relative = Path::new(path);
    let plain = relative.components().all(|part| matches!(part, Component::Normal(_)));
    (plain && !path.is_empty()).then(|| root.join(relative))
}

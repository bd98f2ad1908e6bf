//! The file of ids: what became of what, one JSON object a line, and what a second run goes by.
//!
//! Each line is written at once, so that it outlives the process; after a loss of power the rooms
//! themselves say what is missing in it.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use lifeboat_transcript::ids::{IdLine, Ids, LINE_BYTES};
use thiserror::Error;

/// Lines after which the file is on disk for certain.
const SYNC_EVERY: u32 = 100;

/// The file of ids cannot be used.
#[derive(Debug, Error)]
pub enum IdFileError {
    /// Another run has it.
    #[error("{} is in use", .0.display())]
    InUse(PathBuf),
    /// It is something else.
    #[error("{} is no file of ids", .0.display())]
    Other(PathBuf),
    /// It is of other servers.
    #[error("{} belongs to other servers", .0.display())]
    Elsewhere(PathBuf),
    /// It cannot be read or written.
    #[error("cannot use {}", path.display())]
    Unusable {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        cause: std::io::Error,
    },
}

/// The open file; none when nothing is to be kept.
pub struct IdFile {
    file: Option<File>,
    path: PathBuf,
    unsynced: u32,
}

impl IdFile {
    /// Opens or begins the file, and reads what is in it. A last line that was cut short goes.
    ///
    /// # Errors
    /// [`IdFileError`].
    pub fn open(
        path: &Path,
        (from, to): (&str, &str),
        dry_run: bool,
    ) -> Result<(Self, Ids), IdFileError> {
        let mut ids = Ids::new(to);
        let nothing = Self { file: None, path: path.to_owned(), unsynced: 0 };
        if dry_run && !path.exists() {
            return Ok((nothing, ids));
        }
        let unusable = |error| unusable(path, error);
        // It names people and rooms.
        let mut how = OpenOptions::new();
        how.read(true).write(!dry_run).create(!dry_run).truncate(false).mode(0o600);
        let mut file = how.open(path).map_err(unusable)?;
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => {
                return Err(IdFileError::InUse(path.to_owned()));
            }
            Err(TryLockError::Error(error)) => return Err(unusable(error)),
            Ok(()) => {}
        }
        let here = IdLine::Transcript { from: from.to_owned(), to: to.to_owned() };
        let length = read(&mut file, path, &here, &mut ids)?;
        if dry_run {
            return Ok((nothing, ids));
        }
        file.set_len(length).and_then(|()| file.seek(SeekFrom::End(0))).map_err(unusable)?;
        let mut opened = Self { file: Some(file), ..nothing };
        if length == 0 {
            opened.add(&here)?;
        }
        Ok((opened, ids))
    }

    /// Adds a line.
    ///
    /// # Errors
    /// [`IdFileError::Unusable`].
    pub fn add(&mut self, line: &IdLine) -> Result<(), IdFileError> {
        let Some(file) = &mut self.file else { return Ok(()) };
        let text = serde_json::to_vec(line).map_err(std::io::Error::other);
        let mut text = text.map_err(|error| unusable(&self.path, error))?;
        text.push(b'\n');
        self.unsynced += 1;
        let is_due = self.unsynced >= SYNC_EVERY;
        let synced = |file: &mut File| if is_due { file.sync_data() } else { Ok(()) };
        let written = file.write_all(&text).and_then(|()| synced(file));
        if is_due {
            self.unsynced = 0;
        }
        written.map_err(|error| unusable(&self.path, error))
    }

    /// Sees that everything is on disk.
    ///
    /// # Errors
    /// [`IdFileError::Unusable`].
    pub fn finish(&mut self) -> Result<(), IdFileError> {
        let synced = self.file.as_ref().map_or(Ok(()), File::sync_all);
        synced.map_err(|error| unusable(&self.path, error))
    }
}

/// Reads the lines; the length of those that are whole.
fn read(file: &mut File, path: &Path, here: &IdLine, ids: &mut Ids) -> Result<u64, IdFileError> {
    let mut reader = BufReader::new(file);
    let (mut length, mut line) = (0, Vec::new());
    loop {
        line.clear();
        let limit = LINE_BYTES as u64;
        let read = reader.by_ref().take(limit).read_until(b'\n', &mut line);
        let read = read.map_err(|error| unusable(path, error))?;
        if read == 0 || (line.last() != Some(&b'\n') && read < LINE_BYTES) {
            return Ok(length);
        }
        let parsed: Option<IdLine> = serde_json::from_slice(&line).ok();
        let is_right =
            |parsed: &IdLine| (length > 0) != matches!(parsed, IdLine::Transcript { .. });
        let Some(parsed) = parsed.filter(is_right) else {
            return Err(IdFileError::Other(path.to_owned()));
        };
        if length == 0 && parsed != *here {
            return Err(IdFileError::Elsewhere(path.to_owned()));
        }
        ids.learn(parsed);
        length += read as u64;
    }
}

fn unusable(path: &Path, cause: std::io::Error) -> IdFileError {
    IdFileError::Unusable { path: path.to_owned(), cause }
}

#[cfg(test)]
mod tests;

//! The file of ids: what became of what, one JSON object a line, and what a second run goes by.
//!
//! Each line is written at once, so that it outlives the process; after a loss of power the rooms
//! themselves say what is missing in it.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use lifeboat_transcript::ids::{IdLine, Ids, LINE_BYTES};

use crate::failure::Failure;

/// Lines after which the file is on disk for certain.
const SYNC_EVERY: u32 = 100;

/// The open file; none when nothing is to be kept.
pub(super) struct IdFile {
    file: Option<File>,
    path: PathBuf,
    unsynced: u32,
}

impl IdFile {
    /// Opens or begins the file, and reads what is in it. A last line that was cut short goes.
    pub(super) fn open(
        path: &Path,
        (from, to): (&str, &str),
        dry_run: bool,
    ) -> Result<(Self, Ids), Failure> {
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
                let what = format!("{} is in use", path.display());
                return Err(Failure::failed(what, "wait for the other run to end"));
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
    pub(super) fn add(&mut self, line: &IdLine) -> Result<(), Failure> {
        let Some(file) = &mut self.file else { return Ok(()) };
        let mut text = serde_json::to_vec(line).expect("ids are text");
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
    pub(super) fn finish(&mut self) -> Result<(), Failure> {
        let synced = self.file.as_ref().map_or(Ok(()), File::sync_all);
        synced.map_err(|error| unusable(&self.path, error))
    }
}

/// Reads the lines; the length of those that are whole.
fn read(file: &mut File, path: &Path, here: &IdLine, ids: &mut Ids) -> Result<u64, Failure> {
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
            let what = format!("{} is no file of ids", path.display());
            return Err(Failure::usage(what, "name another with --id-map FILE"));
        };
        if length == 0 && parsed != *here {
            let what = format!("{} belongs to other servers", path.display());
            return Err(Failure::usage(what, "name another with --id-map FILE"));
        }
        ids.learn(parsed);
        length += read as u64;
    }
}

fn unusable(path: &Path, error: std::io::Error) -> Failure {
    let what = format!("cannot use {}", path.display());
    Failure::failed(what, "see that there is space, or name another with --id-map FILE")
        .because(error)
}

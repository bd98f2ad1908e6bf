//! Files of the media store: never over one that differs, and read back after they were written.

use std::path::Path;

use lifeboat_components::synapse::merge::media::ORIGINAL;
use lifeboat_components::synapse::read::media::MediaRecord;
use lifeboat_components::synapse::write::media::{MediaStore, Placed, compare};
use lifeboat_package::digest::Digest;

use super::MergeOutcome;
use crate::failure::Failure;
use crate::import::place::{Placer, cannot_write};
use crate::reader::damaged;

/// What lies in the places of some files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FileOf {
    /// Nothing, or the same.
    Fits,
    /// At least one other.
    Other,
}

impl FileOf {
    /// Looks at the places of these files.
    ///
    /// # Errors
    /// [`Failure`] when a file that is there cannot be read.
    pub(super) fn look(root: &Path, records: &[MediaRecord]) -> Result<Self, Failure> {
        for record in records {
            let place = root.join(safe(&record.path)?);
            let found =
                compare(&place, &sum(record)?).map_err(|e| cannot_write(&record.path, e))?;
            if found == Some(Placed::Differs) {
                return Ok(Self::Other);
            }
        }
        Ok(Self::Fits)
    }
}

/// Whether what was uploaded is among these files, and not only what was made from it.
pub(super) fn has_original(records: &[MediaRecord]) -> bool {
    records.iter().any(|record| record.kind == ORIGINAL)
}

/// Writes files; the paths of those that were not there.
///
/// # Errors
/// [`Failure`] when an entry is damaged or the store cannot be written.
pub(super) async fn write(
    placer: &Placer<'_>,
    records: &[MediaRecord],
    outcome: &mut MergeOutcome,
) -> Result<Vec<String>, Failure> {
    let mut written = Vec::new();
    for record in records {
        let place = placer.store.place(&record.path).ok_or_else(|| damaged(&record.path))?;
        let fail = |e| cannot_write(&record.path, e);
        match placer.place(record).await? {
            Placed::Written => {
                if compare(&place, &sum(record)?).map_err(fail)? != Some(Placed::Equal) {
                    let what =
                        format!("media {} cannot be read back as it was written", record.path);
                    return Err(Failure::failed(what, "look at the disk"));
                }
                outcome.media_written += 1;
                written.push(record.path.clone());
            }
            Placed::Equal => outcome.media_equal += 1,
            Placed::Differs => {
                outcome.gaps += 1;
                let path = &record.path;
                outcome.warnings.push(format!("media {path}: another file is there; left alone"));
            }
        }
    }
    Ok(written)
}

/// Moves the files that others are to take the place of to where an undo finds them; one that is
/// there from a run that was cut short stays the one.
///
/// # Errors
/// [`Failure`] when the store cannot be written.
pub(super) fn set_aside(store: &MediaStore, import: &str, paths: &[String]) -> Result<(), Failure> {
    for path in paths {
        let (Some(from), Some(to)) = (store.place(path), store.place(&aside(import, path))) else {
            return Err(damaged(path));
        };
        if !to.exists() {
            store.set_aside(&from, &to).map_err(|e| cannot_write(path, e))?;
        }
    }
    Ok(())
}

/// Those of these files that another one is in the place of.
///
/// # Errors
/// [`Failure`] when a file that is there cannot be read.
pub(super) fn in_the_way(root: &Path, records: &[MediaRecord]) -> Result<Vec<String>, Failure> {
    let mut found = Vec::new();
    for record in records {
        if FileOf::look(root, std::slice::from_ref(record))? == FileOf::Other {
            found.push(record.path.clone());
        }
    }
    Ok(found)
}

/// Where a file is kept that was replaced.
pub(super) fn aside(import: &str, path: &str) -> String {
    format!("lifeboat-replaced/{import}/{path}")
}

fn sum(record: &MediaRecord) -> Result<Digest, Failure> {
    record.sha256.parse().map_err(|_| damaged(&record.path))
}

fn safe(path: &str) -> Result<&str, Failure> {
    let plain =
        Path::new(path).components().all(|part| matches!(part, std::path::Component::Normal(_)));
    if plain && !path.is_empty() { Ok(path) } else { Err(damaged(path)) }
}

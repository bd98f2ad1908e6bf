//! The folder that something is written to in the open: new or empty when we begin, and again so
//! when what was to be written was not written to its end, for whatever reason that was.

#[cfg(test)]
mod tests;

use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

/// A folder that is emptied when this is dropped, unless it was kept. What we made of the folders
/// above it goes too.
pub struct Fresh<'a, T: Fn(String)> {
    /// Hears what could not be removed.
    told: T,
    folder: &'a Path,
    /// The folders that were not there, the deepest first.
    made: Vec<PathBuf>,
    is_kept: bool,
}

impl<'a, T: Fn(String)> Fresh<'a, T> {
    /// The folder, new or empty, for its owner alone; nothing, when there is something in it.
    /// `told` hears what could not be removed again.
    ///
    /// # Errors
    /// When it cannot be looked into or made.
    pub fn make(folder: &'a Path, told: T) -> io::Result<Option<Self>> {
        let is_empty = match fs::read_dir(folder) {
            Ok(mut entries) => entries.next().is_none(),
            Err(e) if e.kind() == ErrorKind::NotFound => true,
            // Whether it is empty, nobody knows: what is in it may not be ours.
            Err(e) => return Err(e),
        };
        if !is_empty {
            return Ok(None);
        }
        let is_new = |path: &&Path| !path.as_os_str().is_empty() && !path.exists();
        let made = folder.ancestors().take_while(is_new).map(Path::to_owned).collect();
        let mut how = fs::DirBuilder::new();
        how.recursive(true).mode(0o700);
        how.create(folder)?;
        Ok(Some(Self { told, folder, made, is_kept: false }))
    }

    /// Everything was written.
    pub fn keep(mut self) {
        self.is_kept = true;
    }
}

impl<T: Fn(String)> Drop for Fresh<'_, T> {
    fn drop(&mut self) {
        if self.is_kept {
            return;
        }
        if let Err(error) = clear(self.folder) {
            let folder = self.folder.display();
            (self.told)(format!(
                "{folder} could not be emptied, and holds what is not sealed any more: {error}"
            ));
        }
        for folder in &self.made {
            // One that has something in it is somebody else's by now.
            fs::remove_dir(folder).ok();
        }
    }
}

/// Removes all that is in a folder, as far as that can be done; the first error.
fn clear(folder: &Path) -> io::Result<()> {
    let mut cleared = Ok(());
    for entry in fs::read_dir(folder)? {
        let removed = entry.and_then(|entry| {
            let is_folder = entry.file_type()?.is_dir();
            if is_folder { fs::remove_dir_all(entry.path()) } else { fs::remove_file(entry.path()) }
        });
        cleared = cleared.and(removed);
    }
    cleared
}

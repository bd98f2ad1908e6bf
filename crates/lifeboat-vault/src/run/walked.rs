//! What a walk through a tree has seen, and what it must look at again: names change while others
//! are read.
//!
//! A folder is listed once, and a file in it may have another name when its turn comes. So after a
//! walk everything is listed again. A name that was not there before is taken; that a listed file
//! has the name of another one now, which was taken, is told.

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::os::unix::fs::{DirEntryExt, MetadataExt};
use std::path::{Path, PathBuf};

use super::tree::Tree;

/// Listed inodes that were not there in their turn, which are remembered.
const GONE: usize = 100_000;

/// A name in a folder, and its inode as the folder has it; none for the root.
pub(super) struct Listed {
    pub(super) path: PathBuf,
    pub(super) inode: Option<u64>,
}

impl Listed {
    pub(super) fn root(path: PathBuf) -> Self {
        Self { path, inode: None }
    }
}

/// What was seen so far.
#[derive(Default)]
pub(super) struct Walked {
    sums: RandomState,
    /// A sum of the path of everything that had its turn, and its inode; in order once it is looked
    /// through. 16 bytes each: there may be millions.
    seen: Vec<(u64, u64)>,
    /// Inodes that were listed, and not there under their name in their turn.
    gone: HashSet<u64>,
}

/// What another look found.
#[derive(Default)]
pub(super) struct Again {
    /// Names that had no turn yet.
    pub(super) fresh: Vec<Listed>,
    /// Names under which another file was seen than the one that has it now, which was not seen.
    pub(super) replaced: Vec<PathBuf>,
}

impl Walked {
    /// Notes that a path has its turn, with the inode that it was listed with, and has now.
    pub(super) fn see(&mut self, Listed { path, inode: listed }: &Listed, inode: u64) {
        let sum = self.sums.hash_one(path);
        self.seen.push((sum, inode));
        if listed.is_some_and(|listed| listed != inode) {
            self.miss(*listed);
        }
    }

    /// Notes that what was listed is not there in its turn.
    pub(super) fn miss(&mut self, inode: Option<u64>) {
        if self.gone.len() < GONE {
            self.gone.extend(inode);
        }
    }

    /// Lists the whole tree again.
    pub(super) fn look_again(&mut self, tree: &Tree) -> Again {
        self.seen.sort_unstable();
        if !self.gone.is_empty() {
            // What had its turn under another name is not gone.
            for (_, inode) in &self.seen {
                self.gone.remove(inode);
            }
        }
        let (mut again, mut folders) = (Again::default(), vec![tree.root.clone()]);
        let mut told = Vec::new();
        while let Some(folder) = folders.pop() {
            // That one cannot be listed was told, or it went away with all that was in it.
            for listed in listed_below(&folder).unwrap_or_default() {
                if !tree.without.contains(&listed.path) {
                    told.extend(self.compare(listed, &mut folders, &mut again));
                }
            }
        }
        for inode in told {
            self.gone.remove(&inode);
        }
        again
    }

    /// Sorts in what is listed; the inode of what has the name of another.
    fn compare(
        &self,
        listed: Listed,
        folders: &mut Vec<PathBuf>,
        again: &mut Again,
    ) -> Option<u64> {
        let Ok(metadata) = std::fs::symlink_metadata(&listed.path) else { return None };
        let (sum, inode) = (self.sums.hash_one(&listed.path), metadata.ino());
        let from = self.seen.partition_point(|seen| *seen < (sum, 0));
        let of_path = self.seen.get(from..).unwrap_or_default();
        let mut inodes = of_path.iter().take_while(|(of, _)| *of == sum).map(|(_, inode)| *inode);
        let Some(first) = inodes.next() else {
            again.fresh.push(listed);
            return None;
        };
        let is_same = first == inode || inodes.any(|seen| seen == inode);
        if metadata.is_dir() {
            folders.push(listed.path);
        } else if !is_same && self.gone.contains(&inode) {
            again.replaced.push(listed.path);
            return Some(inode);
        }
        None
    }
}

/// What lies in a folder, in reverse order, so that the first is taken first.
pub(super) fn listed_below(folder: &Path) -> io::Result<Vec<Listed>> {
    let listed = |entry: std::fs::DirEntry| Listed { path: entry.path(), inode: Some(entry.ino()) };
    let entries = std::fs::read_dir(folder)?.map(|entry| entry.map(listed));
    let mut entries = entries.collect::<io::Result<Vec<_>>>()?;
    entries.sort_unstable_by(|a, b| b.path.cmp(&a.path));
    Ok(entries)
}

#[cfg(test)]
mod tests;

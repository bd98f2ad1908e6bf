//! What a run keeps on the host while its package is made: the journal that a resume needs, and the
//! cache that the next run borrows by.

use std::collections::{BTreeMap, HashSet};
use std::io::Read as _;
use std::path::{Path, PathBuf};

use lifeboat_engine::failure::Failure;
use lifeboat_engine::journal::Journal;
use lifeboat_engine::writer::{Finished, Ledger};
use lifeboat_package::id::{EntryPath, PackageId};
use tempfile::NamedTempFile;

use crate::known::Known;

/// In the state folder: which vault was where.
pub const VAULTS: &str = "vaults.json";
const VAULTS_BYTES: u64 = 1 << 20;

/// The journal and the cache of a run.
pub struct RunLedger {
    /// The journal.
    pub journal: Journal,
    /// What the vault has.
    pub known: Known,
    /// The package that is being made.
    pub package: PackageId,
}

impl Ledger for RunLedger {
    fn volume(&mut self, finished: Finished<'_>) -> Result<(), Failure> {
        let (volume, paths): (_, &HashSet<EntryPath>) = (finished.volume, finished.paths);
        self.journal.volume(finished)?;
        let sums = paths
            .iter()
            .filter_map(|path| path.segment().or_else(|| path.blob().map(|(sha256, _)| sha256)));
        self.known.finished(|cache| cache.add_volume(&self.package, volume), sums)
    }
}

/// The state folder of an installation, held by one run at a time.
pub struct State {
    folder: PathBuf,
    lock: std::fs::File,
}

impl State {
    /// Takes the folder for this run.
    ///
    /// # Errors
    /// [`Failure`] when another run has it, which is named, or it cannot be written.
    pub fn take(folder: &Path, said: &str) -> Result<Self, Failure> {
        use std::io::{Read, Seek, Write};
        use std::os::unix::fs::OpenOptionsExt;
        let cannot = |e: std::io::Error| {
            Failure::failed(
                format!("cannot use the state folder {}", folder.display()),
                "make it, or name another with `state:` in lifeboat.yaml",
            )
            .because(e)
        };
        std::fs::create_dir_all(folder).map_err(cannot)?;
        let mut how = std::fs::OpenOptions::new();
        how.read(true).write(true).create(true).truncate(false).mode(0o600);
        let mut lock = how.open(folder.join("run.lock")).map_err(cannot)?;
        if lock.try_lock().is_err() {
            let mut who = String::new();
            (&lock).take(200).read_to_string(&mut who).map_err(cannot)?;
            return Err(Failure::failed(
                format!("another run is under way: {}", who.trim()),
                "wait for it, or stop it",
            ));
        }
        lock.set_len(0).and_then(|()| lock.rewind()).map_err(cannot)?;
        writeln!(lock, "{said}").map_err(cannot)?;
        Ok(Self { folder: folder.to_owned(), lock })
    }

    /// Where the journal of a vault's run is.
    pub fn journal(&self, vault: &str) -> PathBuf {
        self.folder.join(format!("vault-{vault}.journal"))
    }

    /// Where the cache of a vault is.
    pub fn cache(&self, vault: &str) -> PathBuf {
        self.folder.join(format!("vault-{vault}.sqlite"))
    }

    /// The id of the vault that was last used at a location, where that is known.
    pub fn vault_at(&self, location: &str) -> Option<String> {
        self.vaults().remove(location.trim_end_matches('/'))
    }

    /// Notes which vault is at a location.
    ///
    /// # Errors
    /// [`Failure`] when the folder cannot be written.
    pub fn note_vault(&self, location: &str, id: &str) -> Result<(), Failure> {
        let mut vaults = self.vaults();
        let place = location.trim_end_matches('/').to_owned();
        if vaults.insert(place, id.to_owned()).is_some_and(|known| known == id) {
            return Ok(());
        }
        let write = || {
            let mut file = NamedTempFile::new_in(&self.folder)?;
            serde_json::to_writer(&mut file, &vaults)?;
            file.as_file().sync_all()?;
            file.persist(self.folder.join(VAULTS))?;
            Ok(())
        };
        write().map_err(|e: std::io::Error| {
            Failure::failed(
                format!("cannot write {VAULTS} in the state folder {}", self.folder.display()),
                "look at the disk, then run the same command again",
            )
            .because(e)
        })
    }

    /// Vaults by their locations. Who lost the list begins it anew: it only warns.
    fn vaults(&self) -> BTreeMap<String, String> {
        let mut text = Vec::new();
        let file = std::fs::File::open(self.folder.join(VAULTS));
        file.and_then(|file| file.take(VAULTS_BYTES).read_to_end(&mut text)).ok();
        serde_json::from_slice(&text).unwrap_or_default()
    }

    /// A folder for what must lie on disk for a moment.
    pub fn folder(&self) -> &Path {
        &self.folder
    }
}

impl Drop for State {
    fn drop(&mut self) {
        // The lock goes with the file anyway.
        self.lock.set_len(0).ok();
    }
}

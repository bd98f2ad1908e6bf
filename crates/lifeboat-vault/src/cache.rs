//! What the host remembers of a vault: which content lies in which volume, and what each file was
//! when it was read last.
//!
//! A volume can be opened by whoever holds an identity, and the host holds none, so it keeps this
//! list: sums, never content. Losing it costs a full read and new volumes, never correctness.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use lifeboat_engine::failure::Failure;
use lifeboat_package::backup::Content;
use lifeboat_package::id::PackageId;
use lifeboat_package::manifest::{Borrowed, Volume};
use rusqlite::{Connection, OptionalExtension, params};

/// The cache of one vault.
pub struct Cache {
    db: Connection,
}

/// The number of a volume in the cache.
pub type VolumeNumber = i64;

/// A file as the file system shows it: when nothing of this changed, its content did not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    /// Bytes.
    pub size: u64,
    /// Nanoseconds since 1970 of the last change of its content.
    pub modified: i64,
    /// Nanoseconds since 1970 of the last change of anything.
    pub changed: i64,
    /// Its number in the file system.
    pub inode: u64,
}

const SCHEMA: &str = "
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = NORMAL;
    PRAGMA foreign_keys = ON;
    CREATE TABLE IF NOT EXISTS volumes (
        number INTEGER PRIMARY KEY,
        package TEXT NOT NULL,
        name TEXT NOT NULL,
        volume TEXT NOT NULL,
        UNIQUE (package, name));
    CREATE TABLE IF NOT EXISTS contents (
        sha256 BLOB NOT NULL,
        volume INTEGER NOT NULL REFERENCES volumes (number),
        PRIMARY KEY (sha256, volume)) WITHOUT ROWID;
    CREATE INDEX IF NOT EXISTS contents_of_volume ON contents (volume);
    CREATE TABLE IF NOT EXISTS files (
        root BLOB NOT NULL,
        path BLOB NOT NULL,
        size INTEGER NOT NULL,
        modified INTEGER NOT NULL,
        changed INTEGER NOT NULL,
        inode INTEGER NOT NULL,
        content TEXT NOT NULL,
        PRIMARY KEY (root, path)) WITHOUT ROWID;";

impl Cache {
    /// Opens the cache at `path`. One that cannot be read is begun anew.
    ///
    /// # Errors
    /// [`Failure`] when the place cannot be written.
    pub fn open(path: &Path) -> Result<Self, Failure> {
        if let Ok(cache) = Self::open_at(path) {
            return Ok(cache);
        }
        std::fs::remove_file(path).ok();
        Self::open_at(path).map_err(fault)
    }

    fn open_at(path: &Path) -> rusqlite::Result<Self> {
        let db = Connection::open(path)?;
        db.execute_batch(SCHEMA)?;
        Ok(Self { db })
    }

    /// Forgets all volumes but these, with what lies in them.
    ///
    /// # Errors
    /// [`Failure`] when the cache cannot be written.
    pub fn keep_only(&self, live: &HashSet<(PackageId, String)>) -> Result<(), Failure> {
        let gone = self.all_volumes()?.into_iter().filter(|(_, borrowed)| {
            !live.contains(&(borrowed.package, borrowed.volume.name.clone()))
        });
        let gone: Vec<VolumeNumber> = gone.map(|(number, _)| number).collect();
        if gone.is_empty() {
            return Ok(());
        }
        self.transaction(|db| {
            for number in &gone {
                // A blob in pieces is of no use without one of them.
                db.execute(
                    "DELETE FROM contents WHERE sha256 IN
                     (SELECT sha256 FROM contents WHERE volume = ?1)",
                    [number],
                )?;
                db.execute("DELETE FROM volumes WHERE number = ?1", [number])?;
            }
            Ok(())
        })
    }

    /// Every volume, by number.
    ///
    /// # Errors
    /// [`Failure`] when the cache cannot be read.
    pub fn all_volumes(&self) -> Result<HashMap<VolumeNumber, Borrowed>, Failure> {
        let read = || {
            let mut all = self.db.prepare("SELECT number, package, volume FROM volumes")?;
            let rows = all.query_map([], |row| {
                Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?, row.get::<_, String>(2)?))
            })?;
            rows.collect::<rusqlite::Result<Vec<_>>>()
        };
        let volume = |(number, package, volume): (i64, String, String)| {
            let volume: Volume = serde_json::from_str(&volume).ok()?;
            Some((number, Borrowed { package: PackageId::parse(&package).ok()?, volume }))
        };
        Ok(read().map_err(fault)?.into_iter().filter_map(volume).collect())
    }

    /// Which content lies where, in the order of the sums.
    ///
    /// # Errors
    /// [`Failure`] when the cache cannot be read.
    pub fn contents(&self) -> Result<Vec<([u8; 32], VolumeNumber)>, Failure> {
        let read = || {
            let count: i64 =
                self.db.query_row("SELECT count(*) FROM contents", [], |row| row.get(0))?;
            let mut all =
                self.db.prepare("SELECT sha256, volume FROM contents ORDER BY sha256, volume")?;
            let mut rows = all.query([])?;
            // Sized at once: it is the largest thing that a run holds.
            let mut found = Vec::with_capacity(usize::try_from(count).unwrap_or_default());
            while let Some(row) = rows.next()? {
                found.push((row.get(0)?, row.get(1)?));
            }
            Ok(found)
        };
        read().map_err(fault)
    }

    /// Notes a volume, and content that is whole with it and the volumes named.
    ///
    /// # Errors
    /// [`Failure`] when the cache cannot be written.
    pub fn add_volume(
        &self,
        package: &PackageId,
        volume: &Volume,
    ) -> Result<VolumeNumber, Failure> {
        let text = serde_json::to_string(volume).unwrap_or_default();
        let package = package.to_string();
        let add = || {
            self.db.execute(
                "INSERT OR REPLACE INTO volumes (package, name, volume) VALUES (?1, ?2, ?3)",
                params![package, volume.name, text],
            )?;
            Ok(self.db.last_insert_rowid())
        };
        add().map_err(fault)
    }

    /// Notes that content lies in these volumes.
    ///
    /// # Errors
    /// [`Failure`] when the cache cannot be written.
    pub fn add_contents(&self, whole: &[([u8; 32], Vec<VolumeNumber>)]) -> Result<(), Failure> {
        self.transaction(|db| {
            let mut add =
                db.prepare("INSERT OR IGNORE INTO contents (sha256, volume) VALUES (?1, ?2)")?;
            for (sha256, volumes) in whole {
                for volume in volumes {
                    add.execute(params![sha256, volume])?;
                }
            }
            Ok(())
        })
    }

    /// What a file was when it was read last, and what its content was.
    ///
    /// # Errors
    /// [`Failure`] when the cache cannot be read.
    pub fn file(&self, root: &[u8], path: &[u8]) -> Result<Option<(Stamp, Content)>, Failure> {
        let read = || {
            let mut find = self.db.prepare(
                "SELECT size, modified, changed, inode, content FROM files
                 WHERE root = ?1 AND path = ?2",
            )?;
            find.query_row(params![root, path], |row| {
                let stamp = Stamp {
                    size: row.get::<_, i64>(0)?.cast_unsigned(),
                    modified: row.get(1)?,
                    changed: row.get(2)?,
                    inode: row.get::<_, i64>(3)?.cast_unsigned(),
                };
                Ok((stamp, row.get::<_, String>(4)?))
            })
            .optional()
        };
        let found: Option<(Stamp, String)> = read().map_err(fault)?;
        Ok(found.and_then(|(stamp, content)| Some((stamp, serde_json::from_str(&content).ok()?))))
    }

    /// Notes what files of one tree were, all at once.
    ///
    /// # Errors
    /// [`Failure`] when the cache cannot be written.
    pub fn add_files(
        &self,
        root: &[u8],
        files: &[(Vec<u8>, Stamp, Content)],
    ) -> Result<(), Failure> {
        self.transaction(|db| {
            let mut add = db.prepare(
                "INSERT OR REPLACE INTO files (root, path, size, modified, changed, inode, content)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            )?;
            for (path, stamp, content) in files {
                let content = serde_json::to_string(content).unwrap_or_default();
                let (size, inode) = (stamp.size.cast_signed(), stamp.inode.cast_signed());
                let (modified, changed) = (stamp.modified, stamp.changed);
                add.execute(params![root, path, size, modified, changed, inode, content])?;
            }
            Ok(())
        })
    }

    fn transaction(
        &self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<()>,
    ) -> Result<(), Failure> {
        let all = || {
            let transaction = self.db.unchecked_transaction()?;
            work(&transaction)?;
            transaction.commit()
        };
        all().map_err(fault)
    }
}

fn fault(error: rusqlite::Error) -> Failure {
    Failure::failed(
        "cannot use the cache of the vault in the state folder",
        "free some space, or remove vault-*.sqlite there: the next run reads everything anew",
    )
    .because(error)
}

//! SQLite databases: SQLite's own online backup, which other writers do not disturb.

use std::path::Path;
use std::time::{Duration, Instant};

use lifeboat_engine::failure::Failure;
use lifeboat_engine::reader::apart;
use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, OpenFlags};
use tempfile::NamedTempFile;

/// Pages copied at a time.
const PAGES: i32 = 1_000;
/// How long to wait between two stretches, and for a lock.
const PAUSE: Duration = Duration::from_millis(1);

/// How long writers get turns between the stretches.
const IN_STRETCHES: Duration = Duration::from_secs(5);
/// How long a writer may keep us from reading at all.
const LONGEST: Duration = Duration::from_mins(2);

/// A consistent copy of a database, in a file that only we can read and that goes with this value.
///
/// # Errors
/// [`Failure`] when it is no SQLite database, or cannot be read.
pub async fn copy(path: &Path, folder: &Path) -> Result<NamedTempFile, Failure> {
    let (path, folder) = (path.to_owned(), folder.to_owned());
    apart(move || copy_now(&path, &folder)).await?
}

fn is_wal(source: &Connection) -> bool {
    let mode = source.query_row("PRAGMA journal_mode", [], |row| row.get::<_, String>(0));
    mode.is_ok_and(|mode| mode == "wal")
}

/// Copies in stretches, so that writers get a turn. Each of theirs makes SQLite begin anew, so when
/// that takes too long they wait for one stretch of everything. In WAL mode nobody waits for a
/// reader.
fn copy_pages(backup: &Backup<'_, '_>, is_wal: bool) -> rusqlite::Result<()> {
    let begun = Instant::now();
    loop {
        let is_late = begun.elapsed() > IN_STRETCHES;
        let step = backup.step(if is_wal || is_late { -1 } else { PAGES })?;
        match step {
            StepResult::Done => return Ok(()),
            StepResult::Busy | StepResult::Locked if begun.elapsed() > LONGEST => {
                let code = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_BUSY);
                return Err(rusqlite::Error::SqliteFailure(code, None));
            }
            _ => std::thread::sleep(PAUSE),
        }
    }
}

fn copy_now(path: &Path, folder: &Path) -> Result<NamedTempFile, Failure> {
    let cannot = |e: rusqlite::Error| {
        Failure::failed(
            format!("cannot copy the SQLite database {}", path.display()),
            "check that it is one, that we may read it, and that its folder is writable when it \
             is in WAL mode",
        )
        .because(e)
    };
    let no_room = |e: std::io::Error| {
        Failure::failed("cannot make a temporary file in the state folder", "free some space")
            .because(e)
    };
    let file = NamedTempFile::new_in(folder).map_err(no_room)?;
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let source = Connection::open_with_flags(path, flags).map_err(cannot)?;
    source.busy_timeout(Duration::from_secs(10)).map_err(cannot)?;
    let mut copy = Connection::open(file.path()).map_err(cannot)?;
    copy_pages(&Backup::new(&source, &mut copy).map_err(cannot)?, is_wal(&source))
        .map_err(cannot)?;
    let check: String =
        copy.query_row("PRAGMA quick_check(1)", [], |row| row.get(0)).map_err(cannot)?;
    if check != "ok" {
        return Err(Failure::failed(
            format!("the SQLite database {} is damaged: {check}", path.display()),
            "repair it (sqlite3 FILE .recover), then run the backup again",
        ));
    }
    Ok(file)
}

//! SQLite databases: SQLite's own online backup, which other writers do not disturb.

use std::path::Path;
use std::time::Duration;

use lifeboat_engine::failure::Failure;
use lifeboat_engine::reader::apart;
use rusqlite::backup::Backup;
use rusqlite::{Connection, OpenFlags};
use tempfile::NamedTempFile;

/// Pages copied at a time.
const PAGES: i32 = 1_000;
/// How long to wait between two stretches, and for a lock.
const PAUSE: Duration = Duration::from_millis(1);

/// A consistent copy of a database, in a file that only we can read and that goes with this value.
///
/// # Errors
/// [`Failure`] when it is no SQLite database, or cannot be read.
pub async fn copy(path: &Path, folder: &Path) -> Result<NamedTempFile, Failure> {
    let (path, folder) = (path.to_owned(), folder.to_owned());
    apart(move || copy_now(&path, &folder)).await?
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
    let backup = Backup::new(&source, &mut copy).map_err(cannot)?;
    backup.run_to_completion(PAGES, PAUSE, None).map_err(cannot)?;
    drop(backup);
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

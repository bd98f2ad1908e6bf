//! An import that is killed leaves nothing that Synapse would start on, and the next one nothing of
//! the one before.

use std::ffi::OsString;
use std::fs;
use std::io::{self, BufRead, BufReader};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use lifeboat_testing::{Homeserver, wait};
use serde_json::Value;

use crate::harbour::{Harbour, harbour, settled_facts};
use crate::program::{GAPS, import_words, program};

pub(crate) const PATIENCE: Duration = Duration::from_mins(1);
const KILL: i32 = 9;

/// When the import is killed: in which stage, and when what is asked of the database is true.
const MOMENTS: [(&str, &str); 4] = [
    ("rows", "SELECT true"),
    ("rows", "SELECT count(*) > 0 FROM events"),
    (
        "keys, indexes, constraints",
        "SELECT count(*) > 30 FROM pg_indexes WHERE schemaname = 'public'",
    ),
    (LAST_STAGE, WAITS),
];
/// When it begins, the note of the import is there, which is needed again at the very end: a lock
/// on it holds the import up in its last stage.
const ROWS: &str = "rows";
pub(crate) const LAST_STAGE: &str = "rules and activation";
/// Whether anybody waits for a lock in this database.
pub(crate) const WAITS: &str = "SELECT count(*) > 0 FROM pg_locks l JOIN pg_database d
    ON d.oid = l.database WHERE d.datname = current_database() AND NOT l.granted";

#[test]
fn import_killed_again_and_again_starts_over_by_itself_and_ends_whole() {
    let harbour = harbour();
    let world = &harbour.world;
    let mut server = world.empty_server("killed").unwrap();
    for (stage, until) in MOMENTS {
        kill_in(harbour, &server, stage, until);
        server.launch().unwrap();
        let refusal = server.wait_ready(PATIENCE);
        assert!(refusal.is_err(), "Synapse started on what was killed in {stage}: {until}");
        assert!(!server.is_running(), "Synapse hangs on what was killed in {stage}: {until}");
    }
    // What Synapse complained about belongs to the refusals.
    fs::remove_file(server.directory().join("homeserver.log")).unwrap();
    harbour.import(&server, &[]).result(GAPS);
    no_leftovers(harbour, &server);
    server.start().unwrap();
    let facts = settled_facts(world, &server, "killed");
    world.compare(&harbour.facts, &facts, &[]).unwrap();
    assert_eq!(server.errors_in_log().unwrap(), Vec::<String>::new());
}

/// Starts an import and kills it when it has come so far.
pub(crate) fn kill_in(harbour: &Harbour, server: &Homeserver, stage: &str, until: &str) {
    let cluster = &harbour.world.cluster;
    let mut words = import_words(&harbour.package, &harbour.identity, server);
    words.extend(["--accept-signer", harbour.signer.as_str()].map(OsString::from));
    let mut child = program().args(words).spawn().unwrap();
    let mut told = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut held = None;
    if stage == LAST_STAGE {
        wait_for_stage(&mut told, ROWS);
        let lock = "BEGIN; LOCK TABLE lifeboat.import IN ACCESS EXCLUSIVE MODE";
        held = Some(cluster.hold(server.database(), lock).unwrap());
    }
    wait_for_stage(&mut told, stage);
    let reached = wait::until(PATIENCE, || {
        // Tables come and go meanwhile.
        Ok(cluster.psql(server.database(), until).is_ok_and(|answer| answer == "t"))
    });
    child.kill().unwrap();
    let status = child.wait().unwrap();
    drop(held);
    assert!(reached.unwrap(), "{stage}: {until}");
    assert_eq!(status.signal(), Some(KILL), "{stage}: it ended before it was killed");
}

fn wait_for_stage(told: &mut impl Iterator<Item = io::Result<String>>, stage: &str) {
    let begun = told.any(|line| {
        let event: Value = serde_json::from_str(&line.unwrap()).unwrap();
        assert_ne!(event["event"], "error", "{event}");
        event["event"] == "stage" && event["name"] == stage
    });
    assert!(begun, "stage {stage} did not begin");
}

/// The database and the folders hold what the source's hold, and nothing else but the note of the
/// finished import.
fn no_leftovers(harbour: &Harbour, server: &Homeserver) {
    let source = &harbour.world.server;
    let relations = |server: &Homeserver| {
        let sql = "SELECT n.nspname || '.' || c.relname || ' ' || c.relkind::text
                   FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                   WHERE n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')
                     AND n.nspname <> 'lifeboat' ORDER BY 1";
        harbour.world.cluster.psql(server.database(), sql).unwrap()
    };
    assert_eq!(relations(source), relations(server));
    let notes = "SELECT count(*), bool_and(finished) FROM lifeboat.import";
    assert_eq!(harbour.world.cluster.psql(server.database(), notes).unwrap(), "1|t");
    assert_eq!(files(&source.media_store()), files(&server.media_store()));
    let strange: Vec<PathBuf> = files(server.directory())
        .into_iter()
        .filter(|path| !source.directory().join(path).exists() && !path.ends_with("output.log"))
        .collect();
    assert_eq!(strange, Vec::<PathBuf>::new());
}

/// The files under a folder, relative to it, in order.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(&next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                found.push(path.strip_prefix(folder).unwrap().to_owned());
            }
        }
    }
    found.sort();
    found
}

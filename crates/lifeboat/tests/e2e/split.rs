//! A homeserver that keeps its state in a database of its own, out and back.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::LazyLock;

use lifeboat_testing::{Homeserver, World};

use crate::harbour::{Harbour, harbour, settled_facts};
use crate::program::{DONE, GAPS, import_words, lifeboat};

/// Shared by the tests of this process.
static SPLIT: LazyLock<Harbour> = LazyLock::new(|| Harbour::of(World::split().unwrap()));

#[test]
fn package_of_a_split_server_is_valid_and_names_the_file_that_was_lost() {
    let harbour = &*SPLIT;
    let gaps = harbour.exported.result(GAPS)["gaps"].clone();
    assert_eq!(gaps["total"], 1, "{gaps}");
    assert_eq!(gaps["first"][0]["object"], "remote_content/far.test/re/mo/telostfile", "{gaps}");
    let words: [PathBuf; 4] =
        ["verify".into(), harbour.package.clone(), "-i".into(), harbour.identity.clone()];
    let said = lifeboat(words.iter().map(|word| word.as_os_str()).chain(["--json".as_ref()]));
    let opened = said.result(DONE);
    assert_eq!((&opened["complete"], &opened["valid"]), (&true.into(), &true.into()), "{opened}");
}

#[test]
fn split_server_is_put_back_into_one_database() {
    let harbour = &*SPLIT;
    let server = harbour.world.empty_server("joined").unwrap();
    comes_back(harbour, server);
    // Synapse would run again, and fail on, what it believes it never ran.
    let (source, cluster) = (&harbour.world.server, &harbour.world.cluster);
    let deltas = |database: &str| {
        let files = "SELECT file FROM applied_schema_deltas ORDER BY file COLLATE \"C\"";
        let files = cluster.psql(database, files).unwrap();
        files.lines().map(str::to_owned).collect::<BTreeSet<_>>()
    };
    let mut both = deltas(source.database());
    both.extend(deltas(source.state_database().unwrap()));
    assert_eq!(deltas("joined"), both);
}

#[test]
fn split_server_is_put_back_into_two_databases() {
    let harbour = &*SPLIT;
    let server = harbour.world.empty_split_server("apart").unwrap();
    comes_back(harbour, server);
    same_tables(harbour, "apart");
}

#[test]
fn server_of_one_database_is_put_back_into_two() {
    let harbour = harbour();
    let server = harbour.world.empty_split_server("parted").unwrap();
    comes_back(harbour, server);
}

/// Each database of an imported server has the tables, sequences, indexes that Synapse made itself,
/// and nothing else but our note.
fn same_tables(harbour: &Harbour, database: &str) {
    let relations = |database: &str| {
        let sql = "SELECT c.relkind::text || ' ' || c.relname FROM pg_class c
                   WHERE c.relnamespace = 'public'::regnamespace ORDER BY c.relname COLLATE \"C\"";
        harbour.world.cluster.psql(database, sql).unwrap()
    };
    let source = &harbour.world.server;
    assert_eq!(relations(database), relations(source.database()));
    let state = format!("{database}_state");
    assert_eq!(relations(&state), relations(source.state_database().unwrap()));
}

/// Imports, verifies, starts, and compares what clients see.
fn comes_back(harbour: &Harbour, mut server: Homeserver) {
    let world = &harbour.world;
    harbour.import(&server, &[]).result(GAPS);
    verifies(harbour, &server);
    server.start().unwrap();
    let facts = settled_facts(world, &server, server.database());
    world.compare(&harbour.facts, &facts, &[]).unwrap();
    assert_eq!(server.errors_in_log().unwrap(), Vec::<String>::new());
}

/// Nothing that the report checks is wrong.
fn verifies(harbour: &Harbour, server: &Homeserver) {
    let mut words = import_words(&harbour.package, &harbour.identity, server);
    words.extend(["--accept-signer", harbour.signer.as_str(), "--verify"].map(Into::into));
    let report = lifeboat(words).result(DONE);
    assert_eq!(report["valid"], true, "{report}");
    assert_eq!(report["run"], "before-first-start", "{report}");
    let checks = report["checks"].as_array().unwrap();
    let of = |name: &str| checks.iter().find(|check| check["name"] == name).unwrap();
    for name in ["import", "rooms", "sequences", "positions"] {
        assert_eq!(of(name)["result"], "ok", "{report}");
    }
    // The one file that the package does not hold.
    let notes = of("tables")["notes"].as_array().unwrap();
    assert_eq!(notes.len(), 1, "{report}");
    assert!(notes[0].as_str().unwrap().starts_with("remote_media_cache: "), "{report}");
}

//! A homeserver that keeps its state in a database of its own, out and back.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::path::PathBuf;
use std::sync::LazyLock;

use lifeboat_testing::{Homeserver, ServerOptions, World};

use crate::harbour::{Harbour, export, harbour, keygen, settled_facts, signer_of};
use crate::killed::{LAST_STAGE, PATIENCE, WAITS, kill_in};
use crate::parted::{part, records};
use crate::program::{DONE, GAPS, import_words, lifeboat, server_words};

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

#[test]
fn import_into_two_databases_that_was_cut_short_starts_nothing_and_begins_anew() {
    let harbour = &*SPLIT;
    let cluster = &harbour.world.cluster;
    let mut server = harbour.world.empty_split_server("torn").unwrap();
    for (stage, until) in [("rows", "SELECT count(*) > 0 FROM events"), (LAST_STAGE, WAITS)] {
        kill_in(harbour, &server, stage, until);
        does_not_start(&mut server);
    }
    harbour.import(&server, &[]).result(GAPS);
    // As a kill between the last two commits leaves it: the state store whole, the rest not.
    let undone = "UPDATE lifeboat.import SET finished = false; DROP TABLE schema_version";
    cluster.psql("torn", undone).unwrap();
    does_not_start(&mut server);
    harbour.import(&server, &[]).result(GAPS);
    same_tables(harbour, "torn");
    fs::remove_file(server.directory().join("homeserver.log")).unwrap();
    verifies(harbour, &server);
    server.start().unwrap();
    assert_eq!(server.errors_in_log().unwrap(), Vec::<String>::new());
}

fn does_not_start(server: &mut Homeserver) {
    server.launch().unwrap();
    assert!(server.wait_ready(PATIENCE).is_err(), "Synapse started on half a server");
    assert!(!server.is_running(), "Synapse hangs on half a server");
}

/// Its rows are another server's, or of another day.
#[test]
fn state_store_of_another_import_is_refused_and_left_alone() {
    let harbour = &*SPLIT;
    let world = &harbour.world;
    let taken = world.empty_split_server("taken").unwrap();
    harbour.import(&taken, &[]).result(GAPS);
    let groups = || world.cluster.psql("taken_state", "SELECT count(*) FROM state_groups").unwrap();
    let before = groups();
    let role = world.server.role().clone();
    world.cluster.create_database("beside", &role).unwrap();
    let options = ServerOptions {
        server_name: taken.server_name().to_owned(),
        database: "beside".to_owned(),
        state_database: taken.state_database().map(str::to_owned),
        role,
    };
    let directory = world.directory().join("beside");
    let server = Homeserver::prepare(world.tools(), &directory, &world.cluster, options).unwrap();
    let refused = |main: &str| {
        let said = harbour.import(&server, &[]);
        assert_eq!(said.exit, 1, "{main}: {said:?}");
        let what = said.last_json()["what"].as_str().unwrap().to_owned();
        assert!(what.contains("taken_state already holds the finished import"), "{what}");
        assert_eq!(groups(), before, "{main}");
    };
    refused("empty");
    // Ours to clear it is, but not what lies beside it.
    let half = "CREATE SCHEMA lifeboat; CREATE TABLE lifeboat.import AS SELECT package,
                'another run' AS run, began, false AS finished
                FROM (VALUES ('p', now())) note (package, began)";
    world.cluster.psql("beside", half).unwrap();
    let ours = "ALTER SCHEMA lifeboat OWNER TO synapse;
                ALTER TABLE lifeboat.import OWNER TO synapse";
    world.cluster.psql("beside", ours).unwrap();
    refused("half-filled");
}

#[test]
fn two_settings_that_name_one_database_are_one() {
    let harbour = &*SPLIT;
    let world = &harbour.world;
    let role = world.server.role().clone();
    world.cluster.create_database("twice", &role).unwrap();
    let options = ServerOptions {
        server_name: world.server.server_name().to_owned(),
        database: "twice".to_owned(),
        state_database: Some("twice".to_owned()),
        role,
    };
    let directory = world.directory().join("twice");
    let server = Homeserver::prepare(world.tools(), &directory, &world.cluster, options).unwrap();
    harbour.import(&server, &[]).result(GAPS);
    verifies(harbour, &server);
}

/// Every room's state would be missing.
#[test]
fn address_of_one_database_is_refused_for_a_server_of_two() {
    let harbour = &*SPLIT;
    let server = &harbour.world.server;
    let address =
        format!("postgresql://synapse@127.0.0.1:{}/synapse", harbour.world.cluster.port());
    let mut words: Vec<OsString> = ["export", "--json", "--estimate"].map(Into::into).to_vec();
    words.extend(["--database-url".into(), address.into()]);
    words.extend(server_words(server));
    let said = lifeboat(words);
    assert_eq!(said.exit, 1, "{said:?}");
    let error = said.last_json();
    assert!(error["what"].as_str().unwrap().contains("two databases"), "{error}");
    assert!(error["remedy"].as_str().unwrap().contains("databases:"), "{error}");
}

/// Synapse fails for ever on an update of the other database.
#[test]
fn background_updates_go_on_in_the_database_they_belong_to() {
    let mut world = World::split().unwrap();
    let signer = signer_of(&world.server);
    world.server.stop();
    let (of_main, of_state) = ("threads_backfill", "state_groups_room_id_idx");
    for (database, update) in [("synapse", of_main), ("synapse_state", of_state)] {
        let insert = format!(
            "DELETE FROM background_updates;
             INSERT INTO background_updates (update_name, progress_json)
             VALUES ('{update}', '{{}}')"
        );
        world.cluster.psql(database, &insert).unwrap();
    }
    let identity = world.directory().join("identity.txt");
    let package = world.directory().join("updates.lifeboat");
    export(&world.server, &keygen(&identity), &package).result(GAPS);
    let names = |database: &str| {
        let names = "SELECT update_name FROM background_updates ORDER BY 1";
        world.cluster.psql(database, names).unwrap()
    };
    for (database, is_split) in [("whole", false), ("halves", true)] {
        let server = if is_split {
            world.empty_split_server(database).unwrap()
        } else {
            world.empty_server(database).unwrap()
        };
        let mut words = import_words(&package, &identity, &server);
        words.extend(["--accept-signer", signer.as_str()].map(Into::into));
        lifeboat(&words).result(GAPS);
        words.push("--verify".into());
        lifeboat(&words).result(DONE);
    }
    assert_eq!(names("whole"), format!("{of_state}\n{of_main}"));
    assert_eq!((names("halves").as_str(), names("halves_state").as_str()), (of_main, of_state));
}

/// Which state an event was sent in stands in the main database, the state itself in the other.
#[test]
fn room_of_a_split_server_comes_with_its_state() {
    let harbour = &*SPLIT;
    let folder = part(harbour, "split-room", &["--room", "#lobby:lifeboat.test"]);
    let numbers = |name: &str, key: &str| -> BTreeSet<i64> {
        let records = records(&folder, &format!("rooms/{name}"));
        records.iter().map(|record| record[key].as_i64().unwrap()).collect()
    };
    let groups = numbers("state_groups", "id");
    assert!(numbers("event_to_state_groups", "state_group").is_subset(&groups));
    let state = numbers("state_groups_state", "state_group");
    assert!(!state.is_empty() && state.is_subset(&groups), "{state:?} of {groups:?}");
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

//! What import refuses, with what to do about it, and with nothing changed.

use std::fs;

use lifeboat_testing::{Homeserver, Role, ServerOptions};

use crate::crossing::tables;
use crate::harbour::{Harbour, export, harbour, keygen, recipient};
use crate::program::{DONE, GAPS, Said, import_words, lifeboat};

/// It was refused so, saying all of this, and the target is what it was.
fn assert_refused(said: &Said, exit: i32, words: &[&str]) {
    assert_eq!(said.exit, exit, "{said:?}");
    let error = said.last_json();
    let told = format!("{} {}", error["what"], error["remedy"]);
    for word in words {
        assert!(told.contains(word), "no {word:?} in {error}");
    }
    assert_ne!(error["remedy"], "", "{error}");
}

/// Nothing was written: no table beside `before`, no signing key, no media.
fn assert_untouched(harbour: &Harbour, server: &Homeserver, before: &str) {
    assert_eq!(tables(harbour, server), before);
    assert!(!server.signing_key().exists());
    assert_eq!(fs::read_dir(server.media_store()).unwrap().count(), 0);
}

#[test]
fn database_that_is_not_empty_is_refused() {
    let harbour = harbour();
    let server = harbour.world.empty_server("full").unwrap();
    harbour.world.cluster.psql("full", "CREATE TABLE cargo (weight integer)").unwrap();
    let said = harbour.import(&server, &[]);
    assert_refused(&said, 1, &["full", "not empty", "cargo", "nothing was changed"]);
    assert_untouched(harbour, &server, "public.cargo");
}

#[test]
fn database_with_another_encoding_or_collation_is_refused() {
    let harbour = harbour();
    for (database, made_with, found) in [
        ("latin", "ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C'", "LATIN1"),
        ("sorted", "ENCODING 'UTF8' LC_COLLATE 'C.UTF-8' LC_CTYPE 'C'", "C.UTF-8"),
        ("typed", "ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C.UTF-8'", "C.UTF-8"),
    ] {
        let server = harbour.world.empty_server(database).unwrap();
        let cluster = &harbour.world.cluster;
        cluster.drop_database(database).unwrap();
        let owner = &server.role().name;
        let create = format!(
            "CREATE DATABASE \"{database}\" OWNER \"{owner}\" TEMPLATE template0 {made_with}"
        );
        cluster.psql("postgres", &create).unwrap();
        let said = harbour.import(&server, &[]);
        assert_refused(&said, 1, &[database, found, "TEMPLATE template0 ENCODING 'UTF8'"]);
        assert_untouched(harbour, &server, "");
    }
}

#[test]
fn second_import_into_one_database_is_refused_while_the_first_works() {
    let harbour = harbour();
    let server = harbour.world.empty_server("contested").unwrap();
    // What the first import holds as long as it works: the word lifeboat, in ASCII.
    let lock = "DO $$ BEGIN PERFORM pg_advisory_lock(x'6c696665626f6174'::bigint); END $$";
    let first = harbour.world.cluster.hold("contested", lock).unwrap();
    let said = harbour.import(&server, &[]);
    drop(first);
    assert_refused(&said, 1, &["contested", "another import", "wait for it to end"]);
    assert_eq!(tables(harbour, &server), "");
    assert_eq!(harbour.import(&server, &[]).exit, 3);
}

#[test]
fn server_of_another_name_is_refused() {
    let harbour = harbour();
    let server = prepare(harbour, "elsewhere", "elsewhere.test");
    let said = harbour.import(&server, &[]);
    assert_refused(&said, 1, &["lifeboat.test", "elsewhere.test", "server_name: lifeboat.test"]);
    assert_untouched(harbour, &server, "");
}

#[test]
fn server_that_runs_is_refused() {
    let harbour = harbour();
    let server = &harbour.world.server;
    let before = tables(harbour, server);
    let said = harbour.import(server, &[]);
    assert_refused(&said, 1, &[&server.port().to_string(), "stop Synapse"]);
    assert_eq!(tables(harbour, server), before);
}

/// Whoever knows our recipient can seal a package for us and call it ours.
#[test]
fn package_of_a_stranger_with_our_name_is_refused() {
    let harbour = harbour();
    let mut stranger = prepare(harbour, "stranger", harbour.world.server.server_name());
    stranger.make_signing_key().unwrap();
    stranger.start().unwrap();
    let package = harbour.world.directory().join("stranger.lifeboat");
    let recipient = recipient(&harbour.identity);
    // A new Synapse makes indexes in the background; one that is half made is a gap.
    let said = export(&stranger, &recipient, &package);
    assert!([DONE, GAPS].contains(&said.exit), "{said:?}");
    stranger.stop();

    let nameless = harbour.world.empty_server("nameless").unwrap();
    let said = lifeboat(import_words(&package, &harbour.identity, &nameless));
    assert_refused(&said, 4, &["not trusted here", "--accept-signer"]);
    // Accepting our own key does not accept the stranger's.
    let mut words = import_words(&package, &harbour.identity, &nameless);
    words.extend(["--accept-signer", harbour.signer.as_str()].map(Into::into));
    assert_refused(&lifeboat(words), 4, &["not trusted here"]);
    assert_untouched(harbour, &nameless, "");

    // Nor does it help that the target has a key, ours.
    let ours = harbour.world.empty_server("ours").unwrap();
    fs::copy(harbour.world.server.signing_key(), ours.signing_key()).unwrap();
    let said = lifeboat(import_words(&package, &harbour.identity, &ours));
    assert_refused(&said, 4, &["not trusted here"]);
    assert_eq!(tables(harbour, &ours), "");
}

#[test]
fn wrong_identity_is_refused_in_one_line() {
    let harbour = harbour();
    let server = harbour.world.empty_server("locked").unwrap();
    let other = harbour.world.directory().join("other.txt");
    keygen(&other);
    let words = import_words(&harbour.package, &other, &server);
    let said = lifeboat(words.into_iter().filter(|word| word != "--json"));
    assert_eq!(said.exit, 1, "{said:?}");
    let told: Vec<&str> = said.stderr.lines().collect();
    assert!(told[0].starts_with("error: "), "{said:?}");
    assert!(told.len() <= 2, "{said:?}");
    assert!(told.iter().skip(1).all(|line| line.starts_with("help: ")), "{said:?}");
    assert_untouched(harbour, &server, "");
}

/// An empty server of any name.
fn prepare(harbour: &Harbour, database: &str, server_name: &str) -> Homeserver {
    let world = &harbour.world;
    let role: Role = world.server.role().clone();
    world.cluster.create_database(database, &role).unwrap();
    let (server_name, database) = (server_name.to_owned(), database.to_owned());
    let directory = world.directory().join(&database);
    let options = ServerOptions { server_name, database, state_database: None, role };
    Homeserver::prepare(world.tools(), &directory, &world.cluster, options).unwrap()
}

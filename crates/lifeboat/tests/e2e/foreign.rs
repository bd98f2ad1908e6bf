//! What others put into Synapse's database: taken along where that is possible, named where it is
//! not, and never in the way of the server itself.

use std::ffi::OsString;

use lifeboat_testing::Homeserver;

use crate::harbour::{Harbour, export, harbour, recipient};
use crate::program::{DONE, GAPS, Said, import_words, lifeboat};

/// A plain table, and things that a package cannot take or a plain owner cannot make.
const GUESTS: &str = "
    CREATE TABLE cargo (weight integer PRIMARY KEY);
    INSERT INTO cargo SELECT generate_series(1, 50);
    CREATE EXTENSION pg_buffercache;
    CREATE LANGUAGE shanty HANDLER plpgsql_call_handler;
    CREATE FUNCTION tally() RETURNS integer LANGUAGE shanty AS 'BEGIN RETURN 1; END';
    CREATE TYPE mood AS ENUM ('calm', 'rough');
    CREATE TABLE weather (mood mood);
    INSERT INTO weather VALUES ('calm');
    CREATE INDEX ON weather (mood);
    CREATE TABLE \"Logbook\" (line text);
    CREATE TABLE nothing ();
    CREATE SCHEMA pier;
    CREATE TABLE pier.boats (name text);
    SELECT lo_from_bytea(0, '\\xdeadbeef');
    INSERT INTO local_media_repository (media_id, media_type, media_length, created_ts, user_id)
    VALUES ('../../../../../../../../etc/hostname', 'text/plain', 1, 1, '@bob:lifeboat.test'),
           (NULL, 'text/plain', 1, 1, '@bob:lifeboat.test');
    INSERT INTO remote_media_cache (media_origin, media_id, media_type, media_length, created_ts)
    VALUES ('far.test', 'nofilesystemid', 'text/plain', 1, 1)";

/// How many tables there are.
const TABLES: &str = "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'";

fn import(package: &std::path::Path, server: &Homeserver, more: &[&str]) -> Said {
    let harbour = harbour();
    let mut words = import_words(package, &harbour.identity, server);
    words.extend(["--accept-signer", harbour.signer.as_str()].map(OsString::from));
    words.extend(more.iter().map(Into::into));
    lifeboat(words)
}

fn of(harbour: &Harbour, database: &str, question: &str) -> String {
    harbour.world.cluster.psql(database, question).unwrap().trim().to_owned()
}

#[test]
fn what_is_not_synapses_is_no_obstacle_and_is_named() {
    let harbour = harbour();
    let host = harbour.landed("host", &[]);
    harbour.world.cluster.psql("host", GUESTS).unwrap();
    let grant = format!("GRANT SELECT ON ALL TABLES IN SCHEMA public TO \"{}\"", host.role().name);
    harbour.world.cluster.psql("host", &grant).unwrap();
    let package = harbour.world.directory().join("host.lifeboat");
    let exported = export(&host, &recipient(&harbour.identity), &package).result(GAPS);
    let gaps = exported["gaps"]["first"].to_string();
    for named in ["Logbook", "pier.boats", "large objects (1)", "mood", "etc/hostname"] {
        assert!(gaps.contains(named), "{named}: {gaps}");
    }
    let mut fresh = harbour.world.empty_server("guest").unwrap();
    let foreseen = import(&package, &fresh, &["--dry-run"]).result(DONE)["warnings"].to_string();
    for named in [
        "pg_buffercache, which is not Synapse's, will be left out: the role may not make this",
        "weather, which is not Synapse's, will be left out: the target does not have its type",
        "tally(), which is not Synapse's, will be left out: the target does not have its language",
    ] {
        assert!(foreseen.contains(named), "{named}: {foreseen}");
    }
    assert_eq!(foreseen.matches("will be left out").count(), 3, "{foreseen}");
    assert_eq!(of(harbour, "guest", TABLES), "0");
    let imported = import(&package, &fresh, &[]).result(GAPS);
    let told = imported["warnings"].to_string();
    for named in ["pg_buffercache", "weather", "tally"] {
        assert!(told.contains(named), "{named}: {told}");
    }
    assert_eq!(of(harbour, "guest", "SELECT sum(weight) FROM cargo"), "1275");
    assert_eq!(of(harbour, "guest", "SELECT to_regclass('weather') IS NULL"), "t");
    let count = "SELECT count(*) FROM events";
    assert_eq!(of(harbour, "guest", count), of(harbour, "host", count));
    fresh.start().unwrap();
    assert_eq!(fresh.errors_in_log().unwrap(), Vec::<String>::new());
    let verified = import(&package, &fresh, &["--verify"]);
    assert_ne!(verified.exit, DONE, "a table that is not there is not checked: {verified:?}");
}

#[test]
fn accounts_of_another_server_name_are_told() {
    let harbour = harbour();
    let server = harbour.landed("misnamed", &[]);
    let rename = "UPDATE users SET name = replace(name, ':lifeboat.test', ':other.test')";
    let rename = format!("SET session_replication_role = replica; {rename}");
    harbour.world.cluster.psql("misnamed", &rename).unwrap();
    let package = harbour.world.directory().join("misnamed.lifeboat");
    let exported = export(&server, &recipient(&harbour.identity), &package).result(GAPS);
    let kinds = exported["gaps"]["kinds"].to_string();
    assert!(kinds.contains("accounts-of-another-server"), "{kinds}");
}

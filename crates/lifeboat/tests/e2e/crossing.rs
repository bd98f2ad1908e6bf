//! Out of a running server, through a sealed package, into an empty one: clients see no difference.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use lifeboat_testing::Homeserver;
use serde_json::Value;

use crate::harbour::{Harbour, export, harbour, recipient, settled_facts};
use crate::program::{DONE, GAPS, NOT_VALID, import_words, lifeboat};

/// Facts that may differ between the server that was exported and the one that was made of it.
/// One-time keys are not among the facts: their number is set aside by the program that reads.
const MAY_DIFFER: [&str; 0] = [];
const LEAST_FACTS: usize = 3000;

#[test]
fn package_of_a_running_server_is_valid_and_names_the_file_that_was_lost() {
    let harbour = harbour();
    let gaps = harbour.exported.result(GAPS)["gaps"].clone();
    assert_eq!(gaps["total"], 1, "{gaps}");
    assert_eq!(gaps["first"][0]["object"], "remote_content/far.test/re/mo/telostfile", "{gaps}");
    let package = harbour.package.as_os_str();
    let closed = lifeboat(["verify".as_ref(), "--json".as_ref(), package]).result(DONE);
    assert_eq!((&closed["complete"], &closed["valid"]), (&true.into(), &true.into()), "{closed}");
    let identity = ["-i".as_ref(), harbour.identity.as_os_str()];
    let words = ["verify".as_ref(), "--json".as_ref(), package].into_iter().chain(identity);
    let opened = lifeboat(words).result(DONE);
    assert_eq!((&opened["complete"], &opened["valid"]), (&true.into(), &true.into()), "{opened}");
    assert_eq!(opened["content_checked"], true, "{opened}");
    assert_eq!(opened["server_name"], harbour.world.server.server_name(), "{opened}");
}

#[test]
fn media_store_that_is_gone_is_told_beside_each_file() {
    let harbour = harbour();
    let server = harbour.landed("unmounted", &[]);
    fs::rename(server.media_store(), server.media_store().with_extension("away")).unwrap();
    let package = harbour.world.directory().join("unmounted.lifeboat");
    let said = export(&server, &recipient(&harbour.identity), &package);
    let at_once = format!("the media store {} is not there", server.media_store().display());
    assert!(said.stdout.contains(&at_once), "{said:?}");
    let outcome = said.result(GAPS);
    let gaps = &outcome["gaps"];
    assert!(gaps["total"].as_u64().unwrap() > 10, "{gaps}");
    let of_store = |gap: &&Value| gap["kind"] == "media-store-missing";
    let told: Vec<&Value> = gaps["first"].as_array().unwrap().iter().filter(of_store).collect();
    assert_eq!(told.len(), 1, "{gaps}");
    assert_eq!(told[0]["object"], server.media_store().display().to_string(), "{gaps}");
}

#[test]
fn clients_see_the_same_on_the_server_that_was_put_back() {
    let harbour = harbour();
    let world = &harbour.world;
    let mut server = world.empty_server("home").unwrap();
    refused_without_accepting_the_signer(harbour, &server);
    let outcome = harbour.import(&server, &[]).result(GAPS);
    brought_the_signing_key(&world.server, &server, &outcome);
    server.start().unwrap();
    clients_are_let_in(harbour, &server);
    let facts = settled_facts(world, &server, "home");
    let report = world.compare(&harbour.facts, &facts, &MAY_DIFFER).unwrap();
    assert!(fact_count(&report) >= LEAST_FACTS, "{report}");
    assert_eq!(server.errors_in_log().unwrap(), Vec::<String>::new());
}

/// `import --verify` asks the running server as users do, with their own tokens.
fn clients_are_let_in(harbour: &Harbour, server: &Homeserver) {
    let asked = |exit| {
        let report = harbour.import(server, &["--verify"]).result(exit);
        let checks = report["checks"].as_array().unwrap();
        checks.iter().find(|check| check["name"] == "client access").unwrap().clone()
    };
    let check = asked(DONE);
    assert!(check["checked"].as_u64().unwrap() > 3, "{check}");
    assert_eq!(check["wrong"], 0, "{check}");
    // A user's rooms that the server does not know of are found.
    let rename = |from: &str, to: &str| {
        let sql = format!(
            "UPDATE local_current_membership SET room_id = replace(room_id, '{from}', '{to}')
             WHERE user_id = '@alice:lifeboat.test' AND membership = 'join'"
        );
        harbour.world.cluster.psql(server.database(), &sql).unwrap();
    };
    rename("!", "?");
    let check = asked(NOT_VALID);
    rename("?", "!");
    let named = check["problems"].to_string();
    assert!(named.contains("@alice:lifeboat.test"), "{check}");
}

/// The target has no signing key, so nothing here says that the package may be trusted.
fn refused_without_accepting_the_signer(harbour: &Harbour, server: &Homeserver) {
    let said = lifeboat(import_words(&harbour.package, &harbour.identity, server));
    assert_eq!(said.exit, 4, "{said:?}");
    let error = said.last_json();
    let remedy = error["remedy"].as_str().unwrap();
    let words = format!("--accept-signer {}", harbour.signer);
    assert!(remedy.contains(&words), "{error}");
    assert!(!server.signing_key().exists());
    assert_eq!(tables(harbour, server), "");
}

fn brought_the_signing_key(from: &Homeserver, to: &Homeserver, outcome: &Value) {
    let (before, after) = (from.signing_key(), to.signing_key());
    assert_eq!(fs::read(&before).unwrap(), fs::read(&after).unwrap(), "{outcome}");
    let mode = |path| fs::metadata(path).unwrap().permissions().mode();
    assert_eq!(mode(&before), mode(&after), "{outcome}");
    let written = outcome["config_written"].as_array().unwrap();
    let path = after.display().to_string();
    assert!(written.iter().any(|written| *written == path.as_str()), "{outcome}");
}

/// The tables of a server's database, whatever their schema.
pub(crate) fn tables(harbour: &Harbour, server: &Homeserver) -> String {
    let sql = "SELECT string_agg(schemaname || '.' || tablename, ' ' ORDER BY 1) FROM pg_tables
               WHERE schemaname NOT IN ('pg_catalog', 'information_schema')";
    harbour.world.cluster.psql(server.database(), sql).unwrap()
}

fn fact_count(report: &str) -> usize {
    let last = report.lines().last().and_then(|line| line.split(' ').next());
    last.and_then(|count| count.parse().ok()).expect("a report ends with its counts")
}

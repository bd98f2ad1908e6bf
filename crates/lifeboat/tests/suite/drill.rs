//! Backups restored for practice.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use serde_json::Value;

use crate::harbour::{Suite, suite, world};

/// Whether there is a database.
fn exists(name: &str) -> bool {
    let query = format!("SELECT count(*) FROM pg_database WHERE datname = '{name}'");
    world().cluster.psql("postgres", &query).unwrap().trim() == "1"
}

/// The records of drills in the vault, oldest first.
fn records(suite: &Suite) -> Vec<Value> {
    let folder = fs::read_dir(suite.vault.join("drills")).unwrap();
    let mut names: Vec<PathBuf> = folder.map(|entry| entry.unwrap().path()).collect();
    names.sort();
    names.iter().map(|name| serde_json::from_slice(&fs::read(name).unwrap()).unwrap()).collect()
}

/// Backs up the components that a drill is quick with.
fn back_up_small(suite: &Suite) {
    let words = ["backup", "run", "--component", "accounts", "--component", "sydent"];
    suite.lifeboat(&words).result(0);
}

#[test]
fn drill_puts_everything_back_beside_what_runs_and_leaves_nothing_but_its_record() {
    let suite = suite("drilled");
    suite.back_up();
    suite.lifeboat_opened(&["backup", "verify"]).result(0);
    let errors = world().server.errors_in_log().unwrap();
    // Delayed events and pushers are for the operator to decide about.
    let outcome = suite.lifeboat_opened(&["drill"]).result(3);
    assert_eq!(outcome["ok"], true, "{outcome}");
    let record = &records(&suite)[0];
    for key in ["backup", "ok", "seconds", "steps", "recovery_point", "verified_age"] {
        assert_eq!(record[key], outcome[key], "{key}");
    }
    assert!((0..60).contains(&record["verified_age"].as_i64().unwrap()), "{record}");
    assert!(!record.to_string().contains('@'), "no name of a person: {record}");
    let steps = record["steps"].as_array().unwrap();
    let steps: Vec<&str> = steps.iter().map(|step| step["step"].as_str().unwrap()).collect();
    for step in ["database/accounts/main", "database/synapse/main", "files/synapse", "check"] {
        assert!(steps.contains(&step), "{steps:?}");
    }
    assert!(!steps.iter().any(|step| step.starts_with("start/")), "{steps:?}");
    let check = outcome["done"].as_array().unwrap().last().unwrap()[1].to_string();
    assert!(check.contains("641 signatures checked, 0 wrong"), "{check}");
    assert!(!exists(&format!("{}_drill", suite.accounts)));
    assert!(!exists(&format!("{}_drill", world().server.database())));
    let state = suite.folder.join("state");
    assert!(!state.join("drill").exists() && !state.join("drill.json").exists());
    assert_eq!(world().server.errors_in_log().unwrap(), errors);
    let due = suite.lifeboat(&["schedule"]).result(0);
    let is_drill = |task: &&Value| task["task"] == "drill";
    let task = due["tasks"].as_array().unwrap().iter().find(is_drill).unwrap();
    assert!(task["last"].is_number(), "{due}");
}

#[test]
fn database_that_no_drill_made_fails_a_drill_at_its_step_and_stays() {
    let suite = suite("foreign");
    back_up_small(&suite);
    let foreign = format!("{}_drill", suite.accounts);
    world().cluster.create_database(&foreign, world().server.role()).unwrap();
    world().cluster.psql(&foreign, "CREATE TABLE somebodys (x int)").unwrap();
    let outcome = suite.lifeboat_opened(&["drill"]).result(1);
    assert_eq!(outcome["failed_step"], "database/accounts/main", "{outcome}");
    assert!(outcome["reasons"][0].as_str().unwrap().contains("no drill made"), "{outcome}");
    let record = &records(&suite)[0];
    assert_eq!(record["ok"], false);
    assert_eq!(record["problems"][0], "database/accounts/main: it failed");
    assert!(record["verified_age"].is_null(), "no backup was verified: {record}");
    world().cluster.psql(&foreign, "SELECT * FROM somebodys").unwrap();
    assert!(!suite.folder.join("state/drill").exists());
}

#[test]
fn what_a_drill_was_told_to_keep_is_for_its_owner_alone_and_goes_with_the_next_drill() {
    let suite = suite("kept");
    back_up_small(&suite);
    let outcome = suite.lifeboat_opened(&["drill", "--keep"]).result(0);
    let folder = suite.folder.join("state/drill");
    assert_eq!(outcome["kept"], folder.to_str().unwrap());
    assert_eq!(fs::metadata(&folder).unwrap().permissions().mode() & 0o777, 0o700);
    let sydent = suite.sydent.strip_prefix("/").unwrap();
    assert!(folder.join("root").join(sydent).is_file());
    let copy = format!("{}_drill", suite.accounts);
    let count = |name: &str| world().cluster.psql(name, "SELECT count(*) FROM sessions").unwrap();
    assert_eq!(count(&copy).trim(), "5000");
    world().cluster.psql(&copy, "DROP TABLE sessions").unwrap();
    assert_eq!(count(&suite.accounts).trim(), "5000", "what runs is another database");
    suite.lifeboat_opened(&["drill"]).result(0);
    assert!(!exists(&copy) && !folder.exists());
    assert_eq!(count(&suite.accounts).trim(), "5000");
}

#[test]
fn second_drill_at_once_is_refused_and_leaves_the_first_alone() {
    let suite = suite("atonce");
    back_up_small(&suite);
    suite.lifeboat_opened(&["drill", "--keep"]).result(0);
    let lock = fs::OpenOptions::new().write(true).open(suite.folder.join("state/drill.lock"));
    let lock = lock.unwrap();
    lock.lock().unwrap();
    let said = suite.lifeboat_opened(&["drill"]);
    assert_eq!(said.exit, 1, "{said:?}");
    assert!(said.stdout.contains("another drill is under way"), "{said:?}");
    assert!(suite.folder.join("state/drill").is_dir());
}

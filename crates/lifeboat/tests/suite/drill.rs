//! Backups restored for practice.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use crate::harbour::{Suite, suite, world};

/// Databases that a drill made and did not drop.
fn left(suite: &Suite) -> String {
    let query =
        format!("SELECT count(*) FROM pg_database WHERE datname = '{}_drill'", suite.accounts);
    world().cluster.psql("postgres", &query).unwrap().trim().to_owned()
}

fn records(suite: &Suite) -> Vec<serde_json::Value> {
    let mut names: Vec<_> =
        fs::read_dir(suite.vault.join("drills")).unwrap().map(|e| e.unwrap().path()).collect();
    names.sort();
    let read =
        |path: &std::path::PathBuf| serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    names.iter().map(read).collect()
}

#[test]
fn drill_puts_everything_back_beside_what_runs_and_leaves_nothing_but_its_record() {
    let suite = suite("drilled");
    suite.back_up();
    let said = suite.lifeboat_opened(&["drill"]);
    eprintln!("{}", said.stdout);
    assert!([0, 3].contains(&said.exit), "{said:?}");
    let outcome = said.result(said.exit);
    assert_eq!(outcome["ok"], true, "{outcome}");
    let steps: Vec<&str> =
        outcome["steps"].as_array().unwrap().iter().map(|s| s["step"].as_str().unwrap()).collect();
    for step in ["database/accounts/main", "database/synapse/main", "rules/synapse", "check"] {
        assert!(steps.contains(&step), "{steps:?}");
    }
    assert!(!steps.iter().any(|step| step.starts_with("start/")), "{steps:?}");
    assert!(outcome["verified_age"].is_null(), "no backup was verified: {outcome}");
}

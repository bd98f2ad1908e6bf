//! What `--replace` kept, and `restore accept`.

use std::fs;

use serde_json::Value;

use crate::harbour::{Suite, suite, world};

/// The databases of accounts of a suite, the one in use first.
fn databases(suite: &Suite) -> Vec<String> {
    let name = &suite.accounts;
    let query = format!(
        "SELECT datname FROM pg_database WHERE starts_with(datname, '{name}') ORDER BY datname"
    );
    world().cluster.psql("postgres", &query).unwrap().lines().map(str::to_owned).collect()
}

/// Restores over what is there, under the name of the suite.
fn replace(suite: &Suite, words: &[&str]) -> Value {
    let all = ["restore", "run", "--replace"].iter().chain(words);
    let said = suite.lifeboat_opened(&all.copied().collect::<Vec<_>>());
    assert!([0, 3].contains(&said.exit), "{said:?}");
    serde_json::from_str(said.stdout.lines().last().unwrap()).unwrap()
}

/// What is listed as kept.
fn listed(outcome: &Value) -> Vec<&str> {
    outcome["kept"].as_array().unwrap().iter().map(|kept| kept["what"].as_str().unwrap()).collect()
}

#[test]
fn what_a_replace_kept_goes_when_it_is_accepted_and_nothing_else_does() {
    let (world, suite) = (world(), suite("accept"));
    let words = ["backup", "run", "--component", "accounts", "--component", "bot"];
    suite.lifeboat(&words).result(0);
    assert_eq!(listed(&suite.lifeboat(&["restore", "accept"]).result(0)), [""; 0]);
    // Others have names as ours, too.
    let (name, keys) = (&suite.accounts, suite.bot.join("store/keys.bin"));
    let foreign = format!("{name}_before_19700101T000000Z");
    world.cluster.create_database(&foreign, world.server.role()).unwrap();
    let foreign_file = suite.bot.join("store/keys.bin.before-19700101T000000Z");
    fs::write(&foreign_file, "somebody's").unwrap();
    world.cluster.psql(name, "UPDATE sessions SET who = 'late' WHERE id = 1").unwrap();
    fs::write(&keys, "late").unwrap();
    let before = databases(&suite);
    replace(&suite, &["--component", "accounts", "--component", "bot", "--no-start"]);
    let kept: Vec<String> = databases(&suite).into_iter().filter(|n| !before.contains(n)).collect();
    let [kept] = kept.as_slice() else { panic!("{kept:?}") };
    let late = "SELECT who FROM sessions WHERE id = 1";
    assert_eq!(world.cluster.psql(kept, late).unwrap().trim(), "late");

    let outcome = suite.lifeboat(&["restore", "accept"]).result(0);
    let things = listed(&outcome);
    assert_eq!(things.len(), 2, "{outcome}");
    assert!(things.iter().any(|thing| thing.starts_with(&format!("database {kept} "))));
    let file = things.iter().find(|thing| thing.starts_with(keys.to_str().unwrap())).unwrap();
    assert_eq!(fs::read_to_string(file).unwrap(), "late");
    assert!(databases(&suite).contains(kept), "a list removes nothing");

    let outcome = suite.lifeboat(&["restore", "accept", "--yes"]).result(0);
    assert_eq!((listed(&outcome).len(), &outcome["removed"]), (2, &Value::Bool(true)));
    assert_eq!(databases(&suite), before);
    assert!(!fs::exists(file).unwrap() && foreign_file.exists() && keys.exists());
    assert_eq!(world.cluster.psql(name, late).unwrap().trim(), "user 1");
    assert_eq!(listed(&suite.lifeboat(&["restore", "accept", "--yes"]).result(0)), [""; 0]);
    assert!(
        !fs::read_dir(suite.folder.join("state"))
            .unwrap()
            .any(|entry| { entry.unwrap().file_name().to_string_lossy().starts_with("restore-") })
    );
}

#[test]
fn database_that_is_used_or_not_replaced_yet_is_not_removed_and_neither_is_anything_else() {
    let (world, suite) = (world(), suite("used"));
    suite.lifeboat(&["backup", "run", "--component", "accounts", "--component", "bot"]).result(0);
    let keys = suite.bot.join("store/keys.bin");
    fs::write(&keys, "late").unwrap();
    let before = databases(&suite);
    replace(&suite, &["--component", "accounts", "--component", "bot", "--no-start"]);
    let kept = databases(&suite).into_iter().find(|name| !before.contains(name)).unwrap();
    // Somebody went back to the old one by its new name.
    let address = suite.folder.join("accounts.url");
    let there = fs::read_to_string(&address).unwrap();
    fs::write(&address, world.cluster.url(&kept, world.server.role())).unwrap();
    let refused = |what: &str| {
        let said = suite.lifeboat(&["restore", "accept", "--yes"]);
        assert_eq!(said.exit, 1, "{said:?}");
        assert!(said.stdout.contains(what), "{said:?}");
        assert!(databases(&suite).contains(&kept));
        let files = fs::read_dir(suite.bot.join("store")).unwrap();
        assert_eq!(files.filter(|f| is_aside(&f.as_ref().unwrap().path())).count(), 1);
    };
    refused("is the database of accounts");
    fs::write(&address, there).unwrap();
    let held = world.cluster.hold(&kept, "BEGIN").unwrap();
    refused("is in use: 1 sessions");
    drop(held);
    // A restore that is not over may need what it has put aside.
    let list = fs::read_dir(suite.folder.join("state")).unwrap().map(|e| e.unwrap().path());
    let list = list.into_iter().find(|path| path.extension().is_some_and(|e| e == "kept"));
    let journal = list.unwrap().with_extension("json");
    fs::write(&journal, r#"{"backup": "b", "begun_at": "", "done": {}}"#).unwrap();
    refused("has not done its step database/accounts/main");
    fs::remove_file(journal).unwrap();
    suite.lifeboat(&["restore", "accept", "--yes"]).result(0);
    assert!(!databases(&suite).contains(&kept));
}

fn is_aside(path: &std::path::Path) -> bool {
    path.to_string_lossy().contains("keys.bin.before-")
}

//! Backups restored for practice.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::Value;

use crate::harbour::{Suite, suite, world};
use crate::program::program;

/// Drills of Synapse's database give its copy the same name: one after the other.
static TURN: Mutex<()> = Mutex::new(());

fn turn() -> MutexGuard<'static, ()> {
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

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
    let _turn = turn();
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

/// Says in `lifeboat.yaml` what a drill starts, and how it reaches PostgreSQL without a network.
fn start_with(suite: &Suite, words: &[&str], socket: bool) {
    let yaml = fs::read_to_string(&suite.yaml).unwrap();
    let yaml = yaml.split("drill:").next().unwrap();
    let words: Vec<String> = words.iter().map(|word| Value::from(*word).to_string()).collect();
    let folder = world().cluster.socket_directory().display();
    let by = if socket { format!(", postgres_socket: {folder}") } else { String::new() };
    let drill = format!("drill: {{synapse: [{}]{by}}}\n", words.join(", "));
    fs::write(&suite.yaml, format!("{yaml}{drill}")).unwrap();
}

/// Processes of which the command names the folder of the drill.
fn left_running(suite: &Suite) -> Vec<String> {
    let folder = suite.folder.join("state/drill").display().to_string();
    let entries = fs::read_dir("/proc").unwrap().map(|entry| entry.unwrap().path());
    let commands = entries.filter_map(|entry| fs::read(entry.join("cmdline")).ok());
    let commands = commands.map(|words| String::from_utf8_lossy(&words).replace('\0', " "));
    commands.filter(|command| command.contains(&folder)).collect()
}

fn is_root() -> bool {
    // Who owns what we make.
    fs::metadata("/proc/self").is_ok_and(|found| std::os::unix::fs::MetadataExt::uid(&found) == 0)
}

#[test]
fn drill_starts_the_real_synapse_on_the_copy_where_it_reaches_nobody() {
    let _turn = turn();
    let suite = suite("started");
    let python = world().tools().synapse_python();
    let words = [python.to_str().unwrap(), "-m", "synapse.app.homeserver", "-c", "{config}"];
    start_with(&suite, &words, true);
    suite.lifeboat(&["backup", "run", "--component", "synapse"]).result(0);
    let errors = world().server.errors_in_log().unwrap();
    let outcome = suite.lifeboat_opened(&["drill"]).result(3);
    assert_eq!(outcome["ok"], true, "{outcome}");
    if !is_root() {
        assert!(outcome["left_open"].to_string().contains("egress is possible"), "{outcome}");
        assert_eq!(outcome["servers_started"], false, "{outcome}");
        return;
    }
    let record = &records(&suite)[0];
    assert_eq!(record["servers_started"], true, "{record}");
    let last = record["steps"].as_array().unwrap().last().unwrap();
    assert_eq!(last["step"], "start/synapse", "{record}");
    assert!(last["seconds"].as_i64().unwrap() < 300, "{record}");
    let done = outcome["done"].as_array().unwrap().last().unwrap()[1]["lines"].to_string();
    assert!(done.contains("cut off from the network"), "{done}");
    assert!(done.contains("the signing key of the backup"), "{done}");
    assert!(done.contains("asked on its socket as 10 clients"), "{done}");
    assert!(done.contains("old tokens: 0 wrong"), "{done}");
    assert!(done.contains("app_service_config_files"), "{done}");
    assert!(!record.to_string().contains('@'), "no name of a person: {record}");
    assert_eq!(left_running(&suite), [""; 0]);
    assert!(!exists(&format!("{}_drill", world().server.database())));
    assert!(!suite.folder.join("state/drill").exists());
    assert_eq!(world().server.errors_in_log().unwrap(), errors);
}

#[test]
fn synapse_that_does_not_start_or_has_another_key_fails_the_drill_and_is_killed() {
    let _turn = turn();
    let suite = suite("sick");
    suite.lifeboat(&["backup", "run", "--component", "synapse"]).result(0);
    if !is_root() {
        return;
    }
    // There is no network where it would be started.
    start_with(&suite, &["sh", "-c", "exit 7", "{config}"], false);
    let outcome = suite.lifeboat_opened(&["drill"]).result(3);
    let told = outcome["left_open"].to_string();
    assert!(told.contains("is reached by the network alone; give drill.postgres_socket"), "{told}");
    assert_eq!((&outcome["ok"], &outcome["servers_started"]), (&true.into(), &false.into()));

    start_with(&suite, &["sh", "-c", "echo a reason >&2; exit 7", "{config}"], true);
    let outcome = suite.lifeboat_opened(&["drill"]).result(1);
    assert_eq!(outcome["failed_step"], "start/synapse", "{outcome}");
    let told = outcome["reasons"].to_string();
    assert!(told.contains("exit status: 7") && told.contains("a reason"), "{told}");

    let key = suite.folder.join("other.key");
    fs::write(&key, "ed25519 other b7l1ezN0UWmvY9KXWOSHcTMVKxj5pbjcTnJ4HX6rEAY\n").unwrap();
    let python = world().tools().synapse_python();
    let script = format!(
        "sed 's#\"signing_key_path\": .*#\"signing_key_path\": \"{}\",#' {{config}} > {{config}}.x \
         && exec {} -m synapse.app.homeserver -c {{config}}.x",
        key.display(),
        python.display()
    );
    start_with(&suite, &["sh", "-c", &script], true);
    let outcome = suite.lifeboat_opened(&["drill"]).result(1);
    let told = outcome["reasons"].to_string();
    assert!(told.contains("other keys than the signing key of the backup"), "{told}");
    let records = records(&suite);
    assert_eq!(records.last().unwrap()["problems"][0], "start/synapse: it failed");
    assert_eq!(left_running(&suite), [""; 0]);
    assert!(!suite.folder.join("state/drill").exists());
}

#[test]
fn drill_that_is_stopped_kills_the_synapse_it_started() {
    let _turn = turn();
    let suite = suite("stopped");
    suite.lifeboat(&["backup", "run", "--component", "synapse"]).result(0);
    if !is_root() {
        return;
    }
    let pipe = suite.folder.join("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let script = format!("echo {{config}} > {}; exec sleep 600", pipe.display());
    start_with(&suite, &["sh", "-c", &script], true);
    let mut command = program();
    command.args(["drill", "-c"]).arg(&suite.yaml).arg("-i").arg(&suite.identity);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let id = child.id().to_string();
    let both = fs::OpenOptions::new().read(true).write(true).open(&pipe).unwrap();
    let mut told = both.try_clone().unwrap();
    // Whoever comes first says something.
    let ended = std::thread::spawn(move || {
        let status = child.wait().unwrap();
        writeln!(told, "ended").unwrap();
        status
    });
    let mut config = String::new();
    BufReader::new(both).read_line(&mut config).unwrap();
    assert!(config.trim_end().ends_with("state/drill/homeserver.yaml"), "{config}");
    assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
    assert_eq!(ended.join().unwrap().code(), Some(130));
    assert_eq!(left_running(&suite), [""; 0]);
    assert!(!exists(&format!("{}_drill", world().server.database())));
    assert!(!suite.folder.join("state/drill").exists());
}

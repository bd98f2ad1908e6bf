//! Everything is lost, and put back.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::PathBuf;

use lifeboat_testing::World;
use rusqlite::Connection;

use crate::harbour::{Suite, suite, world};
use crate::program::program;

/// Takes everything away that the backup is of.
fn destroy(world: &mut World, suite: &Suite) {
    world.server.kill();
    world.cluster.drop_database(world.server.database()).unwrap();
    world.cluster.drop_database(&suite.accounts).unwrap();
    fs::remove_dir_all(world.server.directory()).unwrap();
    fs::remove_dir_all(&suite.bot).unwrap();
    fs::remove_dir_all(suite.folder.join("state")).unwrap();
    for name in ["lifeboat.yaml", "accounts.url", "sydent.conf", "sydent.db"] {
        fs::remove_file(suite.folder.join(name)).unwrap();
    }
}

#[test]
fn lost_suite_is_put_back_from_the_vault_alone_and_its_synapse_starts() {
    let mut world = World::small().unwrap();
    let suite = Suite::around(&world, "lost");
    let before = facts(&world, "before");
    let keys = suite.bot.join("store/keys.bin");
    fs::set_permissions(&keys, fs::Permissions::from_mode(0o640)).unwrap();
    let time = fs::metadata(&keys).unwrap().mtime_nsec();
    suite.back_up();
    destroy(&mut world, &suite);
    let state = suite.folder.join("restored-state");
    let vault = suite.vault.to_str().unwrap().to_owned();
    let words = ["--vault", &vault, "--state", state.to_str().unwrap(), "--no-start"];
    let restore = |verb: &str| {
        let all: Vec<&str> = ["restore", verb].into_iter().chain(words).collect();
        suite.lifeboat_opened(&all)
    };
    let plan = restore("plan").result(0);
    assert!(plan["steps"].as_array().unwrap().len() > 10, "{plan}");
    assert!(!suite.yaml.exists(), "a plan changes nothing");
    let said = restore("run");
    assert!([0, 3].contains(&said.exit), "{said:?}");
    assert!(said.stdout.contains("start, in this order: synapse, sydent"), "{said:?}");
    let left = state.read_dir().unwrap().map(|entry| entry.unwrap().path());
    let journals = left.filter(|path| path.extension().is_none_or(|end| end != "kept"));
    assert_eq!(journals.count(), 0, "the journal is gone");
    // The log of the lost database of SQLite was in the way, and nothing else.
    let kept = suite.lifeboat(&["restore", "accept", "--state", state.to_str().unwrap()]).result(0);
    for thing in kept["kept"].as_array().unwrap() {
        // Under a name where SQLite finds the log of the database beside it, were it kept.
        assert!(thing["was"].as_str().unwrap().contains("/sydent.db-"), "{kept}");
        let end = ["-wal", "-shm", "-journal"];
        assert!(end.iter().any(|end| thing["what"].as_str().unwrap().ends_with(end)), "{kept}");
    }
    let found = fs::metadata(&keys).unwrap();
    assert_eq!((found.mode() & 0o7777, found.mtime_nsec()), (0o640, time));
    assert_eq!(fs::read_link(suite.bot.join("link")).unwrap().to_str(), Some("store/keys.bin"));
    let rows = world.cluster.psql(&suite.accounts, "SELECT count(*) FROM sessions").unwrap();
    assert_eq!(rows.trim(), "5000");
    let sydent = Connection::open(&suite.sydent).unwrap();
    let query = "SELECT mxid FROM local_threepid_associations";
    let person: String = sydent.query_row(query, [], |row| row.get(0)).unwrap();
    assert_eq!(person, "@a:lifeboat.test");
    world.server.start().unwrap();
    let after = facts(&world, "after");
    world.compare(&before, &after, &[]).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(world.server.errors_in_log().unwrap(), Vec::<String>::new());
}

#[test]
fn database_in_the_way_stops_a_restore_and_is_kept_under_another_name_when_asked() {
    let (world, suite) = (world(), suite("way"));
    suite.back_up();
    let beside = format!("{}_way", suite.accounts);
    world.cluster.create_database(&beside, world.server.role()).unwrap();
    world.cluster.psql(&beside, "CREATE TABLE in_the_way (x int)").unwrap();
    let root = suite.folder.join("root");
    let words = ["restore", "run", "--beside", "_way", "--root", root.to_str().unwrap()];
    let words: Vec<&str> = words.into_iter().chain(["--component", "accounts"]).collect();
    let refused = suite.lifeboat_opened(&words);
    assert_eq!(refused.exit, 1, "{refused:?}");
    assert!(refused.stdout.contains("is not empty"), "{refused:?}");
    world.cluster.psql(&beside, "SELECT * FROM in_the_way").unwrap();
    let again: Vec<&str> = words.iter().copied().chain(["--replace"]).collect();
    // What a kill leaves between the closing of a database and its new name.
    let close = format!("ALTER DATABASE {beside} ALLOW_CONNECTIONS false");
    world.cluster.psql("postgres", &close).unwrap();
    let shut = suite.lifeboat_opened(&again);
    assert_eq!(shut.exit, 1, "{shut:?}");
    let remedy = format!("ALTER DATABASE \\\"{beside}\\\" ALLOW_CONNECTIONS true");
    assert!(shut.stdout.contains(&remedy), "{shut:?}");
    world.cluster.psql("postgres", &remedy.replace('\\', "")).unwrap();
    let done = suite.lifeboat_opened(&again);
    assert!([0, 3].contains(&done.exit), "{done:?}");
    let rows = world.cluster.psql(&beside, "SELECT count(*) FROM sessions").unwrap();
    assert_eq!(rows.trim(), "5000");
    let kept = "SELECT datname FROM pg_database WHERE datname LIKE '%_way_before_%'";
    let aside = world.cluster.psql("postgres", kept).unwrap().trim().to_owned();
    assert_eq!(aside.lines().count(), 1, "{aside}");
    // The same kill, of a restore that had noted what it was about to rename: it goes on itself.
    world.cluster.psql("postgres", &format!("DROP DATABASE \"{aside}\"")).unwrap();
    let oid = format!("SELECT oid FROM pg_database WHERE datname = '{beside}'");
    let oid: u32 = world.cluster.psql("postgres", &oid).unwrap().trim().parse().unwrap();
    let is_list = |path: &PathBuf| path.extension().is_some_and(|end| end == "kept");
    let state =
        fs::read_dir(suite.folder.join("state")).unwrap().map(|entry| entry.unwrap().path());
    let list = state.into_iter().find(is_list).unwrap();
    let noted = fs::read_to_string(&list).unwrap();
    let mut note: serde_json::Value = serde_json::from_str(noted.trim()).unwrap();
    note["oid"] = oid.into();
    fs::write(&list, format!("{note}\n")).unwrap();
    world.cluster.psql("postgres", &close).unwrap();
    let done = suite.lifeboat_opened(&again);
    assert!([0, 3].contains(&done.exit), "{done:?}");
    assert_eq!(world.cluster.psql("postgres", kept).unwrap().lines().count(), 1);
}

#[test]
fn no_chosen_step_puts_data_back_under_a_synapse_that_answers() {
    let (world, suite) = (world(), suite("under"));
    suite.lifeboat(&["backup", "run", "--component", "synapse"]).result(0);
    let names = "SELECT count(*) FROM pg_database";
    let before = world.cluster.psql("postgres", names).unwrap();
    for chosen in [["--only", "database/synapse/main"], ["--from-step", "files/synapse"]] {
        let words = ["restore", "run", "--component", "synapse", "--replace", "--no-start"];
        let said = suite.lifeboat_opened(&[words.as_slice(), &chosen].concat());
        assert_eq!(said.exit, 1, "{said:?}");
        assert!(said.stdout.contains("synapse answers at"), "{said:?}");
    }
    assert_eq!(world.cluster.psql("postgres", names).unwrap(), before);
}

fn facts(world: &World, label: &str) -> std::path::PathBuf {
    world.capture(&world.server, &format!("{label}-first")).unwrap();
    world.capture(&world.server, label).unwrap()
}

#[test]
fn restore_that_was_killed_among_the_rows_is_begun_anew_by_the_same_command() {
    let (world, suite) = (world(), suite("killed"));
    suite.back_up();
    let beside = format!("{}_killed", suite.accounts);
    let root = suite.folder.join("root");
    let words = ["restore", "run", "--beside", "_killed", "--root", root.to_str().unwrap()];
    let words: Vec<&str> = words.into_iter().chain(["--component", "accounts"]).collect();
    world.cluster.create_database(&beside, world.server.role()).unwrap();
    // What a kill leaves: our mark, and half a schema.
    let role = &world.server.role().name;
    let half = format!(
        "COMMENT ON DATABASE {beside} IS 'lifeboat restore, not finished: x';
         CREATE TABLE sessions (id int); ALTER TABLE sessions OWNER TO {role};"
    );
    world.cluster.psql(&beside, &half).unwrap();
    let done = suite.lifeboat_opened(&words);
    assert!([0, 3].contains(&done.exit), "{done:?}");
    let rows = world.cluster.psql(&beside, "SELECT count(who) FROM sessions").unwrap();
    assert_eq!(rows.trim(), "5000");
    let again = suite.lifeboat_opened(&words);
    assert_eq!(again.exit, 1, "what is there now is whole, and stays: {again:?}");
}

/// Has the bot stopped by a command, which writes what it is given to `stopped.log`.
fn stop_by_command(suite: &Suite) -> std::path::PathBuf {
    let log = suite.folder.join("stopped.log");
    let script = suite.folder.join("stop.sh");
    fs::write(&script, format!("{{ echo stopped; env; }} >> {}", log.display())).unwrap();
    let yaml = fs::read_to_string(&suite.yaml).unwrap();
    let commands = format!("    commands: {{stop: [/bin/sh, {}]}}\n", script.display());
    fs::write(&suite.yaml, yaml + &commands).unwrap();
    log
}

#[test]
fn restore_that_goes_on_stops_everything_again_and_its_commands_get_no_keys() {
    let suite = suite("refenced");
    let log = stop_by_command(&suite);
    suite.lifeboat(&["backup", "run", "--component", "bot"]).result(0);
    let root = suite.folder.join("root");
    let restore = |more: &[&str]| {
        let mut command = program();
        command.envs([("AWS_SECRET_ACCESS_KEY", "of the vault"), ("PATH", "/usr/bin:/bin")]);
        command.args(["restore", "run", "--component", "bot", "--no-start", "--json", "--root"]);
        command.arg(&root).arg("-c").arg(&suite.yaml).arg("-i").arg(&suite.identity).args(more);
        let output = command.output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    restore(&["--only", "fence", "--only", "configuration/bot"]);
    let outcome = restore(&[]);
    assert!(outcome.contains("\"done_before\":1"), "the configuration: {outcome}");
    let said = fs::read_to_string(log).unwrap();
    assert_eq!(said.lines().filter(|line| *line == "stopped").count(), 2, "{said}");
    assert!(said.contains("PATH=") && !said.contains("AWS_"), "{said}");
}

#[test]
fn program_that_could_be_neither_stopped_nor_asked_is_a_gap() {
    let suite = suite("unasked");
    suite.lifeboat(&["backup", "run", "--component", "sydent"]).result(0);
    let fence = |exit: i32| {
        let words = ["restore", "run", "--component", "sydent", "--only", "fence"];
        suite.lifeboat_opened(&words).result(exit)["steps"][0][1]["gaps"].to_string()
    };
    assert!(fence(3).contains("sydent: no command to stop it"));
    let yaml = fs::read_to_string(&suite.yaml).unwrap();
    // Nothing listens at that port.
    let asked = yaml.replace(
        "kind: sydent\n",
        "kind: sydent\n    commands: {health_url: 'http://127.0.0.1:9/health'}\n",
    );
    fs::write(&suite.yaml, asked).unwrap();
    assert_eq!(fence(0), "[]");
}

#[test]
fn gap_that_an_earlier_run_found_is_a_gap_of_the_whole_restore() {
    let suite = suite("gaps");
    suite.lifeboat(&["backup", "run", "--component", "bot"]).result(0);
    let backup = suite.lifeboat(&["backup", "list"]).result(0)["backups"][0]["backup"].clone();
    let state = suite.folder.join("state");
    let journal = state.join(format!("restore-{}.json", backup.as_str().unwrap()));
    let done = r#"{"lines": [], "gaps": ["left out: COMMENT"], "seconds": 1}"#;
    let text = format!(
        r#"{{"backup": {backup}, "begun_at": "", "done": {{"configuration/bot": {done}}}}}"#
    );
    fs::write(journal, text).unwrap();
    let root = suite.folder.join("root");
    let words = ["restore", "run", "--component", "bot", "--no-start", "--root"];
    let words: Vec<&str> = words.into_iter().chain([root.to_str().unwrap()]).collect();
    let outcome = suite.lifeboat_opened(&words).result(3);
    let gaps = outcome["before"][0][1]["gaps"].to_string();
    assert!(gaps.contains("left out: COMMENT"), "{outcome}");
}

#[test]
fn sqlite_database_is_not_mixed_with_the_log_of_the_one_that_was_there() {
    let suite = suite("stale");
    suite.lifeboat(&["backup", "run", "--component", "sydent"]).result(0);
    // A server that was killed leaves what it wrote last in the log beside its database.
    let killed = Connection::open(&suite.sydent).unwrap();
    let late = "UPDATE local_threepid_associations SET mxid = '@late:lifeboat.test'";
    killed.execute(late, []).unwrap();
    let with = |end: &str| suite.folder.join(format!("sydent.db{end}"));
    let (log, main) = (fs::read(with("-wal")).unwrap(), fs::read(&suite.sydent).unwrap());
    drop(killed);
    fs::write(with("-wal"), log).unwrap();
    fs::write(&suite.sydent, main).unwrap();
    // Nothing listens at that port: it is seen to be down.
    let yaml = fs::read_to_string(&suite.yaml).unwrap();
    let asked = "kind: sydent\n    commands: {health_url: 'http://127.0.0.1:9/health'}\n";
    fs::write(&suite.yaml, yaml.replace("kind: sydent\n", asked)).unwrap();
    let step = ["--only", "database/sydent/main", "--replace"];
    let words: Vec<&str> =
        ["restore", "run", "--component", "sydent"].into_iter().chain(step).collect();
    suite.lifeboat_opened(&words).result(0);
    assert!(!with("-wal").exists(), "it is kept under another name");
    let again = Connection::open(&suite.sydent).unwrap();
    let query = "SELECT mxid FROM local_threepid_associations";
    let person: String = again.query_row(query, [], |row| row.get(0)).unwrap();
    assert_eq!(person, "@a:lifeboat.test");
}

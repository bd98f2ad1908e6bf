//! What a restore does with what is odd: paths, links, what is there already, who is told.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::{self, File, Permissions};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::PathBuf;
use std::process::Stdio;

use rusqlite::Connection;

use crate::conversation::{lifeboat, program};
use crate::small::{DONE, FAILED, FILES, GAPS, Small, USAGE, last_name};

/// A bridge with a secret of its own, and the database that it is for.
const IRC: &str = "  - {kind: bridge, bridge: irc, config: irc.yaml}\n";
/// Files, and a database that nobody reaches.
const LOST: &str = "  - {kind: files, name: web, paths: data}\n  \
                    - {kind: database, name: lost, database_url_file: url}\n";
/// An identity server.
const SYDENT: &str = "  - {kind: sydent, config: sydent.conf}\n";
/// Two components with one database.
const TWO: &str = "  - {kind: database, name: a, sqlite: data/app.db}\n  \
                   - {kind: database, name: b, sqlite: data/app.db}\n";

#[test]
fn path_that_is_too_long_below_another_folder_is_a_gap_and_the_rest_comes_back() {
    let small = Small::new(FILES);
    small.write("data/first", "one");
    let mut deep = small.path("data");
    let name = "d".repeat(200);
    while deep.as_os_str().len() < 3_800 {
        deep.push(&name);
    }
    fs::create_dir_all(&deep).unwrap();
    fs::write(deep.join("last"), "two").unwrap();
    small.back_up();
    let below = "r".repeat(240);
    let said = small.restore(&below, &[]);
    assert_eq!(said.exit, GAPS, "{}{}", said.stdout, said.stderr);
    assert!(said.stdout.contains("paths are too long here"), "{}", said.stdout);
    assert_eq!(fs::read_to_string(small.below(&below, "data/first")).unwrap(), "one");
    // Where there is room for it nothing is left out.
    let said = small.restore("r", &[]);
    assert!(!said.stdout.contains("too long"), "{}", said.stdout);
    let last = deep.join("last");
    assert_eq!(fs::read_to_string(small.below("r", last.to_str().unwrap())).unwrap(), "two");
}

#[test]
fn names_of_one_file_are_names_of_one_file_again_also_where_others_are_in_the_way() {
    let small = Small::new(FILES);
    small.write("data/a", "one");
    for name in ["data/b", "data/c"] {
        fs::hard_link(small.path("data/a"), small.path(name)).unwrap();
    }
    small.back_up();
    let names = |below: &str| {
        let names = ["data/a", "data/b", "data/c"].map(|name| small.below(below, name));
        let texts = names.each_ref().map(|path| fs::read_to_string(path).unwrap());
        let inodes: BTreeSet<u64> =
            names.iter().map(|path| fs::metadata(path).unwrap().ino()).collect();
        (texts, inodes.len())
    };
    let one = ["one", "one", "one"].map(str::to_owned);
    assert_eq!(small.restore("back", &[]).exit, DONE);
    assert_eq!(names("back"), (one.clone(), 1));
    // All three are something else now, and still one file.
    fs::write(small.below("back", "data/a"), "something else").unwrap();
    let said = small.restore("back", &[]);
    assert_eq!(said.exit, FAILED, "{}{}", said.stdout, said.stderr);
    assert_eq!(small.restore("back", &["--replace"]).exit, DONE);
    assert_eq!(names("back"), (one, 1));
    let kept = fs::read_dir(small.below("back", "data")).unwrap();
    let kept = kept
        .filter(|entry| entry.as_ref().unwrap().file_name().to_str().unwrap().contains(".before-"));
    assert_eq!(kept.count(), 3, "what was in the way is kept");
}

#[test]
fn link_leads_where_it_led_also_when_that_is_no_text() {
    let small = Small::new(FILES);
    let target = OsStr::from_bytes(b"caf\xe9/\xff");
    symlink(target, small.path("data/link")).unwrap();
    small.back_up();
    assert_eq!(small.restore("back", &[]).exit, DONE);
    let link = small.below("back", "data/link");
    assert_eq!(fs::read_link(link).unwrap().as_os_str(), target);
    // Once more: it is there already.
    let said = small.restore("back", &[]);
    assert_eq!(said.exit, DONE, "{}{}", said.stdout, said.stderr);
}

#[test]
fn plan_names_the_files_in_the_way_and_leaves_nothing_behind() {
    let small = Small::new(FILES);
    small.write("data/first", "one");
    small.write("data/second", "two");
    small.back_up();
    let state = small.text("plan-state");
    let obstacles = || {
        let said = small.ask(&["restore", "plan", "--state", &state, "--json"]);
        assert_eq!(said.exit, DONE, "{}", said.stderr);
        said.last_json()["outcome"]["obstacles"].clone()
    };
    assert_eq!(obstacles(), serde_json::json!([]));
    small.write("data/second", "something else");
    let second = small.text("data/second");
    let told = format!("web: 1 files there have another size or time, the first {second}");
    assert_eq!(obstacles(), serde_json::json!([told]));
    assert!(!small.path("plan-state").exists());
}

#[test]
fn database_of_two_components_comes_back_once_and_is_compared_with_the_backup() {
    let small = Small::new(TWO);
    let table = "CREATE TABLE note (text); INSERT INTO note VALUES ('one')";
    Connection::open(small.path("data/app.db")).unwrap().execute_batch(table).unwrap();
    small.back_up();
    let said = small.restore("back", &[]);
    assert_eq!(said.exit, DONE, "{}{}", said.stdout, said.stderr);
    assert!(said.stdout.contains("it is the database of a too"), "{}", said.stdout);
    let path = small.below("back", "data/app.db");
    let alike = format!("{}: 8192 bytes as in the backup", path.display());
    assert_eq!(said.stdout.matches(&alike).count(), 1, "{}", said.stdout);
    // Whoever begins with the second one gets it there; what the steps before do is missing.
    let said = small.restore("late", &["--from-step", "database/b/main"]);
    assert_eq!(said.exit, GAPS, "{}{}", said.stdout, said.stderr);
    assert!(small.below("late", "data/app.db").is_file(), "{}", said.stdout);
    Connection::open(&path).unwrap().execute("INSERT INTO note VALUES ('two')", []).unwrap();
    let said = small.restore("back", &["--only", "check"]);
    assert_eq!(said.exit, GAPS, "{}{}", said.stdout, said.stderr);
    assert!(said.stdout.contains("it is not what the backup has"), "{}", said.stdout);
    fs::remove_file(&path).unwrap();
    let said = small.restore("back", &["--only", "check"]);
    let gone = format!("GAP: {}: No such file", path.display());
    assert!(said.stdout.contains(&gone), "{}", said.stdout);
}

#[test]
fn result_that_cannot_be_written_is_told_elsewhere_and_changes_no_exit_code() {
    let small = Small::new(LOST);
    small.write("data/first", "one");
    small.write("url", "postgresql://nobody:x@127.0.0.1:1/lost");
    let config = small.text("lifeboat.yaml");
    let full = || Stdio::from(File::options().write(true).open("/dev/full").unwrap());
    for more in [&["--quiet"][..], &["--json"]] {
        let words = [&["backup", "run", "-c", &config][..], more].concat();
        let output = program().args(words).stdout(full()).output().unwrap();
        let told = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(GAPS), "{told}");
        assert!(told.contains("the command ended with 3, but standard output"), "{told}");
    }
    // Nobody would know that all was done.
    let words = ["backup", "list", "-c", &config];
    assert_eq!(program().args(words).stdout(full()).status().unwrap().code(), Some(1));
}

#[test]
fn key_is_not_added_where_the_identity_at_hand_would_lose_its_access() {
    let small = Small::new(FILES);
    small.write("data/first", "one");
    small.back_up();
    let other = small.text("other.txt");
    let made = lifeboat(["keygen", "--json", "-o", &other]);
    let other = made.last_json()["outcome"]["recipient"].as_str().unwrap().to_owned();
    let config = fs::read_to_string(small.path("lifeboat.yaml")).unwrap();
    small.write("lifeboat.yaml", &config.replace(&small.recipient, &other));
    let said = small.ask(&["backup", "key", "add", &other]);
    assert_eq!(said.exit, USAGE, "{}{}", said.stdout, said.stderr);
    assert_eq!(small.ask(&["backup", "verify"]).exit, DONE);
    let said = small.ask(&["backup", "key", "add", &small.recipient]);
    assert_eq!(said.exit, DONE, "{}{}", said.stdout, said.stderr);
    assert_eq!(small.ask(&["backup", "verify"]).exit, DONE);
}

#[test]
fn what_the_backup_lacks_is_told_by_plan_and_restore_and_drill() {
    let small = Small::new(LOST);
    small.write("data/first", "one");
    small.write("url", "postgresql://nobody:x@127.0.0.1:1/lost");
    small.back_up();
    let is_told = |missing: &serde_json::Value| {
        let told = missing.as_array().unwrap().iter().filter_map(|one| one.as_str());
        let told: Vec<&str> = told.collect();
        assert!(told.iter().any(|one| one.contains("database-unreadable lost/main")), "{told:?}");
        assert!(!told.iter().any(|one| one.contains("unsigned")), "{told:?}");
    };
    let said = small.ask(&["restore", "plan", "--json"]);
    is_told(&said.last_json()["outcome"]["missing"]);
    let said = small.ask(&["restore", "plan"]);
    assert!(said.stdout.contains("MISSING   not in the backup: database"), "{}", said.stdout);
    let report = small.text("report.json");
    let said = small.restore("back", &["--json", "--report", &report]);
    assert_eq!(said.exit, GAPS, "{}{}", said.stdout, said.stderr);
    is_told(&said.last_json()["outcome"]["missing"]);
    let report = fs::read(report).unwrap();
    is_told(&serde_json::from_slice::<serde_json::Value>(&report).unwrap()["gaps"]);
    let said = small.ask(&["drill", "--json"]);
    assert_eq!(said.exit, GAPS, "{}{}", said.stdout, said.stderr);
    is_told(&said.last_json()["outcome"]["left_open"]);
}

#[test]
fn secret_that_is_not_the_one_of_the_backup_stops_the_restore() {
    let small = Small::new(IRC);
    small.write(
        "irc.yaml",
        "database: {engine: nedb, connectionString: 'nedb://data'}\n\
         ircService: {passwordEncryptionKeyPath: passkey.pem}\n",
    );
    small.write("registration.yaml", "id: irc\nas_token: a\nhs_token: h\n");
    small.write("passkey.pem", "the one");
    small.back_up();
    let said = small.restore("back", &[]);
    assert!(said.stdout.contains("passkey.pem is there"), "{}{}", said.stdout, said.stderr);
    fs::write(small.below("back", "passkey.pem"), "another").unwrap();
    let said = small.restore("back", &["--only", "secrets"]);
    assert_eq!(said.exit, FAILED, "{}{}", said.stdout, said.stderr);
    assert!(said.stderr.contains("is not the one of the backup"), "{}", said.stderr);
    let said = small.restore("back", &["--only", "check"]);
    assert_eq!(said.exit, GAPS, "{}{}", said.stdout, said.stderr);
    assert!(said.stdout.contains("passkey.pem: its SHA-256 is another"), "{}", said.stdout);
    // A configuration is corrected where things have another place now.
    fs::write(small.below("back", "passkey.pem"), "the one").unwrap();
    let config = small.below("back", "irc.yaml");
    let text = fs::read_to_string(&config).unwrap();
    fs::write(&config, format!("{text}# moved\n")).unwrap();
    fs::write(small.below("back", "registration.yaml"), "id: irc\nurl: moved\n").unwrap();
    let said = small.restore("back", &["--only", "secrets"]);
    assert!(said.stdout.contains("passkey.pem is there"), "{}{}", said.stdout, said.stderr);
}

#[test]
fn folders_above_come_back_as_they_were_where_they_are_not_there() {
    let small = Small::new(
        "  - {kind: database, name: notes, sqlite: safe/base/app.db}\n  \
         - {kind: files, name: web, paths: deep/er/data}\n",
    );
    fs::create_dir_all(small.path("safe/base")).unwrap();
    fs::create_dir_all(small.path("deep/er/data")).unwrap();
    let database = Connection::open(small.path("safe/base/app.db")).unwrap();
    database.execute_batch("CREATE TABLE note (text)").unwrap();
    small.write("deep/er/data/first", "one");
    let modes = [("safe", 0o710), ("safe/base", 0o2770), ("deep", 0o751), ("deep/er", 0o711)];
    for (name, mode) in modes {
        fs::set_permissions(small.path(name), Permissions::from_mode(mode)).unwrap();
    }
    small.back_up();
    let mode = |path: PathBuf| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    assert_eq!(small.restore("back", &[]).exit, DONE);
    for (name, was) in modes {
        assert_eq!(mode(small.below("back", name)), was, "{name}");
    }
    // What is there is somebody's already.
    fs::create_dir_all(small.below("there", "deep")).unwrap();
    fs::set_permissions(small.below("there", "deep"), Permissions::from_mode(0o700)).unwrap();
    assert_eq!(small.restore("there", &[]).exit, DONE);
    assert_eq!(mode(small.below("there", "deep")), 0o700);
    assert_eq!(mode(small.below("there", "deep/er")), 0o711);
}

#[test]
fn copy_below_a_folder_is_made_where_nothing_of_the_server_is_and_by_its_own_files() {
    let small = Small::new(SYDENT);
    let text = fs::read_to_string(small.path("lifeboat.yaml")).unwrap();
    let named = format!("config: {}", small.text("sydent.conf"));
    small.write("lifeboat.yaml", &text.replace("config: sydent.conf", &named));
    let conf = |database: &str| {
        format!(
            "[general]\nserver.name = example.org\n[db]\ndb.file = {database}\n[crypto]\n\
             ed25519.signingkey = ed25519 0 b7l1ezN0UWmvY9KXWOSHcTMVKxj5pbjcTnJ4HX6rEAY\n"
        )
    };
    small.write("sydent.conf", &conf(&small.text("data/sydent.db")));
    let table = "CREATE TABLE note (text); INSERT INTO note VALUES ('one')";
    Connection::open(small.path("data/sydent.db")).unwrap().execute_batch(table).unwrap();
    let backup = small.back_up();
    for name in ["lifeboat.yaml", "sydent.conf", "data/sydent.db"] {
        fs::remove_file(small.path(name)).unwrap();
    }
    let vault = small.text("vault");
    let restore = |below: &str, more: &[&str]| {
        let words = [&["--vault", &vault, last_name(&backup)][..], more].concat();
        let said = small.restore(below, &words);
        assert!([DONE, GAPS].contains(&said.exit), "{}{}", said.stdout, said.stderr);
    };
    restore("back", &[]);
    assert!(small.below("back", "data/sydent.db").is_file());
    // Where it is to be elsewhere, the copy says so.
    restore("other", &["--only", "configuration/lifeboat", "--only", "configuration/sydent"]);
    let other = small.text("data/other.db");
    fs::write(small.below("other", "sydent.conf"), conf(&other)).unwrap();
    restore("other", &["--from-step", "secrets"]);
    assert!(small.below("other", "data/other.db").is_file());
    assert!(!small.below("other", "data/sydent.db").exists());
}

#[test]
fn same_command_goes_on_also_where_the_file_that_names_the_state_folder_was_gone() {
    let small = Small::new(FILES);
    small.write("data/first", "one");
    let backup = small.back_up();
    fs::remove_file(small.path("lifeboat.yaml")).unwrap();
    small.write("data/first", "in the way");
    let (vault, name) = (small.text("vault"), last_name(&backup));
    let restore = || small.ask(&["restore", "run", name, "--vault", &vault, "--no-start"]);
    let said = restore();
    assert_eq!(said.exit, FAILED, "{}{}", said.stdout, said.stderr);
    let names = fs::read_dir(small.path("state")).unwrap().map(|entry| entry.unwrap().file_name());
    assert!(names.into_iter().any(|name| name.to_str().unwrap().starts_with("restore-")));
    // It is back by now.
    assert!(small.path("lifeboat.yaml").is_file());
    fs::remove_file(small.path("data/first")).unwrap();
    let said = restore();
    assert_eq!(said.exit, DONE, "{}{}", said.stdout, said.stderr);
    assert!(said.stdout.contains("done by an earlier run"), "{}", said.stdout);
    assert_eq!(fs::read_to_string(small.path("data/first")).unwrap(), "one");
}

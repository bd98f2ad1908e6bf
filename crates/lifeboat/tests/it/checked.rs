//! What is noted of checks: of verifying and of drills, also where they end badly.

use std::fs;
use std::os::unix::fs::{FileTypeExt, symlink};
use std::path::Path;
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::Value;

use crate::small::{DONE, FILES, GAPS, NOT_VALID, Small, last_name};

fn drills(small: &Small) -> Vec<Value> {
    let files = fs::read_dir(small.path("vault/drills")).into_iter().flatten();
    let read = |path: &Path| serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    files.map(|file| read(&file.unwrap().path())).collect()
}

#[test]
fn drill_of_a_damaged_backup_is_noted_as_failed_and_another_backup_is_named() {
    let small = Small::new(FILES);
    small.write("data/first", "one");
    let first = small.back_up();
    assert_eq!(small.ask(&["backup", "verify"]).exit, DONE);
    small.write("data/first", "two");
    let second = small.back_up();
    fs::write(second.join("header.json"), "{}").unwrap();
    let said = small.ask(&["drill", "latest"]);
    assert_eq!(said.exit, NOT_VALID, "{}{}", said.stdout, said.stderr);
    let noted = drills(&small);
    assert_eq!(noted.len(), 1);
    let (backup, ok) = (noted[0]["backup"].as_str().unwrap(), noted[0]["ok"].as_bool());
    assert!(last_name(&second).ends_with(backup), "{noted:?}");
    assert_eq!(ok, Some(false));
    let said = small.restore("back", &[]);
    assert_eq!(said.exit, NOT_VALID, "{}{}", said.stdout, said.stderr);
    let other = last_name(&first).rsplit('-').next().unwrap();
    assert!(said.stderr.contains(other), "{}", said.stderr);
    assert!(said.stderr.contains("found right on"), "{}", said.stderr);
    let said = small.restore("back", &[other]);
    assert_eq!(said.exit, DONE, "{}{}", said.stdout, said.stderr);
}

#[test]
fn schedule_knows_of_a_check_and_a_scrub_takes_nothing_from_it() {
    let small = Small::new(FILES);
    small.write("data/first", "one");
    small.back_up();
    let verify = || {
        let said = small.say(&["schedule", "--json"]).last_json();
        let lines = said["outcome"]["tasks"].as_array().unwrap().clone();
        lines.into_iter().find(|line| line["task"] == "verify").unwrap()["last"].clone()
    };
    assert_eq!(small.say(&["backup", "verify", "--scrub"]).exit, DONE);
    assert_eq!(verify(), Value::Null);
    assert_eq!(small.ask(&["backup", "verify"]).exit, DONE);
    assert!(verify().is_number(), "{}", verify());
    let verified = || {
        let listed = small.say(&["backup", "list", "--json"]).last_json();
        listed["outcome"]["backups"][0]["verified"].clone()
    };
    assert_eq!(verified(), "everything");
    next_second();
    assert_eq!(small.say(&["backup", "verify", "--scrub"]).exit, DONE);
    assert_eq!(verified(), "everything");
    // What is wrong now is not right because it was.
    let volumes = small.path("vault/packages");
    let package = fs::read_dir(volumes).unwrap().next().unwrap().unwrap().path();
    let volume = fs::read_dir(package.join("volumes")).unwrap().next().unwrap().unwrap().path();
    fs::remove_file(volume).unwrap();
    next_second();
    assert_eq!(small.say(&["backup", "verify", "--scrub"]).exit, NOT_VALID);
    assert_eq!(verified(), "wrong");
    assert_eq!(small.say(&["backup", "run"]).exit, DONE);
}

/// A verdict has the second in its name.
fn next_second() {
    let now = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let began = now();
    while now() == began {
        std::thread::yield_now();
    }
}

#[test]
fn report_goes_into_a_pipe_and_through_a_link_which_stay_what_they_are() {
    let small = Small::new(FILES);
    let pipe = small.path("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let reading = {
        let pipe = pipe.clone();
        std::thread::spawn(move || fs::read_to_string(pipe).unwrap())
    };
    let said = small.say(&["report", "-o", pipe.to_str().unwrap()]);
    assert!([DONE, GAPS].contains(&said.exit), "{}", said.stderr);
    assert!(fs::symlink_metadata(&pipe).unwrap().file_type().is_fifo());
    assert!(reading.join().unwrap().contains("example.org"));
    small.write("real.md", "old");
    let link = small.path("link.md");
    symlink("real.md", &link).unwrap();
    let said = small.say(&["report", "-o", link.to_str().unwrap()]);
    assert!([DONE, GAPS].contains(&said.exit), "{}", said.stderr);
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    assert!(fs::read_to_string(small.path("real.md")).unwrap().contains("example.org"));
}

//! `lifeboat config`, `components`, `doctor` and `schedule`, with a small installation of files.

use std::fs;
use std::path::Path;

use crate::conversation::lifeboat;

const RECIPIENTS: &str = "[age1lvyvwawkr0mcnnnncaghunadrqkmuf9e6507x9y920xxpp866cnql7dp2z, \
                          age1t7rxyev2z3rw82stdlrrepyc39nvn86l5078zqkf5uasdy86jp6svpy7pa]";

/// Writes a lifeboat.yaml with these components; its path.
fn installation(folder: &Path, components: &str) -> String {
    let text = format!(
        "server_name: example.org\nvault: vault\nstate: state\nrecipients: {RECIPIENTS}\n\
         schedule: {{backup: 15 3 * * *, time_zone: Europe/Berlin}}\ncomponents:\n{components}"
    );
    let path = folder.join("lifeboat.yaml");
    fs::write(&path, text).unwrap();
    path.display().to_string()
}

#[test]
fn check_tells_what_was_found_and_what_was_not() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("url"), "postgres://o:hunter2@db.example/other").unwrap();
    let good = "  - {kind: database, name: other, database_url_file: url}\n";
    let said = lifeboat(["config", "check", "-c", &installation(folder.path(), good)]);
    assert_eq!((said.exit, said.stderr.as_str()), (0, ""));
    assert!(said.stdout.contains("component other (database)"), "{}", said.stdout);
    assert!(said.stdout.contains("postgres://o@db.example:5432/other"), "{}", said.stdout);
    assert!(!said.stdout.contains("hunter2"), "{}", said.stdout);
    let lost = format!("{good}  - {{kind: files, paths: gone}}\n");
    let path = installation(folder.path(), &lost);
    let said = lifeboat(["config", "check", "-c", &path]);
    assert_eq!(said.exit, 3, "{}", said.stdout);
    assert!(said.stdout.contains("it is not there"), "{}", said.stdout);
    assert!(said.stdout.contains("help: put it back"), "{}", said.stdout);
    let said = lifeboat(["config", "check", "--json", "-c", &path]);
    assert_eq!(said.last_json()["outcome"]["notes"], 1);
}

#[test]
fn check_tells_recipients_that_are_none_and_the_name_of_another_server() {
    let folder = tempfile::tempdir().unwrap();
    let homeserver = "server_name: other.example\ndatabase:\n  name: psycopg2\n  \
                      args: {dbname: s, user: s}\nsigning_key_path: key\nmedia_store_path: .\n";
    fs::write(folder.path().join("homeserver.yaml"), homeserver).unwrap();
    fs::write(folder.path().join("key"), "").unwrap();
    let path = installation(folder.path(), "  - {kind: synapse, config: homeserver.yaml}\n");
    let text = fs::read_to_string(&path).unwrap().replace(RECIPIENTS, "[age1qqq]");
    fs::write(&path, text).unwrap();
    let said = lifeboat(["config", "check", "-c", &path]);
    assert_eq!(said.exit, 3, "{}", said.stdout);
    let wrong = "synapse is the Synapse of other.example, and server_name is example.org";
    assert!(said.stdout.contains(wrong), "{}", said.stdout);
    assert!(said.stdout.contains("age1qqq is neither a recipient"), "{}", said.stdout);
}

#[test]
fn installation_that_is_not_there_is_asked_for_by_its_flag() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("lifeboat.yaml");
    let said = lifeboat(["doctor", "-c", path.to_str().unwrap()]);
    assert_eq!(said.exit, 2, "{}", said.stderr);
    assert!(said.stderr.contains("help: name the file with -c FILE"), "{}", said.stderr);
}

#[test]
fn file_that_cannot_be_used_exits_with_2_and_says_where() {
    let folder = tempfile::tempdir().unwrap();
    let path = installation(folder.path(), "  - {kind: files, path: gone}\n");
    for verb in [&["config", "check"][..], &["doctor"], &["schedule"]] {
        let said = lifeboat([verb, &["-c", &path]].concat());
        assert_eq!((said.exit, said.stdout.as_str()), (2, ""), "{verb:?}");
        assert!(said.stderr.contains("lifeboat.yaml:7:19: "), "{}", said.stderr);
        assert!(said.stderr.contains("help: did you mean `paths`?"), "{}", said.stderr);
    }
}

#[test]
fn example_and_schema_are_printed() {
    let said = lifeboat(["config", "example"]);
    assert_eq!(said.exit, 0);
    assert_eq!(said.stdout, lifeboat(["config", "example", "standalone"]).stdout);
    assert!(said.stdout.contains("\ncomponents:\n"), "{}", said.stdout);
    assert!(lifeboat(["config", "example", "small"]).stdout.len() < said.stdout.len());
    let said = lifeboat(["config", "schema"]);
    let schema: serde_json::Value = serde_json::from_str(&said.stdout).unwrap();
    assert_eq!(schema["title"], "lifeboat.yaml");
}

#[test]
fn components_are_shown_with_and_without_an_installation() {
    let said = lifeboat(["components"]);
    assert_eq!(said.stdout.lines().count(), 16);
    assert!(said.stdout.lines().all(|line| line.chars().count() <= 80), "{}", said.stdout);
    let said = lifeboat(["components", "mas"]);
    assert!(said.stdout.starts_with("Matrix Authentication Service\n"), "{}", said.stdout);
    let folder = tempfile::tempdir().unwrap();
    let path = installation(folder.path(), "  - {kind: files, paths: .}\n");
    let said = lifeboat(["components", "--installed", "--json", "-c", &path]);
    let rows = said.last_json();
    assert_eq!(rows["outcome"].as_array().unwrap().len(), 1);
    assert_eq!(rows["outcome"][0]["kind"], "files");
}

#[test]
fn doctor_tells_by_its_exit_code() {
    let folder = tempfile::tempdir().unwrap();
    let path = installation(folder.path(), "  - {kind: files, paths: .}\n");
    let said = lifeboat(["doctor", "-c", &path]);
    assert_eq!(said.exit, 1, "{}", said.stdout);
    assert!(said.stdout.contains("is not there"), "{}", said.stdout);
    fs::create_dir(folder.path().join("vault")).unwrap();
    let said = lifeboat(["doctor", "-c", &path, "--json"]);
    assert_eq!(said.exit, 0, "{}", said.stdout);
    assert_eq!(said.last_json()["outcome"]["worst"], "fine");
    let path = installation(
        folder.path(),
        "  - {kind: files, paths: .}\n  - {kind: files, \
                                            name: lost, logs: gone, paths: .}\n",
    );
    let said = lifeboat(["doctor", "-c", &path, "--problems"]);
    assert_eq!(said.exit, 3, "{}", said.stdout);
    assert!(said.stdout.starts_with("lost\n  warning "), "{}", said.stdout);
}

#[test]
fn schedule_tells_what_is_due() {
    let folder = tempfile::tempdir().unwrap();
    let path = installation(folder.path(), "  - {kind: files, paths: .}\n");
    let said = lifeboat(["schedule", "-c", &path]);
    assert_eq!(said.exit, 0);
    let lines: Vec<&str> = said.stdout.lines().collect();
    assert!(lines[1].starts_with("backup  15 3 * * *") && lines[1].ends_with("now"), "{lines:?}");
    assert!(lines[2].starts_with("verify  by hand"), "{lines:?}");
    assert_eq!(lines[4], "times are those of Europe/Berlin");
}

#[test]
fn backup_that_ended_well_is_due_no_more() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("web")).unwrap();
    fs::write(folder.path().join("web/index.html"), "hello").unwrap();
    fs::create_dir(folder.path().join("vault")).unwrap();
    let path = installation(folder.path(), "  - {kind: files, name: web, paths: web}\n");
    let is_due = || {
        let said = lifeboat(["schedule", "--json", "-c", &path]);
        said.last_json()["outcome"]["tasks"][0]["is_due"].as_bool().unwrap()
    };
    assert!(is_due());
    let said = lifeboat(["backup", "run", "-c", &path]);
    // Without a Synapse nobody is to sign it.
    assert_eq!(said.exit, 0, "{}{}", said.stdout, said.stderr);
    assert!(!is_due());
}

#[test]
fn backup_under_the_name_of_another_server_is_not_made() {
    let folder = tempfile::tempdir().unwrap();
    let homeserver = "server_name: other.example\ndatabase:\n  name: psycopg2\n  \
                      args: {dbname: s, user: s}\nsigning_key_path: key\nmedia_store_path: media\n";
    fs::write(folder.path().join("homeserver.yaml"), homeserver).unwrap();
    let path = installation(folder.path(), "  - {kind: synapse, config: homeserver.yaml}\n");
    let said = lifeboat(["backup", "run", "-c", &path]);
    assert_eq!(said.exit, 2, "{}", said.stderr);
    assert!(said.stderr.contains("is the Synapse of other.example"), "{}", said.stderr);
    assert!(!folder.path().join("vault").exists());
}

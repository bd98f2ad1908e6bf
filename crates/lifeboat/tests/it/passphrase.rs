//! A passphrase at the terminal and from a file.

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

use crate::conversation::lifeboat;

/// Runs the program on a terminal of its own and types; gives what the terminal showed.
fn on_terminal(words: &str, typed: &str) -> (i32, String) {
    let command = format!("{} {words}", env!("CARGO_BIN_EXE_lifeboat"));
    let mut script = Command::new("script")
        .args(["--quiet", "--return", "--command", &command, "/dev/null"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    script.stdin.take().unwrap().write_all(typed.as_bytes()).unwrap();
    let output = script.wait_with_output().unwrap();
    (output.status.code().unwrap(), String::from_utf8(output.stdout).unwrap())
}

#[test]
fn whoever_seals_types_the_passphrase_twice() {
    let words = "export --passphrase --synapse /nowhere.yaml -o /nowhere/x.lifeboat";
    let (exit, shown) = on_terminal(words, "correct horse\ncorrect house\n");
    assert_eq!(exit, 2, "{shown}");
    assert!(shown.contains("the two passphrases differ"), "{shown}");
    let (exit, shown) = on_terminal(words, "correct horse\ncorrect horse\n");
    assert_eq!(exit, 1, "{shown}");
    assert!(shown.contains("cannot read the configuration"), "{shown}");
}

#[test]
fn without_a_terminal_a_file_is_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("words");
    fs::write(&file, "\n").unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    let export = ["export", "--synapse", "/nowhere.yaml", "-o", "/nowhere/x.lifeboat"];
    let said = lifeboat(export.into_iter().chain(["--passphrase-file", file.to_str().unwrap()]));
    assert_eq!(said.exit, 2);
    assert!(said.stderr.starts_with("error: the passphrase is empty\n"), "{}", said.stderr);
}

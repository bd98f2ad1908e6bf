//! `lifeboat keygen`.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use crate::conversation::lifeboat;

#[test]
fn an_identity_goes_to_a_file_of_its_owner() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("identity.txt");
    let said = lifeboat(["keygen".as_ref(), "-o".as_ref(), file.as_os_str()]);
    assert_eq!((said.exit, said.stderr.as_str()), (0, ""));
    let recipient = said.stdout.trim();
    assert!(recipient.starts_with("age1"), "{recipient}");
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let text = fs::read_to_string(&file).unwrap();
    assert!(text.starts_with(&format!("# public key: {recipient}\nAGE-SECRET-KEY-1")), "{text}");
    assert_eq!(text.lines().count(), 2);
    let theirs = Command::new("age-keygen").arg("-y").arg(&file).output().unwrap();
    assert_eq!(String::from_utf8(theirs.stdout).unwrap(), said.stdout);
}

#[test]
fn an_identity_is_never_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("identity.txt");
    fs::write(&file, "precious").unwrap();
    let said = lifeboat(["keygen".as_ref(), "-o".as_ref(), file.as_os_str()]);
    assert_eq!((said.exit, said.stdout.as_str()), (1, ""));
    assert!(said.stderr.contains("is there already"), "{}", said.stderr);
    assert_eq!(fs::read_to_string(&file).unwrap(), "precious");
}

#[test]
fn without_a_file_the_identity_goes_to_standard_output() {
    let said = lifeboat(["keygen"]);
    let recipient = said.stderr.trim().strip_prefix("public key: ").unwrap();
    assert!(said.stdout.starts_with(&format!("# public key: {recipient}\nAGE-SECRET-KEY-1")));
    assert_ne!(said.stdout, lifeboat(["keygen"]).stdout);
}

#[test]
fn a_secret_does_not_go_into_json() {
    let said = lifeboat(["keygen", "--json"]);
    assert_eq!(said.exit, 2);
    assert!(!said.stdout.contains("AGE-SECRET-KEY"), "{}", said.stdout);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("identity.txt");
    let said = lifeboat(["keygen".as_ref(), "--json".as_ref(), "-o".as_ref(), file.as_os_str()]);
    let result = said.last_json();
    assert_eq!((&result["event"], &result["exit"]), (&"result".into(), &0.into()));
    assert!(result["outcome"]["recipient"].as_str().unwrap().starts_with("age1"));
    assert!(!said.stdout.contains("AGE-SECRET-KEY"), "{}", said.stdout);
}

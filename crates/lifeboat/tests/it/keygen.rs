//! `lifeboat keygen`.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use crate::conversation::{lifeboat, program};

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

#[test]
fn a_secret_that_everybody_can_read_is_used_and_the_way_to_close_it_told() {
    let folder = tempfile::tempdir().unwrap();
    let (file, phrase) = (folder.path().join("identity.txt"), folder.path().join("phrase"));
    lifeboat(["keygen".as_ref(), "-o".as_ref(), file.as_os_str()]);
    fs::write(&phrase, "words\n").unwrap();
    let (file, phrase) = (file.to_str().unwrap(), phrase.to_str().unwrap());
    let words = ["verify", "/nothing.lifeboat", "-i", file, "--passphrase-file", phrase];
    let told = |modes: [u32; 2], more: &[&str]| {
        for (path, mode) in [file, phrase].into_iter().zip(modes) {
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        }
        let said = lifeboat(words.iter().chain(more));
        // It goes on to look for the package.
        assert_eq!(said.exit, 1, "{}", said.stderr);
        said
    };
    let warning = |path: &str| {
        format!(
            "warning: everybody on this machine can read the secret in {path}: chmod 600 {path}"
        )
    };
    let open = told([0o644, 0o604], &[]);
    for path in [file, phrase] {
        assert!(open.stderr.contains(&warning(path)), "{}", open.stderr);
    }
    assert!(!told([0o600, 0o400], &[]).stderr.contains("warning"));
    let json = told([0o644, 0o600], &["--json"]);
    let event = serde_json::json!({"event": "note", "text": warning(file)}).to_string();
    assert_eq!(json.stdout.lines().filter(|line| *line == event).count(), 1, "{}", json.stdout);
    assert!(!json.stdout.contains(&warning(phrase)), "{}", json.stdout);
}

#[test]
fn a_secret_that_was_handed_over_open_is_nobodys_fault() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("identity.txt");
    lifeboat(["keygen".as_ref(), "-o".as_ref(), file.as_os_str()]);
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    let mut verify = program();
    verify.args(["verify", "/nothing.lifeboat", "-i", "/dev/stdin"]);
    let said = verify.stdin(fs::File::open(&file).unwrap()).output().unwrap();
    let told = String::from_utf8(said.stderr).unwrap();
    assert!(told.contains("/nothing.lifeboat") && !told.contains("warning"), "{told}");
}

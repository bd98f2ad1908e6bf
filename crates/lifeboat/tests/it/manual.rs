//! `lifeboat completions` and `lifeboat man`.

use std::fs;

use crate::conversation::lifeboat;

#[test]
fn shells_learn_to_complete_our_commands() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let said = lifeboat(["completions", shell]);
        assert_eq!((said.exit, said.stderr.as_str()), (0, ""));
        assert!(said.stdout.contains("unpack"), "{shell}");
    }
}

#[test]
fn every_command_has_a_page() {
    let folder = tempfile::tempdir().unwrap();
    let said = lifeboat(["man".as_ref(), folder.path().as_os_str()]);
    assert_eq!((said.exit, said.stderr.as_str()), (0, ""));
    for page in ["lifeboat.1", "lifeboat-export.1", "lifeboat-import.1", "lifeboat-keygen.1"] {
        let text = fs::read_to_string(folder.path().join(page)).unwrap();
        assert!(text.contains(".SH NAME"), "{page}");
    }
    let said = lifeboat(["man", "/nowhere/at/all"]);
    assert_eq!(said.exit, 1);
    assert!(said.stderr.contains("help: "), "{}", said.stderr);
}

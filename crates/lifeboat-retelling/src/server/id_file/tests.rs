//! What is read of a file of ids, and what is refused.

use std::fs;
use std::path::Path;

use lifeboat_transcript::ids::{IdLine, Ids};

use super::{IdFile, IdFileError};

fn event(old: &str, new: &str) -> IdLine {
    IdLine::Event { old: old.to_owned(), new: new.to_owned() }
}

fn open(path: &Path) -> Result<(IdFile, Ids), IdFileError> {
    IdFile::open(path, ("old", "new"), false)
}

#[test]
fn a_line_that_was_cut_short_goes_and_the_rest_counts() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ids");
    let (mut file, _) = open(&path).unwrap();
    file.add(&event("$a", "$1")).unwrap();
    drop(file);
    let whole = fs::read_to_string(&path).unwrap();
    fs::write(&path, format!("{whole}{{\"type\":\"event\",\"old\":\"$b\"")).unwrap();
    let (mut file, ids) = open(&path).unwrap();
    assert_eq!((ids.event("$a"), ids.event("$b")), (Some("$1"), None));
    file.add(&event("$b", "$2")).unwrap();
    drop(file);
    assert!(fs::read_to_string(&path).unwrap().starts_with(&whole));
    let (_, ids) = open(&path).unwrap();
    assert_eq!((ids.event("$a"), ids.event("$b")), (Some("$1"), Some("$2")));
}

#[test]
fn a_file_of_something_else_is_refused_and_stays() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ids");
    let other = r#"{"type":"transcript","from":"far","to":"new"}"#;
    let twice = r#"{"type":"transcript","from":"old","to":"new"}"#;
    let long = "x".repeat(1 << 20);
    let cases = ["hello\n".to_owned(), format!("{other}\n"), format!("{twice}\n{twice}\n"), long];
    for text in cases {
        fs::write(&path, &text).unwrap();
        let refused = open(&path).err();
        let is_right = matches!(refused, Some(IdFileError::Other(_) | IdFileError::Elsewhere(_)));
        assert!(is_right, "{refused:?}");
        assert_eq!(fs::read_to_string(&path).unwrap(), text);
    }
}

#[test]
fn only_one_run_has_the_file_and_a_dry_run_makes_none() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ids");
    let (mut dry, _) = IdFile::open(&path, ("old", "new"), true).unwrap();
    dry.add(&event("$a", "$1")).unwrap();
    assert!(!path.exists());
    let _held = open(&path).unwrap();
    assert!(matches!(open(&path), Err(IdFileError::InUse(_))));
}

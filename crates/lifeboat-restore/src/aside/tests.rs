//! Tests of the notes of what is put aside.

use std::os::unix::ffi::OsStrExt as _;

use super::*;

#[test]
fn what_was_noted_is_found_by_what_it_is_and_not_by_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let (was, aside) = (folder.path().join("was"), folder.path().join("was.before-1"));
    fs::write(&was, "x").unwrap();
    let noted = KeptPath::of(&was, &aside).unwrap();
    assert!(!noted.is_there(), "not moved yet");
    fs::write(&aside, "somebody's").unwrap();
    assert!(!noted.is_there(), "a file of the name that is another");
    fs::rename(&was, &aside).unwrap();
    assert!(noted.is_there());
}

#[test]
fn line_that_a_crash_cut_off_loses_itself_alone() {
    let folder = tempfile::tempdir().unwrap();
    let asides = Asides::of((folder.path(), "b"), "files/bot", "2026-01-01T00:00:00Z".to_owned());
    let strange = folder.path().join(std::ffi::OsStr::from_bytes(b"\xff\n"));
    fs::write(&strange, "x").unwrap();
    let thing = || Thing::Path(KeptPath::of(&strange, &strange).unwrap());
    asides.note(thing()).unwrap();
    let list = folder.path().join("restore-b.kept");
    let mut half = fs::read(&list).unwrap();
    half.extend_from_slice(b"\n{\"step\": \"fil");
    fs::write(&list, half).unwrap();
    asides.note(thing()).unwrap();
    let found = lists(folder.path()).unwrap();
    assert_eq!((found.len(), found[0].restore.as_str()), (1, "b"));
    assert_eq!(found[0].asides.len(), 2);
    let Thing::Path(kept) = &found[0].asides[1].thing else { panic!() };
    assert_eq!(kept.path(), strange);
}

//! Nothing in the open is left of what was not finished.

use super::*;

fn make(folder: &Path) -> Option<Fresh<'_, impl Fn(String)>> {
    Fresh::make(folder, |text| panic!("{text}")).unwrap()
}

fn create(path: &Path) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, "secret").unwrap();
}

/// Writes what a verb would, and a link out of the folder.
fn write(folder: &Path, outside: &Path) {
    create(&folder.join("rooms/events.jsonl"));
    create(&folder.join("manifest.json"));
    std::os::unix::fs::symlink(outside, folder.join("link")).unwrap();
}

#[test]
fn what_is_not_kept_is_removed_with_the_folders_that_were_made_for_it() {
    let scratch = tempfile::tempdir().unwrap();
    let outside = scratch.path().join("outside");
    create(&outside.join("kept"));
    let folder = scratch.path().join("new/deep/folder");
    let fresh = make(&folder).unwrap();
    write(&folder, &outside);
    drop(fresh);
    assert!(!scratch.path().join("new").exists());
    assert!(outside.join("kept").exists());
}

#[test]
fn folder_that_was_there_is_left_empty_and_takes_the_same_command_again() {
    let scratch = tempfile::tempdir().unwrap();
    let outside = tempfile::tempdir().unwrap();
    for _ in 0..2 {
        let fresh = make(scratch.path()).unwrap();
        write(scratch.path(), outside.path());
        drop(fresh);
        assert_eq!(fs::read_dir(scratch.path()).unwrap().count(), 0);
    }
}

#[test]
fn what_is_kept_stays_and_what_is_not_empty_is_refused_and_left_alone() {
    let scratch = tempfile::tempdir().unwrap();
    let folder = scratch.path().join("folder");
    let fresh = make(&folder).unwrap();
    write(&folder, scratch.path());
    fresh.keep();
    assert!(make(&folder).is_none());
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 3);
    let file = folder.join("manifest.json");
    assert!(Fresh::make(&file, |_| ()).is_err());
    assert!(file.is_file());
}

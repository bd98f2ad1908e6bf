//! What a journal gives back after every kind of end.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use lifeboat_engine::journal::{Begun, Journal, PartDone};
use lifeboat_engine::writer::{Finished, Ledger};
use lifeboat_package::manifest::{Place, Volume};
use lifeboat_package::selection::Selection;
use zeroize::Zeroizing;

fn begun() -> Begun {
    Begun {
        package: "00".repeat(16),
        key_text: Zeroizing::new("a key".to_owned()),
        clear_files: Vec::new(),
        server_name: "a.test".to_owned(),
        selection: Selection::EVERYTHING,
        recipients: vec!["age1".to_owned()],
        folder: None,
        made_folder: false,
        plan: Vec::new(),
    }
}

fn volume(name: &str) -> Volume {
    let digest = lifeboat_package::digest::Digest::of(name.as_bytes());
    let index = Place { offset: 1, length: 2, sha256: digest };
    Volume { name: name.to_owned(), size: 3, sha256: digest, entries: 4, index, parts: None }
}

fn part(number: u32) -> PartDone {
    PartDone {
        folder: format!("rooms/{number:06}-1"),
        number,
        cut: 1,
        records: 1,
        bytes: 2,
        rows: vec![("events".to_owned(), 1)],
        gaps: Vec::new(),
    }
}

fn written(folder: &Path) -> PathBuf {
    let path = folder.join("x.journal");
    let mut journal = Journal::begin(&path, &begun()).expect("it can be begun");
    add(&mut journal, "volumes/000001.vol", &[part(1)], 100);
    add(&mut journal, "volumes/000002.vol", &[part(2), part(3)], 200);
    path
}

fn add(journal: &mut Journal, name: &str, parts: &[PartDone], archive_bytes: u64) {
    let (volume, paths) = (volume(name), HashSet::new());
    let finished = Finished { volume: &volume, paths: &paths, parts, archive_bytes };
    journal.volume(finished).expect("added");
}

#[test]
fn a_journal_gives_back_what_was_noted() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = written(folder.path());
    let (_, earlier) = Journal::open(&path).expect("it opens").expect("it is there");
    assert_eq!(earlier.volumes.len(), 2);
    assert_eq!(earlier.parts, [part(1), part(2), part(3)]);
    assert_eq!(earlier.archive_bytes, 200);
    assert_eq!(earlier.begun.key_text.as_str(), "a key");
}

#[test]
fn only_its_owner_can_read_it() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().expect("a folder");
    let about = std::fs::metadata(written(folder.path())).expect("it is there");
    assert_eq!(about.permissions().mode() & 0o777, 0o600);
}

#[test]
fn a_journal_cut_at_any_byte_gives_a_beginning_of_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let text = std::fs::read(written(folder.path())).expect("it is read");
    for length in 0..=text.len() {
        let path = folder.path().join(format!("cut-{length}"));
        std::fs::write(&path, &text[..length]).expect("written");
        let Some((_, earlier)) = Journal::open(&path).expect("it opens") else { continue };
        let parts = earlier.parts.len();
        assert!(matches!((earlier.volumes.len(), parts), (0, 0) | (1, 1) | (2, 3)), "{length}");
    }
}

#[test]
fn what_is_added_after_a_cut_line_is_not_lost() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = written(folder.path());
    let text = std::fs::read(&path).expect("it is read");
    std::fs::write(&path, &text[..text.len() - 5]).expect("written");
    let (mut journal, _) = Journal::open(&path).expect("it opens").expect("it is there");
    add(&mut journal, "volumes/000002.vol", &[part(9)], 300);
    drop(journal);
    let (_, earlier) = Journal::open(&path).expect("it opens").expect("it is there");
    assert_eq!(earlier.parts, [part(1), part(9)]);
}

#[test]
fn a_second_run_is_refused_while_the_first_works() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = written(folder.path());
    let first = Journal::open(&path).expect("it opens");
    let second = Journal::open(&path).err().expect("it is refused");
    assert!(second.what.contains("another run"), "{}", second.what);
    drop(first);
}

//! Files that are there already, and what is left beside them.

use super::*;

#[test]
fn file_that_has_its_name_already_is_left_alone_and_nothing_half_written_beside_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = MediaStore::open(folder.path()).expect("a store");
    let place = store.place("local_content/ab/cd/efgh").expect("a path inside");
    let sum = Digest::of(b"bytes");
    let partial = store.begin(&place).expect("it is begun");
    append(&partial, b"bytes").expect("it is written");
    fs::hard_link(&partial, &place).expect("it gets its name");
    let again = |sum: &Digest| store.write(&place, sum, &[b"bytes"]).expect("it can be read");
    assert_eq!(again(&sum), Placed::Equal);
    assert!(!partial.exists() && place.exists());
    store.begin(&place).expect("another is begun");
    assert_eq!(again(&Digest::of(b"others")), Placed::Differs);
    assert!(!partial.exists());
    assert_eq!(fs::read(&place).expect("it is there"), b"bytes");
}

#[test]
fn folders_are_open_to_synapse_alone_whatever_the_process_allows() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = MediaStore::open(folder.path()).expect("a store");
    let place = store.place("local_content/ab/cd/efgh").expect("a path inside");
    store.begin(&place).expect("it is begun");
    for made in place.ancestors().skip(1).take(3) {
        let mode = fs::metadata(made).expect("it is there").mode();
        assert_eq!(mode & 0o027, 0, "{} {mode:o}", made.display());
    }
}

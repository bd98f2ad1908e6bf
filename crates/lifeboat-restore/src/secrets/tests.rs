//! What counts as a secret that is there.

use std::fs;

use super::is_there;

#[test]
fn folder_of_keys_is_there_when_it_holds_one() {
    let folder = tempfile::tempdir().unwrap();
    let keys = folder.path().join("keys");
    assert!(!is_there(&keys));
    fs::create_dir(&keys).unwrap();
    assert!(!is_there(&keys), "an empty one holds no key");
    fs::write(keys.join("a.pem"), "key").unwrap();
    assert!(is_there(&keys));
    assert!(is_there(&keys.join("a.pem")));
}

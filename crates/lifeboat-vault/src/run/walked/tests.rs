//! Names that change between the listing of a folder and the turn of what is in it.

use std::fs;

use super::*;

/// A tree in which everything had its turn but the names that are left out, which are gone by then.
fn walked(tree: &Tree, left_out: &[&str]) -> Walked {
    let mut walked = Walked::default();
    walked.see(&Listed::root(tree.root.clone()), 0);
    for listed in listed_below(&tree.root).unwrap() {
        if left_out.iter().any(|name| listed.path.ends_with(name)) {
            walked.miss(listed.inode);
        } else {
            let inode = fs::symlink_metadata(&listed.path).unwrap().ino();
            walked.see(&listed, inode);
        }
    }
    walked
}

fn tree(names: &[&str]) -> (tempfile::TempDir, Tree) {
    let folder = tempfile::tempdir().unwrap();
    for name in names {
        fs::write(folder.path().join(name), name).unwrap();
    }
    let root = folder.path().to_owned();
    (folder, Tree { role: "data".to_owned(), root, without: Vec::new() })
}

/// The names of what another look found: those that had no turn, and those of another file.
fn found(walked: &mut Walked, tree: &Tree) -> (Vec<String>, Vec<String>) {
    let name = |path: &Path| path.file_name().unwrap().to_str().unwrap().to_owned();
    let again = walked.look_again(tree);
    let fresh = again.fresh.iter().map(|listed| name(&listed.path)).collect();
    (fresh, again.replaced.iter().map(|path| name(path)).collect())
}

#[test]
fn tree_that_stays_as_it_is_has_nothing_to_look_at_again() {
    let (_folder, tree) = tree(&["a", "b"]);
    assert_eq!(found(&mut walked(&tree, &[]), &tree), (Vec::new(), Vec::new()));
    // What was deleted is nowhere.
    let mut walked = walked(&tree, &["b"]);
    fs::remove_file(tree.root.join("b")).unwrap();
    assert_eq!(found(&mut walked, &tree), (Vec::new(), Vec::new()));
}

#[test]
fn file_and_folder_with_another_name_are_found() {
    let (_folder, tree) = tree(&["a", "b"]);
    fs::create_dir(tree.root.join("logs")).unwrap();
    let mut walked = walked(&tree, &["b", "logs"]);
    fs::rename(tree.root.join("b"), tree.root.join("b.1")).unwrap();
    fs::rename(tree.root.join("logs"), tree.root.join("logs.1")).unwrap();
    assert_eq!(found(&mut walked, &tree).0, ["logs.1", "b.1"]);
}

#[test]
fn file_that_took_the_name_of_one_that_had_its_turn_is_told_and_a_new_one_is_not() {
    let (_folder, tree) = tree(&["log", "log.1", "state"]);
    let mut walked = walked(&tree, &["log"]);
    // Rotated before `log` had its turn, and after `log.1` had.
    let at = |name: &str| tree.root.join(name);
    fs::rename(at("log.1"), at("log.2")).unwrap();
    fs::rename(at("log"), at("log.1")).unwrap();
    fs::write(at("state.new"), "newer").unwrap();
    fs::rename(at("state.new"), at("state")).unwrap();
    let (fresh, replaced) = found(&mut walked, &tree);
    assert_eq!((fresh, replaced), (vec!["log.2".to_owned()], vec!["log.1".to_owned()]));
}

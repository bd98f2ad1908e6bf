//! Backups into the vault.

use std::fs;
use std::path::{Path, PathBuf};

use lifeboat_package::digest::Digest;

use crate::harbour::{keygen, suite, world};

/// Every file below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found
}

#[test]
fn unchanged_suite_stores_next_to_nothing_again_and_both_backups_are_whole() {
    let suite = suite("again");
    let first = suite.back_up();
    suite.lifeboat_opened(&["backup", "verify"]).result(0);
    let second = suite.back_up();
    let stored = |outcome: &serde_json::Value| outcome["stored_bytes"].as_u64().unwrap();
    assert_eq!(first["volumes_borrowed"], 0);
    assert_eq!(second["volumes_borrowed"], 1);
    assert!(stored(&second) * 50 < stored(&first), "{second} after {first}");
    let checked = suite.lifeboat_opened(&["backup", "verify", "--all"]).result(0);
    for outcome in checked.as_array().unwrap() {
        assert_eq!(outcome["valid"], true, "{outcome}");
        assert!(outcome["bytes"].as_u64().unwrap() >= stored(&first), "{outcome}");
    }
}

#[test]
fn probe_of_a_doctor_who_may_not_delete_is_not_in_the_way_of_the_first_backup() {
    let suite = suite("probed");
    fs::create_dir_all(suite.vault.join("probes")).unwrap();
    fs::write(suite.vault.join("probes/0011"), "A probe").unwrap();
    suite.back_up();
    suite.lifeboat_opened(&["backup", "verify"]).result(0);
}

#[test]
fn host_that_made_a_backup_cannot_read_it_back() {
    let suite = suite("blind");
    suite.back_up();
    let secret = fs::read(world().server.signing_key()).unwrap();
    let kept = files(&suite.folder.join("state")).into_iter().chain(files(&suite.vault));
    for path in kept {
        let bytes = fs::read(&path).unwrap();
        let holds = |words: &[u8]| bytes.windows(words.len()).any(|window| window == words);
        assert!(!holds(secret.trim_ascii_end()), "{}", path.display());
        for words in ["lifeboat-package-key", "@alice:lifeboat.test", "user 4999", "AGE-SECRET"] {
            assert!(!holds(words.as_bytes()), "{words} in {}", path.display());
        }
    }
    let stranger = suite.folder.join("stranger.txt");
    keygen(&stranger);
    let said = suite.lifeboat(&["backup", "show", "-i", stranger.to_str().unwrap()]);
    assert_eq!(said.exit, 1, "{said:?}");
    suite.lifeboat_opened(&["backup", "show"]).result(0);
}

#[test]
fn one_flipped_bit_anywhere_in_the_vault_is_found_and_named() {
    let suite = suite("bit");
    suite.back_up();
    suite.back_up();
    let packages = suite.vault.join("packages");
    for path in files(&packages) {
        let whole = fs::read(&path).unwrap();
        let mut damaged = whole.clone();
        let at = whole.len() / 2;
        damaged[at] ^= 0x10;
        fs::write(&path, &damaged).unwrap();
        let name = path.strip_prefix(&packages).unwrap().to_str().unwrap().to_owned();
        let said = suite.lifeboat_opened(&["backup", "verify", "--all"]);
        assert_ne!(said.exit, 0, "{name}: {said:?}");
        let file = path.file_name().unwrap().to_str().unwrap();
        assert!(said.stdout.contains(file), "{name}: {said:?}");
        fs::write(&path, &whole).unwrap();
    }
    suite.lifeboat_opened(&["backup", "verify", "--all"]).result(0);
}

#[test]
fn second_run_at_once_is_told_who_is_running() {
    let suite = suite("twice");
    suite.back_up();
    let lock =
        fs::OpenOptions::new().write(true).open(suite.folder.join("state/run.lock")).unwrap();
    lock.lock().unwrap();
    fs::write(suite.folder.join("state/run.lock"), "process 4711, begun at noon\n").unwrap();
    let said = suite.lifeboat(&["backup", "run"]);
    assert_eq!(said.exit, 1, "{said:?}");
    assert!(said.stdout.contains("process 4711, begun at noon"), "{said:?}");
}

#[test]
fn what_no_kept_backup_needs_goes_in_two_phases_and_the_rest_stays_whole() {
    let suite = suite("prune");
    suite.back_up();
    world().cluster.psql(&suite.accounts, "UPDATE sessions SET who = who || '!'").unwrap();
    suite.back_up();
    suite.back_up();
    suite.lifeboat_opened(&["backup", "verify", "--all"]).result(0);
    let forgotten = suite.lifeboat(&["backup", "forget"]).result(0);
    let gone: Vec<_> =
        forgotten.as_array().unwrap().iter().filter(|choice| choice["keep"] == false).collect();
    assert_eq!(gone.len(), 1, "{forgotten}");
    // A list of what people took back goes when every backup that is kept is younger.
    let lists = suite.vault.join("erasures");
    let is_list = |file: &PathBuf| file.starts_with(&lists);
    let others = || files(&suite.vault).into_iter().filter(|file| !is_list(file));
    let before: Vec<PathBuf> = others().collect();
    let first = suite.lifeboat(&["backup", "prune"]).result(0);
    let after: Vec<PathBuf> = others().collect();
    assert!(before.iter().all(|file| after.contains(file)), "{first}");
    let second = suite.lifeboat(&["backup", "prune"]).result(0);
    suite.lifeboat_opened(&["backup", "verify", "--all"]).result(0);
    // The oldest backup's volume is borrowed by the others: it stays, whoever was forgotten.
    assert!(others().count() >= before.len() - 4, "{second}");
    let copy = suite.folder.join("second");
    suite.lifeboat(&["backup", "copy", "--to", copy.to_str().unwrap()]).result(0);
    let there = ["backup", "verify", "--all", "--vault", copy.to_str().unwrap()];
    let checked = suite.lifeboat_opened(&there).result(0);
    assert_eq!(checked.as_array().unwrap().len(), 2, "{checked}");
    let list = files(&copy).into_iter().find(|file| file.starts_with(copy.join("erasures")));
    let list = list.unwrap();
    let whole = fs::read(&list).unwrap();
    fs::write(&list, &whole[..whole.len() - 1]).unwrap();
    let said = suite.lifeboat_opened(&there);
    assert_eq!(said.exit, 4, "{said:?}");
    assert!(said.stdout.contains("erasures/"), "{said:?}");
    // A copy is of the same server as what it is of; this names another vault's.
    fs::copy(suite.vault.join("owner.json"), copy.join("owner.json")).unwrap();
    let said = suite.lifeboat(&["backup", "copy", "--to", copy.to_str().unwrap()]);
    assert_eq!(said.exit, 2, "{said:?}");
    assert!(said.stdout.contains("belongs to another server"), "{said:?}");
}

#[test]
fn new_recipient_opens_old_backups_once_their_envelopes_are_rewritten() {
    let suite = suite("keys");
    suite.back_up();
    let other = suite.folder.join("other.txt");
    let recipient = keygen(&other);
    let show = ["backup", "show", "-i", other.to_str().unwrap()];
    assert_eq!(suite.lifeboat(&show).exit, 1);
    let outcome = suite.lifeboat_opened(&["backup", "key", "add", &recipient]).result(0);
    assert_eq!(outcome["rewritten"], 1, "{outcome}");
    suite.lifeboat(&show).result(0);
    let verify = ["backup", "verify", "--all", "-i", other.to_str().unwrap()];
    suite.lifeboat(&verify).result(0);
    suite.lifeboat_opened(&["backup", "verify"]).result(0);
    suite.lifeboat_opened(&["backup", "key", "remove", &recipient]).result(0);
    assert_eq!(suite.lifeboat(&show).exit, 1);
}

#[test]
fn one_file_or_table_comes_out_of_a_backup_alone() {
    let suite = suite("parts");
    suite.back_up();
    let unpack = |into: &str, more: &[&str]| {
        let into = suite.folder.join(into);
        let words = ["backup", "unpack", "-d", into.to_str().unwrap()];
        let words: Vec<&str> = words.into_iter().chain(more.iter().copied()).collect();
        (suite.lifeboat_opened(&words), files(&into))
    };
    fs::create_dir(suite.folder.join("none")).unwrap();
    let (said, found) = unpack("file", &["--file", "*/store/keys.bin"]);
    said.result(0);
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(fs::read(&found[0]).unwrap(), vec![7; 70_000]);
    let (said, found) = unpack("table", &["--component", "accounts", "--table", "sessions"]);
    assert_eq!(said.result(0)["rows"], 5000);
    let copies: Vec<_> = found.iter().filter(|path| path.ends_with("000001.copy")).collect();
    let copy = fs::read(copies[0]).unwrap();
    assert!(copy.starts_with(b"PGCOPY\n"), "a file that COPY takes");
    let (said, _) = unpack("none", &["--file", "/nowhere/*"]);
    assert_eq!(said.exit, 2, "{said:?}");
}

#[test]
fn envelope_that_was_rewritten_reaches_the_second_vault_even_if_it_is_as_long_as_before() {
    let suite = suite("envelopes");
    suite.back_up();
    let second = suite.folder.join("second");
    let copy = ["backup", "copy", "--to", second.to_str().unwrap()];
    suite.lifeboat(&copy).result(0);
    let named = |vault: &Path, name: &str| {
        let ends = |path: &PathBuf| path.ends_with(name);
        files(vault).into_iter().find(ends).unwrap()
    };
    let (envelope, seal) = (named(&suite.vault, "key.age"), named(&suite.vault, "seal.json"));
    let old = fs::read(&envelope).unwrap();
    let mut new = old.clone();
    new.reverse();
    fs::write(&envelope, &new).unwrap();
    let sum = |bytes: &[u8]| Digest::of(bytes).to_string();
    let text = fs::read_to_string(&seal).unwrap();
    fs::write(&seal, text.replace(&sum(&old), &sum(&new))).unwrap();
    assert_eq!(suite.lifeboat(&copy).result(0)["copied_files"], 1);
    assert_eq!(fs::read(named(&second, "key.age")).unwrap(), new);
    assert_eq!(suite.lifeboat(&copy).result(0)["copied_files"], 0);
}

#[test]
fn bridge_that_is_down_is_a_gap_and_the_rest_is_backed_up() {
    let suite = suite("down");
    world().cluster.drop_database(&suite.accounts).unwrap();
    fs::write(&suite.sydent, "no database").unwrap();
    let outcome = suite.lifeboat(&["backup", "run"]).result(3);
    assert_eq!(outcome["gaps"]["kinds"]["database-unreadable"], 2, "{outcome}");
    suite.lifeboat_opened(&["backup", "verify"]).result(0);
}

#[test]
fn table_that_nobody_may_read_is_a_gap_of_its_database_and_names_it() {
    let suite = suite("secret");
    let make = "CREATE TABLE secret (a int); CREATE SEQUENCE kept";
    world().cluster.psql(&suite.accounts, make).unwrap();
    let outcome = suite.lifeboat(&["backup", "run"]).result(3);
    assert_eq!(outcome["gaps"]["kinds"]["database-unreadable"], 1, "{outcome}");
    let gap = &outcome["gaps"]["first"][0];
    assert!(gap["object"].as_str().unwrap().ends_with("/main"), "{gap}");
    let detail = gap["detail"].as_str().unwrap();
    assert!(detail.contains("2 tables or sequences cannot be read"), "{gap}");
    suite.lifeboat_opened(&["backup", "verify"]).result(0);
}

#[test]
fn backups_of_some_components_take_the_place_of_none_of_the_whole_installation() {
    let suite = suite("partial");
    let whole = suite.back_up()["backup"].as_str().unwrap().to_owned();
    let mut partial = Vec::new();
    for _ in 0..4 {
        let run = ["backup", "run", "--component", "bot"];
        let outcome = suite.lifeboat(&run).result(0);
        partial.push(outcome["backup"].as_str().unwrap().to_owned());
    }
    let shown = suite.lifeboat(&["backup", "show"]).result(0);
    assert_eq!(shown["backup"], *whole, "the latest is the latest whole one");
    let choices = suite.lifeboat(&["backup", "forget"]).result(0);
    let kept: Vec<&str> = choices
        .as_array()
        .unwrap()
        .iter()
        .filter(|choice| choice["keep"] == true)
        .map(|choice| choice["backup"].as_str().unwrap())
        .collect();
    assert_eq!(kept, [&whole, &partial[2], &partial[3]].map(String::as_str), "{choices}");
    assert_eq!(suite.lifeboat(&["backup", "forget", &whole]).exit, 2);
    assert_eq!(suite.lifeboat(&["backup", "forget", &partial[3]]).exit, 0);
}

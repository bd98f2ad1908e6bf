//! Backups of files and of `SQLite`, by the program: what a damaged vault is told as, and whether
//! what is put back is as it was.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::process::{Command, Stdio};
use std::time::{Duration, UNIX_EPOCH};

use rusqlite::Connection;
use rustix::process::{Pid, Signal, kill_process};

use crate::conversation::{lifeboat, program};
use crate::small::{DONE, FILES, GAPS, NOT_VALID, Small, USAGE, last_name};

#[test]
fn what_opens_a_borrowed_volume_is_checked_and_without_it_nothing_is_borrowed() {
    for name in ["key.age", "header.json", "manifest.sealed", "seal.json"] {
        let small = Small::new(FILES);
        small.write("data/first", "one");
        let lender = small.back_up();
        small.write("data/second", "two");
        small.back_up();
        assert_eq!(small.say(&["backup", "verify", "--scrub"]).exit, DONE);
        fs::remove_file(lender.join(name)).unwrap();
        for said in [small.say(&["backup", "verify", "--scrub"]), small.ask(&["backup", "verify"])]
        {
            assert_eq!(said.exit, NOT_VALID, "{name}: {}", said.stdout);
            let named = format!("{}/{name}: it is missing", last_name(&lender));
            assert!(said.stdout.contains(&named), "{}", said.stdout);
        }
        let said = small.restore("lost", &[]);
        assert_eq!(said.exit, NOT_VALID, "{}", said.stderr);
        assert!(said.stderr.contains(last_name(&lender)), "{}", said.stderr);
        small.back_up();
        assert_eq!(small.ask(&["backup", "verify"]).exit, DONE, "{name}");
    }
}

#[test]
fn vault_that_lost_its_sign_is_told_from_a_place_that_is_none_and_gives_its_backups_back() {
    let small = Small::new(FILES);
    small.write("data/first", "one");
    small.back_up();
    let sign = small.path("vault/vault.json");
    fs::remove_file(&sign).unwrap();
    let said = small.ask(&["backup", "verify", "--json"]);
    assert_eq!(said.exit, NOT_VALID, "{}", said.stdout);
    let remedy = said.last_json()["remedy"].as_str().unwrap().to_owned();
    fs::write(&sign, &remedy[remedy.find('{').unwrap()..]).unwrap();
    assert_eq!(small.restore("back", &[]).exit, DONE);
    fs::remove_dir_all(small.path("vault/packages")).unwrap();
    fs::remove_file(&sign).unwrap();
    assert_eq!(small.say(&["backup", "run"]).exit, USAGE, "only owner.json is there");
}

#[test]
fn damaged_key_of_a_lender_is_found_without_an_identity() {
    let small = Small::new(FILES);
    small.write("data/first", "one");
    let key = small.back_up().join("key.age");
    small.back_up();
    let mut bytes = fs::read(&key).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&key, bytes).unwrap();
    let said = small.say(&["backup", "verify", "--scrub"]);
    assert_eq!(said.exit, NOT_VALID, "{}", said.stdout);
}

#[test]
fn volume_that_is_lost_or_cut_off_is_damage_to_whoever_reads_it() {
    let small = Small::new(FILES);
    small.write("data/first", "one");
    let volume = small.back_up().join("volumes/000001.vol");
    let whole = fs::read(&volume).unwrap();
    fs::write(&volume, &whole[..whole.len() - 1]).unwrap();
    assert_eq!(small.restore("cut", &[]).exit, NOT_VALID);
    fs::remove_file(&volume).unwrap();
    assert_eq!(small.restore("lost", &[]).exit, NOT_VALID);
    assert_eq!(small.ask(&["backup", "show"]).exit, NOT_VALID);
}

#[test]
fn database_of_sqlite_comes_back_in_its_place_with_its_mode_and_no_torn_file_over_it() {
    let small = Small::new(
        "  - {kind: files, name: bot, paths: data}\n  \
         - {kind: database, name: store, sqlite: data/bot.db}\n",
    );
    let database = Connection::open(small.path("data/bot.db")).unwrap();
    // What is written stays in the log beside the file.
    database.execute_batch("PRAGMA journal_mode = wal; PRAGMA wal_autocheckpoint = 0").unwrap();
    database.execute_batch("CREATE TABLE t (x); INSERT INTO t VALUES (7)").unwrap();
    let open = fs::Permissions::from_mode(0o640);
    fs::set_permissions(small.path("data/bot.db"), open).unwrap();
    small.write("data/else", "too");
    small.back_up();
    let said = small.restore("back", &[]);
    assert_eq!(said.exit, DONE, "{}{}", said.stdout, said.stderr);
    let back = small.below("back", "data/bot.db");
    assert_eq!(fs::metadata(&back).unwrap().permissions().mode() & 0o7777, 0o640);
    assert!(!small.below("back", "data/bot.db-wal").exists());
    let found = Connection::open(&back).unwrap();
    let x: i64 = found.query_row("SELECT x FROM t", [], |row| row.get(0)).unwrap();
    assert_eq!(x, 7);
    assert!(small.below("back", "data/else").exists());
}

#[test]
fn database_that_is_found_by_a_link_comes_back_where_the_program_looks_for_it() {
    let small = Small::new(
        "  - {kind: files, name: bot, paths: data}\n  \
         - {kind: database, name: store, sqlite: data/bot.db}\n  \
         - {kind: database, name: more, sqlite: data/deep/more.db}\n",
    );
    fs::create_dir(small.path("real")).unwrap();
    for (name, row) in [("real/bot.db", 7), ("real/more.db", 8)] {
        let database = Connection::open(small.path(name)).unwrap();
        let made = format!("CREATE TABLE t (x); INSERT INTO t VALUES ({row})");
        database.execute_batch(&made).unwrap();
    }
    symlink("../real/bot.db", small.path("data/bot.db")).unwrap();
    symlink("../real", small.path("data/deep")).unwrap();
    small.write("data/else", "too");
    let said = small.say(&["backup", "run"]);
    assert_eq!(said.exit, GAPS, "{}", said.stdout);
    // Of a link to a folder more may be missed than the database.
    let gap = format!("database-behind-link {}", small.text("data/deep"));
    assert!(said.stdout.contains(&gap), "{}", said.stdout);
    assert!(!said.stdout.contains(&small.text("data/bot.db")), "{}", said.stdout);
    let said = small.restore("back", &[]);
    assert_eq!(said.exit, DONE, "{}{}", said.stdout, said.stderr);
    for (name, row) in [("data/bot.db", 7), ("data/deep/more.db", 8)] {
        let found = Connection::open(small.below("back", name)).unwrap();
        let x: i64 = found.query_row("SELECT x FROM t", [], |row| row.get(0)).unwrap();
        assert_eq!(x, row, "{name}");
    }
    assert!(small.below("back", "data/else").exists());
}

#[test]
fn run_is_stopped_while_it_reads_a_long_file_that_it_knows() {
    let small = Small::new(FILES);
    small.write("data/long", "");
    // Each piece after the first is known. All of it would take minutes.
    let long = fs::File::options().write(true).open(small.path("data/long")).unwrap();
    long.set_len(1 << 38).unwrap();
    let config = small.text("lifeboat.yaml");
    let mut child = program().args(["backup", "run", "--json", "-c", &config]).spawn().unwrap();
    let mut said = BufReader::new(child.stdout.take().unwrap()).lines();
    let stage = said.next().unwrap().unwrap();
    assert!(stage.contains("\"event\":\"stage\""), "{stage}");
    let pid = Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
    kill_process(pid, Signal::TERM).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130));
}

#[test]
fn secret_inside_the_folder_of_its_component_comes_back_before_the_rest_of_it() {
    let small = Small::new(
        "  - {kind: adminbot, name: bot, paths: data, secrets: {passphrase: data/pass}}\n",
    );
    small.write("data/pass", "open sesame");
    small.write("data/else", "too");
    small.back_up();
    for _ in 0..2 {
        let said = small.restore("back", &[]);
        assert_eq!(said.exit, GAPS, "{}{}", said.stdout, said.stderr);
        let text = |name| fs::read_to_string(small.below("back", name)).unwrap();
        assert_eq!((text("data/pass"), text("data/else")), ("open sesame".into(), "too".into()));
    }
}

#[test]
fn vault_of_another_server_is_neither_mixed_with_ours_nor_sealed_for_our_recipients() {
    let (ours, theirs) = (Small::new(FILES), Small::new(FILES));
    let text = fs::read_to_string(theirs.path("lifeboat.yaml")).unwrap();
    fs::write(theirs.path("lifeboat.yaml"), text.replace("example.org", "other.test")).unwrap();
    for small in [&ours, &theirs] {
        small.write("data/first", "one");
        small.back_up();
        let second = small.text("second");
        assert_eq!(small.say(&["backup", "copy", "--to", &second]).exit, DONE);
    }
    let (vault, second) = (theirs.text("vault"), ours.text("second"));
    let said = ours.say(&["backup", "copy", "--vault", &vault, "--to", &second]);
    assert_eq!(said.exit, USAGE, "{}{}", said.stdout, said.stderr);
    let identity = theirs.text("identity.txt");
    let words = ["backup", "key", "add", &ours.recipient, "--vault", &vault, "-i", &identity];
    let said = ours.say(&words);
    assert_eq!(said.exit, USAGE, "{}{}", said.stdout, said.stderr);
    assert_eq!(theirs.ask(&["backup", "verify"]).exit, DONE);
    // Whoever has the way to a vault may copy it to a place of its own.
    let fetched = ours.text("fetched");
    assert_eq!(ours.say(&["backup", "copy", "--vault", &vault, "--to", &fetched]).exit, DONE);
    assert_eq!(theirs.ask(&["backup", "verify", "--vault", &fetched]).exit, DONE);
}

#[test]
fn list_that_is_there_twice_and_our_own_name_are_refused() {
    let small = Small::new("  - {kind: files, name: a, paths: data}\n");
    let config = small.path("lifeboat.yaml");
    let text = fs::read_to_string(&config).unwrap();
    assert_eq!(small.say(&["config", "check"]).exit, DONE);
    let more = "components:\n  - {kind: files, name: b, paths: data}\n";
    fs::write(&config, format!("{text}{more}")).unwrap();
    let said = small.say(&["config", "check"]);
    assert!(said.stderr.contains("components is there already, in line 5"), "{}", said.stderr);
    fs::write(&config, text.replace("name: a", "name: lifeboat")).unwrap();
    let said = small.say(&["config", "check"]);
    assert!(said.stderr.contains("is the name of our own part"), "{}", said.stderr);
}

#[test]
fn names_of_one_file_are_one_file_again_and_links_keep_their_time() {
    let small = Small::new(FILES);
    let data = small.path("data");
    fs::create_dir(data.join("deep")).unwrap();
    fs::write(data.join("deep/first"), "the same").unwrap();
    for name in ["deep/second", "third"] {
        fs::hard_link(data.join("deep/first"), data.join(name)).unwrap();
    }
    fs::write(data.join("alike"), "the same").unwrap();
    symlink("alike", data.join("link")).unwrap();
    let long_ago = UNIX_EPOCH + Duration::from_secs(1_000_000_000);
    let mut touch = Command::new("touch");
    touch.args(["-h", "-d", "@1000000000"]).arg(data.join("link"));
    assert!(touch.status().unwrap().success());
    small.back_up();
    for _ in 0..2 {
        assert_eq!(small.restore("back", &[]).exit, DONE);
        let back = small.below("back", "data");
        let inode = |name: &str| fs::symlink_metadata(back.join(name)).unwrap().ino();
        assert_eq!(inode("deep/first"), inode("deep/second"));
        assert_eq!(inode("deep/first"), inode("third"));
        assert_ne!(inode("deep/first"), inode("alike"));
        assert_eq!(fs::read_to_string(back.join("third")).unwrap(), "the same");
        let link = fs::symlink_metadata(back.join("link")).unwrap();
        assert_eq!(link.modified().unwrap(), long_ago);
        // What was lost of them comes back.
        fs::remove_file(back.join("deep/first")).unwrap();
        fs::remove_file(back.join("deep/second")).unwrap();
        fs::remove_file(back.join("third")).unwrap();
    }
}

#[test]
fn file_in_the_place_of_a_folder_is_moved_aside_where_that_is_asked_for() {
    let small = Small::new(FILES);
    fs::create_dir(small.path("data/folder")).unwrap();
    small.write("data/folder/file", "kept");
    small.back_up();
    assert_eq!(small.restore("back", &[]).exit, DONE);
    let folder = small.below("back", "data/folder");
    fs::remove_dir_all(&folder).unwrap();
    fs::write(&folder, "in the way").unwrap();
    let said = small.restore("back", &[]);
    assert!(said.stderr.contains("is there already, and differs"), "{}", said.stderr);
    assert!(said.stderr.contains("--replace"), "{}", said.stderr);
    assert_eq!(small.restore("back", &["--replace"]).exit, DONE);
    assert_eq!(fs::read_to_string(folder.join("file")).unwrap(), "kept");
}

#[test]
fn link_in_the_place_of_a_folder_is_not_followed() {
    let small = Small::new(FILES);
    fs::create_dir(small.path("data/folder")).unwrap();
    small.write("data/folder/file", "kept");
    small.back_up();
    assert_eq!(small.restore("back", &[]).exit, DONE);
    let (folder, elsewhere) = (small.below("back", "data/folder"), small.path("elsewhere"));
    fs::remove_dir_all(&folder).unwrap();
    fs::create_dir(&elsewhere).unwrap();
    symlink(&elsewhere, &folder).unwrap();
    let said = small.restore("back", &[]);
    assert!(said.stderr.contains("is there already, and differs"), "{}", said.stderr);
    assert_eq!(fs::read_dir(&elsewhere).unwrap().count(), 0);
    // A tree as a whole may have moved to another disk.
    let tree = small.below("back", "data");
    fs::remove_dir_all(&tree).unwrap();
    symlink(&elsewhere, &tree).unwrap();
    assert_eq!(small.restore("back", &[]).exit, DONE);
    assert_eq!(fs::read_to_string(elsewhere.join("folder/file")).unwrap(), "kept");
}

#[test]
fn what_is_no_recipient_or_the_only_one_is_not_told_as_taken_away() {
    let small = Small::new(FILES);
    small.write("data/first", "one");
    small.back_up();
    let said = small.ask(&["backup", "key", "remove", "age1nonsense"]);
    assert_eq!((said.exit, said.stdout.as_str()), (USAGE, ""));
    let said = small.ask(&["backup", "key", "remove", &small.recipient]);
    assert_eq!(said.exit, USAGE, "{}", said.stderr);
    assert!(said.stderr.contains("it is the only recipient"), "{}", said.stderr);
    assert_eq!(small.ask(&["backup", "verify"]).exit, DONE);
}

#[test]
fn run_whose_recipients_stay_as_they_were_is_told() {
    let small = Small::new(FILES);
    small.write("data/first", "one");
    small.back_up();
    let add = ["backup", "key", "add", &small.recipient];
    let said = small.ask(&add);
    assert!(said.exit == DONE && !said.stdout.contains("left out"), "{}", said.stdout);
    small.write("data/second", "two");
    let second = small.back_up();
    // As it is in the vault until the last thing a run does.
    fs::remove_file(second.join("seal.json")).unwrap();
    let said = small.ask(&add);
    assert_eq!(said.exit, DONE, "{}", said.stderr);
    let told = format!("left out  the run {} was under way", last_name(&second));
    assert!(said.stdout.contains(&told), "{}", said.stdout);
    assert!(said.stdout.contains("next      when no run is under way"), "{}", said.stdout);
}

#[test]
fn vault_is_not_copied_into_itself() {
    let small = Small::new(FILES);
    small.write("data/first", "one");
    small.back_up();
    for to in ["vault", "vault/", "vault/copy"] {
        let said = small.say(&["backup", "copy", "--to", &small.text(to)]);
        assert_eq!(said.exit, USAGE, "{to}: {}", said.stdout);
    }
    assert!(!small.path("vault/copy").exists());
    let said = small.say(&["backup", "copy", "--to", &small.text("second")]);
    assert_eq!(said.exit, DONE, "{}", said.stderr);
}

#[test]
fn what_rotted_in_a_second_vault_is_copied_anew_once_a_verify_has_found_it() {
    let small = Small::new(FILES);
    small.write("data/first", "one");
    let lender = small.back_up();
    small.write("data/second", "two");
    small.back_up();
    let second = small.text("second");
    let copy = || small.say(&["backup", "copy", "--json", "--to", &second]);
    assert_eq!(copy().exit, DONE);
    let check = ["backup", "verify", "--all", "--scrub", "--vault", &second];
    for name in ["volumes/000001.vol", "key.age"] {
        let rotten = small.path("second/packages").join(last_name(&lender)).join(name);
        let whole = fs::read(&rotten).unwrap();
        let mut bytes = whole.clone();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::write(&rotten, bytes).unwrap();
        assert_eq!(lifeboat(check).exit, NOT_VALID, "{name}");
        let outcome = copy().last_json()["outcome"].clone();
        assert!(outcome["replaced_files"].as_u64().unwrap() > 0, "{name}: {outcome}");
        assert!(fs::read(&rotten).unwrap() == whole, "{name}");
        assert_eq!(lifeboat(check).exit, DONE, "{name}");
        let outcome = copy().last_json()["outcome"].clone();
        assert_eq!((&outcome["copied_files"], &outcome["replaced_files"]), (&0.into(), &0.into()));
    }
}

#[test]
fn seal_of_a_lender_that_says_otherwise_than_the_borrower_is_found_without_an_identity() {
    let small = Small::new(FILES);
    small.write("data/first", "one");
    let lender = small.back_up();
    small.write("data/second", "two");
    small.back_up();
    let seal = lender.join("seal.json");
    let text = fs::read_to_string(&seal).unwrap();
    let sum = &text[text.find(".vol").unwrap()..];
    let sum = &sum[sum.find("\"sha256\":\"").unwrap() + 10..][..64];
    fs::write(&seal, text.replace(sum, &"0".repeat(64))).unwrap();
    let said = small.say(&["backup", "verify", "--scrub"]);
    assert_eq!(said.exit, NOT_VALID, "{}", said.stdout);
    assert!(said.stdout.contains("seal.json: it says otherwise of volumes/"), "{}", said.stdout);
}

#[test]
fn backup_that_lost_its_seal_is_not_taken_for_a_run_that_was_cut_short() {
    let small = Small::new(FILES);
    small.write("data/first", "one");
    let first = small.back_up();
    small.write("data/second", "two");
    let second = small.back_up();
    assert_eq!(small.ask(&["backup", "verify"]).exit, DONE);
    fs::remove_file(second.join("seal.json")).unwrap();
    let listed = small.say(&["backup", "list", "--json"]).last_json()["outcome"].clone();
    assert_eq!(listed["damaged"], serde_json::json!([last_name(&second)]), "{listed}");
    assert_eq!(listed["unfinished"], serde_json::json!([]), "{listed}");
    let said = small.ask(&["backup", "verify"]);
    assert_eq!(said.exit, NOT_VALID, "{}", said.stdout);
    let problem = format!("{}/seal.json: it is missing", last_name(&second));
    assert!(said.stdout.contains(&problem), "{}", said.stdout);
    let said = small.ask(&["backup", "show", last_name(&second), "--json"]);
    let error = said.last_json();
    assert_eq!(said.exit, NOT_VALID, "{error}");
    assert!(error["remedy"].as_str().unwrap().contains("another copy of the vault"), "{error}");
    // Days later a run that was cut short would be swept away.
    for _ in 0..2 {
        assert_eq!(small.say(&["backup", "prune"]).exit, NOT_VALID);
    }
    assert!(second.join("key.age").is_file());
    assert_eq!(small.ask(&["backup", "verify", last_name(&first)]).exit, DONE);
}

#[test]
fn good_backup_is_not_refused_because_of_a_bad_neighbour_and_what_is_left_can_be_had() {
    let small = Small::new(FILES);
    small.write("data/first", "one");
    let first = small.back_up();
    small.write("data/second", "two");
    let second = small.back_up();
    fs::write(second.join("seal.json"), "").unwrap();
    let name = last_name(&first);
    assert_eq!(small.ask(&["backup", "verify", name]).exit, DONE);
    assert_eq!(small.ask(&["backup", "verify", "--all"]).exit, NOT_VALID);
    assert_eq!(small.ask(&["backup", "verify", last_name(&second)]).exit, NOT_VALID);
    // A sign that is no sign any more leads out as one that is lost does.
    let sign = small.path("vault/vault.json");
    for torn in ["", "{\"format\":\"lifeboat-va"] {
        fs::write(&sign, torn).unwrap();
        let said = small.ask(&["backup", "verify", name, "--json"]);
        assert_eq!(said.exit, NOT_VALID, "{}", said.stdout);
        let remedy = said.last_json()["remedy"].as_str().unwrap().to_owned();
        fs::write(&sign, &remedy[remedy.find('{').unwrap()..]).unwrap();
        assert_eq!(small.ask(&["backup", "verify", name]).exit, DONE);
    }
}

#[test]
fn why_a_backup_was_pinned_is_shown_also_where_the_mark_is_damaged() {
    let small = Small::new(FILES);
    small.write("data/first", "one");
    let backup = small.back_up();
    let reason = "before the upgrade";
    assert_eq!(small.say(&["backup", "pin", last_name(&backup), "--reason", reason]).exit, DONE);
    let said = small.ask(&["backup", "show", last_name(&backup)]);
    assert_eq!(said.exit, DONE, "{}", said.stderr);
    let line = said.stdout.lines().find(|line| line.starts_with("pinned"));
    assert!(line.is_some_and(|line| line.ends_with(reason)), "{}", said.stdout);
    let mark = fs::read_dir(small.path("vault/pinned")).unwrap().next().unwrap().unwrap().path();
    fs::write(mark, "{").unwrap();
    let said = small.ask(&["backup", "show", last_name(&backup)]);
    assert_eq!(said.exit, DONE, "{}", said.stderr);
    assert!(said.stdout.lines().any(|line| line.starts_with("pinned")), "{}", said.stdout);
}

#[test]
fn what_gets_another_name_while_others_are_read_is_kept_under_it() {
    let small = Small::new(FILES);
    // Read first, and for as long as the names after it need to change.
    let large = File::create(small.path("data/a-large")).unwrap();
    large.set_len(512 << 20).unwrap();
    small.write("data/z-log", "lines");
    fs::create_dir(small.path("data/zz-rooms")).unwrap();
    small.write("data/zz-rooms/log", "more lines");
    let config = small.text("lifeboat.yaml");
    let words = ["backup", "run", "-c", &config, "--quiet"];
    let mut run = program().args(words).stdout(Stdio::null()).spawn().unwrap();
    let open_files = format!("/proc/{}/fd", run.id());
    let is_read = |name: &str| {
        let files = fs::read_dir(&open_files).into_iter().flatten().flatten();
        files.flat_map(|file| fs::read_link(file.path())).any(|path| path.ends_with(name))
    };
    while !is_read("a-large") {
        assert!(run.try_wait().unwrap().is_none(), "it was over before the file was seen open");
        std::thread::yield_now();
    }
    fs::rename(small.path("data/z-log"), small.path("data/z-log.1")).unwrap();
    fs::rename(small.path("data/zz-rooms"), small.path("data/a-rooms")).unwrap();
    assert_eq!(run.wait().unwrap().code(), Some(DONE));
    let said = small.restore("back", &[]);
    assert_eq!(said.exit, DONE, "{}{}", said.stdout, said.stderr);
    let found = |name: &str| fs::read_to_string(small.below("back", name)).ok();
    assert_eq!(found("data/z-log.1").as_deref(), Some("lines"));
    assert_eq!(found("data/a-rooms/log").as_deref(), Some("more lines"));
}

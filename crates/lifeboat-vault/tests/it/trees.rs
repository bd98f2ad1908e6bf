//! What lies in trees, and what becomes of it in a backup.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, MetadataExt, symlink};
use std::sync::atomic::{AtomicBool, Ordering};

use lifeboat_package::backup::{FileKind, FileRecord};
use lifeboat_vault::run::{BackupOutcome, BackupRequest, DatabaseAt, SubjectDatabase, Sync, run};
use rusqlite::Connection;

use crate::berth::{Berth, now};

/// The records of the only backup that is kept.
fn records(berth: &Berth) -> Vec<FileRecord> {
    now(async {
        let (vault, survey) = berth.open().await;
        berth.records(&vault, &survey, survey.kept().next_back().unwrap()).await.1
    })
}

/// How many gaps there are besides the missing signature: there is no Synapse here.
fn gaps(outcome: &BackupOutcome) -> u64 {
    outcome.gaps.total - outcome.gaps.kinds["unsigned"]
}

#[test]
fn backups_of_one_second_are_in_the_order_in_which_they_were_made() {
    let berth = Berth::new("data");
    let made: Vec<String> = (0..8).map(|_| berth.back_up().unwrap().backup).collect();
    now(async {
        let (_, survey) = berth.open().await;
        let kept: Vec<String> = survey.kept().map(|s| s.folder.id().to_string()).collect();
        assert_eq!(kept, made);
        assert_eq!(survey.find("latest", i64::MAX).unwrap().folder.id().to_string(), made[7]);
    });
}

/// As where the disk of the vault is not mounted.
#[test]
fn vault_that_is_gone_is_not_begun_anew_in_silence() {
    let berth = Berth::new("data");
    let first = berth.back_up().unwrap().backup;
    fs::rename(berth.path("vault"), berth.path("elsewhere")).unwrap();
    for _ in 0..2 {
        let refused = berth.back_up().unwrap_err();
        assert!(refused.what.contains("there was a vault"), "{refused:?}");
        assert!(refused.remedy.contains("vaults.json"), "{refused:?}");
        assert!(!berth.path("vault/vault.json").exists());
        // An empty mount point is there.
        fs::create_dir_all(berth.path("vault")).unwrap();
    }
    fs::remove_dir(berth.path("vault")).unwrap();
    fs::rename(berth.path("elsewhere"), berth.path("vault")).unwrap();
    berth.back_up().unwrap();
    now(async {
        let (_, survey) = berth.open().await;
        assert!(survey.kept().any(|sealed| sealed.folder.id().to_string() == first));
    });
    fs::rename(berth.path("vault"), berth.path("elsewhere")).unwrap();
    fs::remove_file(berth.path("state/vaults.json")).unwrap();
    berth.back_up().unwrap();
    berth.notes();
    // Two disks that take turns.
    fs::rename(berth.path("vault"), berth.path("other")).unwrap();
    fs::rename(berth.path("elsewhere"), berth.path("vault")).unwrap();
    berth.back_up().unwrap();
    let notes = berth.notes();
    assert!(notes.iter().any(|note| note.contains("the last time")), "{notes:?}");
    berth.back_up().unwrap();
    assert!(!berth.notes().iter().any(|note| note.contains("the last time")));
}

#[test]
fn backup_that_a_wrong_clock_dated_ahead_is_not_the_latest() {
    let berth = Berth::new("data");
    let made: Vec<String> = (0..2).map(|_| berth.back_up().unwrap().backup).collect();
    let ahead = "22001231T000000Z";
    for folder in fs::read_dir(berth.path("vault/packages")).unwrap() {
        let folder = folder.unwrap().path();
        let name = folder.file_name().unwrap().to_str().unwrap().to_owned();
        if name.ends_with(&made[0]) {
            fs::rename(&folder, folder.with_file_name(format!("{ahead}-{}", made[0]))).unwrap();
        }
    }
    now(async {
        let (_, survey) = berth.open().await;
        let latest = |now| survey.find("latest", now).unwrap().folder.id().to_string();
        assert_eq!(latest(0), made[0], "where all are ahead, it is the newest of them");
        assert_eq!(latest(2_000_000_000), made[1]);
        assert_eq!(latest(i64::MAX), made[0]);
    });
}

#[test]
fn vault_of_one_server_takes_no_backup_of_another() {
    let berth = Berth::new("data");
    fs::write(berth.path("tree").join("file"), "content").unwrap();
    berth.back_up().unwrap();
    let other = BackupRequest { server_name: "other.test".to_owned(), ..berth.request() };
    let refused = now(run(&berth.context(), other)).unwrap_err();
    assert!(refused.what.contains("belongs to another server than other.test"), "{refused}");
    berth.back_up().unwrap();
    assert_eq!(berth.kept("one server").len(), 2);
}

#[test]
fn odd_files_are_kept_with_everything_that_makes_them_again() {
    for role in ["data", "media"] {
        let berth = Berth::new(role);
        let tree = berth.path("tree");
        fs::write(tree.join("empty"), "").unwrap();
        let odd = tree.join(std::ffi::OsStr::from_bytes(b"not \xff text\n"));
        fs::write(&odd, "odd").unwrap();
        let large: Vec<u8> =
            (0..50_000_000_u32).map(|n| (n / 997).wrapping_mul(31).to_le_bytes()[0]).collect();
        fs::write(tree.join("large"), &large).unwrap();
        let sparse = fs::File::create(tree.join("sparse")).unwrap();
        sparse.set_len(9 << 20).unwrap();
        sparse.write_all_at(b"end", (9 << 20) - 3).unwrap();
        fs::hard_link(tree.join("large"), tree.join("linked")).unwrap();
        rustix::fs::mkfifoat(rustix::fs::CWD, tree.join("pipe"), 0o600.into()).unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(tree.join("socket")).unwrap();
        let outcome = berth.back_up().unwrap();
        assert_eq!(gaps(&outcome), 0, "{:?}", outcome.gaps);
        assert_eq!(outcome.components[0].files, 5);
        // A hard link costs nothing.
        assert!(outcome.components[0].new_bytes < 60_000_000, "{:?}", outcome.components);
        let kept = berth.kept("").into_values().next().unwrap();
        assert!(kept["large"] == large && kept["linked"] == large);
        assert_eq!(kept["empty"], b"");
        assert_eq!(kept["sparse"].len(), 9 << 20);
        let records = records(&berth);
        let sparse = records.iter().find(|record| record.path == "sparse").unwrap();
        assert!(sparse.sparse);
        let names: Vec<_> =
            records.iter().filter_map(|record| record.hard_link.as_deref()).collect();
        assert_eq!(names, ["large"]);
        let odd = records.iter().find(|record| record.path_bytes.is_some()).unwrap();
        assert_eq!(odd.path_bytes.as_deref(), Some("6e6f7420ff20746578740a"));
    }
}

#[test]
fn device_and_the_folder_of_a_running_cluster_are_gaps() {
    let berth = Berth::new("data");
    let mut request = berth.request();
    request.components[0].trees[0].root = "/dev/null".into();
    let outcome = now(run(&berth.context(), request)).unwrap();
    assert_eq!(outcome.gaps.kinds["device-not-kept"], 1);
    let tree = berth.path("tree");
    fs::write(tree.join("PG_VERSION"), "15\n").unwrap();
    fs::create_dir(tree.join("global")).unwrap();
    assert_eq!(gaps(&berth.back_up().unwrap()), 0, "it was shut down");
    fs::write(tree.join("postmaster.pid"), "4711\n").unwrap();
    assert_eq!(berth.back_up().unwrap().gaps.kinds["database-running"], 1);
}

#[test]
fn tree_behind_a_link_is_kept_with_what_is_in_it() {
    let berth = Berth::new("data");
    fs::rename(berth.path("tree"), berth.path("elsewhere")).unwrap();
    fs::write(berth.path("elsewhere/file"), "here").unwrap();
    symlink(berth.path("elsewhere"), berth.path("tree")).unwrap();
    berth.back_up().unwrap();
    assert_eq!(berth.kept("").into_values().next().unwrap()["file"], b"here");
    // One file behind a link, as secrets are mounted.
    fs::remove_file(berth.path("tree")).unwrap();
    symlink(berth.path("elsewhere/file"), berth.path("tree")).unwrap();
    let outcome = berth.back_up().unwrap();
    assert_eq!(gaps(&outcome), 0, "{:?}", outcome.gaps);
    assert_eq!(berth.kept("")[&outcome.backup][""], b"here");
}

#[test]
fn media_behind_a_link_below_the_store_are_a_gap_and_other_links_stay_links() {
    for (role, gaps) in [("media", 1), ("data", 0)] {
        let berth = Berth::new(role);
        fs::create_dir(berth.path("other disk")).unwrap();
        symlink(berth.path("other disk"), berth.path("tree/local_content")).unwrap();
        let outcome = berth.back_up().unwrap();
        assert_eq!(outcome.gaps.kinds.get("link-not-followed").copied().unwrap_or(0), gaps);
        assert!(records(&berth).iter().any(|record| record.kind == FileKind::Link));
    }
}

#[test]
fn link_whose_target_is_no_text_is_kept_with_its_bytes() {
    let berth = Berth::new("data");
    symlink(std::ffi::OsStr::from_bytes(b"\xfe\xff"), berth.path("tree/link")).unwrap();
    let outcome = berth.back_up().unwrap();
    assert_eq!(gaps(&outcome), 0, "{:?}", outcome.gaps);
    let all = records(&berth);
    let link = all.iter().find(|record| record.kind == FileKind::Link).unwrap();
    assert_eq!(link.target_bytes.as_deref(), Some("feff"));
}

#[test]
fn vault_and_state_below_a_tree_are_left_out_and_that_is_said() {
    let berth = Berth::new("data");
    fs::write(berth.path("tree/file"), "x").unwrap();
    let request = || {
        let mut request = berth.request();
        // The way to the tree leads over a link: names alone do not show that the vault is in it.
        request.vault = berth.path("tree/backups").display().to_string();
        request.state = berth.path("tree/state");
        request.components[0].trees[0].root = berth.path("link");
        request
    };
    symlink(berth.path("tree"), berth.path("link")).unwrap();
    for _ in 0..2 {
        let outcome = now(run(&berth.context(), request())).unwrap();
        assert_eq!(outcome.components[0].files, 1);
        let notes = berth.notes().join("\n");
        assert!(notes.contains("link/backups") && notes.contains("link/state"), "{notes}");
    }
}

#[test]
fn tree_inside_the_vault_is_refused() {
    let berth = Berth::new("data");
    berth.back_up().unwrap();
    let mut request = berth.request();
    request.components[0].trees[0].root = berth.path("vault/packages");
    let refused = now(run(&berth.context(), request)).unwrap_err();
    assert!(refused.what.contains("lies in"), "{refused}");
}

#[test]
fn file_that_changes_and_files_that_vanish_while_they_are_read_leave_a_backup_that_is_whole() {
    for role in ["data", "media"] {
        let berth = Berth::new(role);
        let (tree, stop) = (berth.path("tree"), AtomicBool::new(false));
        fs::write(tree.join("restless"), vec![1; 40 << 20]).unwrap();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let file = fs::OpenOptions::new().write(true).open(tree.join("restless")).unwrap();
                let mut round = 0_u64;
                while !stop.load(Ordering::Relaxed) {
                    round += 1;
                    let at = (round * 1_234_567) % (40 << 20);
                    file.write_all_at(&round.to_le_bytes(), at).unwrap();
                    let passing = tree.join(format!("passing{}", round % 40));
                    fs::write(&passing, round.to_le_bytes()).unwrap();
                    fs::remove_file(tree.join(format!("passing{}", (round + 20) % 40))).ok();
                }
            });
            let ended = (0..3).map(|_| berth.back_up()).collect::<Vec<_>>();
            stop.store(true, Ordering::Relaxed);
            for outcome in ended {
                let gaps = outcome.unwrap().gaps;
                let usual = ["file-changing", "file-gone", "unsigned"];
                assert!(gaps.kinds.keys().all(|kind| usual.contains(&kind.as_str())), "{gaps:?}");
            }
        });
        assert_eq!(berth.kept("").len(), 3);
    }
}

/// One more row in each of two tables.
const BOTH: &str = "BEGIN IMMEDIATE; INSERT INTO a VALUES (1); INSERT INTO b VALUES (1); COMMIT;";

#[test]
fn sqlite_database_with_a_busy_writer_is_kept_as_it_was_at_one_moment() {
    for mode in ["WAL", "DELETE"] {
        let berth = Berth::new("data");
        let (path, stop) = (berth.path("bot.db"), AtomicBool::new(false));
        let db = Connection::open(&path).unwrap();
        db.busy_timeout(std::time::Duration::from_mins(1)).unwrap();
        db.execute_batch(&format!(
            "PRAGMA journal_mode = {mode}; PRAGMA synchronous = OFF;
             CREATE TABLE a (n INTEGER); CREATE TABLE filling (x BLOB); CREATE TABLE b (n INTEGER);
             WITH RECURSIVE c (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 5000)
             INSERT INTO filling SELECT randomblob(8000) FROM c;"
        ))
        .unwrap();
        let outcome = std::thread::scope(|scope| {
            let stop = &stop;
            scope.spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    db.execute_batch(BOTH).unwrap();
                }
            });
            let mut request = berth.request();
            let at = DatabaseAt::Sqlite(path.clone());
            let database = SubjectDatabase { name: "main".to_owned(), at, sync: Sync::Alone };
            request.components[0].databases.push(database);
            let ended = now(run(&berth.context(), request));
            stop.store(true, Ordering::Relaxed);
            ended.unwrap()
        });
        assert!(outcome.components[0].databases[0].bytes > 40_000_000, "{outcome:?}");
        let copy = berth.path("copy.db");
        fs::write(&copy, now(berth.sqlite_file())).unwrap();
        let copy = Connection::open(copy).unwrap();
        let counts = "SELECT (SELECT count(*) FROM a) = (SELECT count(*) FROM b)";
        assert!(copy.query_row(counts, [], |row| row.get::<_, bool>(0)).unwrap(), "{mode}");
    }
}

#[test]
fn volume_that_a_verify_found_wrong_is_stored_anew_by_the_next_run() {
    let berth = Berth::new("media");
    fs::write(berth.path("tree/file"), vec![5; 30_000]).unwrap();
    let first = berth.back_up().unwrap();
    let volume = files(&berth, "vol").remove(0);
    let mut bytes = fs::read(&volume).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&volume, bytes).unwrap();
    let verdict = || {
        now(async {
            let (vault, survey) = berth.open().await;
            let mut valid = Vec::new();
            for sealed in survey.kept() {
                let subject = (sealed, Some(&berth.identities));
                let verify = lifeboat_vault::verify::verify;
                let cx = berth.context();
                valid.push(verify(&cx, &vault, &survey, subject).await.unwrap().valid);
            }
            valid
        })
    };
    assert_eq!(verdict(), [false], "{first:?}");
    Berth::wait(60);
    berth.back_up().unwrap();
    assert_eq!(verdict(), [false, true]);
}

#[test]
fn damaged_seal_stops_neither_a_run_nor_other_backups_and_forbids_a_prune() {
    let berth = Berth::new("media");
    fs::write(berth.path("tree/file"), vec![5; 30_000]).unwrap();
    berth.back_up().unwrap();
    fs::write(&files(&berth, "seal.json")[0], "").unwrap();
    Berth::wait(60);
    let outcome = berth.back_up().unwrap();
    assert_eq!(outcome.volumes_borrowed, 0, "{outcome:?}");
    assert!(berth.notes().iter().any(|note| note.contains("seal.json: it is damaged")));
    assert_eq!(berth.kept("").len(), 1);
    let refused = now(async {
        let (vault, _) = berth.open().await;
        lifeboat_vault::prune::prune(&berth.context(), &vault, (0, false)).await
    });
    assert!(refused.unwrap_err().what.contains("seal.json"));
}

/// The files below the vault's packages whose names end so.
fn files(berth: &Berth, end: &str) -> Vec<std::path::PathBuf> {
    let (mut found, mut folders) = (Vec::new(), vec![berth.path("vault/packages")]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if fs::metadata(&path).unwrap().is_dir() {
                folders.push(path);
            } else if path.to_str().unwrap().ends_with(end) {
                assert_eq!(
                    fs::metadata(&path).unwrap().mode() & 0o777,
                    0o600,
                    "{}",
                    path.display()
                );
                found.push(path);
            }
        }
    }
    found
}

//! Runs that are killed, whose disk gets full, whose database goes away, whenever: what was
//! finished stays whole, the next run goes on.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use lifeboat_testing::{Cluster, World};

use crate::harbour::{Suite, suite, world};
use crate::program::{Said, program};

/// Numbers that look like chance and come again with the same seed.
struct Chance(u64);

impl Chance {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888);
        (self.0 >> 33) % limit
    }
}

/// The time that a run of these components takes here.
fn one_run(suite: &Suite, components: &[&str]) -> Duration {
    let begun = Instant::now();
    assert_eq!(end(begin_of(suite, components)).exit, 0);
    begun.elapsed()
}

/// The small components.
const SMALL: &[&str] = &["--component", "accounts", "--component", "bot", "--component", "sydent"];

/// Begins a backup of the small components, in volumes so small that there are several.
fn begin(suite: &Suite) -> Child {
    begin_of(suite, SMALL)
}

/// The same of those that are named, or of all.
pub(crate) fn begin_of(suite: &Suite, components: &[&str]) -> Child {
    let yaml = suite.yaml.to_str().unwrap();
    let mut command = program();
    command.args(["backup", "run", "--json", "-c", yaml, "--volume-size", "1MiB"]);
    command.args(components).spawn().unwrap()
}

/// Waits until the run has ended or the time is over; whether it ended by itself.
fn wait(run: &mut Child, limit: Duration) -> Option<i32> {
    let begun = Instant::now();
    while begun.elapsed() < limit {
        if let Some(status) = run.try_wait().unwrap() {
            return Some(status.code().unwrap());
        }
        std::thread::yield_now();
    }
    None
}

/// Waits for the end of a run.
pub(crate) fn end(run: Child) -> Said {
    let output = run.wait_with_output().unwrap();
    Said {
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
        exit: output.status.code().unwrap(),
    }
}

/// Something is different each time, and much of it is not.
fn change(suite: &Suite, cluster: &Cluster, round: u64, chance: &mut Chance) {
    let (from, count) = (chance.below(4_000), chance.below(400));
    let rows = format!(
        "UPDATE sessions SET who = who || '{round}' WHERE id BETWEEN {from} AND {from} + {count}"
    );
    cluster.psql(&suite.accounts, &rows).unwrap();
    let noise: Vec<u8> =
        (0..chance.below(3_000_000)).map(|_| chance.below(256).to_le_bytes()[0]).collect();
    fs::write(suite.bot.join(format!("store/{}.bin", chance.below(6))), noise).unwrap();
}

fn killed_runs(name: &str, rounds: u64, seed: u64) {
    let suite = suite(name);
    let mut chance = Chance(seed);
    suite.back_up();
    change(&suite, &world().cluster, rounds, &mut chance);
    let whole = one_run(&suite, SMALL);
    let (mut finished, mut killed) = (1, 0);
    for round in 0..rounds {
        change(&suite, &world().cluster, round, &mut chance);
        let limit = Duration::from_micros(chance.below(u64::try_from(whole.as_micros()).unwrap()));
        let mut run = begin(&suite);
        if let Some(code) = wait(&mut run, limit) {
            assert_eq!(code, 0, "seed {seed}, round {round}");
            finished += 1;
        } else {
            run.kill().unwrap();
            run.wait().unwrap();
            killed += 1;
        }
        if round % 5 == 4 {
            let mut run = begin(&suite);
            assert_eq!(run.wait().unwrap().code(), Some(0), "seed {seed}, round {round}");
            finished += 1;
            check(&suite, seed, round);
        }
        if round % 7 == 6 {
            suite.lifeboat(&["backup", "forget"]).result(0);
            suite.lifeboat(&["backup", "prune"]).result(0);
            check(&suite, seed, round);
        }
    }
    check(&suite, seed, rounds);
    assert!(finished > rounds / 6 && killed > rounds / 6, "{finished} finished, {killed} killed");
    let listed = suite.lifeboat(&["backup", "list"]).result(0);
    assert!(listed["unfinished"].as_array().unwrap().len() <= 1, "{listed}");
    nothing_half(&suite.vault);
}

/// Every backup that is kept is whole.
fn check(suite: &Suite, seed: u64, round: u64) {
    let said = suite.lifeboat_opened(&["backup", "verify", "--all"]);
    assert_eq!(said.exit, 0, "seed {seed}, round {round}: {said:?}");
}

/// No file of a vault is half written under its own name: seals are JSON to their end.
fn nothing_half(vault: &Path) {
    for entry in fs::read_dir(vault.join("packages")).unwrap() {
        let seal = entry.unwrap().path().join("seal.json");
        if let Ok(text) = fs::read(&seal) {
            serde_json::from_slice::<serde_json::Value>(&text).unwrap();
        }
    }
}

/// A small file system that a vault or a state folder lies on; unmounted when dropped.
struct Disk(PathBuf);

impl Disk {
    fn below(vault: &Path) -> Self {
        fs::create_dir(vault).unwrap();
        let place = vault.to_str().unwrap();
        as_root(&["mount", "-t", "tmpfs", "-o", "size=400m,mode=0777", "tmpfs", place]);
        Self(vault.to_owned())
    }

    /// Leaves so many bytes free.
    fn leave(&self, free: u64) {
        let found = rustix::fs::statvfs(&self.0).unwrap();
        let used = (found.f_blocks - found.f_bfree) * found.f_frsize;
        let size = format!("remount,size={}", used + free);
        as_root(&["mount", "-o", &size, self.0.to_str().unwrap()]);
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        as_root(&["umount", "-l", self.0.to_str().unwrap()]);
    }
}

fn as_root(words: &[&str]) {
    let sudo: &[&str] = if rustix::process::geteuid().is_root() { &[] } else { &["sudo", "-n"] };
    let words = [sudo, words].concat();
    let output = Command::new(words[0]).args(&words[1..]).output().unwrap();
    assert!(output.status.success(), "{words:?}: {output:?}");
}

/// Lets go of old backups, so that there is room.
fn tidy_up(suite: &Suite) {
    suite.lifeboat(&["backup", "forget"]).result(0);
    suite.lifeboat(&["backup", "prune"]).result(0);
}

/// A run with so many bytes free, and one with room again; whether the disk got full, which the
/// first then said in one of these words.
fn with_little_room(
    (suite, disk): (&Suite, &Disk),
    (seed, round, free): (u64, u64, u64),
    words: &[&str],
) -> bool {
    disk.leave(free);
    let said = end(begin(suite));
    let of = format!("seed {seed}, round {round}, {free} bytes free: {said:?}");
    let is_full = said.exit == 1;
    if is_full {
        let error = said.last_json().to_string();
        assert!(words.iter().any(|words| error.contains(words)), "{of}");
        assert!(error.contains("free some space"), "{of}");
    } else {
        assert_eq!(said.exit, 0, "{of}");
    }
    // On the full disk, and with room again.
    check(suite, seed, round);
    disk.leave(64 << 20);
    let said = end(begin(suite));
    assert_eq!(said.exit, 0, "after {of}: {said:?}");
    check(suite, seed, round);
    if round % 3 == 2 {
        tidy_up(suite);
        check(suite, seed, round);
    }
    is_full
}

/// Nothing of a run that was cut short is left.
fn nothing_unfinished(suite: &Suite) {
    let listed = suite.lifeboat(&["backup", "list"]).result(0);
    assert_eq!(listed["unfinished"], serde_json::json!([]), "{listed}");
    nothing_half(&suite.vault);
}

fn full_disks(name: &str, rounds: u64, seed: u64) {
    let suite = suite(name);
    let disk = Disk::below(&suite.vault);
    let mut chance = Chance(seed);
    suite.back_up();
    let mut full = 0;
    for round in 0..rounds {
        // Little room meets the small files at the beginning and the end of a run, which a run of
        // nothing new consists of.
        let limit = if round % 2 == 0 {
            change(&suite, &world().cluster, round, &mut chance);
            3 << 20
        } else {
            100 << 10
        };
        let which = (seed, round, chance.below(limit));
        full += u64::from(with_little_room((&suite, &disk), which, &["no space left"]));
    }
    assert!(full > rounds / 3, "{full} of {rounds}");
    nothing_unfinished(&suite);
    nothing_partial(&suite.vault);
}

/// As [`full_disks`], with the folder of what a host remembers on the disk that gets full.
fn full_states(name: &str, rounds: u64, seed: u64) {
    let suite = suite(name);
    let disk = Disk::below(&suite.folder.join("state"));
    let mut chance = Chance(seed);
    suite.back_up();
    let mut full = 0;
    for round in 0..rounds {
        change(&suite, &world().cluster, round, &mut chance);
        // From nothing at all to room for all that is written there.
        let which = (seed, round, chance.below(60) * 4096);
        let words = ["o space left", "disk is full"];
        full += u64::from(with_little_room((&suite, &disk), which, &words));
    }
    assert!(full > rounds / 4, "{full} of {rounds}");
    nothing_unfinished(&suite);
}

/// No upload that was cut short was left behind.
fn nothing_partial(folder: &Path) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            nothing_partial(&path);
        } else {
            assert!(!path.to_str().unwrap().ends_with(".partial"), "{}", path.display());
        }
    }
}

/// Ends every session in a database.
fn end_sessions(cluster: &Cluster, database: &str) {
    let ask = format!(
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
         WHERE pid <> pg_backend_pid() AND datname = '{database}'"
    );
    cluster.psql("postgres", &ask).unwrap();
}

/// Takes the databases away from a run, at some moment of the time that it needs.
fn lose(
    (world, suite): (&mut World, &Suite),
    (components, whole): (&[&str], Duration),
    chance: &mut Chance,
) -> Said {
    let limit = Duration::from_micros(chance.below(u64::try_from(whole.as_micros()).unwrap()));
    let mut run = begin_of(suite, components);
    if wait(&mut run, limit).is_none() {
        if chance.below(3) == 0 {
            world.cluster.crash().unwrap();
        } else {
            end_sessions(&world.cluster, &suite.accounts);
            end_sessions(&world.cluster, world.server.database());
        }
    }
    end(run)
}

/// A backup that was made has every row of the accounts.
fn has_all_rows(suite: &Suite, cluster: &Cluster, said: &Said) {
    let outcome = said.result(0);
    let all = outcome["components"].as_array().unwrap();
    let accounts = all.iter().find(|one| one["name"] == "accounts").unwrap();
    let rows = cluster.psql(&suite.accounts, "SELECT count(*) FROM sessions").unwrap();
    assert_eq!(accounts["databases"][0]["rows"].to_string(), rows.trim(), "{outcome}");
}

fn lost_databases(name: &str, rounds: u64, seed: u64) {
    let mut world = World::small().unwrap();
    let suite = Suite::around(&world, name);
    let more = "INSERT INTO sessions SELECT n, md5(n::text) || md5((n * 7)::text)
                FROM generate_series(6000, 120000) n";
    world.cluster.psql(&suite.accounts, more).unwrap();
    let mut chance = Chance(seed);
    suite.back_up();
    change(&suite, &world.cluster, rounds, &mut chance);
    let (all, small) = (one_run(&suite, &[]), one_run(&suite, SMALL));
    let (mut lost, mut left_out) = (0, 0);
    for round in 0..rounds {
        change(&suite, &world.cluster, round, &mut chance);
        // Every third is of all, where Synapse's database goes as well.
        let (components, whole) = if round % 3 == 1 { (&[][..], all) } else { (SMALL, small) };
        let said = lose((&mut world, &suite), (components, whole), &mut chance);
        let of = format!("seed {seed}, round {round}: {said:?}");
        match said.exit {
            0 => has_all_rows(&suite, &world.cluster, &said),
            // It went before it was cut: the others are there, and this one is told.
            3 => {
                left_out += 1;
                assert!(said.stdout.contains("database-unreadable"), "{of}");
            }
            1 => {
                lost += 1;
                let error = said.last_json().to_string();
                assert!(error.contains("database") && error.contains("again"), "{of}");
            }
            _ => panic!("{of}"),
        }
        check(&suite, seed, round);
        let said = end(begin_of(&suite, components));
        assert_eq!(said.exit, 0, "after {of}: {said:?}");
        has_all_rows(&suite, &world.cluster, &said);
        check(&suite, seed, round);
        if round % 3 == 2 {
            tidy_up(&suite);
        }
    }
    assert!(lost > rounds / 8, "{lost} lost, {left_out} left out, of {rounds}");
    nothing_half(&suite.vault);
}

#[test]
fn backups_survive_runs_that_are_killed_at_any_moment() {
    killed_runs("kills", 15, 20_261_122);
}

#[test]
fn backups_survive_a_disk_that_gets_full_at_any_moment() {
    full_disks("full", 6, 20_261_122);
}

#[test]
fn backups_survive_a_state_folder_whose_disk_gets_full_at_any_moment() {
    full_states("forgetful", 6, 20_261_122);
}

#[test]
fn backups_survive_a_database_that_goes_away_at_any_moment() {
    lost_databases("gone", 6, 20_261_122);
}

/// The same for longer than a change should wait.
mod long {
    #[test]
    fn backups_survive_two_hundred_runs_that_are_killed_at_any_moment() {
        super::killed_runs("manykills", 200, 7);
    }

    #[test]
    fn backups_survive_a_disk_that_gets_full_a_hundred_times() {
        super::full_disks("manyfull", 100, 11);
    }

    #[test]
    fn backups_survive_a_state_folder_whose_disk_gets_full_a_hundred_times() {
        super::full_states("manyforgetful", 100, 17);
    }

    #[test]
    fn backups_survive_a_database_that_goes_away_a_hundred_times() {
        super::lost_databases("manygone", 100, 13);
    }
}

//! Runs that are killed, whenever: what was finished stays whole, the next run goes on.

use std::fs;
use std::path::Path;
use std::process::Child;
use std::time::{Duration, Instant};

use crate::harbour::{Suite, suite, world};
use crate::program::program;

/// Numbers that look like chance and come again with the same seed.
struct Chance(u64);

impl Chance {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888);
        (self.0 >> 33) % limit
    }
}

/// The time that one whole run takes here.
fn one_run(suite: &Suite) -> Duration {
    let begun = Instant::now();
    suite.back_up();
    begun.elapsed()
}

/// Begins a backup of the small components, in volumes so small that there are several.
fn begin(suite: &Suite) -> Child {
    let yaml = suite.yaml.to_str().unwrap();
    let mut command = program();
    command.args(["backup", "run", "--json", "-c", yaml, "--volume-size", "1MiB"]);
    command.args(["--component", "accounts", "--component", "bot", "--component", "sydent"]);
    command.spawn().unwrap()
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

/// Something is different each time, and much of it is not.
fn change(suite: &Suite, round: u64, chance: &mut Chance) {
    let (from, count) = (chance.below(4_000), chance.below(400));
    let rows = format!(
        "UPDATE sessions SET who = who || '{round}' WHERE id BETWEEN {from} AND {from} + {count}"
    );
    world().cluster.psql(&suite.accounts, &rows).unwrap();
    let noise: Vec<u8> =
        (0..chance.below(3_000_000)).map(|_| chance.below(256).to_le_bytes()[0]).collect();
    fs::write(suite.bot.join(format!("store/{}.bin", chance.below(6))), noise).unwrap();
}

fn killed_runs(name: &str, rounds: u64, seed: u64) {
    let suite = suite(name);
    let mut chance = Chance(seed);
    let whole = one_run(&suite);
    let (mut finished, mut killed) = (1, 0);
    for round in 0..rounds {
        change(&suite, round, &mut chance);
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

#[test]
fn backups_survive_runs_that_are_killed_at_any_moment() {
    killed_runs("kills", 15, 20_261_122);
}

/// The same for longer than a change should wait.
mod long {
    #[test]
    fn backups_survive_two_hundred_runs_that_are_killed_at_any_moment() {
        super::killed_runs("manykills", 200, 7);
    }
}

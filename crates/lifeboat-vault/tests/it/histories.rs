//! Random histories of runs, kills, lets-go and prunes: every backup that is kept stays whole.

use std::collections::BTreeMap;
use std::fs;
use std::future::Future;
use std::pin::pin;
use std::task::Poll;

use lifeboat_engine::failure::Failure;
use lifeboat_package::id::PackageId;
use lifeboat_rules::retention::Retention;
use lifeboat_rules::schedule::Zone;
use lifeboat_vault::forget::forget;
use lifeboat_vault::prune::{PruneOutcome, prune};
use lifeboat_vault::retention::choose;
use lifeboat_vault::run::{BackupOutcome, run};

use crate::berth::{Berth, Files, now};

const DAY: i64 = 24 * 3600;
/// Numbers that look like chance and come again with the same seed.
struct Chance(u64);

impl Chance {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888);
        (self.0 >> 33) % limit
    }

    fn one_of<T: Copy, const N: usize>(&mut self, all: [T; N]) -> T {
        all[usize::try_from(self.below(N as u64)).unwrap()]
    }
}

/// What a history has seen.
#[derive(Default, Debug)]
struct Seen {
    backups: u64,
    killed: u64,
    refused: u64,
    deleted: u64,
    borrowed: u64,
    resumed: u64,
}

/// A vault, the files as they are, and what each finished backup must hold.
struct History {
    berth: Berth,
    files: Files,
    made: BTreeMap<String, Files>,
    chance: Chance,
    seen: Seen,
    /// Polls that the last run took which was not killed.
    moments: u64,
}

/// Polls work so many times at the most: a kill, when it did not end before.
async fn killed_after<T>(polls: u64, work: impl Future<Output = T>) -> Option<T> {
    let mut left = polls;
    stopped_after(&mut left, pin!(work)).await
}

impl History {
    fn begin(seed: u64) -> Self {
        let chance = Chance(seed);
        let role = if seed.is_multiple_of(2) { "media" } else { "data" };
        let (berth, files, made) = (Berth::new(role), Files::new(), BTreeMap::new());
        let mut history = Self { berth, files, made, chance, seen: Seen::default(), moments: 1 };
        history.change();
        history.run(u64::MAX);
        history
    }

    /// Some files become others; contents come again.
    fn change(&mut self) {
        for _ in 0..=self.chance.below(4) {
            let name = format!("file{}", self.chance.below(6));
            let (kind, size) = (self.chance.below(5), 1 + self.chance.below(3) * 15_000);
            let mut noise = Chance(kind);
            let bytes: Vec<u8> = (0..size).map(|_| noise.below(256).to_le_bytes()[0]).collect();
            fs::write(self.berth.path("tree").join(&name), &bytes).unwrap();
            self.files.insert(name, bytes);
        }
    }

    /// A run that is killed after so many polls; `None` when it was.
    fn run(&mut self, polls: u64) {
        let (cx, request) = (self.berth.context(), self.berth.request());
        let mut left = polls;
        match now(stopped_after(&mut left, pin!(run(&cx, request)))) {
            None => self.seen.killed += 1,
            Some(ended) => {
                self.moments = polls - left;
                self.ended(ended);
            }
        }
    }

    fn ended(&mut self, run: Result<BackupOutcome, Failure>) {
        match run {
            Ok(outcome) => {
                self.seen.backups += 1;
                self.seen.borrowed += outcome.volumes_borrowed;
                self.seen.resumed += outcome.volumes_resumed;
                self.made.insert(outcome.backup, self.files.clone());
            }
            // What a prune took away under it is told, and no backup.
            Err(e) => {
                assert!(e.what.contains("the vault lost"), "{e}; {:?}", e.cause);
                self.seen.refused += 1;
            }
        }
    }

    /// A run that is killed as soon as one more of its volumes is in the vault.
    fn run_until_a_volume_is_there(&mut self) {
        let before = self.volumes();
        let (cx, request) = (self.berth.context(), self.berth.request());
        let mut running = pin!(run(&cx, request));
        let killed = now(std::future::poll_fn(|context| {
            if self.volumes() > before {
                Poll::Ready(None)
            } else {
                running.as_mut().poll(context).map(Some)
            }
        }));
        match killed {
            None => self.seen.killed += 1,
            Some(ended) => self.ended(ended),
        }
    }

    /// Volumes in the vault.
    fn volumes(&self) -> usize {
        let folders = fs::read_dir(self.berth.path("vault/packages")).into_iter().flatten();
        let volumes =
            folders.filter_map(|folder| fs::read_dir(folder.unwrap().path().join("volumes")).ok());
        let names = volumes.flatten().map(|file| file.unwrap().path());
        names.filter(|name| name.extension().is_some_and(|end| end == "vol")).count()
    }

    /// Retention, or one of the kept backups whatever it says.
    fn let_go(&mut self) {
        let (last, any) = (self.chance.one_of([1, 2]), self.chance.below(3));
        let berth = &self.berth;
        now(async {
            let cx = berth.context();
            let (vault, survey) = berth.open().await;
            let rules = Retention { last, ..Retention::default() };
            let zone = Zone::utc();
            let keep = (&vault, &survey);
            let choices = choose(&cx, keep, (&rules, &zone), &[]).await.unwrap();
            for choice in choices.iter().filter(|choice| !choice.keep) {
                let id = PackageId::parse(&choice.backup).unwrap();
                forget(&cx, &vault, (&id, "")).await.unwrap();
            }
            if any == 0
                && let Some(sealed) = survey.kept().next()
            {
                forget(&cx, &vault, (&sealed.folder.id(), "")).await.unwrap();
            }
        });
    }

    /// How long a run may have been under way before a prune takes it for cut short.
    fn abandoned_after(&mut self) -> i64 {
        self.chance.one_of([7 * DAY, 7 * DAY, 0])
    }

    fn prune(&mut self, polls: u64) {
        let after = self.abandoned_after();
        let berth = &self.berth;
        let outcome = now(async {
            let cx = berth.context();
            let (vault, _) = berth.open().await;
            killed_after(polls, prune(&cx, &vault, (after, false))).await
        });
        self.pruned(outcome);
    }

    fn pruned(&mut self, outcome: Option<Result<PruneOutcome, Failure>>) {
        match outcome {
            None => self.seen.killed += 1,
            Some(outcome) => self.seen.deleted += outcome.unwrap().deleted_files,
        }
    }

    /// A prune that begins somewhere in the middle of a run.
    fn run_and_prune(&mut self) {
        let (after, mut begins_at) = (self.abandoned_after(), self.chance.below(self.moments));
        let berth = &self.berth;
        let (ran, pruned) = now(async {
            let (cx, other) = (berth.context(), berth.context());
            let mut running = pin!(run(&cx, berth.request()));
            let early = stopped_after(&mut begins_at, running.as_mut()).await;
            let (vault, _) = berth.open().await;
            let pruning = prune(&other, &vault, (after, false));
            if let Some(ran) = early {
                (ran, pruning.await)
            } else {
                tokio::join!(running, pruning)
            }
        });
        self.ended(ran);
        self.pruned(Some(pruned));
    }

    /// What the host remembers is lost, some of it.
    fn forget_state(&mut self) {
        let end = self.chance.one_of(["sqlite", "journal"]);
        for entry in fs::read_dir(self.berth.path("state")).unwrap() {
            let path = entry.unwrap().path();
            if path.to_str().unwrap().contains(&format!(".{end}")) {
                fs::remove_file(path).unwrap();
            }
        }
    }

    fn step(&mut self) {
        match self.chance.below(12) {
            0..=2 => {
                self.change();
                self.run(u64::MAX);
            }
            3..=5 => {
                self.change();
                if self.chance.below(2) == 0 {
                    self.run_until_a_volume_is_there();
                }
                let polls = self.chance.below(self.moments);
                self.run(polls);
            }
            6 => self.let_go(),
            7 | 8 => self.prune(u64::MAX),
            9 => {
                let polls = self.chance.below(self.moments);
                self.prune(polls);
            }
            10 => self.run_and_prune(),
            _ => self.forget_state(),
        }
        Berth::wait(self.chance.one_of([1, 60, DAY, 4 * DAY]));
    }

    /// Kept backups are whole, and hold what was there when they were made.
    fn check(&self, seed: u64) {
        for (backup, files) in self.berth.kept(&format!("seed {seed}")) {
            // One that was killed after its seal is whole, and nobody noted what it must hold.
            if let Some(made) = self.made.get(&backup) {
                assert!(files == *made, "seed {seed}: backup {backup} holds other files");
            }
        }
    }
}

/// As [`killed_after`], for work that goes on later.
async fn stopped_after<F: Future>(
    left: &mut u64,
    mut work: std::pin::Pin<&mut F>,
) -> Option<F::Output> {
    std::future::poll_fn(|context| {
        if *left == 0 {
            return Poll::Ready(None);
        }
        *left -= 1;
        work.as_mut().poll(context).map(Some)
    })
    .await
}

fn histories(seeds: std::ops::Range<u64>) {
    let count = seeds.end - seeds.start;
    let mut all = Seen::default();
    for seed in seeds {
        let mut history = History::begin(seed);
        for step in 0..8 {
            history.step();
            if step % 4 == 3 {
                history.check(seed);
            }
        }
        let Seen { backups, killed, refused, deleted, borrowed, resumed } = history.seen;
        all.backups += backups;
        all.killed += killed;
        all.refused += refused;
        all.deleted += deleted;
        all.borrowed += borrowed;
        all.resumed += resumed;
    }
    let Seen { backups, killed, deleted, borrowed, resumed, .. } = all;
    let least = [backups, killed, deleted, borrowed, resumed].into_iter().min();
    assert!(least > Some(count / 10), "the histories are too calm: {all:?}");
}

#[test]
fn kept_backups_stay_whole_whatever_is_run_killed_forgotten_and_pruned() {
    histories(0..40);
}

/// The same for longer than a change should wait.
mod long {
    #[test]
    fn kept_backups_stay_whole_over_four_hundred_histories() {
        super::histories(1_000..1_400);
    }
}

//! The works, done in turns by us and by the programs that people use today. The commands are what
//! is printed on the page: the shell gets them word for word.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::gauge::{Cost, Gauge, median};
use super::page::{Page, Work};
use super::stage::{Stage, clear};
use super::vault;
use crate::shell::{Done, output, say};

/// What one contender does for one work.
pub(super) struct Contender {
    /// What it is called in the table, at most 26 characters.
    pub(super) name: &'static str,
    /// Shell words that nobody measures, run first.
    pub(super) before: &'static str,
    /// Shell words, run in an empty folder.
    pub(super) script: &'static str,
    /// The files and folders that it leaves behind; by how much a folder grows counts.
    pub(super) outputs: &'static [&'static str],
    /// Whether it needs an empty database and an empty folder to restore into.
    pub(super) restores: bool,
}

pub(super) const EXPORT: Contender = Contender {
    name: "lifeboat export",
    before: "",
    script: "lifeboat export --synapse $SYNAPSE/homeserver.yaml --synapse $SYNAPSE/conf.d \\
    -r $RECIPIENT -o server.lifeboat",
    outputs: &["server.lifeboat"],
    restores: false,
};

pub(super) const PIPES: Contender = Contender {
    name: "pg_dump and tar, piped",
    before: "",
    script: "pg_dump -Fp -d $DATABASE | zstd -q -3 -T2 | age -r $RECIPIENT -o database.age
tar -C $SYNAPSE -cf - media_store | zstd -q -3 -T2 | age -r $RECIPIENT -o media.age",
    outputs: &["database.age", "media.age"],
    restores: false,
};

pub(super) const PIPES_AT_ONCE: Contender = Contender {
    name: "the same, both at once",
    before: "",
    script: "pg_dump -Fp -d $DATABASE | zstd -q -3 -T2 | age -r $RECIPIENT -o database.age &
tar -C $SYNAPSE -cf - media_store | zstd -q -3 -T2 | age -r $RECIPIENT -o media.age
wait $!",
    outputs: &["database.age", "media.age"],
    restores: false,
};

pub(super) const IMPORT: Contender = Contender {
    name: "lifeboat import",
    before: "",
    script: "lifeboat import server.lifeboat -i identity.txt \\
    --synapse $TARGET/homeserver.yaml --synapse $TARGET/conf.d",
    outputs: &[],
    restores: true,
};

pub(super) const RESTORE: Contender = Contender {
    name: "pg_restore -j2, cp -r",
    before: "",
    script: "pg_restore -j2 -d $TARGET_DATABASE database.dump
cp -r $SYNAPSE/media_store $TARGET/",
    outputs: &[],
    restores: true,
};

pub(super) const ROOMS: Contender = Contender {
    name: "lifeboat export, no media",
    before: "",
    script: "lifeboat export --synapse $SYNAPSE/homeserver.yaml --synapse $SYNAPSE/conf.d \\
    --media none --json -r $RECIPIENT -o rooms.lifeboat",
    outputs: &["rooms.lifeboat"],
    restores: false,
};

pub(super) const VERIFY: Contender = Contender {
    name: "lifeboat verify",
    before: "",
    script: "lifeboat verify server.lifeboat -i identity.txt",
    outputs: &[],
    restores: false,
};

/// The order within a round; every other round goes the other way within each work.
pub(super) const WORKS: [(Work, &[&Contender]); 13] = [
    (Work::Export, &[&EXPORT, &PIPES, &PIPES_AT_ONCE]),
    (Work::Rooms, &[&ROOMS]),
    (Work::Verify, &[&VERIFY]),
    (Work::Import, &[&IMPORT, &RESTORE]),
    (Work::Media, &[&vault::MEDIA, &vault::MEDIA_PIPE, &vault::MEDIA_RESTIC, &vault::MEDIA_BORG]),
    (Work::Again, &[&vault::AGAIN, &vault::AGAIN_RESTIC, &vault::AGAIN_BORG]),
    (Work::Check, &[&vault::CHECK, &vault::CHECK_RESTIC, &vault::CHECK_BORG]),
    (Work::Back, &[&vault::BACK, &vault::BACK_PIPE, &vault::BACK_RESTIC, &vault::BACK_BORG]),
    (Work::Rows, &[&vault::ROWS]),
    (Work::RowsAgain, &[&vault::ROWS_AGAIN]),
    (Work::RowsBack, &[&vault::ROWS_BACK, &vault::ROWS_RESTORE]),
    (Work::Room, &[&vault::ROOM]),
    (Work::RowsMore, &[&vault::ROWS_MORE]),
];

/// What the other programs seal with; nobody keeps anything in their repositories.
const PASSPHRASES: [&str; 2] = ["RESTIC_PASSWORD", "BORG_PASSPHRASE"];

/// Everything that the contenders need.
pub(super) struct Contest<'a> {
    stage: &'a Stage,
    work: PathBuf,
    target: PathBuf,
    gauge: Gauge,
}

impl<'a> Contest<'a> {
    /// An empty folder with a key pair, and the dump that `pg_restore` reads.
    ///
    /// # Errors
    /// A file cannot be made, or a program fails.
    pub(super) fn prepare(lifeboat: &Path, stage: &'a Stage, work: &Path) -> Done<Self> {
        clear(work)?;
        fs::create_dir_all(work).map_err(|e| format!("make {}: {e}", work.display()))?;
        let mut keygen = Command::new(lifeboat);
        keygen.arg("keygen").arg("-o").arg(work.join("identity.txt"));
        output(keygen)?;
        let identity = fs::read_to_string(work.join("identity.txt"))
            .map_err(|e| format!("read the identity: {e}"))?;
        let recipient = identity.lines().find_map(|line| line.strip_prefix("# public key: "));
        let recipient = recipient.ok_or("the identity file names no recipient")?;
        let target = work.join("target");
        let programs = [lifeboat.parent().unwrap_or(lifeboat), stage.cluster.programs()];
        let mut gauge = Gauge::new(stage.cluster.pid(), work);
        gauge.search(&programs);
        gauge.set("SYNAPSE", stage.source.directory());
        gauge.set("DATABASE", stage.source_url());
        gauge.set("TARGET", &target);
        gauge.set("TARGET_DATABASE", stage.target_url());
        gauge.set("RECIPIENT", recipient);
        gauge.set("BENCHES", &stage.programs);
        for name in PASSPHRASES {
            gauge.set(name, "bench");
        }
        stage.let_make_databases()?;
        Ok(Self { stage, work: work.to_owned(), target, gauge })
    }

    /// All works, so many times, after one reading of everything that nobody measures.
    ///
    /// # Errors
    /// A contender fails.
    pub(super) fn run(&self, rounds: usize, page: &mut Page) -> Done {
        say("\n=== everything is read once, so that nobody has to warm it up for the others");
        self.gauge.measure("pg_dump -Fc -d $DATABASE -f database.dump")?;
        self.gauge.measure("tar -C $SYNAPSE -cf - media_store | cat > /dev/null")?;
        let mut costs: Vec<(Work, &Contender, Vec<Cost>)> = Vec::new();
        for (work, contenders) in WORKS {
            costs.extend(contenders.iter().map(|contender| (work, *contender, Vec::new())));
        }
        for round in 0..rounds {
            say(&format!("=== round {} of {rounds}", round + 1));
            for (work, contenders) in WORKS {
                let mut order = contenders.to_vec();
                if round % 2 == 1 {
                    order.reverse();
                }
                for contender in order {
                    let (cost, printed) = self.measure(contender)?;
                    if work == Work::Rooms {
                        page.events = number_after(&printed, "\"events\":")?;
                    }
                    let entry =
                        costs.iter_mut().find(|(w, c, _)| *w == work && c.name == contender.name);
                    if let Some((_, _, costs)) = entry {
                        costs.push(cost);
                    }
                }
            }
        }
        page.rounds = rounds;
        for (work, contender, costs) in costs {
            page.add(work, contender.name, median(&costs), &costs);
        }
        Ok(())
    }

    /// Our own verbs once, for their memory.
    ///
    /// # Errors
    /// One of them fails.
    pub(super) fn run_for_memory(&self, page: &mut Page) -> Done {
        say("\n=== twice as much");
        for (work, contender) in
            [(Work::Export, &EXPORT), (Work::Verify, &VERIFY), (Work::Import, &IMPORT)]
        {
            let (cost, _) = self.measure(contender)?;
            page.add_twice(work, cost.memory);
        }
        Ok(())
    }

    fn measure(&self, contender: &Contender) -> Done<(Cost, String)> {
        if !contender.before.is_empty() {
            self.gauge.measure(contender.before)?;
        }
        let mut before = 0;
        for name in contender.outputs {
            let path = self.work.join(name);
            // A folder goes on growing; a file is written anew.
            drop(fs::remove_file(&path));
            before += bytes_of(&path)?;
        }
        if contender.restores {
            // The target's configuration must be there and its media must not.
            drop(self.stage.empty_target(&self.target)?);
        }
        let (mut cost, printed) = self.gauge.measure(contender.script)?;
        let mut after = 0;
        for name in contender.outputs {
            after += bytes_of(&self.work.join(name))?;
        }
        cost.size = page_megabytes(after.saturating_sub(before));
        say(&format!(
            "{:27} {:8.2} s {:8.2} CPU-s {:7.2} server {:6.0} MiB",
            contender.name, cost.wall, cost.cpu, cost.server, cost.memory
        ));
        Ok((cost, printed))
    }
}

/// Bytes of a file or a folder; 0 when there is none.
fn bytes_of(path: &Path) -> Done<u64> {
    let Ok(facts) = fs::symlink_metadata(path) else { return Ok(0) };
    if !facts.is_dir() {
        return Ok(facts.len());
    }
    let entries = fs::read_dir(path).map_err(|e| format!("{}: {e}", path.display()))?;
    let paths = entries.flatten().map(|entry| entry.path());
    paths.map(|path| bytes_of(&path)).sum()
}

/// Megabytes as numbers for people.
#[expect(clippy::cast_precision_loss, reason = "shown with three digits")]
pub(super) fn page_megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

/// The number that follows the last `key` in what a verb printed as JSON.
fn number_after(printed: &str, key: &str) -> Done<f64> {
    let rest = printed.rsplit_once(key).map(|(_, rest)| rest.trim_start());
    let digits = rest.and_then(|rest| rest.split(|c: char| !c.is_ascii_digit()).next());
    let number = digits.and_then(|digits| digits.parse().ok());
    number.ok_or_else(|| format!("the export did not tell {key}"))
}

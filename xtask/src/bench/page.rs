//! The table, for the terminal and for the book.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::contest::{
    Contender, EXPORT, IMPORT, PIPES, RESTORE, ROOMS, VERIFY, WORKS, page_megabytes,
};
use super::gauge::Cost;
use super::stage::Stage;
use super::vault;
use crate::shell::{Done, output, say};

/// What is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Work {
    /// Database and media out, encrypted.
    Export,
    /// Database and media back.
    Import,
    /// The database out, rooms as records.
    Rooms,
    /// Every byte of a package opened and checked.
    Verify,
    /// Media into a vault for the first time.
    Media,
    /// Media into a vault that has them all.
    Again,
    /// Every byte of a backup opened and checked.
    Check,
    /// Media out of a vault.
    Back,
    /// The database into a vault that has the media.
    Rows,
    /// The database into a vault that has it.
    RowsAgain,
    /// The database out of a vault.
    RowsBack,
    /// One room out of a backup.
    Room,
    /// The database into a vault that has all but a fiftieth of its events.
    RowsMore,
}

impl Work {
    const ALL: [Self; 13] = [
        Self::Export,
        Self::Import,
        Self::Rooms,
        Self::Verify,
        Self::Media,
        Self::Again,
        Self::Check,
        Self::Back,
        Self::Rows,
        Self::RowsAgain,
        Self::RowsBack,
        Self::Room,
        Self::RowsMore,
    ];

    fn title(self) -> &'static str {
        match self {
            Self::Export => "database and media out, encrypted",
            Self::Import => "database and media back",
            Self::Rooms => "database out, rooms as records",
            Self::Verify => "package opened and checked",
            Self::Media => "media into a vault, first time",
            Self::Again => "media into a vault, nothing changed",
            Self::Check => "backup opened and checked",
            Self::Back => "media out of a vault",
            Self::Rows => "database into a vault, first time",
            Self::RowsAgain => "database into a vault, nothing changed",
            Self::RowsBack => "database out of a vault",
            Self::Room => "one room out of a backup",
            Self::RowsMore => "database into a vault, 2 % more events",
        }
    }
}

struct Row {
    work: Work,
    name: &'static str,
    cost: Cost,
    /// Fastest and slowest.
    walls: (f64, f64),
}

/// What was measured, and on what.
pub(super) struct Page {
    rows: Vec<Row>,
    /// Peak memory on twice as much.
    twice: Vec<(Work, f64)>,
    /// Events in the rooms.
    pub(super) events: f64,
    /// MB of the database.
    database: f64,
    /// How often each work was done.
    pub(super) rounds: usize,
    machine: Vec<String>,
    notes: String,
}

impl Page {
    /// An empty page that knows machine, date and versions.
    ///
    /// # Errors
    /// A program that is about to be measured does not tell its version.
    pub(super) fn begin(root: &Path, lifeboat: &Path) -> Done<Self> {
        let notes = fs::read_to_string(root.join("benches/notes.md")).unwrap_or_default();
        let mut page = Self {
            rows: Vec::new(),
            twice: Vec::new(),
            events: 0.0,
            database: 0.0,
            rounds: 0,
            machine: Vec::new(),
            notes,
        };
        let field = |file: &str, name: &str| {
            let text = fs::read_to_string(file).unwrap_or_default();
            let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
            line.trim_start_matches([' ', '\t', ':']).to_owned()
        };
        let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
        let load = load.split(' ').next().unwrap_or_default();
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let kernel = first_line("uname", &["-sr"])?;
        page.note(format!("Date: {}", first_line("date", &["-u", "+%Y-%m-%d"])?));
        let memory = field("/proc/meminfo", "MemTotal");
        page.note(format!("Machine: {cores} × {}, {memory}", field("/proc/cpuinfo", "model name")));
        page.note(format!("System: {kernel}, load before the run {load}"));
        let revision =
            first_line("git", &["-C", &root.to_string_lossy(), "describe", "--always", "--dirty"]);
        let program = first_line(&lifeboat.to_string_lossy(), &["--version"])?;
        page.note(format!("Ours: {program}, revision {}", revision.unwrap_or_default()));
        Ok(page)
    }

    /// Notes what a stage has, and the versions of what it brought.
    ///
    /// # Errors
    /// The stage does not tell.
    pub(super) fn measured_on(&mut self, stage: &Stage) -> Done {
        let (files, bytes) = stage.media_size()?;
        let database = page_megabytes(stage.database_bytes()?);
        let media = page_megabytes(bytes);
        self.database = database;
        let dump = stage.cluster.programs().join("pg_dump");
        let versions = [
            first_line(&dump.to_string_lossy(), &["--version"])?,
            first_line("tar", &["--version"])?,
            first_line("zstd", &["--version"])?.trim_matches(['*', ' ']).to_owned(),
            format!("age {}", first_line("age", &["--version"])?),
            first_line("restic", &["version"])?,
            first_line("borg", &["--version"])?,
        ];
        self.note(format!("Peers: {}", versions.join("; ")));
        self.note(format!("Servers: {}", stage.versions()?));
        self.note(format!("Database: {database:.0} MB; media: {media:.0} MB in {files} files"));
        Ok(())
    }

    fn note(&mut self, line: String) {
        say(&line);
        self.machine.push(line);
    }

    /// Adds the median of some runs.
    pub(super) fn add(&mut self, work: Work, name: &'static str, cost: Cost, runs: &[Cost]) {
        let walls = runs.iter().map(|run| run.wall);
        let fastest = walls.clone().fold(f64::INFINITY, f64::min);
        let slowest = walls.fold(0.0, f64::max);
        self.rows.push(Row { work, name, cost, walls: (fastest, slowest) });
    }

    /// Adds the peak memory on twice as much.
    pub(super) fn add_twice(&mut self, work: Work, memory: f64) {
        self.twice.push((work, memory));
    }

    /// The table; no line is longer than 80 columns.
    pub(super) fn table(&self) -> String {
        let mut table = format!(
            "{:27}{:>7}{:>12}{:>7}{:>8}{:>6}{:>7}{:>6}\n",
            "", "wall s", "from–to", "CPU s", "server", "MiB", "MB", "×"
        );
        for work in Work::ALL {
            add_line(&mut table, work.title());
            let yardstick = self.yardstick(work);
            for row in self.rows.iter().filter(|row| row.work == work) {
                add_line(&mut table, &row.line(yardstick));
            }
        }
        add_line(&mut table, "");
        for goal in self.goals() {
            add_line(&mut table, &goal.line());
        }
        table
    }

    /// The wall time of the usual way, where there is one.
    fn yardstick(&self, work: Work) -> Option<f64> {
        let others = match work {
            Work::Export => PIPES.name,
            Work::Import => RESTORE.name,
            Work::Media => vault::MEDIA_PIPE.name,
            Work::Again => vault::AGAIN_RESTIC.name,
            Work::Check => vault::CHECK_RESTIC.name,
            Work::Back => vault::BACK_PIPE.name,
            Work::RowsBack => vault::ROWS_RESTORE.name,
            Work::Rooms
            | Work::Verify
            | Work::Rows
            | Work::RowsAgain
            | Work::Room
            | Work::RowsMore => return None,
        };
        self.cost(work, others).map(|cost| cost.wall)
    }

    fn cost(&self, work: Work, name: &str) -> Option<Cost> {
        let mut rows = self.rows.iter();
        rows.find(|row| row.work == work && row.name == name).map(|row| row.cost)
    }

    /// What we want to reach, and what was reached.
    fn goals(&self) -> Vec<Goal> {
        let wall = |work, name| self.cost(work, name).map_or(f64::NAN, |cost| cost.wall);
        let out = wall(Work::Export, EXPORT.name) / wall(Work::Export, PIPES.name);
        let back = wall(Work::Import, IMPORT.name) / wall(Work::Import, RESTORE.name);
        let size = |name| self.cost(Work::Export, name).map_or(f64::NAN, |cost| cost.size);
        let events = self.events / wall(Work::Rooms, ROOMS.name);
        let checked = size(EXPORT.name) / wall(Work::Verify, VERIFY.name);
        let ours = [(Work::Export, EXPORT), (Work::Verify, VERIFY), (Work::Import, IMPORT)];
        let once = |work, name| self.cost(work, name).map_or(f64::NAN, |cost| cost.memory);
        let peak = ours.iter().map(|(work, c)| once(*work, c.name)).fold(0.0, f64::max);
        let smaller = size(EXPORT.name) / size(PIPES.name);
        let mut goals = vec![
            Goal::new("out: × the pipes' time", Bound::AtMost(1.0), out),
            Goal::new("out: × the pipes' size", Bound::AtMost(1.0), smaller),
            Goal::new("back: × the time of pg_restore and cp", Bound::AtMost(0.9), back),
            Goal::new("rooms as records: events/s", Bound::AtLeast(100_000.0), events),
            Goal::new("verify: MB/s", Bound::AtLeast(500.0), checked),
            Goal::new("memory of any verb: MiB", Bound::AtMost(256.0), peak),
        ];
        goals.extend(self.vault_goals());
        for (work, memory) in &self.twice {
            let Some((_, contender)) = ours.iter().find(|(w, _)| w == work) else { continue };
            let what = format!("{} on twice as much: MiB", contender.name);
            // Two runs on the same bytes differ by some buffers.
            let bound = Bound::AtMost(once(*work, contender.name) * 1.1);
            goals.push(Goal { what, bound, reached: *memory });
        }
        goals
    }

    /// What backups are to reach.
    fn vault_goals(&self) -> Vec<Goal> {
        let of = |work, contender: &Contender| self.cost(work, contender.name).unwrap_or_default();
        let first = of(Work::Media, &vault::MEDIA);
        let pipe = of(Work::Media, &vault::MEDIA_PIPE);
        let again = of(Work::Again, &vault::AGAIN);
        let check = of(Work::Check, &vault::CHECK);
        let back = of(Work::Back, &vault::BACK);
        let rows = of(Work::RowsBack, &vault::ROWS_BACK);
        let others = of(Work::RowsBack, &vault::ROWS_RESTORE);
        let room = of(Work::Room, &vault::ROOM);
        // What is new is a share of what there is, and the goal is one for 570 MB.
        let more = of(Work::RowsMore, &vault::ROWS_MORE).size * 570.0 / self.database;
        let works = [Work::Media, Work::Again, Work::Check, Work::Back, Work::RowsBack, Work::Room];
        let is_ours = |row: &&Row| works.contains(&row.work) && row.name.starts_with("lifeboat");
        let peaks = self.rows.iter().filter(is_ours).map(|row| row.cost.memory);
        let most = Bound::AtMost;
        vec![
            Goal::new("first backup: × the pipe's time", most(1.0), first.wall / pipe.wall),
            Goal::new("first backup: CPU-s", most(3.5), first.cpu),
            Goal::new("backup, nothing changed: s", most(0.5), again.wall),
            Goal::new("… stored, % of the first", most(1.0), again.size * 100.0 / first.size),
            Goal::new("verify a backup: s", most(3.0), check.wall),
            Goal::new("media out of a vault: s", most(4.0), back.wall),
            Goal::new("database out: × pg_restore -j2", most(0.8), rows.wall / others.wall),
            Goal::new("one room of 1 % out of a backup: s", most(2.0), room.wall),
            Goal::new("2 % more events: MB a 570 MB", most(6.0), more),
            Goal::new("memory of backups: MiB", most(256.0), peaks.fold(0.0, f64::max)),
        ]
    }

    /// Writes the page of the book.
    ///
    /// # Errors
    /// It cannot be written.
    pub(super) fn write(&self, path: &Path) -> Done {
        let mut text = String::from(
            "# Benchmarks\n\n<!-- Made from one run of `cargo xtask bench`, and from \
             `benches/notes.md`. -->\n\n",
        );
        text.push_str(INTRODUCTION);
        add_line(&mut text, "```text");
        text.push_str(&self.table());
        add_line(&mut text, "```\n");
        add_line(&mut text, &format!("Median of {} rounds.\n", self.rounds));
        for line in &self.machine {
            add_line(&mut text, &format!("* {line}"));
        }
        text.push_str(LEGEND);
        text.push_str(&self.notes);
        add_line(&mut text, "\n## Commands\n");
        for (work, contenders) in WORKS {
            add_line(&mut text, &format!("### {}\n", work.title()));
            for contender in contenders {
                add_command(&mut text, contender);
            }
        }
        fs::write(path, text).map_err(|e| format!("write {}: {e}", path.display()))?;
        say(&format!("written: {}", path.display()));
        Ok(())
    }
}

const INTRODUCTION: &str = "\
`cargo xtask bench` does everything: it lets a real Synapse make its schema, fills it, makes a media
store that fits, builds the program and measures it beside the usual tools, in turns. Rows and files
are the same on every machine. They are kept in `target/bench`, or in the folder that
`LIFEBOAT_BENCH` names. From Debian it takes `age`, `zstd`, `restic`, `borgbackup` and `time`.

";

const LEGEND: &str = "
*wall*: seconds, the median; *from–to*: fastest and slowest round. *CPU*: user and system time of
the program and its children. *server*: processor time of PostgreSQL meanwhile. *MiB*: the most
memory of one process; for pipes that is the largest of them, not their sum. *MB*: what was written.
*×*: wall time as a multiple of the usual tools'.

Everything is read once before the first round, so files come from the page cache and no first round
is slower than the others. The order within each work is reversed in every other round. PostgreSQL
runs without `fsync`, for all alike. `pg_restore` reads a dump that is not encrypted and checks
nothing; our import decrypts and checks every byte, and copies the media out of the package.
";

impl Row {
    fn line(&self, yardstick: Option<f64>) -> String {
        let Cost { wall, cpu, server, memory, size } = self.cost;
        let range = format!("{:.1}–{:.1}", self.walls.0, self.walls.1);
        let size = if size > 0.0 { format!("{size:.0}") } else { String::new() };
        let times = yardstick.map(|others| ratio(wall, others)).unwrap_or_default();
        let name = format!("  {}", self.name);
        format!(
            "{name:27}{wall:7.2}{range:>12}{cpu:7.2}{server:8.2}{memory:6.0}{size:>7}{times:>6}"
        )
    }
}

/// Something to reach.
struct Goal {
    what: String,
    bound: Bound,
    reached: f64,
}

enum Bound {
    AtMost(f64),
    AtLeast(f64),
}

impl Goal {
    fn new(what: &str, bound: Bound, reached: f64) -> Self {
        Self { what: what.to_owned(), bound, reached }
    }

    fn line(&self) -> String {
        let Self { what, bound, reached } = self;
        let (sign, bound, is_reached) = match bound {
            Bound::AtMost(bound) => ("≤", bound, reached <= bound),
            Bound::AtLeast(bound) => ("≥", bound, reached >= bound),
        };
        let digits = if *bound < 10.0 { 2 } else { 0 };
        let wanted = format!("{sign} {bound:.digits$}");
        let verdict = if is_reached { "reached" } else { "MISSED" };
        format!("{what:42}{wanted:>10}{reached:>10.digits$}  {verdict}")
    }
}

fn ratio(part: f64, whole: f64) -> String {
    format!("{:.2}", part / whole)
}

fn add_line(text: &mut String, line: &str) {
    text.push_str(line.trim_end());
    text.push('\n');
}

fn add_command(text: &mut String, contender: &Contender) {
    let before = match contender.before {
        "" => String::new(),
        before => format!("# not measured:\n{before}\n# measured:\n"),
    };
    add_line(text, &format!("{}:\n\n```sh\n{before}{}\n```\n", contender.name, contender.script));
}

/// The first line that a program prints.
fn first_line(program: &str, words: &[&str]) -> Done<String> {
    let mut command = Command::new(program);
    command.args(words);
    Ok(output(command)?.lines().next().unwrap_or_default().to_owned())
}

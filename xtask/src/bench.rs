//! How fast, how large, how much memory: ours beside what people use today, in one run, on the same
//! rows and files, in turns. The table goes to the terminal and into the book.
//!
//! Nothing here is a test: a machine has bad days, and a number that fails a build is soon ignored.

mod contest;
mod gauge;
mod media;
mod page;
mod stage;
mod vault;

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use crate::shell::{Done, cargo, run, say};
use contest::Contest;
use page::Page;
use stage::Stage;

/// What a run is asked to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Wish {
    /// How often each work is done; the median counts.
    pub(crate) rounds: usize,
    /// Whether our verbs also run once on twice as many events and media, for their memory.
    pub(crate) twice: bool,
    /// Only fill the database and the media store, then keep the database server running: for a
    /// profiler.
    pub(crate) hold: bool,
}

impl Wish {
    /// From the words after the verb.
    ///
    /// # Errors
    /// A word that is none of ours.
    pub(crate) fn parse(words: &[&str]) -> Done<Self> {
        let mut wish = Self { rounds: 3, twice: false, hold: false };
        let mut words = words.iter();
        while let Some(word) = words.next() {
            match *word {
                "--twice" => wish.twice = true,
                "--hold" => wish.hold = true,
                "--rounds" => {
                    let count = words.next().and_then(|count| count.parse().ok());
                    wish.rounds =
                        count.filter(|count| *count > 0).ok_or("--rounds needs a count")?;
                }
                other => return Err(format!("`{other}` is nothing that bench knows")),
            }
        }
        Ok(wish)
    }
}

/// Fills what is missing, measures, prints the table and writes the page.
///
/// # Errors
/// Something cannot be installed, built, filled or run.
pub(crate) fn bench(root: &Path, wish: Wish) -> Done {
    let folder = folder(root);
    fs::create_dir_all(&folder).map_err(|e| format!("make {}: {e}", folder.display()))?;
    let turn = File::create(folder.join("lock")).map_err(|e| format!("make the lock: {e}"))?;
    turn.try_lock().map_err(|_| {
        format!("{} is in use: end the other `cargo xtask bench` first", folder.display())
    })?;
    if wish.hold {
        let stage = Stage::open(root, &folder, 1)?;
        stage.tell();
        loop {
            std::thread::park();
        }
    }
    let lifeboat = program(root)?;
    let mut page;
    {
        // What it takes is installed here, the peers too.
        let stage = Stage::open(root, &folder, 1)?;
        page = Page::begin(root, &lifeboat)?;
        page.measured_on(&stage)?;
        Contest::prepare(&lifeboat, &stage, &folder.join("work"))?.run(wish.rounds, &mut page)?;
    }
    if wish.twice {
        let stage = Stage::open(root, &folder, 2)?;
        Contest::prepare(&lifeboat, &stage, &folder.join("work"))?.run_for_memory(&mut page)?;
    }
    say("");
    for line in page.table().lines() {
        say(line);
    }
    page.write(&root.join("docs/src/benchmarks.md"))
}

/// Rows and files are made once and kept here. A home folder that other accounts cannot pass
/// through is no place for a database server that runs as `postgres`.
fn folder(root: &Path) -> PathBuf {
    std::env::var_os("LIFEBOAT_BENCH").map_or_else(|| root.join("target/bench"), PathBuf::from)
}

/// The program under test: that of `LIFEBOAT_BIN`, or a release build of this checkout.
fn program(root: &Path) -> Done<PathBuf> {
    if let Some(path) = std::env::var_os("LIFEBOAT_BIN") {
        return Ok(PathBuf::from(path));
    }
    run(&cargo(root, &["build", "--release", "--locked", "--package", "lifeboat"]))?;
    Ok(root.join("target/release/lifeboat"))
}

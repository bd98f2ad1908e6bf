//! What a change has to pass, cheapest first.

use std::path::Path;
use std::time::{Duration, Instant};

use crate::shell::{Done, cargo, is_installed, run, say, show_time};
use crate::{dependencies, fuzz, test, tidy};

/// What `fmt` does with a file that is not in form.
#[derive(Clone, Copy)]
pub(crate) enum Formatting {
    /// Changes it.
    Write,
    /// Fails.
    Check,
}

type Step = fn(&Path) -> Done;

const STEPS: &[(&str, Step)] = &[
    ("fmt", |root| fmt(root, Formatting::Check)),
    ("tidy", tidy::tidy),
    ("lint", lint),
    ("test", |root| test::test(root, test::Which::Usual)),
    ("docs", docs),
    ("fuzz", |root| fuzz::fuzz(root, fuzz::SECONDS)),
];

/// Runs every step until one fails and prints the time of each.
///
/// # Errors
/// The step that failed, and why.
pub(crate) fn ci(root: &Path) -> Done {
    let begin = Instant::now();
    let mut times = Vec::new();
    let mut outcome = Ok(());
    for (name, step) in STEPS {
        say(&format!("\n=== {name}"));
        let begin = Instant::now();
        outcome = step(root).map_err(|trouble| format!("ci failed at {name}: {trouble}"));
        times.push((*name, begin.elapsed()));
        if outcome.is_err() {
            break;
        }
    }
    say_times(&times);
    outcome?;
    say(&format!("ci: all {} steps passed in {}", STEPS.len(), show_time(begin.elapsed())));
    Ok(())
}

fn say_times(times: &[(&str, Duration)]) {
    say("\n=== times");
    for (name, time) in times {
        say(&format!("{name:6} {:>12}", show_time(*time)));
    }
}

/// rustfmt over the workspace and the fuzz targets.
pub(crate) fn fmt(root: &Path, formatting: Formatting) -> Done {
    let words: &[&str] = match formatting {
        Formatting::Write => &["fmt", "--all"],
        Formatting::Check => &["fmt", "--all", "--check"],
    };
    run(&cargo(root, words))?;
    let fuzz = root.join("fuzz");
    if fuzz.join("Cargo.toml").is_file() { run(&cargo(&fuzz, words)) } else { Ok(()) }
}

/// Licences and banned crates, then clippy with warnings denied.
pub(crate) fn lint(root: &Path) -> Done {
    dependencies::check(root)?;
    let words = &["clippy", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"];
    run(&cargo(root, words))
}

/// The rustdoc pages with warnings denied; the book as well where mdbook is installed.
pub(crate) fn docs(root: &Path) -> Done {
    let words = &["doc", "--workspace", "--no-deps", "--document-private-items", "--locked"];
    let mut rustdoc = cargo(root, words);
    rustdoc.env("RUSTDOCFLAGS", "-D warnings");
    run(&rustdoc)?;
    if !is_installed("mdbook") {
        say("the book is not built: mdbook is not installed (tidy has checked its links)");
        return Ok(());
    }
    let mut book = std::process::Command::new("mdbook");
    book.arg("build").arg(root.join("docs"));
    run(&book)
}

//! All tests, with the real servers they need.
//!
//! The tests start and end their servers themselves (`lifeboat-testing`); here is only what has to
//! be there before.

#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};

use lifeboat_testing::{Part, Tools};

use crate::shell::{Done, cargo, printed, run, run_shown_at_end, say, show_chain};

/// How cargo is to tell what it built.
const MESSAGES: &str = "--message-format=json-render-diagnostics";

/// Tests that take a minute each, by the beginning of their names: too long for every change.
const LONG: &[&str] = &["retold::", "seen::", "long::"];

/// Which tests are run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Which<'a> {
    /// All but the long ones.
    Usual,
    /// All.
    All,
    /// Those whose name contains this.
    Named(&'a str),
}

/// Packages whose tests measure how much a machine does, or give a server little time: alone on
/// the machine.
const ALONE: &[&str] = &["lifeboat-postgres"];

/// Programs with tests that are run at a time. They wait for their servers more than they compute.
const AT_ONCE: usize = 2;

/// A program with tests.
struct Tests {
    /// Folder of its package, where it runs.
    folder: PathBuf,
    program: PathBuf,
}

/// Installs what the tests need and runs them.
///
/// # Errors
/// Something cannot be installed, or a test fails.
pub(crate) fn test(root: &Path, which: Which<'_>) -> Done {
    // Only long tests look at pages, and a browser is large.
    let is_needed = |part: &Part| *part != Part::Browser || which != Which::Usual;
    let parts: Vec<Part> = Part::ALL.into_iter().filter(is_needed).collect();
    let tools = Tools::ready(&parts, &say).map_err(|e| show_chain(&e))?;
    say(&format!("tools are ready in {}", tools.root().display()));
    // Not nextest: a process a test would start a world of servers a test.
    if let Which::Named(filter) = which {
        let words = &["test", "--workspace", "--locked", "--no-fail-fast", filter];
        return run(&cargo(root, words));
    }
    let mut words = Vec::new();
    if which == Which::Usual {
        say(&format!("left to `cargo xtask test --all`: {}", LONG.join(", ")));
        words.extend(LONG.iter().flat_map(|name| ["--skip", name]));
    }
    let build = &["test", "--workspace", "--locked", "--no-run", MESSAGES];
    let programs = programs(&printed(&cargo(root, build))?)?;
    let is_alone = |tests: &Tests| ALONE.iter().any(|name| tests.folder.ends_with(name));
    let (alone, mut others): (Vec<_>, Vec<_>) = programs.into_iter().partition(is_alone);
    // Cargo tells them in the order in which they got ready, the largest last. Those of the binary
    // take the longest, so they are begun first.
    others.sort_by_key(|tests| (!tests.folder.ends_with("lifeboat"), tests.program.clone()));
    let mut failed = run_all(others, AT_ONCE, &words);
    failed.extend(run_all(alone, 1, &words));
    if failed.is_empty() { Ok(()) } else { Err(format!("tests failed: {}", failed.join("; "))) }
}

/// Runs programs with tests, so many at a time; returns what went wrong. What one says is shown
/// when it has ended.
fn run_all(programs: Vec<Tests>, at_once: usize, words: &[&str]) -> Vec<String> {
    let (waiting, failed) = (Mutex::new(VecDeque::from(programs)), Mutex::new(Vec::new()));
    let next = || lock(&waiting).pop_front();
    std::thread::scope(|scope| {
        for _ in 0..at_once {
            scope.spawn(|| {
                while let Some(tests) = next() {
                    let mut command = Command::new(&tests.program);
                    command.current_dir(&tests.folder).args(words);
                    if let Err(trouble) = run_shown_at_end(&command) {
                        lock(&failed).push(trouble);
                    }
                }
            });
        }
    });
    failed.into_inner().unwrap_or_else(PoisonError::into_inner)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The programs with tests among what cargo says that it built: one JSON object a line.
fn programs(told: &str) -> Done<Vec<Tests>> {
    let tests = told.lines().filter(|line| line.contains(r#""test":true},"features""#));
    let found: Vec<Tests> = tests
        .filter_map(|line| {
            let (manifest, program) = (text(line, "manifest_path")?, text(line, "executable")?);
            let folder = Path::new(manifest).parent()?.to_owned();
            Some(Tests { folder, program: program.into() })
        })
        .collect();
    if found.is_empty() { Err("cargo built no tests".to_owned()) } else { Ok(found) }
}

/// The text of a field, without escapes: a path of this machine.
fn text<'a>(line: &'a str, field: &str) -> Option<&'a str> {
    let (_, rest) = line.split_once(&format!(r#""{field}":""#))?;
    rest.split_once('"').map(|(text, _)| text)
}

//! All tests, with the real servers they need.
//!
//! The tests start and end their servers themselves (`lifeboat-testing`); here is only what has to
//! be there before.

use std::path::Path;

use lifeboat_testing::{Part, Tools};

use crate::shell::{Done, cargo, run, say, show_chain};

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
    let mut command = cargo(root, &["test", "--workspace", "--locked", "--no-fail-fast"]);
    match which {
        Which::All => {}
        Which::Named(filter) => drop(command.arg(filter)),
        Which::Usual => {
            say(&format!("left to `cargo xtask test --all`: {}", LONG.join(", ")));
            command.arg("--");
            for name in LONG {
                command.args(["--skip", name]);
            }
        }
    }
    run(&command)
}

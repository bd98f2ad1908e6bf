//! All tests, with the real servers they need.
//!
//! The tests start and end their servers themselves (`lifeboat-testing`); here is only what has to
//! be there before.

use std::path::Path;

use lifeboat_testing::{Part, Tools};

use crate::shell::{Done, cargo, run, say, show_chain};

/// Installs what the tests need and runs those whose name contains `filter`, or all.
///
/// # Errors
/// Something cannot be installed, or a test fails.
pub(crate) fn test(root: &Path, filter: Option<&str>) -> Done {
    let tools = Tools::ready(&Part::ALL, &say).map_err(|e| show_chain(&e))?;
    say(&format!("tools are ready in {}", tools.root().display()));
    // Not nextest: a process a test would start a world of servers a test.
    let mut command = cargo(root, &["test", "--workspace", "--locked", "--no-fail-fast"]);
    command.args(filter);
    run(&command)
}

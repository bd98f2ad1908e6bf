//! What a source file begins with and what it does not contain.

use super::Finding;
use super::tree::{Tree, is_test};

/// The rules quote what they forbid.
const QUOTING: &str = "xtask/src/tidy";

/// Only these may name Synapse's tables: the folder that knows them, and what makes real servers.
const HOMES_OF_TABLES: &[&str] = &[
    "crates/lifeboat-components/src/synapse.rs",
    "crates/lifeboat-components/src/synapse/",
    "crates/lifeboat-testing/",
];

/// Names that nothing but Synapse's schema has.
const TABLE_NAMES: &[&str] = &[
    "access_tokens",
    "application_services_txns",
    "background_updates",
    "current_state_events",
    "device_inbox",
    "device_lists_stream",
    "e2e_cross_signing_keys",
    "e2e_device_keys_json",
    "e2e_fallback_keys_json",
    "e2e_one_time_keys_json",
    "e2e_room_keys",
    "event_edges",
    "event_forward_extremities",
    "event_json",
    "event_push_actions",
    "event_to_state_groups",
    "local_media_repository",
    "receipts_linearized",
    "remote_media_cache",
    "room_memberships",
    "scheduled_tasks",
    "state_groups_state",
    "stream_positions",
    "user_directory_search",
    "worker_locks",
];

/// Parts of paths that exist on one machine only. Cut in two, or this file would break its own rule
/// wherever such names are looked for by their text.
const MACHINE_PATHS: &[&str] =
    &["/home/", "/Users/", concat!("/ro", "ot/"), concat!("/wo", "rk/"), concat!("../sha", "red")];

/// Each file says first what it is and why.
pub(super) fn opening_words(tree: &Tree) -> Vec<Finding> {
    tree.with_extension("rs")
        .filter(|(_, text)| !text.starts_with("//!"))
        .map(|(path, _)| Finding::line(path, 1, "begins without `//!`: say what it is and why"))
        .collect()
}

/// What comes from outside is an error, not a panic.
pub(super) fn no_unwrap(tree: &Tree) -> Vec<Finding> {
    let shipped = |path: &str| !is_test(path);
    forbid(tree, shipped, &[".unwrap()"], "return an error, or `expect` a stated invariant")
}

/// What is not finished is not in the tree.
pub(super) fn no_debt(tree: &Tree) -> Vec<Finding> {
    let debt = &["todo!(", "unimplemented!(", "TODO", "FIXME"];
    forbid(tree, |_| true, debt, "finish it, or open an issue")
}

/// A test that does not run proves nothing.
pub(super) fn no_ignored_test(tree: &Tree) -> Vec<Finding> {
    forbid(tree, |_| true, &["#[ignore"], "make it run, or remove it")
}

/// Waiting for time to pass makes a test slow and flaky; wait for the fact.
pub(super) fn no_sleep_in_tests(tree: &Tree) -> Vec<Finding> {
    forbid(tree, is_test, &["sleep("], "wait for what is to happen, with a deadline")
}

/// A change to a test rebuilds the test and not the crate: `mod tests;` with its own file.
pub(super) fn tests_apart(tree: &Tree) -> Vec<Finding> {
    forbid(tree, |_| true, &["mod tests {"], "put the tests into `tests.rs` beside the code")
}

/// What we know of a component's schema stands in one folder.
pub(super) fn table_names_at_home(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, text) in tree.with_extension("rs") {
        let at_home = HOMES_OF_TABLES.iter().any(|home| path.starts_with(home));
        if at_home || is_test(path) || !path.contains("/src/") || path.starts_with(QUOTING) {
            continue;
        }
        for (index, line) in text.lines().enumerate() {
            for name in words(line).filter(|word| TABLE_NAMES.contains(word)) {
                let says = format!("`{name}` belongs into crates/lifeboat-components/src/synapse");
                findings.push(Finding::line(path, index + 1, says));
            }
        }
    }
    findings
}

/// What is checked in works in any checkout.
pub(super) fn no_machine_paths(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, text) in tree.files().filter(|(path, _)| !path.starts_with(QUOTING)) {
        for (index, line) in text.lines().enumerate() {
            for part in MACHINE_PATHS.iter().filter(|part| line.contains(*part)) {
                let says = format!("`{part}` exists on one machine only");
                findings.push(Finding::line(path, index + 1, says));
            }
        }
    }
    findings
}

/// Number and text of the lines that are not comments.
pub(super) fn code_lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let lines = text.lines().enumerate().map(|(index, line)| (index + 1, line.trim_start()));
    lines.filter(|(_, line)| !line.starts_with("//"))
}

fn forbid(
    tree: &Tree,
    applies: impl Fn(&str) -> bool,
    forbidden: &[&str],
    instead: &str,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    let files = tree.with_extension("rs").filter(|(path, _)| !path.starts_with(QUOTING));
    for (path, text) in files.filter(|(path, _)| applies(path)) {
        for (index, line) in text.lines().enumerate() {
            let code = if line.trim_start().starts_with("///") { "" } else { line };
            for found in forbidden.iter().filter(|found| code.contains(*found)) {
                findings.push(Finding::line(path, index + 1, format!("`{found}`: {instead}")));
            }
        }
    }
    findings
}

fn words(line: &str) -> impl Iterator<Item = &str> {
    line.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
}

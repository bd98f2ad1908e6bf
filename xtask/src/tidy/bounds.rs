//! How large things may grow. Functions are clippy's; files, crates, folders and lines are ours.

use super::Finding;
use super::tree::{Tree, is_test};

const FILE_LINES: usize = 600;
const TEST_FILE_LINES: usize = 800;
const LIB_LINES: usize = 150;
const CRATE_LINES: usize = 10_000;
const FOLDERS_UNDER_SRC: usize = 2;
const COLUMNS: usize = 100;

/// A file is short enough to be read whole.
pub(super) fn file_size(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, text) in tree.with_extension("rs") {
        let bound = match path {
            _ if path.ends_with("/lib.rs") => LIB_LINES,
            _ if is_test(path) => TEST_FILE_LINES,
            _ => FILE_LINES,
        };
        let lines = text.lines().count();
        if lines > bound {
            findings.push(Finding::file(path, format!("{lines} lines, at most {bound}")));
        }
    }
    findings
}

/// Crates that have argued for more, with the bound they got and where they did.
const ARGUED: &[(&str, usize, &str)] = &[(
    "crates/lifeboat-components",
    15_000,
    "docs/src/decisions/0005-a-large-crate-of-components.md",
)];

/// A crate that outgrows its bound has to argue for itself.
pub(super) fn crate_size(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for folder in tree.crates() {
        let source = format!("{folder}/src/");
        let files = tree.with_extension("rs").filter(|(path, _)| path.starts_with(&source));
        let lines: usize = files.map(|(_, text)| text.lines().count()).sum();
        let argued = ARGUED.iter().find(|(name, _, decision)| {
            *name == folder && tree.files().any(|(path, _)| path == *decision)
        });
        let bound = argued.map_or(CRATE_LINES, |(_, bound, _)| *bound);
        if lines > bound {
            findings.push(Finding::file(folder, format!("{lines} lines, at most {bound}")));
        }
    }
    findings
}

/// Nobody should have to walk down a well to find a module.
pub(super) fn folder_depth(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, _) in tree.with_extension("rs") {
        let Some((_, inside)) = path.split_once("/src/") else { continue };
        let folders = inside.matches('/').count();
        if folders > FOLDERS_UNDER_SRC {
            let says = format!("{folders} folders under src, at most {FOLDERS_UNDER_SRC}");
            findings.push(Finding::file(path, says));
        }
    }
    findings
}

/// rustfmt leaves comments and long strings alone; this does not.
pub(super) fn line_width(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, text) in tree.with_extension("rs").chain(tree.with_extension("py")) {
        for (index, line) in text.lines().enumerate() {
            let columns = line.chars().count();
            if columns > COLUMNS && !is_one_link(line) {
                let says = format!("{columns} columns, at most {COLUMNS}");
                findings.push(Finding::line(path, index + 1, says));
            }
        }
    }
    findings
}

/// An address cannot be broken.
fn is_one_link(line: &str) -> bool {
    let words = line.trim_start_matches(['/', '!', '#', ' ']);
    words.contains("://") && !words.contains(' ')
}

//! What things may not be called: a name that says nothing lets anything in.

use super::Finding;
use super::tree::Tree;

/// Words that tell nothing about what is inside.
const EMPTY_WORDS: &[&str] = &[
    "util",
    "utils",
    "helper",
    "helpers",
    "common",
    "misc",
    "base",
    "core",
    "manager",
    "service",
    "handler",
    "processor",
    "data",
    "info",
    "impl2",
];

/// Words that are empty only at the beginning of a name, or that tell history.
const EMPTY_BEGINNINGS: &[&str] = &["do", "new", "old"];

/// Terms of the Matrix specification, and of Synapse's configuration, that hold such a word.
const TERMS: &[&str] = &["account_data", "data_store", "old_signing_key"];

/// Folders whose files carry names of ours.
const OURS: &[&str] = &["crates/", "xtask/", "fuzz/"];

/// Files, and so modules that have a file.
pub(super) fn file_names(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, _) in tree.files() {
        let Some(inside) = OURS.iter().find_map(|folder| path.strip_prefix(folder)) else {
            continue;
        };
        for component in inside.split('/') {
            let stem = component.split('.').find(|part| !part.is_empty()).unwrap_or(component);
            if let Some(word) = empty_word(&stem.replace('-', "_")) {
                findings.push(Finding::file(path, format!("`{word}` in a file name says nothing")));
            }
        }
    }
    findings
}

/// Types, traits and modules.
pub(super) fn item_names(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, text) in tree.with_extension("rs") {
        for (number, line) in super::source::code_lines(text) {
            let Some(name) = declared_name(line) else { continue };
            if let Some(word) = empty_word(&snake(name)) {
                let says = format!("`{word}` in the name `{name}` says nothing");
                findings.push(Finding::line(path, number, says));
            }
        }
    }
    findings
}

/// `thing.rs` with `thing/part.rs` beside it: twenty tabs with one name help nobody.
pub(super) fn module_files(tree: &Tree) -> Vec<Finding> {
    tree.files()
        .filter(|(path, _)| path.ends_with("/mod.rs"))
        .map(|(path, _)| Finding::file(path, "name the file after its module, beside its folder"))
        .collect()
}

/// The name of the type, trait or module that a line declares.
fn declared_name(line: &str) -> Option<&str> {
    let mut words = line.split_whitespace().skip_while(|word| word.starts_with("pub"));
    let mut keyword = words.next()?;
    if keyword == "unsafe" {
        keyword = words.next()?;
    }
    if !["struct", "enum", "trait", "type", "union", "mod"].contains(&keyword) {
        return None;
    }
    let end = |c: char| !(c.is_alphanumeric() || c == '_');
    words.next()?.split(end).next()
}

/// The first empty word of a `snake_case` name.
fn empty_word(name: &str) -> Option<&str> {
    let rest = TERMS.iter().find_map(|term| name.strip_prefix(term)).unwrap_or(name);
    let words: Vec<&str> = rest.split('_').filter(|word| !word.is_empty()).collect();
    let is_version = |word: &str| {
        let digits = word.strip_prefix('v').unwrap_or_default();
        !digits.is_empty() && digits.chars().all(|c| c.is_ascii_digit())
    };
    let first = words.first().filter(|word| words.len() > 1 && EMPTY_BEGINNINGS.contains(word));
    let any = words.iter().find(|word| EMPTY_WORDS.contains(word) || is_version(word));
    first.or(any).copied()
}

/// `AccountData` as `account_data`.
fn snake(name: &str) -> String {
    let mut snake = String::with_capacity(name.len() + 4);
    for c in name.chars() {
        if c.is_uppercase() && !snake.is_empty() && !snake.ends_with('_') {
            snake.push('_');
        }
        snake.extend(c.to_lowercase());
    }
    snake
}

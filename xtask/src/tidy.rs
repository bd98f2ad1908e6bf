//! The rules of the house that neither the compiler nor clippy knows, as small pure functions over
//! an in-memory tree: who may depend on whom, how large things may grow, what they may be called,
//! and that the written map matches the land.
//!
//! A rule that has never failed proves nothing: `tests.rs` shows each of them failing once.

mod bounds;
mod layering;
mod map;
mod names;
mod pages;
mod source;
mod tree;

#[cfg(test)]
mod tests;

use std::fmt;
use std::path::Path;

use crate::shell::{Done, say};
use tree::Tree;

/// One place where the tree breaks a rule.
#[derive(Debug, PartialEq, Eq)]
struct Finding {
    /// The file, from the root of the tree.
    path: String,
    /// The line from 1; 0 when it is about the whole file.
    line: usize,
    /// What is wrong and, where it is not plain, what to do instead.
    says: String,
}

type Rule = fn(&Tree) -> Vec<Finding>;

/// Every rule, cheapest to understand first.
const RULES: &[(&str, Rule)] = &[
    ("root files", pages::root_files),
    ("layering", layering::layering),
    ("owned dependencies", layering::owned_dependencies),
    ("purity", layering::purity),
    ("file size", bounds::file_size),
    ("crate size", bounds::crate_size),
    ("folder depth", bounds::folder_depth),
    ("line width", bounds::line_width),
    ("file names", names::file_names),
    ("item names", names::item_names),
    ("module files", names::module_files),
    ("opening words", source::opening_words),
    ("no unwrap", source::no_unwrap),
    ("no debt", source::no_debt),
    ("no ignored test", source::no_ignored_test),
    ("no sleep in tests", source::no_sleep_in_tests),
    ("tests apart", source::tests_apart),
    ("table names at home", source::table_names_at_home),
    ("no machine paths", source::no_machine_paths),
    ("map size", map::map_size),
    ("map names all", map::map_names_all),
    ("map names no ghosts", map::map_names_no_ghosts),
    ("links", pages::links),
    ("summary", pages::summary),
    ("generated pages", pages::generated_pages),
];

/// Reads the tree under `root` and applies every rule.
///
/// # Errors
/// Names how many findings there are, after printing each of them.
pub(crate) fn tidy(root: &Path) -> Done {
    let tree = Tree::read(root)?;
    let mut count = 0;
    for (name, rule) in RULES {
        for finding in rule(&tree) {
            say(&format!("{finding} [{name}]"));
            count += 1;
        }
    }
    if count > 0 {
        return Err(format!("{count} findings of tidy"));
    }
    say(&format!("tidy: {} files, {} rules, no findings", tree.len(), RULES.len()));
    Ok(())
}

impl Finding {
    fn file(path: &str, says: impl Into<String>) -> Self {
        Self::line(path, 0, says)
    }

    fn line(path: &str, line: usize, says: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line, says: says.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(f, "{}: {}", self.path, self.says),
            line => write!(f, "{}:{line}: {}", self.path, self.says),
        }
    }
}

//! ARCHITECTURE.md is the map; a map that lies is worse than none.
//!
//! The code map has one heading a crate, `` ### `lifeboat-package` ``, and under it every top
//! module by its file, `` `seal.rs` ``.

use std::collections::{BTreeMap, BTreeSet};

use super::Finding;
use super::tree::{Tree, crate_name};

const MAP: &str = "ARCHITECTURE.md";
const MAP_LINES: usize = 200;

/// The map stays a map.
pub(super) fn map_size(tree: &Tree) -> Vec<Finding> {
    let lines = tree.text(MAP).unwrap_or_default().lines().count();
    if lines <= MAP_LINES {
        return Vec::new();
    }
    vec![Finding::file(MAP, format!("{lines} lines, at most {MAP_LINES}"))]
}

/// Each crate and each of its top modules is on the map.
pub(super) fn map_names_all(tree: &Tree) -> Vec<Finding> {
    let map = read_map(tree);
    let mut findings = Vec::new();
    for (name, modules) in read_land(tree) {
        let Some(named) = map.get(name.as_str()) else {
            findings.push(Finding::file(MAP, format!("does not name the crate `{name}`")));
            continue;
        };
        for module in modules.iter().filter(|module| !named.contains_key(module.as_str())) {
            findings.push(Finding::file(MAP, format!("does not name `{module}` of `{name}`")));
        }
    }
    findings
}

/// Nothing on the map is gone.
pub(super) fn map_names_no_ghosts(tree: &Tree) -> Vec<Finding> {
    let land = read_land(tree);
    let mut findings = Vec::new();
    for (name, named) in read_map(tree) {
        let Some(modules) = land.get(name) else {
            findings.push(Finding::file(MAP, format!("names the crate `{name}`, which is gone")));
            continue;
        };
        for (module, line) in named.into_iter().filter(|(module, _)| !modules.contains(*module)) {
            let says = format!("names `{module}` of `{name}`, which is gone");
            findings.push(Finding::line(MAP, line, says));
        }
    }
    findings
}

/// Crate → file of each top module. `lib.rs` and `main.rs` are the crate itself.
fn read_land(tree: &Tree) -> BTreeMap<String, BTreeSet<String>> {
    let mut land = BTreeMap::new();
    for folder in tree.crates() {
        let source = format!("{folder}/src/");
        let tops = tree.with_extension("rs").filter_map(|(path, _)| path.strip_prefix(&source));
        let modules = tops.filter(|file| {
            !file.contains('/') && !["lib.rs", "main.rs", "tests.rs"].contains(file)
        });
        land.insert(crate_name(folder).to_owned(), modules.map(str::to_owned).collect());
    }
    land
}

/// Crate → file of each module that its part of the map names, with the line.
fn read_map(tree: &Tree) -> BTreeMap<&str, BTreeMap<&str, usize>> {
    let mut map: BTreeMap<&str, BTreeMap<&str, usize>> = BTreeMap::new();
    let mut current = None;
    for (index, line) in tree.text(MAP).unwrap_or_default().lines().enumerate() {
        if line.starts_with('#') {
            current = line.strip_prefix("### `").and_then(|l| l.split('`').next());
            if let Some(name) = current {
                map.entry(name).or_default();
            }
        } else if let Some(name) = current {
            let quoted = line.split('`').skip(1).step_by(2).filter(|word| is_module_file(word));
            map.entry(name).or_default().extend(quoted.map(|word| (word, index + 1)));
        }
    }
    map
}

fn is_module_file(word: &str) -> bool {
    let module = word.strip_suffix(".rs").unwrap_or_default();
    !module.is_empty() && !module.contains('/') && !["lib", "main"].contains(&module)
}

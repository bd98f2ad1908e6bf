//! Licences and banned crates of everything we link, against the lists in `deny.toml`.
//!
//! `cargo deny` reads the same file and knows more (advisories, sources); this needs nothing
//! installed and so runs with every `lint`.

#[cfg(test)]
mod tests;

use std::path::Path;

use crate::shell::{Done, cargo, output, say};

/// Compares the dependencies of all crates with `deny.toml`.
///
/// # Errors
/// Lists each crate that is banned or whose licence is not allowed.
pub(crate) fn check(root: &Path) -> Done {
    let deny = std::fs::read_to_string(root.join("deny.toml"))
        .map_err(|e| format!("read deny.toml: {e}"))?;
    let mut tree = cargo(root, &["tree", "--workspace", "--locked", "--prefix", "none"]);
    tree.args(["--no-dedupe", "--format", "{p}|{l}"]);
    let tree = output(tree)?;
    let mut crates: Vec<&str> = tree.lines().filter(|line| line.contains('|')).collect();
    crates.sort_unstable();
    crates.dedup();
    let refusals = refusals(&crates, &deny);
    for refusal in &refusals {
        say(refusal);
    }
    if !refusals.is_empty() {
        return Err(format!("{} dependencies break deny.toml", refusals.len()));
    }
    say(&format!("dependencies: {} crates, licences allowed, none banned", crates.len()));
    Ok(())
}

/// What is wrong with each of `crates`, given as `name version …|licence`.
fn refusals(crates: &[&str], deny: &str) -> Vec<String> {
    let allowed = strings_of(deny, "allow");
    let banned = strings_of(deny, "deny");
    let mut refusals = Vec::new();
    for line in crates {
        let (package, licence) = line.split_once('|').unwrap_or((line, ""));
        let name = package.split(' ').next().unwrap_or_default();
        if banned.contains(&name) {
            refusals.push(format!("{package}: banned in deny.toml"));
        }
        if !is_allowed(licence, &allowed) {
            refusals.push(format!("{package}: licence `{licence}` is not in deny.toml"));
        }
    }
    refusals
}

/// The strings of the array `key = [ … ]`.
fn strings_of<'a>(toml: &'a str, key: &str) -> Vec<&'a str> {
    let heading = format!("{key} = [");
    let after = toml.lines().skip_while(|line| !line.starts_with(&heading));
    let mut strings = Vec::new();
    for line in after {
        let line = line.split('#').next().unwrap_or_default();
        strings.extend(line.split('"').skip(1).step_by(2));
        if line.trim_end().ends_with(']') {
            break;
        }
    }
    strings
}

/// Whether an SPDX expression can be met with the `allowed` licences alone.
fn is_allowed(expression: &str, allowed: &[&str]) -> bool {
    let expression = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let words: Vec<&str> = expression.split_whitespace().collect();
    let (met, rest) = either(&words, allowed);
    met && rest.is_empty()
}

fn either<'a, 'b>(words: &'a [&'b str], allowed: &[&str]) -> (bool, &'a [&'b str]) {
    let (mut met, mut rest) = both(words, allowed);
    while let ["OR", after @ ..] = rest {
        let (right, after) = both(after, allowed);
        met |= right;
        rest = after;
    }
    (met, rest)
}

fn both<'a, 'b>(words: &'a [&'b str], allowed: &[&str]) -> (bool, &'a [&'b str]) {
    let (mut met, mut rest) = one(words, allowed);
    while let ["AND", after @ ..] = rest {
        let (right, after) = one(after, allowed);
        met &= right;
        rest = after;
    }
    (met, rest)
}

fn one<'a, 'b>(words: &'a [&'b str], allowed: &[&str]) -> (bool, &'a [&'b str]) {
    match words {
        ["(", inside @ ..] => match either(inside, allowed) {
            (met, [")", rest @ ..]) => (met, rest),
            (_, rest) => (false, rest),
        },
        [licence, "WITH", exception, rest @ ..] => {
            (allowed.contains(&format!("{licence} WITH {exception}").as_str()), rest)
        }
        [licence, rest @ ..] => (allowed.contains(licence), rest),
        [] => (false, words),
    }
}

//! The pages: those that must be there, the links between them, and the book's table of contents.

use super::Finding;
use super::tree::Tree;

const SUMMARY: &str = "docs/src/SUMMARY.md";

/// What a stranger looks for in the root of a repository.
const ROOT_FILES: &[&str] = &[
    "ARCHITECTURE.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "LICENSE",
    "README.md",
    "SECURITY.md",
    "deny.toml",
    "docs/src/format.md",
];

/// Pages that a program writes; each says in its first lines what it was made from, so that nobody
/// edits it.
const GENERATED: &[&str] = &[
    "docs/src/guide/components.md",
    "docs/src/reference/lifeboat-yaml.md",
    "docs/src/reference/synapse-tables.md",
];

/// The root holds what it should.
pub(super) fn root_files(tree: &Tree) -> Vec<Finding> {
    let missing = ROOT_FILES.iter().filter(|path| tree.text(path).is_none());
    missing.map(|path| Finding::file(path, "is missing")).collect()
}

/// A relative link of a page leads somewhere.
pub(super) fn links(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, text) in tree.with_extension("md") {
        for (number, target) in links_of(text) {
            let file = target.split('#').next().unwrap_or_default();
            let outside = ["http://", "https://", "mailto:"].iter().any(|s| file.starts_with(s));
            if file.is_empty() || outside {
                continue;
            }
            if !resolve(path, file).is_some_and(|resolved| tree.holds(&resolved)) {
                findings.push(Finding::line(path, number, format!("{target} leads nowhere")));
            }
        }
    }
    findings
}

/// Every page of the book is in its table of contents.
pub(super) fn summary(tree: &Tree) -> Vec<Finding> {
    let summary = tree.text(SUMMARY).unwrap_or_default();
    let listed: Vec<&str> = links_of(summary).map(|(_, target)| target).collect();
    let pages = tree.with_extension("md").filter_map(|(path, _)| path.strip_prefix("docs/src/"));
    pages
        .filter(|page| *page != "SUMMARY.md" && !listed.contains(page))
        .map(|page| Finding::file(SUMMARY, format!("does not list {page}")))
        .collect()
}

/// A generated page is there and says what it is. That it is fresh is a test of the crate it
/// comes from.
pub(super) fn generated_pages(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for path in GENERATED {
        let Some(text) = tree.text(path) else {
            findings.push(Finding::file(path, "is missing: generate it"));
            continue;
        };
        if !text.lines().take(5).any(|line| line.contains("Made from")) {
            findings.push(Finding::file(path, "does not say at its top what it was made from"));
        }
    }
    findings
}

/// Line and target of each link outside of code.
fn links_of(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut in_code = false;
    text.lines().enumerate().flat_map(move |(index, line)| {
        in_code ^= line.starts_with("```");
        let prose = if in_code { "" } else { line };
        let targets = prose.split("](").skip(1).filter_map(|rest| rest.split_once(')'));
        targets.map(move |(target, _)| (index + 1, target)).collect::<Vec<_>>()
    })
}

/// The path from the root that `target` means on the page `from`; `None` when it leaves the tree.
fn resolve(from: &str, target: &str) -> Option<String> {
    let mut path: Vec<&str> = from.split('/').collect();
    path.pop();
    for component in target.split('/').filter(|c| !c.is_empty() && *c != ".") {
        if component == ".." {
            path.pop()?;
        } else {
            path.push(component);
        }
    }
    Some(path.join("/"))
}

//! Who may depend on whom. The picture is in ARCHITECTURE.md; this is the same picture as a table.

use super::Finding;
use super::tree::{Tree, crate_name, is_test};

/// What one crate may know of the others.
struct Layer {
    name: &'static str,
    /// Crates of ours it may name under `[dependencies]`.
    below: &'static [&'static str],
    /// For a pure crate: all that it may take from outside. `None` elsewhere.
    pure: Option<&'static [&'static str]>,
}

const PACKAGE: &str = "lifeboat-package";
const PAGES: &str = "lifeboat-pages";
const RULES: &str = "lifeboat-rules";
const STORAGE: &str = "lifeboat-storage";
const POSTGRES: &str = "lifeboat-postgres";
const MATRIX: &str = "lifeboat-matrix";
const CONFIG: &str = "lifeboat-config";
const LIVE: &str = "lifeboat-live";
const KEYRING: &str = "lifeboat-keyring";
const ROOMKEYS: &str = "lifeboat-roomkeys";
const COMPONENTS: &str = "lifeboat-components";
const ENGINE: &str = "lifeboat-engine";
const SERVER: &str = "lifeboat-server";
const DOCTOR: &str = "lifeboat-doctor";
const TRANSCRIPT: &str = "lifeboat-transcript";
const RENDERING: &str = "lifeboat-rendering";
const RETELLING: &str = "lifeboat-retelling";
const SUITE: &str = "lifeboat-suite";
const VAULT: &str = "lifeboat-vault";
const RESTORE: &str = "lifeboat-restore";
const REPORT: &str = "lifeboat-report";
const TESTING: &str = "lifeboat-testing";

const PACKAGE_OUTSIDE: &[&str] =
    &["aws-lc-rs", "serde", "serde_json", "thiserror", "zeroize", "zstd"];

const LAYERS: &[Layer] = &[
    Layer { name: PACKAGE, below: &[], pure: Some(PACKAGE_OUTSIDE) },
    Layer { name: PAGES, below: &[], pure: Some(&["jiff", "serde_json"]) },
    Layer { name: RULES, below: &[PACKAGE], pure: Some(&["jiff", "serde", "thiserror"]) },
    Layer {
        name: TRANSCRIPT,
        below: &[PACKAGE],
        pure: Some(&["serde", "serde_json", "thiserror"]),
    },
    Layer { name: STORAGE, below: &[], pure: None },
    Layer { name: LIVE, below: &[], pure: None },
    Layer { name: POSTGRES, below: &[], pure: None },
    Layer {
        name: MATRIX,
        below: &[],
        pure: Some(&["base64", "ruma", "serde", "serde_json", "thiserror", "zeroize"]),
    },
    Layer { name: CONFIG, below: &[PACKAGE, MATRIX, POSTGRES], pure: None },
    Layer { name: SUITE, below: &[RULES, STORAGE, MATRIX, POSTGRES, CONFIG], pure: None },
    Layer {
        name: COMPONENTS,
        below: &[PACKAGE, STORAGE, LIVE, MATRIX, POSTGRES, CONFIG],
        pure: None,
    },
    Layer { name: KEYRING, below: &[PACKAGE], pure: None },
    Layer { name: ROOMKEYS, below: &[PACKAGE, COMPONENTS], pure: None },
    Layer {
        name: ENGINE,
        below: &[PACKAGE, RULES, STORAGE, LIVE, COMPONENTS, SUITE, KEYRING, ROOMKEYS],
        pure: None,
    },
    Layer { name: RENDERING, below: &[PACKAGE, PAGES, STORAGE, COMPONENTS, ENGINE], pure: None },
    Layer {
        name: RETELLING,
        below: &[PACKAGE, TRANSCRIPT, STORAGE, LIVE, CONFIG, COMPONENTS, ENGINE, RENDERING],
        pure: None,
    },
    Layer {
        name: VAULT,
        below: &[PACKAGE, RULES, STORAGE, POSTGRES, COMPONENTS, SUITE, ENGINE],
        pure: None,
    },
    Layer {
        name: RESTORE,
        below: &[PACKAGE, PAGES, STORAGE, LIVE, POSTGRES, COMPONENTS, SUITE, ENGINE, VAULT],
        pure: None,
    },
    Layer { name: REPORT, below: &[PACKAGE, PAGES, SUITE, ENGINE, VAULT, RESTORE], pure: None },
    Layer {
        name: DOCTOR,
        below: &[STORAGE, LIVE, MATRIX, POSTGRES, CONFIG, COMPONENTS, SUITE, KEYRING],
        pure: None,
    },
    Layer { name: SERVER, below: &[PACKAGE, RULES, ENGINE], pure: None },
    Layer {
        name: "lifeboat",
        below: &[
            PACKAGE, RULES, STORAGE, COMPONENTS, SUITE, DOCTOR, ENGINE, RENDERING, RETELLING,
            SERVER, VAULT, RESTORE, REPORT,
        ],
        pure: None,
    },
    Layer { name: TESTING, below: &[], pure: None },
    Layer { name: "xtask", below: &[TESTING], pure: None },
];

/// Dependencies that carry a decision: only these crates may ship them.
const OWNED: &[(&str, &[&str])] = &[
    ("age", &[KEYRING]),
    ("anyhow", &["lifeboat"]),
    ("clap", &["lifeboat"]),
    ("indicatif", &["lifeboat"]),
    ("object_store", &[STORAGE]),
    ("reqwest", &[LIVE, RETELLING]),
    ("rusqlite", &[VAULT]),
    ("ruma", &[MATRIX]),
    ("tokio-postgres", &[POSTGRES, CONFIG, COMPONENTS]),
    ("tokio-postgres-rustls", &[POSTGRES]),
    ("vodozemac", &[ROOMKEYS]),
];

/// What a pure crate's tests may use on top: properties, and cryptography of other people to
/// compare ours with.
const PURE_TESTS: &[&str] = &["aes-gcm", "hkdf", "proptest", "sha2", TESTING];

/// Words that a pure crate's code does not contain, with what they would bring in.
const IMPURE: &[(&str, &str)] = &[
    ("std::fs", "files"),
    ("std::net", "the network"),
    ("std::env", "the environment"),
    ("std::time", "the clock"),
    ("std::process", "processes"),
    ("std::thread", "threads"),
    ("tokio::", "a runtime"),
    ("rand::", "chance: take the random bytes as a parameter"),
    ("SystemRandom", "chance: take the random bytes as a parameter"),
];

/// Our crates depend downwards only; `lifeboat-testing` is for tests and `xtask`.
pub(super) fn layering(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (manifest, name, text) in manifests(tree) {
        let Some(layer) = LAYERS.iter().find(|layer| layer.name == name) else {
            let says = format!("{name} has no layer: give it one in xtask/src/tidy/layering.rs");
            findings.push(Finding::file(&manifest, says));
            continue;
        };
        for dependency in dependencies(text) {
            if !is_ours(&dependency.name) {
                continue;
            }
            let down = layer.below.contains(&dependency.name.as_str());
            let in_tests = dependency.for_tests && dependency.name == TESTING;
            if !down && !in_tests {
                let says = format!("{name} must not know {}", dependency.name);
                findings.push(Finding::line(&manifest, dependency.line, says));
            }
        }
    }
    findings
}

/// A dependency that belongs to one crate ships with no other.
pub(super) fn owned_dependencies(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (manifest, name, text) in manifests(tree) {
        for dependency in dependencies(text).into_iter().filter(|d| !d.for_tests) {
            let owned = OWNED.iter().find(|(owned, _)| *owned == dependency.name);
            if let Some((owned, owners)) = owned
                && !owners.contains(&name)
            {
                let says = format!("only {} may depend on {owned}", owners.join(", "));
                findings.push(Finding::line(&manifest, dependency.line, says));
            }
        }
    }
    findings
}

/// A pure crate takes nothing from outside but what is listed, and names nothing ambient.
pub(super) fn purity(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (manifest, name, text) in manifests(tree) {
        let layer = LAYERS.iter().find(|layer| layer.name == name);
        let Some(allowed) = layer.and_then(|layer| layer.pure) else { continue };
        for dependency in dependencies(text) {
            let outside = dependency.name.as_str();
            let in_tests = dependency.for_tests && PURE_TESTS.contains(&outside);
            if !is_ours(outside) && !allowed.contains(&outside) && !in_tests {
                let says = format!("{name} is pure and may not depend on {outside}");
                findings.push(Finding::line(&manifest, dependency.line, says));
            }
        }
        let source = manifest.replace("Cargo.toml", "src/");
        for (path, text) in tree.with_extension("rs") {
            if path.starts_with(&source) && !is_test(path) {
                impure_words(path, text, &mut findings);
            }
        }
    }
    findings
}

fn impure_words(path: &str, text: &str, findings: &mut Vec<Finding>) {
    for (number, line) in super::source::code_lines(text) {
        for (word, brings) in IMPURE.iter().filter(|(word, _)| line.contains(word)) {
            let says = format!("`{word}` in a pure crate brings in {brings}");
            findings.push(Finding::line(path, number, says));
        }
    }
}

fn is_ours(name: &str) -> bool {
    name == "lifeboat" || name.starts_with("lifeboat-") || name == "xtask"
}

fn manifests(tree: &Tree) -> impl Iterator<Item = (String, &str, &str)> {
    tree.crates().into_iter().filter_map(|folder| {
        let manifest = format!("{folder}/Cargo.toml");
        let text = tree.text(&manifest)?;
        Some((manifest, crate_name(folder), text))
    })
}

struct Dependency {
    name: String,
    line: usize,
    for_tests: bool,
}

/// Reads the tables of dependencies of a manifest: `name = …`, `name.workspace = true`, and a
/// table of its own, `[dependencies.name]`.
fn dependencies(manifest: &str) -> Vec<Dependency> {
    let mut found = Vec::new();
    let mut table = None;
    for (index, line) in manifest.lines().enumerate() {
        let line = line.trim();
        if let Some(heading) = line.strip_prefix('[').and_then(|l| l.strip_suffix(']')) {
            table = None;
            let for_tests = heading.contains("dev-dependencies");
            if let Some((_, name)) = heading.split_once("dependencies.") {
                found.push(Dependency { name: name.to_owned(), line: index + 1, for_tests });
            } else if heading.ends_with("dependencies") {
                table = Some(for_tests);
            }
        } else if let Some(for_tests) = table
            && line.starts_with(|c: char| c.is_ascii_alphanumeric())
        {
            let name = line.split(['.', '=', ' ']).next().unwrap_or(line);
            found.push(Dependency { name: name.to_owned(), line: index + 1, for_tests });
        }
    }
    found
}

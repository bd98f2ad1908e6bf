//! Secrets before data: whether all are there without which the rest is useless.

use std::path::{Path, PathBuf};

use lifeboat_engine::failure::Failure;
use lifeboat_suite::Installation;

use crate::journal::StepDone;
use crate::targets::Targets;

/// Looks for the secrets of components. Servers make missing ones anew without a word; so we stop.
///
/// # Errors
/// [`Failure`] when one is missing, with what is lost without it.
pub fn demand(
    installation: &Installation,
    (names, targets): (&[String], &Targets),
) -> Result<StepDone, Failure> {
    let mut done = StepDone::default();
    for component in installation.components.iter().filter(|c| names.contains(&c.name)) {
        for secret in &component.secrets {
            let path = place(targets, &secret.path);
            if !path.is_file() {
                return Err(Failure::failed(
                    format!(
                        "the {} of {} is missing: {}",
                        secret.name,
                        component.name,
                        path.display()
                    ),
                    format!("put it there before you go on; without it: {}", secret.without_it),
                ));
            }
            done.lines.push(format!("{}: {} is there", component.name, secret.name));
        }
    }
    Ok(done)
}

/// An installation that was put back below a root names some files with that root.
fn place(targets: &Targets, path: &Path) -> PathBuf {
    match &targets.root {
        Some(root) if path.starts_with(root) => path.to_owned(),
        _ => targets.place(path),
    }
}

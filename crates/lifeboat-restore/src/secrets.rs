//! Secrets before data: whether all are there without which the rest is useless.

use std::fs;
use std::path::Path;

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
            let path = targets.installed(&secret.path);
            if !is_there(&path) {
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

/// A file, or a folder with something in it, such as MAS' `keys_dir`.
fn is_there(path: &Path) -> bool {
    path.is_file() || fs::read_dir(path).is_ok_and(|mut found| found.next().is_some())
}

#[cfg(test)]
mod tests;

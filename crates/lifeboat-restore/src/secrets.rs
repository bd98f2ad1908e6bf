//! Secrets before data: whether all are there without which the rest is useless.

use std::fs;
use std::path::{Path, PathBuf};

use lifeboat_engine::failure::Failure;
use lifeboat_package::backup::{Component, Content, FILES, FileKind, FileRecord};
use lifeboat_package::digest::Digest;
use lifeboat_suite::{Installation, SecretFile, registration};
use lifeboat_vault::backup::OpenBackup;
use lifeboat_vault::run::tree::is_configuration;

use crate::files::{digest_of, path_of};
use crate::journal::StepDone;
use crate::targets::Targets;

/// Looks for the secrets of components. Servers make missing ones anew without a word; so we stop.
/// A secret with a file of its own must be the one of the backup. One among settings need not, nor
/// a registration: these are corrected where things have other places than they had.
///
/// # Errors
/// [`Failure`] when one is missing or another, with what is lost without it, or the backup is
/// damaged.
pub async fn demand(
    open: &OpenBackup,
    installation: &Installation,
    (components, targets): (&[&Component], &Targets),
) -> Result<StepDone, Failure> {
    let mut done = StepDone::default();
    for component in components {
        let Some(installed) = installation.components.iter().find(|c| c.name == component.name)
        else {
            continue;
        };
        let kept = kept(open, (component, targets)).await?;
        for secret in &installed.secrets {
            let path = targets.installed(&secret.path);
            let name = (component.name.as_str(), secret, path.as_path());
            if !is_there(&path) {
                let remedy = "put it there before you go on";
                return Err(without(name, "is missing", remedy));
            }
            let is_fixed = secret.setting.is_none() && secret.name != registration::NAME;
            let own = kept.iter().filter(|(file, _)| is_fixed && file.starts_with(&path));
            for (file, digest) in own {
                if !digest_of(file).is_ok_and(|found| found == *digest) {
                    let remedy = "move it away and get the backup's with --only configuration/… of \
                                  its component; if it is to be another, go on with --from-step \
                                  and the step after this one";
                    return Err(without(name, "is not the one of the backup", remedy));
                }
            }
            done.lines.push(format!("{}: {} is there", component.name, secret.name));
        }
    }
    Ok(done)
}

fn without(
    (component, secret, path): (&str, &SecretFile, &Path),
    what: &str,
    remedy: &str,
) -> Failure {
    let SecretFile { name, without_it, .. } = secret;
    Failure::failed(
        format!("the {name} of {component} {what}: {}", path.display()),
        format!("{remedy}; without it: {without_it}"),
    )
}

/// The files of one piece that came back with the configuration: where they are, and their sums.
async fn kept(
    open: &OpenBackup,
    (component, targets): (&Component, &Targets),
) -> Result<Vec<(PathBuf, Digest)>, Failure> {
    let mut kept = Vec::new();
    for entry in open.record_entries(component, FILES) {
        for record in open.package().records::<FileRecord>(&entry).await? {
            if record.kind != FileKind::File || !is_configuration(&record.role) {
                continue;
            }
            let digests = record.content.as_ref().map(Content::digests).unwrap_or_default();
            if let [digest] = digests {
                kept.push((targets.place(&path_of(&record)), *digest));
            }
        }
    }
    Ok(kept)
}

/// A file, or a folder with something in it, such as MAS' `keys_dir`.
fn is_there(path: &Path) -> bool {
    path.is_file() || fs::read_dir(path).is_ok_and(|mut found| found.next().is_some())
}

#[cfg(test)]
mod tests;

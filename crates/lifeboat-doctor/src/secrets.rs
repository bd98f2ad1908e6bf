//! Files that can be read, secrets that are there, and secrets that two components share.

use std::fs::{self, File};
use std::path::Path;

use lifeboat_suite::{Component, Installation, Kind, Note, Role, proof};

use crate::finding::{Findings, Of, told};

/// Every file and secret of a component can be read.
pub(crate) fn files(component: &Component, of: &mut Of<'_>) {
    let before = of.count();
    for secret in &component.secrets {
        if let Some(error) = unreadable(&secret.path) {
            let what = format!("the {} {}", secret.name, cannot(&secret.path, &error));
            of.fail(&what, &format!("put it back: without it, {}", secret.without_it));
        }
    }
    for tree in &component.files {
        let is_secret = component.secrets.iter().any(|secret| secret.path == tree.path);
        let Some(error) = unreadable(&tree.path).filter(|_| !is_secret) else { continue };
        let what = format!("{} {}", tree.role.word(), cannot(&tree.path, &error));
        match tree.role {
            Role::Logs => of.warn(&what, "correct the path"),
            _ => of.fail(&what, "run as root or as the component's user, or correct the path"),
        }
    }
    if let Some(media) = component.media.as_ref().filter(|media| media.local_storage)
        && let Some(error) = unreadable(&media.store_path)
    {
        let what = format!("the media store {}", cannot(&media.store_path, &error));
        of.fail(&what, "run as root or as Synapse's user, or correct the path");
    }
    let looked_at = component.files.len() + component.secrets.len();
    if of.count() == before && looked_at > 0 {
        let files = component.files.len();
        let secrets = component.secrets.len();
        of.fine(&format!("{files} files and folders and {secrets} secrets can be read"));
    }
}

/// Whether a note is of a file that [`files`] tells of anyway.
pub(crate) fn is_told(component: &Component, note: &Note) -> bool {
    let trees = component.files.iter().map(|tree| &tree.path);
    let secrets = component.secrets.iter().map(|secret| &secret.path);
    let media = component.media.iter().map(|media| &media.store_path);
    let mut paths = trees.chain(secrets).chain(media);
    paths.any(|path| note.what.contains(&path.display().to_string()) && unreadable(path).is_some())
}

/// What Synapse and MAS share is the same on both sides.
pub(crate) fn shared(installation: &Installation, findings: &mut Findings) {
    for mas in installation.of_kind(Kind::Mas) {
        let mut of = findings.of(&mas.name);
        for synapse in installation.of_kind(Kind::Synapse) {
            match (proof::shared_secret(mas), proof::shared_secret(synapse)) {
                (Ok(Some(own)), Ok(Some(theirs))) if own == theirs => {
                    of.fine(&format!("shares its secret with {}", synapse.name));
                }
                (Ok(Some(_)), Ok(Some(_))) => of.fail(
                    &format!("its matrix.secret is not that of {}", synapse.name),
                    "write the same into both: nobody can sign in like this",
                ),
                (Ok(_), Ok(_)) => of.warn(
                    &format!("{} and it share no secret", synapse.name),
                    "check matrix.secret here and matrix_authentication_service there",
                ),
                (Err(error), _) | (_, Err(error)) => of.warn(&told(&error), &error.remedy()),
            }
        }
    }
}

fn unreadable(path: &Path) -> Option<std::io::Error> {
    let found = match fs::metadata(path) {
        Ok(found) => found,
        Err(error) => return Some(error),
    };
    let opened = if found.is_dir() {
        fs::read_dir(path).map(drop)
    } else if found.is_file() {
        File::open(path).map(drop)
    } else {
        Err(std::io::Error::other("it is neither a file nor a folder"))
    };
    opened.err()
}

fn cannot(path: &Path, error: &std::io::Error) -> String {
    format!("{} cannot be read: {error}", path.display())
}

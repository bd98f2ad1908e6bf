//! What is left out of the trees of components: what is ours, as a vault that held itself would
//! grow with every run; and databases of `SQLite`, which are kept as such: a file that is written
//! while it is read would come back over the whole one.

use std::path::{Path, PathBuf};

use lifeboat_engine::context::Context;
use lifeboat_engine::failure::Failure;
use lifeboat_package::flow::Gap;
use lifeboat_storage::Location;

use super::{BackupRequest, DatabaseAt};

/// Leaves the vault and the state folder out of every tree, and says so.
///
/// # Errors
/// [`Failure`] when a tree lies in the vault.
pub fn leave_out(cx: &Context, request: &mut BackupRequest) -> Result<(), Failure> {
    let vault = Location::parse(&request.vault).ok();
    let vault = vault.as_ref().and_then(Location::as_directory).map(Path::to_owned);
    let vault = vault.and_then(|vault| vault.canonicalize().ok());
    let state = request.state.canonicalize().ok();
    let ours: Vec<&PathBuf> = vault.iter().chain(&state).collect();
    for subject in &mut request.components {
        for tree in &mut subject.trees {
            let Ok(root) = tree.root.canonicalize() else { continue };
            if let Some(vault) = vault.as_ref().filter(|vault| root.starts_with(vault)) {
                return Err(inside(&subject.name, &root, vault));
            }
            for folder in &ours {
                // Links below the root are not followed, so this is how the walk will name it.
                let Ok(below) = folder.strip_prefix(&root) else { continue };
                let left_out = tree.root.join(below);
                cx.note(format!("{}: leaves out {}", subject.name, left_out.display()));
                tree.without.push(left_out);
            }
        }
    }
    Ok(())
}

/// What `SQLite` has in a database's place and beside it.
const SQLITE_ENDS: [&str; 4] = ["", "-wal", "-shm", "-journal"];

/// Leaves the databases of `SQLite` of all components out of every tree, and links on the way to
/// them: a restore makes the file where the component names it, before it puts links back. Where
/// such a link leads to a folder, what else is behind it is not found by that way any more, and
/// that is a gap.
pub fn leave_databases(cx: &Context, request: &mut BackupRequest) -> Vec<Gap> {
    let databases = request.components.iter().flat_map(|subject| &subject.databases);
    let databases: Vec<PathBuf> = databases
        .filter_map(|database| match &database.at {
            DatabaseAt::Sqlite(path) => Some(path.clone()),
            DatabaseAt::Postgres(_) => None,
        })
        .collect();
    let mut gaps = Vec::new();
    for subject in &mut request.components {
        let name = &subject.name;
        for tree in &mut subject.trees {
            for path in &databases {
                if let Some(file) = file_below(&tree.root, path) {
                    let shown = file.display();
                    cx.note(format!("{name}: leaves out {shown}, kept as a database"));
                    tree.without.extend(SQLITE_ENDS.map(|end| with_end(&file, end)));
                }
                let Some(link) = link_below(&tree.root, path) else { continue };
                if link == *path {
                    let shown = link.display();
                    cx.note(format!("{name}: leaves out the link {shown} to a database"));
                } else {
                    gaps.push(behind_a_link(&link, path));
                }
                tree.without.push(link);
            }
        }
    }
    gaps
}

/// Where a file is below `root`, as the walk will name it: links below the root are not followed.
fn file_below(root: &Path, file: &Path) -> Option<PathBuf> {
    let (real, file) = (root.canonicalize().ok()?, file.canonicalize().ok()?);
    let below = file.strip_prefix(real).ok().filter(|below| !below.as_os_str().is_empty())?;
    Some(root.join(below))
}

/// The first link below `root` on the way to a file as it is named.
fn link_below(root: &Path, file: &Path) -> Option<PathBuf> {
    let ways = file.strip_prefix(root).ok()?.ancestors().map(|way| root.join(way));
    ways.filter(|way| way != root && way.is_symlink()).last()
}

fn behind_a_link(link: &Path, database: &Path) -> Gap {
    let real = database.canonicalize().unwrap_or_else(|_| database.to_owned());
    Gap {
        kind: "database-behind-link".to_owned(),
        object: link.display().to_string(),
        detail: format!(
            "the link is left out: a restore makes a folder of its name for {}, and what else is \
             behind the link is not found there",
            database.display()
        ),
        remedy: format!(
            "name the database by its own path, {}, in lifeboat.yaml or the component's \
             configuration: then the link is kept",
            real.display()
        ),
    }
}

fn with_end(path: &Path, end: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(end);
    PathBuf::from(name)
}

fn inside(subject: &str, root: &Path, folder: &Path) -> Failure {
    Failure::usage(
        format!("{} of {subject} lies in {}", root.display(), folder.display()),
        "keep the vault apart from what is backed up; nothing was backed up",
    )
}

//! What is left out of the trees of components: what is ours, as a vault that held itself would
//! grow with every run; and databases of `SQLite`, which are kept as such: a file that is written
//! while it is read would come back over the whole one.

use std::path::{Path, PathBuf};

use lifeboat_engine::context::Context;
use lifeboat_engine::failure::Failure;
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

/// Leaves the databases of `SQLite` of all components out of every tree.
pub fn leave_databases(cx: &Context, request: &mut BackupRequest) {
    let databases = request.components.iter().flat_map(|subject| &subject.databases);
    let databases: Vec<PathBuf> = databases
        .filter_map(|database| match &database.at {
            DatabaseAt::Sqlite(path) => Some(path.clone()),
            DatabaseAt::Postgres(_) => None,
        })
        .collect();
    for subject in &mut request.components {
        for tree in &mut subject.trees {
            for path in databases.iter().flat_map(|path| places(path, &tree.root)) {
                if tree.without.contains(&path) {
                    continue;
                }
                let shown = path.display();
                cx.note(format!("{}: leaves out {shown}, kept as a database", subject.name));
                tree.without.extend(SQLITE_ENDS.map(|end| {
                    let mut name = path.as_os_str().to_owned();
                    name.push(end);
                    PathBuf::from(name)
                }));
            }
        }
    }
}

/// What a database of `SQLite` is in a tree: its file, and the link on the way to it by which the
/// program finds it. There a restore makes the file, so the link would only be in its place.
fn places(database: &Path, root: &Path) -> Vec<PathBuf> {
    let real = |path: &Path| path.canonicalize().ok();
    let below = |path: &Path, root: &Path| {
        let below = path.strip_prefix(root).ok().filter(|below| !below.as_os_str().is_empty());
        below.map(Path::to_owned)
    };
    let file = real(database).zip(real(root)).and_then(|(path, root)| below(&path, &root));
    let named = below(database, root);
    let link = named.as_ref().and_then(|named| {
        let mut ways: Vec<&Path> = named.ancestors().filter(|way| *way != Path::new("")).collect();
        ways.reverse();
        ways.into_iter().find(|way| root.join(way).is_symlink()).map(Path::to_owned)
    });
    let mut places: Vec<PathBuf> = file.into_iter().chain(link).map(|way| root.join(way)).collect();
    places.dedup();
    places
}

fn inside(subject: &str, root: &Path, folder: &Path) -> Failure {
    Failure::usage(
        format!("{} of {subject} lies in {}", root.display(), folder.display()),
        "keep the vault apart from what is backed up; nothing was backed up",
    )
}

//! The folders above what is put back, where they are not there: as they were, so that a secret is
//! seen by whom it was seen before, and a program gets at what is its own.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt;

use lifeboat_engine::failure::Failure;
use lifeboat_package::backup::{ABOVE, Component, FileRecord};
use lifeboat_vault::backup::OpenBackup;

use super::making::{Look, Placed, dress};
use super::{cannot, is_too_long, path_of};
use crate::targets::Targets;

/// Nobody looks in before it is as it was; of what the backup does not know, nobody ever.
const SHUT: u32 = 0o700;

/// Makes the folders above the trees and databases of a component that are not there.
///
/// # Errors
/// [`Failure`] when one cannot be made, or the backup is damaged.
pub(super) async fn make(
    open: &OpenBackup,
    (component, targets): (&Component, &Targets),
) -> Result<(), Failure> {
    let records = open.records::<FileRecord>(component, ABOVE).await?;
    let placed = records.into_iter().map(|record| (targets.place(&path_of(&record)), record));
    // What is above comes first.
    for (path, mut record) in placed.collect::<BTreeMap<_, _>>() {
        if is_too_long(&path) {
            continue;
        }
        if let Some(root) = path.parent() {
            fs::create_dir_all(root).map_err(|e| cannot("make", root, e))?;
        }
        match DirBuilder::new().mode(SHUT).create(&path) {
            Ok(()) => {}
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => continue,
            Err(e) => return Err(cannot("make", &path, e)),
        }
        if !rustix::process::geteuid().is_root() {
            // It stays our own, and we have to get in.
            record.mode |= SHUT;
        }
        // Of what is to lie in it the same is told, where owners cannot be given.
        dress(&path, &Look::from(&record), &mut Placed::default())?;
    }
    Ok(())
}

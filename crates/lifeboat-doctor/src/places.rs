//! What belongs to no component: recipients, the state folder, the vault, the clock.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use bytes::Bytes;
use lifeboat_keyring::Recipients;
use lifeboat_storage::error::StorageError;
use lifeboat_storage::location::Location;
use lifeboat_storage::place::Place;
use lifeboat_suite::Installation;
use rustix::fs::{Access, access, statvfs};

use crate::finding::{Findings, Of, told};
use crate::{Examination, INSTALLATION, nearest_folder};

/// Free bytes of the state folder that should be there, and that must.
const FREE: (u64, u64) = (1 << 30, 64 << 20);
/// 2020-01-01: a clock before this date was never set.
const CLOCK_SET: i64 = 1_577_836_800;
const PROBE: &[u8] = b"A probe of `lifeboat doctor`; it can be deleted.\n";

pub(crate) fn recipients(installation: &Installation, findings: &mut Findings) {
    let mut of = findings.of(INSTALLATION);
    match Recipients::parse(&installation.recipients) {
        Ok(recipients) => match recipients.names().len() {
            1 => of.warn(
                "one recipient: whoever loses that identity loses every backup",
                "add a second recipient whose identity is kept elsewhere",
            ),
            more => of.fine(&format!("{more} recipients")),
        },
        Err(error) => of.fail(&told(&error), "correct `recipients` in lifeboat.yaml"),
    }
}

pub(crate) fn state(installation: &Installation, findings: &mut Findings) {
    let mut of = findings.of(INSTALLATION);
    let state = &installation.state;
    let shown = state.display();
    let folder = nearest_folder(state);
    if access(&folder, Access::WRITE_OK).is_err() {
        let what = format!("the state folder {shown} cannot be written to");
        return of.fail(&what, "run as a user that may, or name another as `state`");
    }
    let Ok(space) = statvfs(&folder) else {
        let what = format!("cannot tell how much room the state folder {shown} has");
        return of.warn(&what, "check the disk");
    };
    let free = space.f_bavail.saturating_mul(space.f_frsize);
    let what = format!("{} MiB are free for the state folder {shown}", free >> 20);
    match free {
        free if free < FREE.1 => of.fail(&what, "free at least 1 GiB"),
        free if free < FREE.0 => of.warn(&what, "free at least 1 GiB"),
        _ => of.fine(&what),
    }
}

pub(crate) fn clock(with: &Examination, findings: &mut Findings) {
    if (with.now)() < CLOCK_SET {
        findings.of(INSTALLATION).fail("the clock of this machine is not set", "set it, by NTP");
    }
}

pub(crate) async fn vault(
    installation: &Installation,
    with: &Examination,
    findings: &mut Findings,
) {
    let mut of = findings.of(INSTALLATION);
    let vault = &installation.vault;
    let location = match Location::parse(vault) {
        Ok(location) => location,
        Err(error) => return of.fail(&told(&error), "correct `vault` in lifeboat.yaml"),
    };
    if let Some(folder) = location.as_directory() {
        if !folder.is_dir() {
            let what = format!("the vault {vault} is not there");
            let remedy = "mount its disk, or make it: mkdir -m 700";
            return of.fail(&what, remedy);
        }
        modes(folder, &mut of);
        same_disk(folder, installation, &mut of);
    }
    match Place::open(&location, &with.access).await {
        Ok(place) => {
            probe(&place, with, &mut of).await;
            if installation.object_lock.is_some() {
                lock(&place, &mut of).await;
            }
        }
        Err(error) => of.fail(&told(&error), "correct `vault`, or its credentials"),
    }
}

/// Whoever can write into the vault can delete every backup.
fn modes(folder: &Path, of: &mut Of<'_>) {
    let Ok(found) = fs::metadata(folder) else { return };
    let (shown, mode) = (folder.display(), found.mode());
    let who = match mode & 0o022 {
        0 => return of.fine(&format!("only its owner writes to the vault {shown}")),
        0o020 => "its group",
        _ => "everybody",
    };
    let what = format!("{who} can write to the vault {shown}, and delete what is in it");
    of.warn(&what, &format!("chmod go-w {shown}"));
}

/// One broken disk should not take the data and its backup.
fn same_disk(folder: &Path, installation: &Installation, of: &mut Of<'_>) {
    let disk = |path: &Path| fs::metadata(path).map(|found| found.dev()).ok();
    let Some(own) = disk(folder) else { return };
    for component in &installation.components {
        let Some(media) = &component.media else { continue };
        if disk(&media.store_path) == Some(own) {
            let what = format!(
                "the vault is on the same disk as the media of {}: one fault takes both",
                component.name
            );
            of.warn(&what, "use another disk or a bucket, or copy the vault elsewhere");
        }
    }
}

/// Whether the bucket can lock what a run writes.
async fn lock(place: &Place, of: &mut Of<'_>) {
    let shown = place.shown();
    match place.has_lock().await {
        Ok(true) => of.fine(&format!("the bucket of the vault {shown} has object lock")),
        Ok(false) => of.fail(
            &format!("the bucket of the vault {shown} has no object lock: no backup would begin"),
            "make a bucket with object lock, or take object_lock out of lifeboat.yaml",
        ),
        Err(error) => of.warn(
            &format!("cannot tell whether the bucket of {shown} has object lock: {}", told(&error)),
            "allow s3:GetBucketObjectLockConfiguration",
        ),
    }
}

/// Writes, reads and deletes a small object.
async fn probe(place: &Place, with: &Examination, of: &mut Of<'_>) {
    let name = format!("probes/{}", with.probe);
    let shown = place.shown();
    if let Err(error) = place.put(&name, Bytes::from_static(PROBE)).await {
        let what = format!("cannot write to the vault {shown}: {}", told(&error));
        return of.fail(&what, "correct its rights or credentials");
    }
    match place.read_whole(&name, 4096).await {
        Ok(bytes) if bytes == PROBE => of.fine(&format!("the vault {shown} can be written to")),
        Ok(_) => of.fail(
            &format!("the vault {shown} gives back other bytes than were written"),
            "do not use it",
        ),
        Err(error) => of.warn(
            &format!("the vault {shown} can be written to and not read: {}", told(&error)),
            "allow reading: without it nothing is verified or borrowed from earlier backups",
        ),
    }
    match place.delete(&name).await {
        Ok(()) => {}
        Err(StorageError::Denied { .. }) => {
            of.fine("nothing can be deleted from the vault with these credentials");
        }
        Err(error) => of.warn(
            &format!("cannot delete {name} from the vault: {}", told(&error)),
            "delete it by hand; prune would not work either",
        ),
    }
}

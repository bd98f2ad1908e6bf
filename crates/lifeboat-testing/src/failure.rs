//! What can go wrong while test servers are installed, started or driven.

use std::error::Error;
use std::fmt;
use std::io;
use std::process::Output;

/// Why a part of the test world is not there.
pub enum WorldError {
    /// A file, folder, process or socket could not be used.
    Io {
        /// What was tried, as a verb phrase.
        task: String,
        /// What the operating system said.
        source: io::Error,
    },
    /// A program ended with a failure.
    Command {
        /// The program and its arguments.
        command: String,
        /// How it ended and the end of what it printed.
        outcome: String,
    },
    /// A server did not come up, or did not stay up.
    NotReady {
        /// Which server, and for how long it was waited for.
        server: String,
        /// The end of its log.
        log: String,
    },
    /// Something the world needs is not on this machine.
    Missing {
        /// What is missing.
        thing: String,
        /// What to do about it.
        remedy: String,
    },
}

impl WorldError {
    /// Makes a function that wraps an I/O error with what was being done.
    pub fn io(task: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let task = task.into();
        move |source| Self::Io { task, source }
    }

    /// Describes a program that ended badly, with the end of its output.
    pub fn command(command: impl Into<String>, output: &Output) -> Self {
        let printed = [output.stdout.as_slice(), output.stderr.as_slice()].concat();
        let printed = String::from_utf8_lossy(&printed);
        let outcome = format!("{}\n{}", output.status, last_lines(&printed, 400));
        Self::Command { command: command.into(), outcome }
    }
}

impl fmt::Display for WorldError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io { task, .. } => write!(out, "cannot {task}"),
            Self::Command { command, outcome } => write!(out, "`{command}` failed: {outcome}"),
            Self::NotReady { server, log } => {
                write!(out, "{server} is not ready; the end of its log:\n{log}")
            }
            Self::Missing { thing, remedy } => write!(out, "{thing} is missing: {remedy}"),
        }
    }
}

/// The same as `Display`, with the cause: tests unwrap these errors, and logs have many lines.
impl fmt::Debug for WorldError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{self}")?;
        match self.source() {
            Some(source) => write!(out, ": {source}"),
            None => Ok(()),
        }
    }
}

impl Error for WorldError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Io { source, .. } => Some(source),
            _ => None,
        }
    }
}

/// The last `count` lines of a text.
pub(crate) fn last_lines(text: &str, count: usize) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(count)..].join("\n")
}

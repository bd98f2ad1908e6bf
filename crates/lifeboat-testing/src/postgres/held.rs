//! A session that holds what it took until it is dropped, so that somebody else waits.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};

use super::{Cluster, SUPERUSER};
use crate::WorldError;

/// An open session.
#[derive(Debug)]
pub struct Held {
    session: Child,
}

impl Cluster {
    /// Holds what a statement without an answer takes, for example a lock in a transaction.
    ///
    /// # Errors
    /// When the session cannot be opened or the statement fails.
    pub fn hold(&self, database: &str, statement: &str) -> Result<Held, WorldError> {
        let mut session = Command::new(self.programs.join("psql"))
            .args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-U", SUPERUSER])
            .args(["-d", database, "-p", &self.port().to_string(), "-h"])
            .arg(self.socket.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(WorldError::io("run psql"))?;
        let mut answer = String::new();
        if let (Some(asked), Some(said)) = (session.stdin.as_mut(), session.stdout.as_mut()) {
            let what = || format!("psql {database}: {statement}");
            writeln!(asked, "{statement}; SELECT 'held';").map_err(WorldError::io(what()))?;
            BufReader::new(said).read_line(&mut answer).map_err(WorldError::io(what()))?;
        }
        let held = Held { session };
        if answer.trim() == "held" {
            return Ok(held);
        }
        Err(WorldError::Missing {
            thing: format!("an answer of psql to {statement}"),
            remedy: "see what it said".into(),
        })
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        drop(self.session.stdin.take());
        drop(self.session.wait());
    }
}

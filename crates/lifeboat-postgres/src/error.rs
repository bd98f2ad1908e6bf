//! What goes wrong between us and a PostgreSQL server, and what to do about it.

use std::error::Error as _;

use thiserror::Error;
use tokio_postgres::types::{WasNull, WrongType};

/// What can go wrong between us and a PostgreSQL server.
#[derive(Debug, Error)]
pub enum PostgresError {
    /// No connection could be made.
    #[error(
        "cannot connect to database {database} at {place}; \
         is it running, and do user and password fit?"
    )]
    Connect {
        /// Database name.
        database: String,
        /// Host and port, or socket folder.
        place: String,
        /// Cause.
        source: tokio_postgres::Error,
    },
    /// The connection was lost or the server ended it.
    #[error(
        "the connection to the database was lost while we {doing}; \
         run the same command again to go on"
    )]
    Lost {
        /// What was being done, as a verb phrase in the past.
        doing: String,
        /// Cause.
        source: tokio_postgres::Error,
    },
    /// The server's answer is not what we asked for.
    #[error("the database's answer was not understood while we {doing}; please report this")]
    Unreadable {
        /// What was being done.
        doing: String,
        /// Cause: which column, and what it held.
        source: tokio_postgres::Error,
    },
    /// The server refused a statement.
    #[error("the database refused: {message} (SQLSTATE {code}) while we {doing}{hint}")]
    Refused {
        /// What was being done.
        doing: String,
        /// The server's words.
        message: String,
        /// SQLSTATE.
        code: String,
        /// What to do, with a leading separator, or empty.
        hint: String,
    },
    /// TLS was asked for and cannot be set up.
    #[error("cannot set up TLS to the database: {detail}")]
    Tls {
        /// What is wrong.
        detail: String,
    },
    /// A table is not any more what the snapshot shows.
    #[error(
        "table {table} was altered, emptied or dropped while the snapshot was opened; \
         run the same command again"
    )]
    Moved {
        /// Schema and name.
        table: String,
    },
    /// Another session has a table locked.
    #[error(
        "table {table} is locked by another session, as while a migration runs; \
         run the same command again when it is done"
    )]
    Busy {
        /// Schema and name.
        table: String,
    },
    /// The bytes of a `COPY` stream are not what the protocol says.
    #[error("the database sent a malformed COPY stream for {table}: {detail}")]
    Malformed {
        /// Table or query label.
        table: String,
        /// What is wrong.
        detail: &'static str,
    },
}

impl PostgresError {
    /// Sorts a driver error into lost connection, refusal, or an answer of another kind.
    pub fn sorted(doing: impl Into<String>, source: tokio_postgres::Error) -> Self {
        let doing = doing.into();
        let Some(db) = source.as_db_error() else {
            let cause = source.source();
            let is_odd =
                cause.is_some_and(|cause| cause.is::<WasNull>() || cause.is::<WrongType>());
            return if is_odd {
                Self::Unreadable { doing, source }
            } else {
                Self::Lost { doing, source }
            };
        };
        let code = db.code().code();
        if matches!(code, "57P01" | "57P02" | "57P03" | "57P05" | "08006" | "08003") {
            return Self::Lost { doing, source };
        }
        let hint = hint_for(code, db.routine()).map_or_else(String::new, |h| format!("; {h}"));
        Self::Refused { doing, message: db.message().to_owned(), code: code.to_owned(), hint }
    }

    /// The same, of something that was to be made: where the role may not, what it takes.
    #[must_use]
    pub(crate) fn wants_more_rights(mut self) -> Self {
        if let Self::Refused { code, hint, .. } = &mut self
            && code == "42501"
        {
            "; this takes a superuser, or a role that one has let do it".clone_into(hint);
        }
        self
    }

    /// Whether running the same command again can succeed without changing anything else.
    pub fn is_transient(&self) -> bool {
        match self {
            // No password, no role or no database of that name comes by waiting (PostgreSQL
            // documentation, appendix A).
            Self::Connect { .. } => {
                !self.code().is_some_and(|code| code.starts_with("28") || code == "3D000")
            }
            Self::Lost { .. } | Self::Moved { .. } | Self::Busy { .. } => true,
            _ => false,
        }
    }

    /// The SQLSTATE, where the server gave one.
    pub fn code(&self) -> Option<&str> {
        match self {
            Self::Refused { code, .. } => Some(code),
            Self::Connect { source, .. }
            | Self::Lost { source, .. }
            | Self::Unreadable { source, .. } => {
                source.code().map(tokio_postgres::error::SqlState::code)
            }
            Self::Tls { .. } | Self::Malformed { .. } | Self::Moved { .. } | Self::Busy { .. } => {
                None
            }
        }
    }
}

/// Remedies for the refusals an operator can act on (PostgreSQL documentation, appendix A).
/// `routine` is where in the server: its words are in the language of its operator.
fn hint_for(code: &str, routine: Option<&str>) -> Option<&'static str> {
    Some(match code {
        "42501" if routine == Some("check_enable_rls") => {
            "policies of row-level security would hide rows from this role: connect as one that \
             has BYPASSRLS or owns the table (unless that has FORCE ROW LEVEL SECURITY)"
        }
        "42501" if matches!(routine, Some("RenameDatabase" | "createdb")) => {
            "let the role make and rename databases (ALTER ROLE … CREATEDB), or do it yourself as \
             an administrator"
        }
        "42501" => {
            "let an administrator grant the role this right; to read for a backup or an export it \
             takes SELECT on all tables and sequences (see the guide, least privilege)"
        }
        "53100" => "the database server's disk is full; free space and run the same command again",
        "53300" => "too many connections; use fewer --lanes or raise max_connections",
        "55P03" => {
            "another session holds a lock; try again when it is done; who it is: \
             SELECT pid, usename, query FROM pg_stat_activity WHERE pid IN \
             (SELECT pid FROM pg_locks WHERE granted AND mode = 'AccessExclusiveLock')"
        }
        _ => return None,
    })
}

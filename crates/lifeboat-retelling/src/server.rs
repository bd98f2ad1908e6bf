//! A Matrix server that rooms are told again on, through an application service of it: any server,
//! by what the specification says, and no table of it.

pub mod answers;
pub mod client;
pub mod id_file;
pub mod registration;
mod request;
pub mod stage;

#[cfg(test)]
mod tests;

use thiserror::Error;

/// The server did not do what it was asked for.
#[derive(Debug, Error)]
pub enum ClientError {
    /// The address is none.
    #[error("{0} is no address of a server")]
    Address(String),
    /// An id that no address can hold.
    #[error("an id cannot be part of an address")]
    Unaddressable,
    /// The token is no text that a header can hold.
    #[error("the token of the application service cannot be sent")]
    Token,
    /// No answer.
    #[error("{what}: the server does not answer")]
    Unreachable {
        /// What it was asked for.
        what: String,
        /// Why.
        #[source]
        cause: reqwest::Error,
    },
    /// An answer that says no.
    #[error("{what}: {status} {errcode} {error}")]
    Refused {
        /// What it was asked for.
        what: String,
        /// HTTP status.
        status: u16,
        /// `M_…`, or nothing.
        errcode: String,
        /// What the server says for people.
        error: String,
    },
    /// It asked us to wait, for longer than we do.
    #[error("{0}: the server lets too little through")]
    Busy(String),
    /// What answers is no Matrix server, or says more than is read.
    #[error("{0}: the answer is not a Matrix server's")]
    Answer(String),
}

impl ClientError {
    /// The server's code, `M_…`, where it said no.
    pub fn errcode(&self) -> Option<&str> {
        match self {
            Self::Refused { errcode, .. } => Some(errcode),
            _ => None,
        }
    }

    /// Whether the server refuses this one thing, and not us.
    pub fn is_about_this(&self) -> bool {
        let is_no = |status: u16| (400..500).contains(&status) && status != 401;
        matches!(self, Self::Unaddressable) || self.status().is_some_and(is_no)
    }

    /// The HTTP status, where it said no.
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Refused { status, .. } => Some(*status),
            _ => None,
        }
    }
}

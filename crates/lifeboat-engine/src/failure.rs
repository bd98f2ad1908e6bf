//! The one error above the engine: what failed, why, what to do, and which exit code it is.

#[cfg(test)]
mod tests;

use std::error::Error;
use std::fmt;

use lifeboat_keyring::KeyringError;

/// What kind of end a command came to; the exit codes of the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Code {
    /// Something outside failed (exit 1).
    Failed,
    /// The request makes no sense as it is (exit 2).
    Usage,
    /// A package is incomplete, damaged or not to be trusted (exit 4).
    NotValid,
    /// Stopped on request (exit 130).
    Stopped,
}

impl Code {
    /// The process exit code.
    pub fn exit(self) -> u8 {
        match self {
            Self::Failed => 1,
            Self::Usage => 2,
            Self::NotValid => 4,
            Self::Stopped => 130,
        }
    }

    /// The stable word for machines.
    pub fn word(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::Usage => "usage",
            Self::NotValid => "not-valid",
            Self::Stopped => "stopped",
        }
    }
}

/// A verb did not succeed.
#[derive(Debug)]
pub struct Failure {
    /// What kind of end.
    pub code: Code,
    /// What failed, on what.
    pub what: String,
    /// What to do.
    pub remedy: String,
    /// Why.
    pub cause: Option<Box<dyn Error + Send + Sync>>,
}

impl Failure {
    /// Something outside failed.
    pub fn failed(what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { code: Code::Failed, what: what.into(), remedy: remedy.into(), cause: None }
    }

    /// The request makes no sense.
    pub fn usage(what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { code: Code::Usage, ..Self::failed(what, remedy) }
    }

    /// The package is not valid.
    pub fn not_valid(what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { code: Code::NotValid, ..Self::failed(what, remedy) }
    }

    /// Stopped on request.
    pub fn stopped(what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { code: Code::Stopped, ..Self::failed(what, remedy) }
    }

    /// With the error underneath.
    #[must_use]
    pub fn because(mut self, cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.cause = Some(cause.into());
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

impl Error for Failure {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.cause.as_ref().map(|cause| cause.as_ref() as &(dyn Error + 'static))
    }
}

impl From<KeyringError> for Failure {
    fn from(error: KeyringError) -> Self {
        let code = match &error {
            damage if damage.is_damage() => Code::NotValid,
            KeyringError::WrongIdentity { .. }
            | KeyringError::WrongOneIdentity { .. }
            | KeyringError::WrongPassphrase
            | KeyringError::Unreadable { .. }
            | KeyringError::Wrap(_) => Code::Failed,
            _ => Code::Usage,
        };
        let (what, remedy) = (error.to_string(), error.remedy().to_owned());
        let cause: Option<Box<dyn Error + Send + Sync>> = match error {
            KeyringError::Unreadable { cause, .. } => Some(cause.into()),
            KeyringError::Content(cause) => Some(cause.into()),
            KeyringError::Wrap(cause) => Some(cause),
            _ => None,
        };
        Self { code, what, remedy, cause }
    }
}

//! What can go wrong with a place, in words that say what to do.
//!
//! The kinds are those a caller decides on: try again later, ask for another place, stop.

use std::error::Error;
use std::fmt;
use std::io;

/// What the system or the server said.
pub type Cause = Box<dyn Error + Send + Sync>;

const NOT_FOUND: &str = "check the name and the place";
const EXISTS: &str = "take another name or remove what is there";
const BUSY: &str = "wait for the other process or stop it";
const DENIED: &str = "check owner and mode of the folder, or the keys and the policy of the bucket";
const READ_ONLY: &str =
    "mount it writable (a unit of systemd names it in ReadWritePaths=) or give another place";
const FULL: &str = "free some space or give another place, then run the same command again";
const UNREACHABLE: &str = "check the network and the endpoint, then run the same command again";
const DAMAGED: &str = "it was changed or damaged; take another copy";
const REFUSED: &str = "correct it and run the command again";
const OTHER: &str = "see the cause";

/// An operation on a place failed.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// There is nothing of this name, or the bucket does not exist.
    #[error("cannot {at}: it is not there; {}", NOT_FOUND)]
    NotFound {
        /// What was tried.
        at: At,
        /// What was answered.
        #[source]
        cause: Option<Cause>,
    },
    /// The name is taken and must not be replaced.
    #[error("cannot {at}: the name is taken; {}", EXISTS)]
    Exists {
        /// What was tried.
        at: At,
    },
    /// Another process holds the file.
    #[error("cannot {at}: another process is writing it; {}", BUSY)]
    Busy {
        /// What was tried.
        at: At,
    },
    /// Permission, signature or credentials were refused.
    #[error("cannot {at}: permission denied; {}", DENIED)]
    Denied {
        /// What was tried.
        at: At,
        /// What was answered.
        #[source]
        cause: Cause,
    },
    /// The file system is mounted read-only.
    #[error("cannot {at}: the file system is read-only; {}", READ_ONLY)]
    ReadOnly {
        /// What was tried.
        at: At,
        /// What was answered.
        #[source]
        cause: Cause,
    },
    /// No space or quota is left, or the object would be too large.
    #[error("cannot {at}: there is no space left; {}", FULL)]
    Full {
        /// What was tried.
        at: At,
        /// What was answered.
        #[source]
        cause: Cause,
    },
    /// The server does not answer, or answers that it has trouble; tried as often as the patience
    /// allows.
    #[error("cannot {at}: the server cannot be reached or has trouble; {}", UNREACHABLE)]
    Unreachable {
        /// What was tried.
        at: At,
        /// What was answered the last time.
        #[source]
        cause: Cause,
    },
    /// The content is not what it must be: too short, or changed while it was read.
    #[error("cannot {at}: {detail}; {}", DAMAGED)]
    Damaged {
        /// What was tried.
        at: At,
        /// What was found.
        detail: String,
    },
    /// A name or a setting that cannot be used.
    #[error("cannot {at}: {detail}; {}", REFUSED)]
    Refused {
        /// What was tried.
        at: At,
        /// What is wrong with it.
        detail: String,
    },
    /// Anything else.
    #[error("cannot {at}; {}", OTHER)]
    Other {
        /// What was tried.
        at: At,
        /// What was answered.
        #[source]
        cause: Cause,
    },
}

/// What was tried: a verb, on a name, in a place. The place is shown without secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct At {
    /// For example `write`.
    pub verb: &'static str,
    /// The name in the place; empty when the place itself is meant.
    pub name: String,
    /// The place as a person wrote it.
    pub place: String,
}

impl At {
    pub(crate) fn new(verb: &'static str, name: &str, place: &str) -> Self {
        Self { verb, name: name.to_owned(), place: place.to_owned() }
    }
}

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { verb, name, place } = self;
        if name.is_empty() {
            write!(f, "{verb} {place}")
        } else {
            write!(f, "{verb} {name} in {place}")
        }
    }
}

impl StorageError {
    /// Whether the same operation may succeed later without anybody changing anything.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Unreachable { .. })
    }

    /// What was tried.
    pub fn at(&self) -> &At {
        match self {
            Self::NotFound { at, .. }
            | Self::Exists { at }
            | Self::Busy { at }
            | Self::Denied { at, .. }
            | Self::ReadOnly { at, .. }
            | Self::Full { at, .. }
            | Self::Unreachable { at, .. }
            | Self::Damaged { at, .. }
            | Self::Refused { at, .. }
            | Self::Other { at, .. } => at,
        }
    }

    /// What a person can do about it; `Display` ends with the same words.
    pub fn remedy(&self) -> &'static str {
        match self {
            Self::NotFound { .. } => NOT_FOUND,
            Self::Exists { .. } => EXISTS,
            Self::Busy { .. } => BUSY,
            Self::Denied { .. } => DENIED,
            Self::ReadOnly { .. } => READ_ONLY,
            Self::Full { .. } => FULL,
            Self::Unreachable { .. } => UNREACHABLE,
            Self::Damaged { .. } => DAMAGED,
            Self::Refused { .. } => REFUSED,
            Self::Other { .. } => OTHER,
        }
    }

    /// Sorts what the operating system said.
    pub(crate) fn from_io(at: At, error: io::Error) -> Self {
        use io::ErrorKind as Kind;
        let kind = error.kind();
        let cause: Cause = Box::new(error);
        match kind {
            Kind::NotFound => Self::NotFound { at, cause: Some(cause) },
            Kind::AlreadyExists => Self::Exists { at },
            Kind::PermissionDenied => Self::Denied { at, cause },
            Kind::ReadOnlyFilesystem => Self::ReadOnly { at, cause },
            Kind::StorageFull | Kind::QuotaExceeded | Kind::FileTooLarge => {
                Self::Full { at, cause }
            }
            Kind::StaleNetworkFileHandle | Kind::TimedOut | Kind::HostUnreachable => {
                Self::Unreachable { at, cause }
            }
            _ => Self::Other { at, cause },
        }
    }
}

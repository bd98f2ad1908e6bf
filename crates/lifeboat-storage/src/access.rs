//! How to reach a place: credentials and endpoints as values, and how long to try.
//!
//! Nothing below `main` reads the environment; `main` passes `std::env::vars()` in here.

use std::collections::BTreeMap;
use std::time::Duration;

use zeroize::Zeroizing;

use crate::lock::Lock;

/// The environment variables that concern object stores.
const PREFIXES: [&str; 3] = ["AWS_", "GOOGLE_", "AZURE_"];

/// Credentials, endpoints and patience. No `Debug`: it holds secrets.
#[derive(Clone)]
pub struct Access {
    variables: BTreeMap<String, Zeroizing<String>>,
    patience: Patience,
    lock: Option<Lock>,
}

impl Access {
    /// Keeps the variables that concern object stores (`AWS_…`, `GOOGLE_…`, `AZURE_…`) and drops
    /// the rest.
    pub fn new(environment: impl IntoIterator<Item = (String, String)>) -> Self {
        let variables = environment
            .into_iter()
            .filter(|(key, value)| {
                !value.is_empty() && PREFIXES.iter().any(|prefix| key.starts_with(prefix))
            })
            .map(|(key, value)| (key, Zeroizing::new(value)))
            .collect();
        Self { variables, patience: Patience::USUAL, lock: None }
    }

    /// The variables whose names begin with `prefix`, under what follows it; the same as
    /// [`Self::new`] where there is none.
    ///
    /// So a second store can have keys of its own.
    pub fn named_apart(environment: &[(String, String)], prefix: &str) -> Self {
        let apart: Vec<(String, String)> = environment
            .iter()
            .filter_map(|(key, value)| Some((key.strip_prefix(prefix)?.to_owned(), value.clone())))
            .collect();
        Self::new(if apart.is_empty() { environment.to_vec() } else { apart })
    }

    /// The same with this variable.
    #[must_use]
    pub fn with(mut self, key: &str, value: &str) -> Self {
        self.variables.insert(key.to_owned(), Zeroizing::new(value.to_owned()));
        self
    }

    /// No credentials: enough for a directory.
    pub fn none() -> Self {
        Self::new([])
    }

    /// The same with another patience.
    #[must_use]
    pub fn with_patience(self, patience: Patience) -> Self {
        Self { patience, ..self }
    }

    /// The same, where whatever is written is locked. For S3 only.
    #[must_use]
    pub fn with_lock(self, lock: Option<Lock>) -> Self {
        Self { lock, ..self }
    }

    /// Whether what is written is locked.
    pub fn has_lock(&self) -> bool {
        self.lock.is_some()
    }

    pub(crate) fn lock(&self) -> Option<&Lock> {
        self.lock.as_ref()
    }

    pub(crate) fn patience(&self) -> Patience {
        self.patience
    }

    pub(crate) fn get(&self, key: &str) -> Option<&str> {
        self.variables.get(key).map(|value| value.as_str())
    }

    /// Every variable that begins with `prefix`, in order of its name, the name in lower case.
    pub(crate) fn lower_case(&self, prefix: &str) -> impl Iterator<Item = (String, &str)> {
        self.variables
            .iter()
            .filter(move |(key, _)| key.starts_with(prefix))
            .map(|(key, value)| (key.to_ascii_lowercase(), value.as_str()))
    }
}

/// How long to try again before an operation on an object store counts as failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// Tries of one request, the first included.
    pub attempts: u32,
    /// Tries as long as the server has never answered: it is more likely misspelt than in trouble.
    pub first_contact_attempts: u32,
    /// Pause after the first failure; each further one is twice as long.
    pub first_pause: Duration,
    /// No pause is longer.
    pub longest_pause: Duration,
    /// Silence on a connection after which it counts as lost.
    pub stall: Duration,
}

/// The slowest line that is not taken for a lost one, in bytes per second (1 Mbit/s).
const SLOWEST_BYTES_PER_SECOND: u64 = 128 << 10;

impl Patience {
    /// Bridges an outage of about fifty seconds, for example the restart of a store.
    pub const USUAL: Self = Self {
        attempts: 11,
        first_contact_attempts: 5,
        first_pause: Duration::from_millis(200),
        longest_pause: Duration::from_secs(10),
        stall: Duration::from_secs(30),
    };

    /// Time for one try that sends `bytes`.
    pub(crate) fn limit(self, bytes: u64) -> Duration {
        self.stall.saturating_add(Duration::from_secs(bytes / SLOWEST_BYTES_PER_SECOND))
    }

    /// Pause after the `failures`-th failure in a row, counted from 1.
    pub(crate) fn pause(self, failures: u32) -> Duration {
        let doublings = failures.saturating_sub(1).min(20);
        self.first_pause.saturating_mul(1 << doublings).min(self.longest_pause)
    }
}

#[cfg(test)]
mod tests;

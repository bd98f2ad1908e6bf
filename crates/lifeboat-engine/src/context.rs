//! What every verb is handed first: where to tell progress, when to stop, time and chance.

use std::sync::Arc;

use tokio::sync::watch;

use crate::failure::Failure;

/// Whether to go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Stop {
    /// Go on.
    #[default]
    Go,
    /// Stop and leave what the next run needs to go on (SIGTERM).
    Pause,
    /// Stop and leave nothing (SIGINT, Ctrl-C).
    Cancel,
}

/// What a verb tells while it works.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// One line of the story, for people and logs.
    Note(String),
    /// A new stretch of work: its name, and how much there is to do in `unit`s.
    Stage {
        /// For example `rows`, `media`, `indexes`.
        name: &'static str,
        /// Total, 0 when unknown.
        total: u64,
        /// What is counted.
        unit: Unit,
    },
    /// So much more of the stage is done.
    Advance(u64),
}

/// What a stage counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Bytes.
    Bytes,
    /// Things.
    Items,
}

/// Handed to every verb.
pub struct Context {
    /// Takes progress.
    pub report: Arc<dyn Fn(Event) + Send + Sync>,
    /// Says when to stop.
    pub stop: watch::Receiver<Stop>,
    /// Now, in seconds since 1970-01-01 UTC.
    pub now: fn() -> i64,
    /// Fills a buffer with random bytes from the operating system.
    pub entropy: fn(&mut [u8]),
    /// Program name and version, for manifests and reports.
    pub generator: String,
}

impl Context {
    /// Tells a line of the story.
    pub fn note(&self, text: impl Into<String>) {
        (self.report)(Event::Note(text.into()));
    }

    /// Begins a stage.
    pub fn stage(&self, name: &'static str, total: u64, unit: Unit) {
        (self.report)(Event::Stage { name, total, unit });
    }

    /// Tells progress within the stage.
    pub fn advance(&self, by: u64) {
        (self.report)(Event::Advance(by));
    }

    /// Returns when the verb is to stop, with the way it is to.
    pub async fn stopped(&self) -> Stop {
        let mut stop = self.stop.clone();
        match stop.wait_for(|stop| *stop != Stop::Go).await {
            Ok(stop) => *stop,
            // Nobody is left who could ask us to stop.
            Err(_) => std::future::pending().await,
        }
    }

    /// Asks between two steps whether there is to be another.
    ///
    /// # Errors
    /// [`Failure`] when the verb is to stop.
    pub fn go_on(&self) -> Result<(), Failure> {
        let word = match *self.stop.borrow() {
            Stop::Go => return Ok(()),
            Stop::Pause => "stopped",
            Stop::Cancel => "cancelled",
        };
        Err(Failure::stopped(word, "run the command again"))
    }

    /// Now, RFC 3339 in UTC with seconds.
    pub fn timestamp(&self) -> String {
        jiff::Timestamp::from_second((self.now)())
            .map_or_else(|_| "1970-01-01T00:00:00Z".to_owned(), |now| now.to_string())
    }

    /// Random bytes.
    pub fn random<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        (self.entropy)(&mut bytes);
        bytes
    }
}

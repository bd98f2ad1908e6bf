//! What a restored database needs before Synapse may start on it, and what its operator must know.
//!
//! A copy of a database is no running server put back: it would hand out one-time keys that were
//! used since, run purges that had begun, send what was overdue, and look for files that are not
//! there. [`apply`] removes what is dangerous by rule, decides nothing that is a matter of opinion,
//! and says every step in a line.
//!
//! It works on the current schema of the session, after the rows and [`super::sequences::restore`];
//! it opens no transaction of its own, and doing it twice does no more than doing it once. Tables
//! that a schema version lacks are skipped and named.

mod foreign_keys;
mod left_out;
mod overdue;
mod positions;
pub(super) mod present;
mod queues;
mod remote_media;
mod singletons;
mod steps;

use std::fmt;

use serde::{Deserialize, Serialize};
use tokio_postgres::Client;

use self::steps::Steps;
use super::sequences::SequenceLine;
use crate::postgres::PostgresError;

pub use foreign_keys::{ForeignKey, drop_dangling, mend_foreign_key};

/// What the fix-ups cannot see in the database.
#[derive(Debug, Clone)]
pub struct FixupFacts {
    /// The present time in milliseconds since 1970: what is due before it is overdue.
    pub now_ms: i64,
    /// What becomes of events that are to be sent later.
    pub delayed_events: DelayedEvents,
    /// Which files of other servers' media were put back.
    pub remote_media: RemoteMedia,
}

/// What becomes of events that users asked Synapse to send later (MSC4140).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DelayedEvents {
    /// They stay. Those that are overdue are sent when Synapse starts.
    Keep,
    /// They are removed and never sent.
    Drop,
}

/// Which files of other servers' media were put back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RemoteMedia {
    /// Every file that a row names.
    All,
    /// None.
    NoneRestored,
    /// Every file but these.
    Missing(Vec<RemoteFile>),
}

/// A file of another server's media, by its address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteFile {
    /// The server it is from.
    pub origin: String,
    /// Its id there.
    pub media_id: String,
}

/// One line of the report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FixupLine {
    /// The rule it answers.
    pub rule: Rule,
    /// Whether something was done, or is left to do.
    pub done: Done,
    /// What, in words that fit into a line.
    pub detail: String,
    /// How many rows it is about.
    pub rows: u64,
}

/// What came of a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Done {
    /// The database was changed.
    Applied,
    /// Nothing was to be done.
    Nothing,
    /// The operator must decide before Synapse starts.
    Decide,
}

/// What the restored database must satisfy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rule {
    /// No one-time key is handed out twice.
    OneTimeKeys,
    /// Fallback keys are there, so that devices can be reached until they upload one-time keys.
    FallbackKeys,
    /// No lock of a process that is gone.
    Locks,
    /// Sequences are past everything given out after the export.
    Sequences,
    /// No stored position is past the sequence it belongs to.
    Positions,
    /// Tables that background loops expect one row in have it.
    Singletons,
    /// No purge or other task goes on by itself.
    ScheduledTasks,
    /// Events to be sent later are known to the operator.
    DelayedEvents,
    /// Deactivations that go on at start are known to the operator.
    Deactivations,
    /// Events whose time to live is over are known to the operator.
    EventExpiry,
    /// What application services will be sent is known to the operator.
    ApplicationServices,
    /// Who will be notified is known to the operator.
    Pushers,
    /// No row names a file of another server that is not there.
    RemoteMedia,
    /// Thumbnails can be made anew.
    Thumbnails,
    /// Unfinished background updates are known to the operator.
    BackgroundUpdates,
    /// Rooms whose state was still on its way are known to the operator.
    PartialState,
}

/// Makes the restored database safe, and says what was done and what is to be decided.
///
/// Each table is read by an index or is small, but for counts of pushers and keys.
///
/// # Errors
/// [`PostgresError`] when the server refuses or is lost. What was done until then stays done unless
/// the caller's transaction is rolled back.
pub async fn apply(client: &Client, facts: &FixupFacts) -> Result<Vec<FixupLine>, PostgresError> {
    let mut steps = Steps::begin(client).await?;
    left_out::empty_tables(&mut steps).await?;
    left_out::fallback_keys(&mut steps).await?;
    singletons::fill(&mut steps).await?;
    positions::check(&mut steps).await?;
    queues::cancel_tasks(&mut steps).await?;
    overdue::delayed_events(&mut steps, facts).await?;
    queues::deactivations(&mut steps).await?;
    overdue::expired_events(&mut steps, facts.now_ms).await?;
    queues::application_services(&mut steps).await?;
    queues::pushers(&mut steps).await?;
    remote_media::drop_rows(&mut steps, &facts.remote_media).await?;
    queues::background_updates(&mut steps).await?;
    queues::partial_state(&mut steps).await?;
    Ok(steps.finish())
}

impl Rule {
    /// What people call it.
    pub fn words(self) -> &'static str {
        match self {
            Self::OneTimeKeys => "one-time keys",
            Self::FallbackKeys => "fallback keys",
            Self::Locks => "locks",
            Self::Sequences => "sequence",
            Self::Positions => "positions",
            Self::Singletons => "single rows",
            Self::ScheduledTasks => "scheduled tasks",
            Self::DelayedEvents => "delayed events",
            Self::Deactivations => "deactivations",
            Self::EventExpiry => "event expiry",
            Self::ApplicationServices => "application services",
            Self::Pushers => "pushers",
            Self::RemoteMedia => "remote media",
            Self::Thumbnails => "thumbnails",
            Self::BackgroundUpdates => "background updates",
            Self::PartialState => "partial state",
        }
    }
}

impl fmt::Display for FixupLine {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mark = match self.done {
            Done::Applied => "done",
            Done::Nothing => "ok",
            Done::Decide => "decide",
        };
        write!(out, "{mark:6}  {}: {}", self.rule.words(), self.detail)
    }
}

impl From<&SequenceLine> for FixupLine {
    fn from(line: &SequenceLine) -> Self {
        Self { rule: Rule::Sequences, done: line.done, detail: line.to_string(), rows: 1 }
    }
}

//! What drills found, noted in the vault in the clear: names of components and steps, and seconds.
//! What a step said is not there, because that can name people and rooms.

use lifeboat_engine::failure::Failure;
use serde::{Deserialize, Serialize};

use crate::layout::{DRILLS, stamp};
use crate::place::{Survey, Vault};

/// How a drill went.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DrillRecord {
    /// The backup: a package id.
    pub backup: String,
    /// When the drill was begun: RFC 3339, UTC.
    pub drilled_at: String,
    /// Whether everything was put back and found right.
    pub ok: bool,
    /// Seconds from the beginning to the end of the last step.
    pub seconds: i64,
    /// The steps that were done, in their order.
    pub steps: Vec<DrilledStep>,
    /// The components that were put back.
    pub components: Vec<String>,
    /// The moment that was got back: RFC 3339, UTC.
    pub recovery_point: String,
    /// Seconds from the newest backup that was verified and found right to the drill; none when
    /// there was no such backup.
    pub verified_age: Option<i64>,
    /// Whether servers were started on what was put back. Where not, the time of that is missing.
    pub servers_started: bool,
    /// What was left open, counted.
    pub gaps: u64,
    /// What was wrong: the step, and how much.
    pub problems: Vec<String>,
}

/// A step of a drill.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DrilledStep {
    /// Its name.
    pub step: String,
    /// Seconds it took.
    pub seconds: i64,
}

impl Vault {
    /// Notes how a drill went that was begun at `begun`.
    ///
    /// # Errors
    /// [`Failure`] when the vault cannot be written.
    pub async fn note_drill(&self, begun: i64, record: &DrillRecord) -> Result<(), Failure> {
        self.write_json(&format!("{DRILLS}{}.json", stamp(begun)), record).await
    }

    /// The last drills, at most `most`, oldest first.
    ///
    /// # Errors
    /// [`Failure`] when a record cannot be read.
    pub async fn drills(&self, survey: &Survey, most: usize) -> Result<Vec<DrillRecord>, Failure> {
        let mut drills = Vec::new();
        for name in survey.drills.iter().rev().take(most).rev() {
            drills.extend(self.read_json(name).await?);
        }
        Ok(drills)
    }
}

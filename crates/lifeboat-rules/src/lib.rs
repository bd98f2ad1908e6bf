//! The decisions: what an import does with what is there already and the plan that says so, which
//! backups are kept, and when something is due.
//!
//! Pure: facts in, verdicts out. Nothing here reads a file, a clock or a database.

pub mod conflict;
pub mod plan;
pub mod retention;
pub mod schedule;

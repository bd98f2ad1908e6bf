//! Into a living server: rooms are lost on a real Synapse and come back, as its clients see it.

#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod backed_up;
mod beside;
mod history;
mod kept;
mod person;
mod port;
#[path = "../e2e/program.rs"]
mod program;
mod purged;
#[path = "../e2e/recovery.rs"]
mod recovery;
mod report;
mod retold;
mod stretch;
mod taken_out;

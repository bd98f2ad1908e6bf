//! Rooms told again on a server of another name.
//!
//! Ids and signatures of events name their server, so nothing of them can move. What can is what
//! was said, by whom and when: an application service says it again, in the name of one ghost a
//! person. Here is decided what is sent for each event of the past, and what cannot be; nothing is
//! sent here. Contents come from anybody: nothing in them is expected to be as it should be.

pub mod content;
pub mod event;
pub mod files;
pub mod ghost;
pub mod ids;
pub mod links;
pub mod outcome;
pub mod script;

mod members;
mod state;

#[cfg(test)]
mod tests;

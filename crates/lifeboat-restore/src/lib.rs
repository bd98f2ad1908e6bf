//! Restore: the components of a backup, back to where they came from, in the right order.
//!
//! A restore is a list of steps. Each can be run again without harm, and what is done is noted in a
//! journal, so that the same command goes on where it stopped. Secrets come before data, everything
//! stands still while data is put back, and nothing is opened to clients before it was checked.

pub mod plan;
pub mod targets;

pub mod aside;
pub mod fence;
pub mod journal;

pub mod database;
pub mod files;
pub mod gate;
pub mod rights;
pub mod rules;
pub mod secrets;

pub mod run;
pub mod unpack;

pub mod accept;
pub mod copy;
pub mod redo;

pub mod drill;
pub mod report;
mod scratch;

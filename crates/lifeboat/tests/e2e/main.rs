//! Whole voyages: a real Synapse out, sealed, and back, as its clients see it.
//!
//! Each test that shows a rule at work has a control beside it, in which the rule is left out and
//! the loss that it keeps away is seen: a probe that cannot see a loss proves nothing.

#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod clients;
mod counted;
mod crossing;
mod encrypted_history;
mod foreign;
mod frugal;
mod harbour;
mod independent;
mod killed;
mod lost_window;
mod parted;
mod program;
mod readable;
mod recovery;
mod refused;
mod seen;
mod split;
mod stopped;
mod survivor;
mod untouched;

//! A whole suite: backed up into a vault, looked after there, and put back.

#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod backup;
mod by_hand;
mod drill;
mod faults;
mod harbour;
#[path = "../e2e/program.rs"]
#[expect(dead_code, reason = "the words of packages are not needed here")]
mod program;
mod report;
mod restored;
mod whole;

//! A whole suite: backed up into a vault, looked after there, and put back.

#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod accepted;
mod backup;
mod barred;
mod bucket;
mod by_hand;
mod drill;
#[path = "../../../lifeboat-storage/tests/it/fault_proxy.rs"]
#[expect(dead_code, reason = "a vault needs no faults of every kind")]
mod fault_proxy;
mod faults;
mod harbour;
mod identity;
mod introspection;
mod left_out;
mod locked;
mod lost;
mod ordered;
#[path = "../e2e/program.rs"]
#[expect(dead_code, reason = "the words of packages are not needed here")]
mod program;
mod providers;
mod report;
mod restored;
mod rights;
mod sure;
mod told;
mod whole;

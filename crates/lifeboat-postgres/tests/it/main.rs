//! Databases out and back, on real servers.

#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]
#![expect(clippy::print_stdout, reason = "what was measured is said")]

mod archive;
mod barrier;
mod databases;
mod group;
mod password;
mod rights;
mod round_trip;
mod standing;

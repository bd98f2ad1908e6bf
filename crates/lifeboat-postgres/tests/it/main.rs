//! Databases out and back, on real servers.

mod barrier;
mod group;
mod password;
mod round_trip;
mod standing;

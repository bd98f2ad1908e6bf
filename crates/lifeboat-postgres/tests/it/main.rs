//! Databases out and back, on real servers.

mod group;
mod round_trip;
mod standing;

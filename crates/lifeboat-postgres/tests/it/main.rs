//! Databases out and back, on real servers.

mod round_trip;
mod standing;

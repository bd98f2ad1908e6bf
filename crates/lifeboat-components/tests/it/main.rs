//! What Lifeboat knows about the servers it reads and writes, tried on real ones.

mod config;
mod fixups;
mod matrix;
mod standing_synapse;

//! What Lifeboat knows about the servers it reads and writes, tried on real ones.

mod catalogue;
mod client_certificate;
mod config;
mod connection;
mod cut;
mod erasures;
mod fixups;
mod layout;
mod matrix;
mod portion;
mod schema;
mod standing_synapse;
mod target;

//! Synapse: its configuration, its database, its media store.

pub mod accounts;
pub mod archive;
pub mod catalogue;
pub mod check;
pub mod choose;
pub mod erasures;
pub mod facts;
pub mod fixups;
pub mod histories;
pub mod layout;
mod leave;
pub mod media_path;
pub mod media_rows;
pub mod merge;
pub mod pick;
pub mod plan;
pub mod portion;
pub mod read;
pub mod schema;
pub mod sequences;
pub mod witness;
pub mod write;

pub use lifeboat_config as config;

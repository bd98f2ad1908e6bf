//! Real servers for tests and the demo: a private PostgreSQL, a Synapse, a small community in it.
//!
//! Nothing here is imitated. [`install`] fetches what a fresh Debian lacks, [`postgres`] and
//! [`synapse`] run the servers in folders and on ports of their own, the Python programs beside
//! this crate fill them and read them back as a client would, and [`World`] bundles it all.
//!
//! Everything that is started dies with the process that started it, however that process ends
//! ([`child`]). The crate depends on the standard library only, so that `cargo xtask` builds fast.

pub mod child;
pub mod failure;
pub mod http;
pub mod install;
pub mod neighbour;
pub mod page;
pub mod pooler;
pub mod port;
pub mod postgres;
pub mod scratch;
pub mod script;
pub mod seaweed;
pub mod synapse;
pub mod wait;
pub mod world;

pub use failure::WorldError;
pub use install::{Part, Tools};
pub use neighbour::Neighbour;
pub use pooler::Pooler;
pub use postgres::{Cluster, Role};
pub use scratch::Scratch;
pub use synapse::{Homeserver, ServerOptions};
pub use world::{Size, World};

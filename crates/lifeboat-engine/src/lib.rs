//! The verbs: export and import, inspect, unpack and verify. Each is one pour from a source
//! into a sink.
//!
//! Knows neither the command line nor HTTP: a verb takes a request and a [`context::Context`], and
//! gives an outcome or a [`failure::Failure`].

pub mod context;
pub mod failure;

pub mod files;
pub mod server;
pub mod signature;

pub mod export;
pub mod journal;
pub mod writer;

pub mod import;
pub mod merge;
pub mod reader;

pub mod inspect;
pub mod unpack;
pub mod verify;

pub use lifeboat_keyring as keyring;
pub use lifeboat_roomkeys as roomkeys;

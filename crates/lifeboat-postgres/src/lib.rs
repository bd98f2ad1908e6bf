//! The one way we talk to a component's database: connect, cut, stream out, load.
//!
//! Reading happens in one exported `REPEATABLE READ` snapshot that any number of lanes share, so
//! that everything read is of one instant.

pub mod archive;
pub mod columns;
pub mod connect;
pub mod copy_in;
pub mod copy_out;
pub mod cut;
mod error;
pub mod group;
pub mod members;
pub mod record;
pub mod restore;
pub mod rights;
pub mod schema_text;
pub mod sieve;

pub use error::PostgresError;
pub use tokio_postgres::{Client, Row};

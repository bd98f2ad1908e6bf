//! Everything Lifeboat knows about the servers it reads and writes: one module a component.
//!
//! A component's table and file names appear in its module and nowhere else.

pub mod mas;
pub mod synapse;

pub use lifeboat_matrix as matrix;
pub use lifeboat_postgres as postgres;

//! Everything Lifeboat knows about the servers it reads and writes: one module a component.
//!
//! A component's table and file names appear in its module and nowhere else.

pub mod matrix;
pub mod postgres;
pub mod synapse;

//! The Lifeboat package: what is kept, and how it is framed, sealed and listed.
//!
//! Pure: bytes in, bytes out. The normative description is `docs/src/format.md`.

pub mod flow;
pub mod limits;

//! Named bytes in a place: a directory, or the objects under one prefix of a bucket.
//!
//! This crate knows nothing of Matrix and nothing of packages. A [`Location`] is text that was
//! parsed, a [`Place`] is a location that was opened with an [`Access`] (credentials and endpoints,
//! passed in as values). Whatever the place, a name is either absent or complete: a directory
//! writes `NAME.partial` and renames, a bucket completes a multipart upload. [`GrowingFile`] is one
//! file that is written at its end, [`LocalFile`] one that is read, [`Fresh`] a folder written to
//! its end or left empty. [`Foreign`] is a bucket that other programs fill.
//!
//! Memory is bounded: an upload holds a few parts, a read holds one piece. Trouble that may pass
//! (5xx, cut and silent connections) is tried again within a [`Patience`]; everything else is a
//! [`StorageError`] that names the place, the name and what to do.

pub mod access;
pub mod ahead;
pub mod direct;
mod directory;
pub mod error;
pub mod failing;
pub mod file;
pub mod foreign;
pub mod fresh;
pub mod growing;
pub mod location;
pub mod lock;
mod objects;
pub mod pieces;
pub mod place;
pub mod upload;

pub use access::{Access, Patience};
pub use ahead::Ahead;
pub use error::StorageError;
pub use file::LocalFile;
pub use foreign::Foreign;
pub use fresh::Fresh;
pub use growing::GrowingFile;
pub use location::{Location, LocationError};
pub use lock::{Lock, LockMode};
pub use pieces::Pieces;
pub use place::{Entry, Place};
pub use upload::Upload;

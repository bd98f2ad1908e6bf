//! The Lifeboat package: what is kept, and how it is framed, sealed and listed.
//!
//! Pure: bytes in, bytes out. No files, no runtime, no clock, no randomness: fresh keys, salts and
//! prefixes come in as values. The normative description is `docs/src/format.md`.
//!
//! Writing goes [`frame`] (lines → compressed frames) → [`pack`] (entries → sealed volume) →
//! [`manifest`] → [`contents`]; reading goes back through [`unpack`]. [`container`] frames both a
//! volume's entries and the single-file form of a package; [`seal`] is the encryption of both
//! volumes and manifest.
#![warn(missing_docs)]
#![cfg_attr(not(test), warn(clippy::indexing_slicing, clippy::arithmetic_side_effects))]

pub mod limits;

pub mod flow;
pub mod id;
pub mod selection;

pub mod digest;
pub mod key;
pub mod seal;

pub mod container;
pub mod frame;
pub mod index;
pub mod pack;
pub mod unpack;

pub mod backup;
pub mod canonical;
pub mod contents;
pub mod header;
pub mod manifest;

mod hex;
mod version;

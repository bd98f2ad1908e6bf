//! The package format from outside: against Tink, `RustCrypto`, damage and the committed vectors.

#![expect(clippy::unwrap_used, reason = "the whole crate is tests")]

mod independent;
mod sealing;
mod single_file;
mod vectors;
mod volumes;

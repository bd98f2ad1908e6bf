//! The package format from outside: against Tink, RustCrypto, damage and the committed vectors.

mod independent;
mod sealing;
mod single_file;
mod vectors;
mod volumes;

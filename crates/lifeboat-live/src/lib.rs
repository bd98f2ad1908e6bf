//! Servers that run, asked over HTTP: as anybody ([`health`]), as a client ([`ask`]), as an
//! administrator ([`admin`]), by one way ([`way`]); and which history may be purged again
//! ([`purges`]).

pub mod admin;
pub mod ask;
pub mod health;
pub mod purges;
pub mod way;

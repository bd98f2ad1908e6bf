//! Servers that run, asked over HTTP: as anybody ([`health`]), as a client ([`ask`]), as an
//! administrator ([`admin`]), by one way ([`way`]).

pub mod admin;
pub mod ask;
pub mod health;
pub mod way;

//! The Matrix rules that a server's data must obey: signing keys, signed JSON, event ids, hashes.
//!
//! The one leaf that knows ruma; what goes in and comes out are bytes, text and `serde_json` maps.
//! Pure: no file, no network, no clock. Specification: Matrix v1.15, "Signing JSON" (appendices),
//! "Signing events" and "Calculating the reference hash" (server-server), and the room versions.

mod event;
mod keys;
mod signed_json;

pub use event::verify_event_signatures;
pub use event::{Pdu, PduError, RoomRules, Verdict, check_content_hash, event_id};
pub use keys::{KeyError, PublicKeys, SigningKey, parse_signing_keys};
pub use signed_json::{SignJsonError, VerifyJsonError, canonical_json, sign_json, verify_json};

#[cfg(test)]
mod tests;

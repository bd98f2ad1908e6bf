//! The verb above the engine that tells the rooms of a package again on a server of another name.
//!
//! What is sent for which event is decided by `lifeboat-transcript`, and sent by the client in
//! [`server`]; here the package is read and the two are brought together.

mod files;
mod rooms;
mod run;
pub mod server;
mod tell;
mod transcript;

pub use lifeboat_transcript::outcome::{RoomTold, TranscriptOutcome};

pub use self::transcript::{TranscriptRequest, fresh_registration, transcript};
use self::transcript::{answer_of, stuck};

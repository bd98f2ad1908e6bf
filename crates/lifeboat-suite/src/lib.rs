//! An installation: what `lifeboat.yaml` says, the components it names, and what each of them
//! holds and needs.
//!
//! ```text
//! lifeboat.yaml ──read──▶ Installation { vault, recipients, …, components }
//!                            each component's own configuration ──▶ databases, files, secrets
//! ```
//!
//! * Unknown keys are refused, with their line and the key that was probably meant.
//! * Secrets stand in files; `lifeboat.yaml` holds none, and none has a `Debug` or is in an error.
//! * What a component's configuration names and cannot be had is a note with a remedy. That the
//!   configuration itself is missing is an error.
//!
//! Only reads, and only files; nothing is connected to.

pub mod catalogue;
mod env_file;
mod error;
mod example;
mod ini;
mod installation;
pub mod key_fit;
mod keys;
mod kinds;
pub mod media;
pub mod nedb;
pub mod proof;
mod read;
pub mod reference;
pub mod registration;
pub mod runs;
mod view;

pub use lifeboat_config::practice::{Practice, PracticeConfig, PracticeError};
pub use lifeboat_config::target::Surroundings;
pub use lifeboat_config::{ReadOptions, read as read_synapse};

pub use self::error::SuiteError;
pub use self::example::{EXAMPLES, example};
pub use self::installation::*;
pub use self::read::{OwnPlaces, STATE, parse, read};

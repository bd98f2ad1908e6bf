//! Synapse's configuration: what it says, the secrets in it, and the files it names.
//!
//! Text in, values out; only `read` and [`place`] touch the disk, through `disk`. Names and
//! meaning of the settings: Synapse's configuration manual, 1.163.
//!
//! * Several files are merged key by key at the top level, the later file wins.
//! * Relative paths hold from the working directory of the Synapse process, not from the file.
//! * Everything in a configuration file may be a secret: values have no `Debug`, are wiped when
//!   dropped, and errors name places, never text.

pub mod compare;
pub mod conninfo;
pub mod database;
mod disk;
mod follow;
pub mod identity;
pub mod kept;
mod known;
pub mod passfile;
pub mod place;
pub mod practice;
mod read;
pub mod records;
mod scalar;
mod scan;
mod secret;
mod settings;
pub mod target;
mod tree;
pub mod units;
pub mod yaml;

pub use self::disk::read_small_file;
pub use self::read::{Document, ReadOptions, copied, read};
pub use self::scan::{FileState, NamedFile, Shape};
pub use self::secret::Secret;
pub use self::settings::*;

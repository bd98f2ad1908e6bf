//! `lifeboat keygen`: an age identity.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use lifeboat_engine::failure::Failure;
use lifeboat_engine::keyring;
use serde_json::json;

use super::{Ended, Exit};
use crate::screen::{self, Screen};

/// Make an identity: the secret that opens packages, and the recipient to seal them for
///
/// The identity is an ordinary age identity; keep it where the package is not. The recipient is
/// public: give it to `lifeboat export -r`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  lifeboat keygen -o identity.txt        writes the identity, prints the recipient
  lifeboat keygen > identity.txt         the identity goes to standard output")]
pub(crate) struct KeygenFlags {
    /// File to write, with mode 0600; never overwrites
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

pub(crate) fn run(flags: &KeygenFlags, screen: &Screen) -> Result<Ended, Failure> {
    let (identity, recipient) = keyring::generate();
    let lines = match &flags.output {
        Some(path) => {
            write_secret(path, identity.as_bytes())?;
            vec![recipient.clone()]
        }
        None if screen.is_json() => {
            return Err(Failure::usage(
                "an identity is a secret and does not go into JSON",
                "name a file with -o FILE",
            ));
        }
        None => {
            screen::write(identity.as_bytes())?;
            screen.say(&format!("public key: {recipient}"));
            Vec::new()
        }
    };
    let outcome = json!({"recipient": recipient, "file": flags.output});
    Ok(Ended::new("keygen", &outcome, lines, Exit::Done))
}

fn write_secret(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let opened = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    let mut file = opened.map_err(|error| {
        let what = format!("cannot create {}", path.display());
        match error.kind() {
            ErrorKind::AlreadyExists => {
                let what = format!("{} is there already, and packages may need it", path.display());
                Failure::failed(what, "choose another name, or move the file away")
            }
            _ => Failure::failed(what, "choose a folder that can be written to").because(error),
        }
    })?;
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(|error| {
        let what = format!("cannot write {}", path.display());
        Failure::failed(what, "delete it and try elsewhere").because(error)
    })
}

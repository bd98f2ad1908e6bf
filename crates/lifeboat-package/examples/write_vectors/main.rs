//! Writes the vectors of `tests/vectors`, and the seeds for fuzzing made of them, that are not
//! there yet. Those that are stay as they are: what a released version wrote is kept for ever.
//!
//! `key.age` of the small package is made by hand, because age draws its own randomness:
//! `cargo run --example write_vectors -- --key-text | age -r RECIPIENT -o …/package/key.age`

#![expect(clippy::print_stdout, reason = "an example for people who work on the format")]

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

use lifeboat_package::frame::decompress;
use lifeboat_package::id::PackageId;
use lifeboat_package::key::PackageKey;
use lifeboat_package::seal::{FreshSeal, open_bytes};

mod backups;
mod cases;
mod package;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// The throw-away key of every vector: bytes 0 to 31.
const KEY: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

fn key() -> PackageKey {
    PackageKey::from_bytes(std::array::from_fn(|at| at.to_le_bytes()[0]))
}

/// The package id of every vector: bytes 0 to 15.
fn package_id() -> PackageId {
    PackageId::from_bytes(std::array::from_fn(|at| at.to_le_bytes()[0]))
}

/// Fixed, so that vectors are the same each time. Nothing but a vector may ever do this.
fn seal_of(number: u8) -> FreshSeal {
    FreshSeal { salt: [number; 32], prefix: [number; 7] }
}

fn main() -> Result<()> {
    if std::env::args().any(|argument| argument == "--key-text") {
        print!("{}", *key().to_key_text(&package_id()));
        return Ok(());
    }
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors");
    for case in cases::all()? {
        let head = format!(
            "must: {}\nkind: {}\nkey: {}\npackage: {}\nname: {}\n\n",
            case.must,
            case.kind,
            KEY,
            package_id(),
            case.name,
        );
        let file = folder.join("cases").join(case.file).with_extension("case");
        write(&file, &[head.as_bytes(), &case.bytes].concat())?;
        if let Some((target, seed)) = seed(&case) {
            write(&folder.join("../../../../fuzz/seeds").join(target).join(case.file), &seed)?;
        }
    }
    package::write(&folder)
}

/// What a fuzz target must be given to come as far as this case comes; none if it does not open.
fn seed(case: &cases::Case) -> Option<(&'static str, Vec<u8>)> {
    match case.kind {
        "volume" => {
            let plaintext = open_bytes(&key(), &package_id(), case.name, &case.bytes).ok()?;
            // In front, where the target takes the place at which it splits the sealed file.
            Some(("volume", [&[64, 0], plaintext.as_slice()].concat()))
        }
        "manifest" => Some(("manifest", decompress(&case.bytes, 1 << 20).ok()?)),
        "header" => Some(("header", case.bytes.clone())),
        "seal" => Some(("seal", case.bytes.clone())),
        _ => None,
    }
}

/// Writes `bytes` unless there is something already.
fn write(file: &PathBuf, bytes: &[u8]) -> Result<()> {
    if !file.exists() {
        fs::create_dir_all(file.parent().ok_or("no folder")?)?;
        fs::write(file, bytes)?;
        println!("wrote {}", file.display());
    }
    Ok(())
}

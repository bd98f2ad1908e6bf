//! Who may open a package: `key.age`, the age v1 file that hands its key to recipients
//! (`docs/src/format.md` §1.2).
//!
//! [`Recipients`] are public and only wrap; [`Identities`] are secret and only unwrap. A package
//! is sealed for any number of public keys (X25519, SSH) or with exactly one passphrase: age does
//! not mix them, and neither do we. Nothing here tells an identity, a passphrase or a package key:
//! not `Debug`, not an error.

mod error;
mod identities;
mod recipients;
#[cfg(test)]
mod tests;

use std::io::{Read, Write};
use std::path::Path;

use age::secrecy::ExposeSecret;
use lifeboat_package::id::PackageId;
use lifeboat_package::key::{KeyTextError, PackageKey};
use lifeboat_package::limits::KEY_FILE_BYTES;
use zeroize::Zeroizing;

pub use error::KeyringError;
pub use identities::Identities;
pub use recipients::Recipients;

/// Work factor of a passphrase: scrypt with N = 2¹⁷ takes 128 MiB, so that sealing stays as small
/// as everything else we do.
const PASSPHRASE_WORK: u8 = 17;
/// The highest work factor that is tried: 1 GiB. A package could ask for more than the machine has.
const PASSPHRASE_WORK_ACCEPTED: u8 = 20;
/// Bytes that the text inside `key.age` may have; it has 122.
const KEY_TEXT_BYTES: u64 = 256;

/// Seals the key of a package: the bytes of its `key.age`.
///
/// # Errors
/// [`KeyringError::Wrap`], which only a broken recipient can cause.
pub fn wrap(
    recipients: &Recipients,
    key: &PackageKey,
    package: &PackageId,
) -> Result<Vec<u8>, KeyringError> {
    seal(recipients, key.to_key_text(package).as_bytes())
}

/// Seals a small text for recipients: an age v1 file.
///
/// # Errors
/// [`KeyringError::Wrap`], which only a broken recipient can cause.
pub fn seal(recipients: &Recipients, text: &[u8]) -> Result<Vec<u8>, KeyringError> {
    let sealed = recipients.encryptor().and_then(|encryptor| {
        let mut output = encryptor.wrap_output(Vec::new())?;
        output.write_all(text)?;
        Ok(output.finish()?)
    });
    sealed.map_err(|error| KeyringError::Wrap(Box::new(error)))
}

/// Opens what [`seal`] sealed, at most `limit` bytes of it.
///
/// # Errors
/// [`KeyringError`]: which identities were tried, or that the file is damaged or too large.
pub fn open(
    identities: &Identities,
    sealed: &[u8],
    limit: u64,
) -> Result<Zeroizing<Vec<u8>>, KeyringError> {
    let decryptor = age::Decryptor::new_buffered(sealed).map_err(|_| KeyringError::Damaged)?;
    let reader =
        decryptor.decrypt(identities.iter()).map_err(|error| identities.explain(&error, sealed))?;
    let mut plain = Zeroizing::new(Vec::with_capacity(sealed.len()));
    reader.take(limit + 1).read_to_end(&mut plain).map_err(|_| KeyringError::Damaged)?;
    if plain.len() as u64 > limit {
        return Err(KeyringError::Damaged);
    }
    Ok(plain)
}

/// Opens the `key.age` of `package`.
///
/// # Errors
/// [`KeyringError`]: which identities were tried and what they would have to be, or that the file
/// is damaged, asks for too much work, or belongs to another package.
pub fn unwrap(
    identities: &Identities,
    key_age: &[u8],
    package: &PackageId,
) -> Result<PackageKey, KeyringError> {
    if key_age.len() > KEY_FILE_BYTES {
        return Err(KeyringError::TooLarge { file: "key.age".to_owned() });
    }
    let decryptor = age::Decryptor::new_buffered(key_age).map_err(|_| KeyringError::Damaged)?;
    let reader = decryptor
        .decrypt(identities.iter())
        .map_err(|error| identities.explain(&error, key_age))?;
    // Sized at once: a buffer that grows leaves copies of the key behind.
    let mut plain = Zeroizing::new(Vec::with_capacity(512));
    reader.take(KEY_TEXT_BYTES + 1).read_to_end(&mut plain).map_err(|_| KeyringError::Damaged)?;
    let text =
        std::str::from_utf8(&plain).map_err(|_| KeyringError::Content(KeyTextError::Malformed))?;
    PackageKey::parse_key_text(text, package).map_err(KeyringError::Content)
}

/// A fresh X25519 identity: the text of an identity file, and the recipient that belongs to it.
pub fn generate() -> (Zeroizing<String>, String) {
    let identity = age::x25519::Identity::generate();
    let recipient = identity.to_public().to_string();
    let secret = identity.to_string();
    let mut text = Zeroizing::new(String::with_capacity(256));
    text.push_str("# public key: ");
    text.push_str(&recipient);
    text.push('\n');
    text.push_str(secret.expose_secret());
    text.push('\n');
    (text, recipient)
}

/// Reads a file of keys, which is small or not what it says.
fn read_key_file(path: &Path) -> Result<Zeroizing<Vec<u8>>, KeyringError> {
    let file = path.display().to_string();
    let unreadable = |cause| KeyringError::Unreadable { file: file.clone(), cause };
    let opened = std::fs::File::open(path).map_err(unreadable)?;
    let size = opened.metadata().map_err(unreadable)?.len();
    if size > KEY_FILE_BYTES as u64 {
        return Err(KeyringError::TooLarge { file });
    }
    let capacity = usize::try_from(size).unwrap_or(0) + 64;
    let mut bytes = Zeroizing::new(Vec::with_capacity(capacity));
    // A pipe has no size beforehand, so the bound holds while reading too.
    opened.take(KEY_FILE_BYTES as u64 + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() > KEY_FILE_BYTES {
        return Err(KeyringError::TooLarge { file });
    }
    Ok(bytes)
}

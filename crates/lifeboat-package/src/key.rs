//! The package key, and every value derived from it that is not a seal (`docs/src/format.md` §1).
//!
//! The key has no `Debug` and no `Display`, and is wiped when dropped.

use aws_lc_rs::hkdf::{HKDF_SHA256, KeyType, Salt};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::digest::Digest;
use crate::hex;
use crate::id::PackageId;

/// The 32 bytes that open a package. Fresh from the operating system for each package.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct PackageKey([u8; 32]);

/// Why the text inside `key.age` is refused. Never contains a byte of the text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyTextError {
    /// Not the one line that `docs/src/format.md` §1.2 asks for.
    #[error("the key file does not hold a package key; it may belong to something else")]
    Malformed,
    /// The key of another package.
    #[error("the key file belongs to package {found}, not to {expected}; look for the right one")]
    OtherPackage {
        /// The package that is being opened.
        expected: PackageId,
        /// The package that the key is for.
        found: PackageId,
    },
}

const KEY_TEXT: &str = "lifeboat-package-key/1.0 ";

impl PackageKey {
    /// Takes a key.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    pub(crate) const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// What the header shows of the key: commits a package to one key, reveals nothing of it.
    pub fn key_check(&self, package: &PackageId) -> Digest {
        let info = format!("lifeboat/1.0 key check\n{package}");
        Digest::from_bytes(derive(&self.0, info.as_bytes()))
    }

    /// The text that `key.age` holds.
    pub fn to_key_text(&self, package: &PackageId) -> Zeroizing<String> {
        // Sized at once: a string that grows leaves copies of the key behind.
        let mut text = Zeroizing::new(String::with_capacity(128));
        text.push_str(KEY_TEXT);
        text.push_str(&package.to_string());
        text.push(' ');
        hex::append(&self.0, &mut text);
        text.push('\n');
        text
    }

    /// Reads the text that `key.age` holds for `package`.
    ///
    /// # Errors
    /// [`KeyTextError`] when it is not such a text, or is for another package.
    pub fn parse_key_text(text: &str, package: &PackageId) -> Result<Self, KeyTextError> {
        let line = text.strip_prefix(KEY_TEXT).and_then(|rest| rest.strip_suffix('\n'));
        let (id, digits) = line.and_then(|l| l.split_once(' ')).ok_or(KeyTextError::Malformed)?;
        let found = PackageId::parse(id).map_err(|_| KeyTextError::Malformed)?;
        if found != *package {
            return Err(KeyTextError::OtherPackage { expected: *package, found });
        }
        let mut key = Self([0; 32]);
        if hex::decode_into(digits, &mut key.0) { Ok(key) } else { Err(KeyTextError::Malformed) }
    }
}

/// HKDF-SHA256 without salt.
fn derive(key: &[u8; 32], info: &[u8]) -> [u8; 32] {
    let mut derived = [0; 32];
    Salt::new(HKDF_SHA256, &[])
        .extract(key)
        .expand(&[info], Length32)
        .and_then(|okm| okm.fill(&mut derived))
        .expect("HKDF-SHA256 gives 32 bytes");
    derived
}

struct Length32;

impl KeyType for Length32 {
    fn len(&self) -> usize {
        32
    }
}

#[cfg(test)]
mod tests;

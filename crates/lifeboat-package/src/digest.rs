//! SHA-256, as the format names and checks bytes with it.

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::digest::{self, Context, SHA256};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::hex;

/// A SHA-256 sum. Text form: 64 lower-case hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest([u8; 32]);

/// The text is not 64 lower-case hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a SHA-256 sum in lower-case hexadecimal")]
pub struct DigestError;

impl Digest {
    /// The sum of `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        Self::from_ring(&digest::digest(&SHA256, bytes))
    }

    /// The 32 bytes of a sum computed elsewhere.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    fn from_ring(sum: &digest::Digest) -> Self {
        Self(sum.as_ref().try_into().expect("SHA-256 has 32 bytes"))
    }
}

impl FromStr for Digest {
    type Err = DigestError;

    fn from_str(text: &str) -> Result<Self, DigestError> {
        hex::decode(text).map(Self).ok_or(DigestError)
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(&self.0))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// A SHA-256 sum in the making, for bytes that come piece by piece.
#[derive(Clone)]
pub struct Hasher(Context);

impl Hasher {
    /// Nothing hashed yet.
    pub fn new() -> Self {
        Self(Context::new(&SHA256))
    }

    /// Takes the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The sum of all bytes taken.
    pub fn finish(self) -> Digest {
        Digest::from_ring(&self.0.finish())
    }
}

impl Default for Hasher {
    fn default() -> Self {
        Self::new()
    }
}

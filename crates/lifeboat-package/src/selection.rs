//! What an export was asked to take; written into the manifest in normal form.

use serde::{Deserialize, Serialize};

/// What to take.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Selection {
    /// Which media.
    pub media: MediaScope,
    /// Whether configuration and secrets.
    pub config: bool,
}

/// Which media files to take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MediaScope {
    /// What users of this server uploaded, and what was fetched from others.
    All,
    /// Only what users of this server uploaded.
    Local,
    /// None.
    None,
}

impl Selection {
    /// Everything there is.
    pub const EVERYTHING: Self = Self { media: MediaScope::All, config: true };

    /// Whether nothing is left out.
    pub fn is_everything(&self) -> bool {
        *self == Self::EVERYTHING
    }
}

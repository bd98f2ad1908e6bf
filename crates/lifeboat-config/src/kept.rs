//! What a package keeps of a configuration, and what can be asked of it on either side.

use std::collections::BTreeMap;

use serde_json::Value;
use zeroize::Zeroizing;

use super::SigningKeyError;
use super::secret::Secret;
use lifeboat_matrix::{SigningKey, parse_signing_keys};

/// Files, settings and secrets: of a server here, or out of a package. No `Debug`.
#[derive(Default)]
pub struct KeptConfig {
    /// The configuration files themselves (settings `config[0]`, …) and those that settings name.
    pub files: Vec<ConfigFile>,
    /// The merged configuration by top-level key, secret values null.
    pub settings: BTreeMap<String, Value>,
    /// The secret values.
    pub secrets: Vec<SecretSetting>,
}

/// One file. No `Debug`: its bytes may be secret.
#[derive(Clone, PartialEq, Eq)]
pub struct ConfigFile {
    /// The setting that names it; for a file in a named folder, `setting/path/in/folder`.
    pub setting: String,
    /// Its absolute path on the source.
    pub path: String,
    /// Its content.
    pub bytes: Zeroizing<Vec<u8>>,
    /// Permission bits.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Whether the content is a secret.
    pub secret: bool,
}

/// One secret value. No `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretSetting {
    /// The setting's path: `database.args.password`.
    pub setting: String,
    /// The value, as text.
    pub value: Secret,
}

impl KeptConfig {
    /// `server_name`.
    pub fn server_name(&self) -> Option<&str> {
        self.settings.get("server_name")?.as_str()
    }

    /// A secret by name, from the configuration or from the file that `<name>_path` names (blanks
    /// around it removed, as Synapse does).
    pub fn secret(&self, name: &str) -> Option<Secret> {
        let inline = self.secrets.iter().find(|secret| secret.setting == name);
        if let Some(secret) = inline.filter(|secret| !secret.value.expose().is_empty()) {
            return Some(secret.value.clone());
        }
        let file = self.file(&format!("{name}_path"))?;
        let text = std::str::from_utf8(&file.bytes).ok()?.trim();
        (!text.is_empty()).then(|| Secret::new(text))
    }

    /// The file that a setting names.
    pub fn file(&self, setting: &str) -> Option<&ConfigFile> {
        self.files.iter().find(|file| file.setting == setting)
    }

    /// The keys the server signs with. `path` is named in errors.
    ///
    /// # Errors
    /// When the key is not there or cannot be parsed.
    pub fn signing_keys(&self, path: Option<&str>) -> Result<Vec<SigningKey>, SigningKeyError> {
        let inline = self.secrets.iter().find(|secret| secret.setting == "signing_key");
        if let Some(inline) = inline {
            let place = || "signing_key".to_owned();
            return parse_signing_keys(inline.value.expose())
                .map_err(|source| SigningKeyError::Unusable { place: place(), source });
        }
        let place = || path.unwrap_or("signing_key_path").to_owned();
        let file = self.file("signing_key_path");
        let text = file.and_then(|file| std::str::from_utf8(&file.bytes).ok());
        let text = text.ok_or_else(|| SigningKeyError::Missing { place: place() })?;
        parse_signing_keys(text)
            .map_err(|source| SigningKeyError::Unusable { place: place(), source })
    }
}

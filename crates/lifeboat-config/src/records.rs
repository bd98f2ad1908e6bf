//! A configuration as records of a package, and back (`docs/src/format.md` §7.5).

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use lifeboat_package::flow::Records;
use lifeboat_package::limits::FRAME_TARGET_BYTES;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use thiserror::Error;
use zeroize::Zeroizing;

use super::disk::FILE_BYTES;
use super::kept::{ConfigFile, KeptConfig, SecretSetting};
use super::secret::Secret;

/// Records of each kind that are read back; more are refused.
const RECORDS: usize = 100_000;

/// A record of a package's configuration is damaged.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum ConfigRecordError {
    /// Not the JSON of §7.5.
    #[error("a record of config/{name} is not as the format says; the package is damaged")]
    Malformed {
        /// Kind of record.
        name: String,
    },
    /// The bytes are not those that were packed.
    #[error("the packed file {path} does not fit its SHA-256; the package is damaged")]
    Changed {
        /// Path on the source.
        path: String,
    },
    /// More than any configuration has.
    #[error("config/{name} has more than 100,000 records or a file above 4 MiB; it was refused")]
    TooMany {
        /// Kind of record.
        name: String,
    },
}

#[derive(Serialize)]
struct FileOut<'a> {
    setting: &'a str,
    path: &'a str,
    mode: u32,
    uid: u32,
    gid: u32,
    length: usize,
    sha256: String,
    secret: bool,
    data: &'a str,
}

#[derive(Deserialize)]
struct FileIn {
    setting: String,
    path: String,
    mode: u32,
    uid: u32,
    gid: u32,
    length: u64,
    sha256: String,
    secret: bool,
    data: String,
}

#[derive(Serialize)]
struct SettingOut<'a> {
    key: &'a str,
    value: &'a Value,
}

#[derive(Deserialize)]
struct SettingIn {
    key: String,
    value: Value,
}

#[derive(Serialize)]
struct SecretOut<'a> {
    setting: &'a str,
    value: &'a str,
}

#[derive(Deserialize)]
struct SecretIn {
    setting: String,
    value: String,
}

/// The records `files`, `secret_files`, `settings` and `secrets` of a configuration, in bounded
/// batches.
pub fn to_records(config: &KeptConfig) -> Vec<Records> {
    let mut lines = Lines::default();
    for file in &config.files {
        let data = Zeroizing::new(STANDARD.encode(&file.bytes));
        let name = if file.secret { "secret_files" } else { "files" };
        lines.push(
            name,
            &FileOut {
                setting: &file.setting,
                path: &file.path,
                mode: file.mode,
                uid: file.uid,
                gid: file.gid,
                length: file.bytes.len(),
                sha256: hex(digest(&SHA256, &file.bytes).as_ref()),
                secret: file.secret,
                data: &data,
            },
        );
    }
    for (key, value) in &config.settings {
        lines.push("settings", &SettingOut { key, value });
    }
    for secret in &config.secrets {
        let (setting, value) = (secret.setting.as_str(), secret.value.expose());
        lines.push("secrets", &SecretOut { setting, value });
    }
    lines.done
}

/// The configuration that records hold. Records of other names are not ours and are left alone.
///
/// # Errors
/// See [`ConfigRecordError`].
pub fn from_records<'a>(
    records: impl IntoIterator<Item = &'a Records>,
) -> Result<KeptConfig, ConfigRecordError> {
    let mut config = KeptConfig::default();
    for batch in records {
        add_records(&mut config, &batch.name, &batch.lines)?;
    }
    Ok(config)
}

/// Adds one batch of JSON Lines, for those who read a package piece by piece.
///
/// # Errors
/// See [`ConfigRecordError`].
pub fn add_records(
    config: &mut KeptConfig,
    name: &str,
    lines: &[u8],
) -> Result<(), ConfigRecordError> {
    for line in lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        let count = config.files.len() + config.settings.len() + config.secrets.len();
        if count >= RECORDS {
            return Err(ConfigRecordError::TooMany { name: name.to_owned() });
        }
        match name {
            "files" => config.files.push(file(name, line, false)?),
            "secret_files" => config.files.push(file(name, line, true)?),
            "settings" => {
                let SettingIn { key, value } = parsed(name, line)?;
                config.settings.insert(key, value);
            }
            "secrets" => {
                let SecretIn { setting, value } = parsed(name, line)?;
                config.secrets.push(SecretSetting { setting, value: Secret::new(value) });
            }
            _ => {}
        }
    }
    Ok(())
}

fn file(name: &str, line: &[u8], secret: bool) -> Result<ConfigFile, ConfigRecordError> {
    let record: FileIn = parsed(name, line)?;
    let data = Zeroizing::new(record.data);
    if record.length > FILE_BYTES {
        return Err(ConfigRecordError::TooMany { name: name.to_owned() });
    }
    if record.secret != secret || !record.path.starts_with('/') || record.path.contains('\0') {
        return Err(ConfigRecordError::Malformed { name: name.to_owned() });
    }
    let bytes = STANDARD.decode(data.as_bytes());
    let bytes = bytes.map_err(|_| ConfigRecordError::Malformed { name: name.to_owned() })?;
    let bytes = Zeroizing::new(bytes);
    let fits = bytes.len() as u64 == record.length
        && hex(digest(&SHA256, &bytes).as_ref()) == record.sha256;
    if !fits {
        return Err(ConfigRecordError::Changed { path: record.path });
    }
    let FileIn { setting, path, mode, uid, gid, .. } = record;
    Ok(ConfigFile { setting, path, bytes, mode: mode & 0o7777, uid, gid, secret })
}

fn parsed<'a, T: Deserialize<'a>>(name: &str, line: &'a [u8]) -> Result<T, ConfigRecordError> {
    // The cause is dropped: serde's words may quote the value, and it may be a secret.
    serde_json::from_slice(line).map_err(|_| ConfigRecordError::Malformed { name: name.to_owned() })
}

/// Batches of lines under construction.
#[derive(Default)]
struct Lines {
    done: Vec<Records>,
}

impl Lines {
    fn push(&mut self, name: &str, record: &impl Serialize) {
        let open = self.done.iter_mut().rev().find(|batch| batch.name == name);
        let batch = if let Some(batch) = open.filter(|open| open.lines.len() < FRAME_TARGET_BYTES) {
            batch
        } else {
            let (lines, count, rows) = (Vec::new(), 0, Vec::new());
            self.done.push(Records {
                name: name.to_owned(),
                lines,
                count,
                rows,
                rooms: None,
                shelf: None,
            });
            let last = self.done.len() - 1;
            &mut self.done[last]
        };
        serde_json::to_writer(&mut batch.lines, record)
            .expect("plain structs with text keys always have a JSON form");
        batch.lines.push(b'\n');
        batch.count += 1;
    }
}

fn hex(bytes: &[u8]) -> String {
    let digit = |nibble: u8| char::from(b"0123456789abcdef"[usize::from(nibble)]);
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

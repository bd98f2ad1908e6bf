//! The settings a Lifeboat needs to know, out of all that a configuration says.

use std::path::{Path, PathBuf};

use lifeboat_package::flow::Gap;
use thiserror::Error;

use lifeboat_matrix::{KeyError, SigningKey};

use crate::kept::KeptConfig;
use crate::read::Document;
use crate::scan::{self, NamedFile};
use crate::secret::Secret;
use crate::tree::{Branch, Tree};
use crate::yaml::Mark;

/// One Synapse's configuration, merged and followed.
pub struct SynapseConfig {
    /// `server_name`.
    pub server_name: String,
    /// The folder of the last configuration file, where Synapse looks for a key it was not told of.
    pub config_dir: PathBuf,
    /// The configuration files, in the order Synapse merges them.
    pub sources: Vec<PathBuf>,
    /// What a package keeps: files, settings, secrets.
    pub kept: KeptConfig,
    /// Every file and folder that a setting names, whether it could be read or not.
    pub named: Vec<NamedFile>,
    /// Where media are.
    pub media: MediaSettings,
    /// What could not be read.
    pub gaps: Vec<Gap>,
    pub(crate) workdir: PathBuf,
    pub(crate) tree: Tree,
}

/// Where Synapse keeps media.
#[expect(clippy::struct_excessive_bools, reason = "four independent switches, as Synapse has them")]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MediaSettings {
    /// `media_store_path`, absolute.
    pub store_path: PathBuf,
    /// `enable_media_repo`: false when another program (or a worker's file) does it.
    pub repo_enabled: bool,
    /// `enable_local_media_storage`: false when only the storage providers hold media.
    pub local_storage: bool,
    /// `url_preview_enabled`.
    pub url_preview: bool,
    /// `dynamic_thumbnails`: whether thumbnails can be made again.
    pub dynamic_thumbnails: bool,
    /// `media_storage_providers` and `backup_media_store_path`.
    pub providers: Vec<StorageProvider>,
}

/// A second place for media. What is only there is not in the media store's folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StorageProvider {
    /// The Python module, or `file_system`.
    pub module: String,
    /// Local uploads go there.
    pub store_local: bool,
    /// Copies of remote media go there.
    pub store_remote: bool,
    /// An upload waits for it.
    pub store_synchronous: bool,
    /// The folder, for `file_system`.
    pub directory: Option<PathBuf>,
    /// The bucket, for `s3_storage_provider`.
    pub bucket: Option<ProviderBucket>,
}

/// The bucket of a storage provider: an object is named `prefix` and then, with nothing between,
/// the file's path below the media store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProviderBucket {
    /// Its name.
    pub bucket: String,
    /// What all names begin with; may be empty.
    pub prefix: String,
    /// The store, where it is not AWS.
    pub endpoint_url: Option<String>,
    /// The region.
    pub region: Option<String>,
    /// Objects are encrypted with a key that the configuration holds (`sse_customer_key`).
    pub has_own_key: bool,
}

/// What lets into a provider's bucket. No `Debug`: these are secrets.
pub struct BucketKeys {
    /// `access_key_id`.
    pub id: Secret,
    /// `secret_access_key`.
    pub secret: Secret,
    /// `session_token`.
    pub session: Option<Secret>,
}

/// A key that this server signed with in the past, as it tells others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OldSigningKey {
    /// `ed25519:<name>`.
    pub key_id: String,
    /// The public key, base64.
    pub key: String,
    /// When it stopped, milliseconds since 1970.
    pub expired_ts: i64,
}

/// The configuration cannot be used at all.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// No file was given, or a folder has none.
    #[error("there is no *.yaml file in {path}; name Synapse's homeserver.yaml")]
    NoFile {
        /// The folder, or nothing.
        path: String,
    },
    /// A configuration file cannot be read.
    #[error(
        "cannot read {path}; run as the user that Synapse runs as, or as root, and check the name"
    )]
    Read {
        /// The file.
        path: String,
        /// Cause.
        source: std::io::Error,
    },
    /// A file is not YAML that Synapse would take.
    #[error("{path}:{line}:{column}: {detail}; Synapse would not start with this file either")]
    Yaml {
        /// The file.
        path: String,
        /// Line, from 1.
        line: usize,
        /// Column, from 1.
        column: usize,
        /// What is wrong.
        detail: String,
    },
    /// A setting is not of its type.
    #[error("{place}: `{setting}` is not {wanted}; correct it")]
    Setting {
        /// File, line and column.
        place: String,
        /// The setting.
        setting: String,
        /// What it should be.
        wanted: &'static str,
    },
    /// A setting that must be there is not.
    #[error("`{setting}` is not set in {files}; name all files that Synapse is started with")]
    Missing {
        /// The setting.
        setting: &'static str,
        /// The files that were read.
        files: String,
    },
}

/// The server's signing key cannot be had.
#[derive(Debug, Error)]
pub enum SigningKeyError {
    /// There is none, or its file could not be read (that is also a gap).
    #[error(
        "the signing key is missing at {place}; put it back, and never start Synapse without it"
    )]
    Missing {
        /// Path or setting.
        place: String,
    },
    /// It cannot be parsed.
    #[error("the signing key at {place} cannot be used")]
    Unusable {
        /// Path or setting.
        place: String,
        /// Cause.
        source: KeyError,
    },
}

impl SynapseConfig {
    /// Merges parsed files and reads what every use needs. Named files are not read.
    ///
    /// # Errors
    /// When a file is not YAML, `server_name` is missing, or a setting we need has a wrong type.
    pub fn parse(documents: &[Document<'_>], workdir: &Path) -> Result<Self, ConfigError> {
        let (tree, gaps) = Tree::merge(documents)?;
        let server_name = match tree.text(&["server_name"])? {
            Some(name) => name.to_owned(),
            None => return Err(tree.missing("server_name")),
        };
        let last = documents.last().and_then(|document| document.path.parent());
        let config_dir = last.map_or_else(|| workdir.to_owned(), |dir| absolute(workdir, dir));
        let scanned = scan::scan(&tree, &config_dir, workdir, &server_name);
        let kept =
            KeptConfig { files: Vec::new(), settings: scanned.settings, secrets: scanned.secrets };
        let media = media(&tree, workdir)?;
        let mut all_gaps = gaps;
        all_gaps.extend(scanned.gaps);
        let sources = documents.iter().map(|document| document.path.clone()).collect();
        let named = scanned.files;
        let (gaps, workdir) = (all_gaps, workdir.to_owned());
        Ok(Self { server_name, config_dir, sources, kept, named, media, gaps, workdir, tree })
    }

    /// The keys the server signs with, the first one first.
    ///
    /// # Errors
    /// When the key is not there or cannot be parsed.
    pub fn signing_keys(&self) -> Result<Vec<SigningKey>, SigningKeyError> {
        let named = self.named.iter().find(|file| file.setting == "signing_key_path");
        let path = named.map(|file| file.path.display().to_string());
        self.kept.signing_keys(path.as_deref())
    }

    /// The keys that the configuration of a provider holds; without them it looks for keys where
    /// every program does that uses S3.
    ///
    /// # Errors
    /// When `media_storage_providers` is no list.
    pub fn bucket_keys(&self, provider: usize) -> Result<Option<BucketKeys>, ConfigError> {
        let providers = self.tree.items(&["media_storage_providers"])?;
        let Some(at) = providers.get(provider) else { return Ok(None) };
        let secret = |name| Some(Secret::new(at.text(&["config", name]).ok()??));
        let pair = secret("access_key_id").zip(secret("secret_access_key"));
        Ok(pair.map(|(id, secret_key)| BucketKeys {
            id,
            secret: secret_key,
            session: secret("session_token"),
        }))
    }

    /// `old_signing_keys`: the public keys of the past.
    ///
    /// # Errors
    /// When an entry lacks its key or its date.
    pub fn old_signing_keys(&self) -> Result<Vec<OldSigningKey>, ConfigError> {
        let mut keys = Vec::new();
        for key_id in self.tree.keys(&["old_signing_keys"])? {
            let at = |leaf| ["old_signing_keys", key_id, leaf];
            let key = self.tree.text(&at("key"))?.unwrap_or_default().to_owned();
            let expired_ts = self.tree.integer(&at("expired_ts"))?.unwrap_or_default();
            keys.push(OldSigningKey { key_id: key_id.to_owned(), key, expired_ts });
        }
        Ok(keys)
    }
}

pub(crate) fn media(tree: &Tree, workdir: &Path) -> Result<MediaSettings, ConfigError> {
    let store = tree.text(&["media_store_path"])?.unwrap_or("media_store");
    let flag = |name, default| Ok::<_, ConfigError>(tree.flag(&[name])?.unwrap_or(default));
    let mut providers = Vec::new();
    for at in tree.items(&["media_storage_providers"])? {
        let flag = |name| Ok::<_, ConfigError>(at.flag(&[name])?.unwrap_or(false));
        providers.push(StorageProvider {
            module: at.text(&["module"])?.unwrap_or_default().to_owned(),
            store_local: flag("store_local")?,
            store_remote: flag("store_remote")?,
            store_synchronous: flag("store_synchronous")?,
            directory: at.text(&["config", "directory"])?.map(|dir| absolute(workdir, dir)),
            bucket: provider_bucket(&at),
        });
    }
    if let Some(dir) = tree.text(&["backup_media_store_path"])? {
        providers.push(StorageProvider {
            module: "file_system".to_owned(),
            store_local: true,
            store_remote: true,
            store_synchronous: flag("synchronous_backup_media_store", false)?,
            directory: Some(absolute(workdir, dir)),
            bucket: None,
        });
    }
    Ok(MediaSettings {
        store_path: absolute(workdir, store),
        repo_enabled: flag("enable_media_repo", true)?,
        local_storage: flag("enable_local_media_storage", true)?,
        url_preview: flag("url_preview_enabled", false)?,
        dynamic_thumbnails: flag("dynamic_thumbnails", false)?,
        providers,
    })
}

/// What the module reads of its part; what is of another type it does not take either.
fn provider_bucket(at: &Branch<'_>) -> Option<ProviderBucket> {
    let text = |name| at.text(&["config", name]).ok().flatten().map(str::to_owned);
    let is_s3 = at.text(&["module"]).ok()??.ends_with("S3StorageProviderBackend");
    Some(ProviderBucket {
        bucket: text("bucket").filter(|_| is_s3)?,
        prefix: text("prefix").unwrap_or_default(),
        endpoint_url: text("endpoint_url"),
        region: text("region_name"),
        has_own_key: text("sse_customer_key").is_some(),
    })
}

/// A path as the Synapse process sees it: relative to its working directory, without `.` and `..`.
pub fn absolute(workdir: &Path, path: impl AsRef<Path>) -> PathBuf {
    let mut clean = PathBuf::new();
    for part in workdir.join(path).components() {
        match part {
            std::path::Component::CurDir => {}
            std::path::Component::ParentDir => {
                clean.pop();
            }
            part => clean.push(part),
        }
    }
    clean
}

/// `file:line:column` of a value.
pub(crate) fn place_of(sources: &[PathBuf], mark: Mark) -> String {
    let file = sources.get(mark.file).map(|path| path.display().to_string());
    format!("{}:{}:{}", file.unwrap_or_default(), mark.line, mark.column)
}

#[cfg(test)]
mod tests;

//! The configuration with which a copy of a Synapse is started for practice: its own, but for what
//! would reach others or what it shares with the server that runs.
//!
//! Every path that the copy has a file for is that of the copy. What stands in it may be a secret:
//! the text is wiped when it is dropped, and belongs into a file of our own alone.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use thiserror::Error;
use zeroize::Zeroizing;

use super::database::{Database, DatabaseError};
use super::target::{DatabaseTarget, HostPlace, Surroundings};
use super::yaml::{Node, Yaml};
use super::{SynapseConfig, absolute};

/// Bytes that the text has room for before it grows, which leaves a copy of it behind.
const ROOM_BYTES: usize = 1 << 20;

/// What is left out: ways to others, programs beside it, files that the running server writes.
const LEFT_OUT: &[&str] = &[
    "account_threepid_delegates",
    "account_validity",
    "app_service_config_files",
    "backup_media_store_path",
    "cas_config",
    "daemonize",
    "database",
    "database_config",
    "databases",
    "email",
    "enable_media_repo",
    "federation_sender_instances",
    "instance_map",
    "listeners",
    "log_config",
    "log_file",
    "manhole_settings",
    "media_instance_running_background_jobs",
    "media_storage_providers",
    "metrics_port",
    "notify_appservices_from_worker",
    "oidc_config",
    "oidc_providers",
    "opentracing",
    "outbound_federation_restricted_to",
    "pid_file",
    "pusher_instances",
    "redis",
    "run_background_tasks_on",
    "saml2_config",
    "sentry",
    "stream_writers",
    "update_user_directory_from_worker",
    "uploads_path",
];
/// What every one has, whatever its own says.
const FIXED: &[(&str, &str)] = &[
    ("enable_metrics", "false"),
    ("enable_registration", "false"),
    ("federation_domain_whitelist", "[]"),
    ("report_stats", "false"),
    ("send_federation", "false"),
    ("start_pushers", "false"),
    ("suppress_key_server_warning", "true"),
    ("trusted_key_servers", "[]"),
    ("url_preview_enabled", "false"),
];

/// Characters besides control characters that `PyYAML` does not take as they are.
const STRANGE: [char; 5] = ['\u{2028}', '\u{2029}', '\u{feff}', '\u{fffe}', '\u{ffff}'];

/// Where the copy is.
pub struct Practice<'a> {
    /// The folder that stands for `/`.
    pub root: &'a Path,
    /// The Unix socket at which it is to answer.
    pub listener: &'a Path,
    /// What the names of its databases end with.
    pub suffix: &'a str,
    /// The folder of the Unix socket by which its databases are reached, where its own
    /// configuration does not name one.
    pub socket: Option<&'a Path>,
    /// What libpq takes from its surroundings.
    pub around: &'a Surroundings,
}

/// A configuration for practice.
pub struct PracticeConfig {
    /// The text, in JSON, which is YAML.
    pub text: Zeroizing<String>,
    /// The ways to its databases.
    pub databases: Vec<DatabaseTarget>,
    /// Settings that were left out, by name.
    pub left_out: Vec<String>,
    /// Its media store.
    pub media_store: PathBuf,
    /// The folder it is to run in.
    pub workdir: PathBuf,
}

/// A copy cannot be started for practice.
#[derive(Debug, Error)]
pub enum PracticeError {
    /// The databases' settings cannot be used.
    #[error("its database settings cannot be used")]
    Database(#[from] DatabaseError),
    /// There is no network where it is started.
    #[error("its database {name} is reached by the network alone")]
    Network {
        /// The database.
        name: String,
    },
}

impl SynapseConfig {
    /// The configuration with which a copy of this server is started for practice.
    ///
    /// # Errors
    /// See [`PracticeError`].
    pub fn for_practice(&self, practice: &Practice<'_>) -> Result<PracticeConfig, PracticeError> {
        let mut text = Zeroizing::new(String::with_capacity(ROOM_BYTES));
        let mut left_out = Vec::new();
        text.push_str("{\n");
        for (key, node) in &self.tree.root {
            let is_fixed = FIXED.iter().any(|(name, _)| name == key) || key == "media_store_path";
            if LEFT_OUT.contains(&key.as_str()) || key.starts_with("worker_") {
                left_out.push(key.clone());
            } else if !is_fixed {
                quoted(&mut text, key);
                text.push_str(": ");
                value(&mut text, node, practice.root);
                text.push_str(",\n");
            }
        }
        for (key, fixed) in FIXED {
            setting_as_is(&mut text, key, fixed);
        }
        let media_store = below(practice.root, &self.media.store_path);
        setting(&mut text, "media_store_path", &media_store.to_string_lossy());
        if !self.tree.root.keys().any(|key| key == "signing_key" || key == "signing_key_path") {
            let usual = self.config_dir.join(format!("{}.signing.key", self.server_name));
            setting(&mut text, "signing_key_path", &moved(&usual, practice.root));
        }
        text.push_str("\"listeners\": [{\"type\": \"http\", \"x_forwarded\": true, ");
        text.push_str("\"resources\": [{\"names\": [\"client\", \"federation\"]}], \"path\": ");
        quoted(&mut text, &practice.listener.to_string_lossy());
        text.push_str("}],\n");
        let databases = self.practice_databases(&mut text, practice)?;
        text.push_str("}\n");
        let workdir = below(practice.root, &self.workdir);
        Ok(PracticeConfig { text, databases, left_out, media_store, workdir })
    }

    fn practice_databases(
        &self,
        text: &mut String,
        practice: &Practice<'_>,
    ) -> Result<Vec<DatabaseTarget>, PracticeError> {
        let found = self.databases(practice.around)?;
        let mut targets = Vec::new();
        text.push_str(if found.is_split() { "\"databases\": {" } else { "\"database\": " });
        for Database { label, holds, mut target } in found.databases.iter().cloned() {
            target.find_password(practice.around);
            target.dbname.push_str(practice.suffix);
            let own = target.hosts.iter().find_map(|host| match &host.place {
                HostPlace::Socket(folder) => Some(folder.clone()),
                HostPlace::Tcp { .. } => None,
            });
            let Some(folder) = own.or_else(|| practice.socket.map(Path::to_owned)) else {
                return Err(PracticeError::Network { name: target.dbname });
            };
            target.hosts.truncate(1);
            if let Some(host) = target.hosts.first_mut() {
                host.place = HostPlace::Socket(folder);
            }
            if found.is_split() {
                if !targets.is_empty() {
                    text.push_str(", ");
                }
                quoted(text, &label);
                text.push_str(": ");
            }
            let stores = found.is_split().then_some(holds.as_slice());
            let is_unsafe = self.flag_of_database(&label, "allow_unsafe_locale");
            database(text, &target, (stores, is_unsafe));
            targets.push(target);
        }
        text.push_str(if found.is_split() { "}\n" } else { "\n" });
        Ok(targets)
    }

    fn flag_of_database(&self, label: &str, name: &str) -> bool {
        let flag = |path: &[&str]| self.tree.flag(path).ok().flatten().unwrap_or_default();
        flag(&["database", name]) || flag(&["databases", label, name])
    }
}

fn database(
    text: &mut String,
    target: &DatabaseTarget,
    (stores, is_unsafe): (Option<&[super::database::DataStore]>, bool),
) {
    text.push_str("{\"name\": \"psycopg2\", ");
    if is_unsafe {
        text.push_str("\"allow_unsafe_locale\": true, ");
    }
    if let Some(stores) = stores {
        let names: Vec<&str> = stores.iter().map(|store| store.word()).collect();
        // Writing into a text cannot fail.
        write!(text, "\"data_stores\": [\"{}\"], ", names.join("\", \"")).ok();
    }
    text.push_str("\"args\": {\"cp_min\": 1, \"cp_max\": 5, \"user\": ");
    quoted(text, &target.user);
    if let Some(password) = &target.password {
        text.push_str(", \"password\": ");
        quoted(text, password.expose());
    }
    text.push_str(", \"dbname\": ");
    quoted(text, &target.dbname);
    if let Some(host) = target.hosts.first()
        && let HostPlace::Socket(folder) = &host.place
    {
        write!(text, ", \"port\": {}, \"host\": ", host.port).ok();
        quoted(text, &folder.to_string_lossy());
    }
    text.push_str("}}");
}

fn setting_as_is(text: &mut String, key: &str, json: &str) {
    quoted(text, key);
    text.push_str(": ");
    text.push_str(json);
    text.push_str(",\n");
}

fn setting(text: &mut String, key: &str, value: &str) {
    quoted(text, key);
    text.push_str(": ");
    quoted(text, value);
    text.push_str(",\n");
}

/// A value of the configuration in JSON, paths being those of the copy.
fn value(text: &mut String, node: &Node, root: &Path) {
    match &node.value {
        Yaml::Null => text.push_str("null"),
        Yaml::Bool(flag) => text.push_str(if *flag { "true" } else { "false" }),
        Yaml::Int(number) => text.push_str(&number.to_string()),
        Yaml::Float(number) => {
            let digits = number.to_string();
            text.push_str(&digits);
            // YAML 1.1 takes a number without a point for a whole one.
            text.push_str(if digits.contains('.') { "" } else { ".0" });
        }
        Yaml::Text(word) if word.starts_with('/') => {
            quoted(text, &moved(Path::new(word.as_str()), root));
        }
        Yaml::Text(word) => quoted(text, word),
        Yaml::List(items) => {
            text.push('[');
            for (at, item) in items.iter().enumerate() {
                text.push_str(if at > 0 { ", " } else { "" });
                value(text, item, root);
            }
            text.push(']');
        }
        Yaml::Map(map) => {
            text.push('{');
            for (at, (key, node)) in map.iter().enumerate() {
                text.push_str(if at > 0 { ", " } else { "" });
                quoted(text, key);
                text.push_str(": ");
                value(text, node, root);
            }
            text.push('}');
        }
    }
}

/// The path of the copy, where it has something there; else the path as it is.
fn moved(path: &Path, root: &Path) -> Zeroizing<String> {
    let copy = below(root, path);
    let found = if copy.exists() { &copy } else { path };
    Zeroizing::new(found.to_string_lossy().into_owned())
}

fn below(root: &Path, path: &Path) -> PathBuf {
    let path = absolute(Path::new("/"), path);
    // What the file names relative to itself has been put back, and is there already.
    if path.starts_with(root) {
        return path;
    }
    root.join(path.strip_prefix("/").unwrap_or(&path))
}

/// A text in JSON. What `PyYAML` does not take as it is is escaped, too.
fn quoted(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            c if c.is_control() || STRANGE.contains(&c) => {
                write!(out, "\\u{:04x}", u32::from(c)).ok();
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests;

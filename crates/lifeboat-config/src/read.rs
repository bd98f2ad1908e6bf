//! From paths to a configuration: the files that Synapse would merge, then those they name.

use std::path::{Path, PathBuf};

use super::disk::{self, DiskError, ReadFile};
use super::follow;
use super::kept::ConfigFile;
use super::{ConfigError, SynapseConfig, absolute};

/// The text of one configuration file and where it stands.
pub struct Document<'a> {
    /// Absolute path.
    pub path: PathBuf,
    /// The text.
    pub text: &'a str,
}

/// What the reading depends on besides the files.
#[derive(Debug, Clone)]
pub struct ReadOptions {
    /// The working directory of the Synapse process: relative paths hold from there. On Debian it
    /// is `/var/lib/matrix-synapse`, in the container image `/`.
    pub workdir: PathBuf,
    /// A folder that stands for `/`, where a copy of the server was put: what is there of the files
    /// that settings name is meant. `None` for the server itself.
    pub root: Option<PathBuf>,
}

impl ReadOptions {
    /// For a server that is where it belongs.
    pub fn of(workdir: impl Into<PathBuf>) -> Self {
        Self { workdir: workdir.into(), root: None }
    }
}

/// Reads the configuration that `synapse -c PATH [-c PATH …]` would use. A path is a file or a
/// folder, of which the files named `*.yaml` count, sorted. Blocks on the disk.
///
/// What a setting names and cannot be read is a gap in the result.
///
/// # Errors
/// When one of the configuration files cannot be read or used; see [`ConfigError`].
pub fn read(paths: &[PathBuf], options: &ReadOptions) -> Result<SynapseConfig, ConfigError> {
    let mut read = Vec::new();
    for path in config_files(paths, &options.workdir)? {
        let file = disk::read_file(&path).map_err(|error| cannot_read(&path, error))?;
        read.push((path, file));
    }
    let mut documents = Vec::with_capacity(read.len());
    for (path, file) in &read {
        let text = std::str::from_utf8(&file.bytes).map_err(|_| not_text(path))?;
        documents.push(Document { path: path.clone(), text });
    }
    let mut config = SynapseConfig::parse(&documents, &options.workdir)?;
    drop(documents);
    let files = read
        .into_iter()
        .enumerate()
        .map(|(number, (path, file))| kept(format!("config[{number}]"), &path, file, true));
    config.kept.files.extend(files);
    for named in &mut config.named {
        named.path = copied(options.root.as_deref(), std::mem::take(&mut named.path));
    }
    follow::follow(&mut config);
    Ok(config)
}

/// What is meant by a path where a copy may lie below `root`, a folder that stands for `/`.
pub fn copied(root: Option<&Path>, path: PathBuf) -> PathBuf {
    let Some(root) = root.filter(|root| !path.starts_with(root)) else { return path };
    let copy = root.join(path.strip_prefix("/").unwrap_or(&path));
    if copy.exists() { copy } else { path }
}

/// A file that was read, as a package keeps it.
pub(super) fn kept(setting: String, path: &Path, file: ReadFile, secret: bool) -> ConfigFile {
    let ReadFile { bytes, mode, uid, gid } = file;
    ConfigFile { setting, path: path.display().to_string(), bytes, mode, uid, gid, secret }
}

fn config_files(paths: &[PathBuf], workdir: &Path) -> Result<Vec<PathBuf>, ConfigError> {
    let mut files = Vec::new();
    for path in paths {
        let path = absolute(workdir, path);
        if path.is_dir() {
            let listed = disk::list_yaml(&path).map_err(|error| cannot_read(&path, error))?;
            files.extend(listed);
        } else {
            files.push(path);
        }
    }
    if files.is_empty() {
        let folders: Vec<_> = paths.iter().map(|path| path.display().to_string()).collect();
        return Err(ConfigError::NoFile { path: folders.join(", ") });
    }
    Ok(files)
}

fn cannot_read(path: &Path, error: DiskError) -> ConfigError {
    ConfigError::Read { path: path.display().to_string(), source: error.into_io() }
}

fn not_text(path: &Path) -> ConfigError {
    ConfigError::Yaml {
        path: path.display().to_string(),
        line: 1,
        column: 1,
        detail: "the file is not UTF-8".to_owned(),
    }
}

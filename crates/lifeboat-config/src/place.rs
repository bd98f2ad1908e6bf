//! Puts packed configuration files where a target's configuration looks for them. First a plan, a
//! plain value; then its execution, which never touches a file that differs.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};

use lifeboat_package::flow::Gap;
use thiserror::Error;

use super::SynapseConfig;
use super::disk;
use super::kept::{ConfigFile, KeptConfig};
use super::scan::{NamedFile, Shape};

/// What is to happen with one packed file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FilePlacement {
    /// The packed file's setting.
    pub setting: String,
    /// Its path on the source.
    pub source: String,
    /// Where the target wants it.
    pub target: Option<PathBuf>,
    /// What is to be done.
    pub action: PlaceAction,
    /// Permission bits it gets.
    pub mode: u32,
    /// Owner it gets.
    pub uid: u32,
    /// Group it gets.
    pub gid: u32,
}

/// What is to be done with one packed file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PlaceAction {
    /// It is not there yet: write it.
    Write,
    /// It is there with the same content: leave it.
    Equal,
    /// Another file is there: leave that one, and say so.
    Differs,
    /// The target's configuration has no place for it; why.
    NoPlace(String),
}

/// A file could not be put in its place.
#[derive(Debug, Error)]
pub enum PlaceError {
    /// The disk refused.
    #[error("cannot write {path}; check the folder's permissions and free space")]
    Write {
        /// The file.
        path: String,
        /// Cause.
        source: io::Error,
    },
    /// A file came up since the plan was made.
    #[error("{path} was made by someone else in the meantime and was left alone; run again")]
    Appeared {
        /// The file.
        path: String,
    },
    /// The plan is of another package.
    #[error("the plan names {setting}, which the package does not hold; make the plan again")]
    Unknown {
        /// The setting.
        setting: String,
    },
}

/// What to do with each packed file. Looks at the target's files, changes nothing.
pub fn plan_config_files(packaged: &KeptConfig, target: &SynapseConfig) -> Vec<FilePlacement> {
    packaged.files.iter().map(|file| plan_one(file, packaged, target)).collect()
}

/// Carries out the plan: new files get content, mode and owner and appear at once or not at all.
/// An owner that cannot be set is a gap.
///
/// # Errors
/// At the first file that cannot be written; running again goes on from there.
pub fn place_config_files(
    plan: &[FilePlacement],
    packaged: &KeptConfig,
) -> Result<Vec<Gap>, PlaceError> {
    let mut gaps = Vec::new();
    for placement in plan {
        let (PlaceAction::Write, Some(path)) = (&placement.action, &placement.target) else {
            continue;
        };
        let file = packaged.file(&placement.setting);
        let file = file.filter(|file| file.path == placement.source);
        let Some(file) = file else {
            return Err(PlaceError::Unknown { setting: placement.setting.clone() });
        };
        let refused = |source: io::Error| match source.kind() {
            io::ErrorKind::AlreadyExists => {
                PlaceError::Appeared { path: path.display().to_string() }
            }
            _ => PlaceError::Write { path: path.display().to_string(), source },
        };
        if !write(path, file, placement).map_err(refused)? {
            gaps.push(not_owned(path, placement));
        }
    }
    Ok(gaps)
}

fn plan_one(file: &ConfigFile, packaged: &KeptConfig, target: &SynapseConfig) -> FilePlacement {
    let (target, action) = match find_place(file, packaged, target) {
        Ok(path) => {
            let action = match disk::read_file(&path) {
                Ok(found) if found.bytes == file.bytes => PlaceAction::Equal,
                Err(error) if error.is_absence() => PlaceAction::Write,
                Ok(_) | Err(_) => PlaceAction::Differs,
            };
            (Some(path), action)
        }
        Err(why) => (None, PlaceAction::NoPlace(why)),
    };
    let ConfigFile { setting, path, mode, uid, gid, .. } = file;
    FilePlacement {
        setting: setting.clone(),
        source: path.clone(),
        target,
        action,
        // The bits that make a program of a file have no place in a configuration.
        mode: mode & 0o666,
        uid: *uid,
        gid: *gid,
    }
}

/// Where the target looks for a packed file, or why it does not.
fn find_place(
    file: &ConfigFile,
    packaged: &KeptConfig,
    target: &SynapseConfig,
) -> Result<PathBuf, String> {
    if file.setting.starts_with("config[") {
        return Err("the target has its own configuration".to_owned());
    }
    if let Some((folder, inside)) = file.setting.split_once('/') {
        let named = target.named.iter().find(|named| named.setting == folder);
        let named = named.filter(|named| named.shape == Shape::Folder);
        let named = named.ok_or_else(|| format!("the target does not set `{folder}`"))?;
        let harmless = inside.split('/').all(|part| !matches!(part, "" | "." | ".."));
        return if harmless {
            Ok(named.path.join(inside))
        } else {
            Err("its path leaves the folder".to_owned())
        };
    }
    match file.setting.rsplit_once('[') {
        Some((list, _)) if file.setting.ends_with(']') => in_list(file, list, packaged, target),
        _ => {
            let named = target.named.iter().find(|named| named.setting == file.setting);
            let named = named.filter(|named| named.shape == Shape::File);
            let missing = || format!("the target does not set `{}`", file.setting);
            named.map(|named| named.path.clone()).ok_or_else(missing)
        }
    }
}

/// Of a list, the entry with the same file name; a list of one on both sides fits anyway.
fn in_list(
    file: &ConfigFile,
    list: &str,
    packaged: &KeptConfig,
    target: &SynapseConfig,
) -> Result<PathBuf, String> {
    let begins = format!("{list}[");
    let ours = packaged.files.iter().filter(|other| other.setting.starts_with(&begins)).count();
    let theirs: Vec<&NamedFile> =
        target.named.iter().filter(|named| named.setting.starts_with(&begins)).collect();
    if let ([only], 1) = (theirs.as_slice(), ours) {
        return Ok(only.path.clone());
    }
    let name = Path::new(&file.path).file_name();
    let mut fitting = theirs.iter().filter(|named| named.path.file_name() == name);
    match (fitting.next(), fitting.next()) {
        (Some(named), None) => Ok(named.path.clone()),
        (Some(_), Some(_)) => Err(format!("several entries of `{list}` have this file name")),
        (None, _) => Err(format!("no entry of `{list}` has this file name; add one")),
    }
}

/// Writes beside the place and links it in: whole or not at all, and never over another file.
/// Says whether the owner could be set.
fn write(path: &Path, file: &ConfigFile, placement: &FilePlacement) -> io::Result<bool> {
    let folder = path.parent().unwrap_or(Path::new("/"));
    make_folders(folder, placement)?;
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
    let draft = folder.join(format!(".{}.lifeboat-draft", name.unwrap_or_default()));
    // A draft can only be the rest of a run of ours that was cut short.
    match fs::remove_file(&draft) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let written = write_draft(&draft, file, placement);
    let linked = match &written {
        Ok(_) => fs::hard_link(&draft, path),
        Err(_) => Ok(()),
    };
    fs::remove_file(&draft).or_else(|error| match error.kind() {
        io::ErrorKind::NotFound => Ok(()),
        _ => Err(error),
    })?;
    linked?;
    let is_owned = written?;
    File::open(folder)?.sync_all()?;
    Ok(is_owned)
}

fn write_draft(draft: &Path, file: &ConfigFile, placement: &FilePlacement) -> io::Result<bool> {
    let mut out = OpenOptions::new().write(true).create_new(true).mode(0o600).open(draft)?;
    out.write_all(&file.bytes)?;
    let is_owned = set_owner(&out, placement);
    // With another owner than wanted, nobody else may read what may be a secret.
    let mode = if is_owned { placement.mode } else { placement.mode & 0o600 };
    out.set_permissions(fs::Permissions::from_mode(mode))?;
    out.sync_all()?;
    Ok(is_owned)
}

/// Missing folders get the owner of the file and leave others out.
fn make_folders(folder: &Path, placement: &FilePlacement) -> io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    if let Some(above) = folder.parent() {
        make_folders(above, placement)?;
    }
    fs::create_dir(folder)?;
    let made = File::open(folder)?;
    made.set_permissions(fs::Permissions::from_mode(0o750))?;
    set_owner(&made, placement);
    Ok(())
}

fn set_owner(file: &File, placement: &FilePlacement) -> bool {
    fchown(file, Some(placement.uid), Some(placement.gid)).is_ok()
}

fn not_owned(path: &Path, placement: &FilePlacement) -> Gap {
    let FilePlacement { uid, gid, mode, .. } = placement;
    Gap {
        kind: "config-owner".to_owned(),
        object: path.display().to_string(),
        detail: format!("the owner could not be set to {uid}:{gid}; only you can read it"),
        remedy: format!("as root: chown {uid}:{gid} and chmod {mode:o}"),
    }
}

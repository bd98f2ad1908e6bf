//! Reads the files and folders that settings name. What cannot be read becomes a gap.

use lifeboat_package::flow::Gap;

use super::SynapseConfig;
use super::disk::{self, DiskError, ReadFile};
use super::kept::KeptConfig;
use super::read::kept;
use super::scan::{FileState, NamedFile, Shape};

/// Files that all settings together may name.
const FILES: usize = 10_000;
/// Bytes that they may have together.
const TOTAL_BYTES: usize = 64 << 20;

/// Reads every named file into `config.kept`.
pub(super) fn follow(config: &mut SynapseConfig) {
    let SynapseConfig { named, kept, gaps, .. } = config;
    for named in named {
        let result = match named.shape {
            Shape::File => one(kept, named, None).map(|()| Vec::new()),
            Shape::Folder => folder(kept, named),
        };
        match result {
            Ok(inside) => {
                named.state = FileState::Read;
                gaps.extend(inside);
            }
            Err(error) => {
                named.state =
                    if error.is_absence() { FileState::Absent } else { FileState::Unreadable };
                gaps.push(unreadable(named, named.path.display().to_string(), &error));
            }
        }
    }
}

/// Reads all files of a named folder; those that cannot be read are gaps.
fn folder(into: &mut KeptConfig, named: &NamedFile) -> Result<Vec<Gap>, DiskError> {
    let mut gaps = Vec::new();
    for file in disk::list_folder(&named.path)? {
        if let Err(error) = one(into, named, Some(&file)) {
            gaps.push(unreadable(named, named.path.join(&file).display().to_string(), &error));
        }
    }
    Ok(gaps)
}

/// Reads a named file, or one that lies in a named folder.
fn one(into: &mut KeptConfig, named: &NamedFile, inside: Option<&str>) -> Result<(), DiskError> {
    let (setting, path) = match inside {
        None => (named.setting.clone(), named.path.clone()),
        Some(file) => (format!("{}/{file}", named.setting), named.path.join(file)),
    };
    let file = disk::read_file(&path)?;
    if !fits(into, &file) {
        return Err(DiskError::Total);
    }
    into.files.push(kept(setting, &path, file, named.secret));
    Ok(())
}

fn fits(into: &KeptConfig, file: &ReadFile) -> bool {
    let bytes: usize = into.files.iter().map(|file| file.bytes.len()).sum();
    into.files.len() < FILES && bytes + file.bytes.len() <= TOTAL_BYTES
}

fn unreadable(named: &NamedFile, object: String, error: &DiskError) -> Gap {
    Gap {
        kind: "config-unreadable".to_owned(),
        object,
        detail: format!("named by `{}`: {error}", named.setting),
        remedy: error.remedy().to_owned(),
    }
}

//! Reads the files and folders that settings name. What cannot be read becomes a gap.

use lifeboat_package::flow::Gap;

use super::SynapseConfig;
use super::disk::{self, DiskError, ReadFile};
use super::kept::KeptConfig;
use super::read::kept;
use super::scan::{NamedFile, Shape};

/// Files that all settings together may name.
const FILES: usize = 10_000;
/// Bytes that they may have together.
const TOTAL_BYTES: usize = 64 << 20;

/// Reads every named file into `config.kept`.
pub(super) fn follow(config: &mut SynapseConfig) {
    for named in &config.named {
        let gaps = match named.shape {
            Shape::File => one(&mut config.kept, named, None).err().into_iter().collect(),
            Shape::Folder => folder(&mut config.kept, named),
        };
        config.gaps.extend(gaps);
    }
}

fn folder(into: &mut KeptConfig, named: &NamedFile) -> Vec<Gap> {
    match disk::list_folder(&named.path) {
        Ok(files) => files.iter().filter_map(|file| one(into, named, Some(file)).err()).collect(),
        Err(error) => {
            vec![unreadable(named, named.path.display().to_string(), &error)]
        }
    }
}

/// Reads a named file, or one that lies in a named folder.
fn one(into: &mut KeptConfig, named: &NamedFile, inside: Option<&str>) -> Result<(), Gap> {
    let (setting, path) = match inside {
        None => (named.setting.clone(), named.path.clone()),
        Some(file) => (format!("{}/{file}", named.setting), named.path.join(file)),
    };
    let gap = |error: &DiskError| unreadable(named, path.display().to_string(), error);
    let file = disk::read_file(&path).map_err(|error| gap(&error))?;
    if !fits(into, &file) {
        return Err(gap(&DiskError::Total));
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

//! What is known before the first event is read: rooms, names of accounts, media files, room keys.

use std::collections::HashMap;

use lifeboat_components::synapse::archive;
use lifeboat_components::synapse::read::media::MediaRecord;
use lifeboat_components::synapse::read::summary::RoomSummary;
use lifeboat_package::id::Section;
use lifeboat_pages::timeline::Known;
use serde::Deserialize;

use super::KeyFile;
use lifeboat_engine::context::Context;
use lifeboat_engine::failure::Failure;
use lifeboat_engine::reader::picked::Picked;
use lifeboat_engine::reader::{EntryPlace, Package, PartEntries, damaged};
use lifeboat_engine::roomkeys::{Backups, RoomKeyError, RoomKeys};

/// The lists.
pub struct Lists {
    /// Rooms that were picked and not written yet.
    pub rooms: HashMap<String, RoomSummary>,
    /// Names.
    pub known: Known,
    /// Files as they were uploaded, by address: SHA-256.
    pub media: HashMap<String, String>,
}

impl Lists {
    /// Reads the lists of what was picked.
    ///
    /// # Errors
    /// [`Failure`] when an entry is damaged.
    pub async fn read(package: &Package, picked: &mut Picked) -> Result<Self, Failure> {
        let mut lists =
            Self { rooms: HashMap::new(), known: Known::default(), media: HashMap::new() };
        let Picked { filter, entries } = picked;
        for (part, name, place) in entries.iter() {
            let section = part.section;
            let is_list = match (section, name.as_str()) {
                (Section::Rooms, name) => name == archive::SUMMARY,
                (Section::Users, name) => [archive::PROFILES, archive::ERASED].contains(&name),
                (Section::Media, name) => name == archive::MEDIA_INDEX,
                _ => false,
            };
            if !is_list {
                continue;
            }
            each_line(package, place, |line| {
                // Names and files of others than those picked are looked up and not written.
                let takes = section != Section::Rooms || filter.takes(section, name, line)?;
                if takes { lists.add(name, line) } else { Ok(()) }
            })
            .await?;
        }
        Ok(lists)
    }

    fn add(&mut self, name: &str, line: &[u8]) -> Result<(), serde_json::Error> {
        match name {
            archive::SUMMARY => {
                let room: RoomSummary = serde_json::from_slice(line)?;
                self.rooms.insert(room.room_id.clone(), room);
            }
            archive::PROFILES => self.known.profiles.extend(archive::profile(line)?),
            archive::ERASED => {
                self.known.erased.insert(archive::erased(line)?);
            }
            _ => {
                let file: MediaRecord = serde_json::from_slice(line)?;
                if matches!(file.kind.as_str(), "local" | "remote") {
                    self.media.insert(file.mxc, file.sha256);
                }
            }
        }
        Ok(())
    }
}

/// The room keys of a file, none where there is no file.
///
/// # Errors
/// [`Failure`] when the keys do not fit.
pub async fn open(
    cx: &Context,
    package: &Package,
    entries: &PartEntries,
    keys: Option<KeyFile>,
) -> Result<RoomKeys, Failure> {
    match keys {
        None => Ok(RoomKeys::default()),
        Some(KeyFile::Sessions(keys)) => Ok(keys),
        Some(KeyFile::Recovery(key)) => backed_up(cx, package, entries, &key).await,
    }
}

/// The room keys that the recovery key opens.
async fn backed_up(
    cx: &Context,
    package: &Package,
    entries: &PartEntries,
    recovery: &str,
) -> Result<RoomKeys, Failure> {
    let mut backups = Backups::default();
    users(package, entries, archive::BACKUPS, |row| backups.add_version(row)).await?;
    users(package, entries, archive::ACCOUNT_DATA, |row| backups.add_account_data(&row)).await?;
    let mut open = backups.open(recovery).map_err(refused)?;
    users(package, entries, archive::ROOM_KEYS, |row| open.add(&row)).await?;
    let owners: Vec<&str> = open.owners().into_iter().collect();
    cx.note(format!("{} room keys from the backup of {}", open.room_keys.len(), owners.join(", ")));
    Ok(open.room_keys)
}

/// Keys that do not open what they are for.
pub fn refused(error: RoomKeyError) -> Failure {
    let remedy = match error {
        RoomKeyError::Passphrase => {
            "give the passphrase that was chosen when the keys were exported"
        }
        RoomKeyError::Nobody => "the package must hold the account's key backup",
        _ => "give a file of exported keys, or a file with the recovery key in its first line",
    };
    Failure::failed("cannot use the room keys", remedy).because(error)
}

async fn users<T: for<'de> Deserialize<'de>>(
    package: &Package,
    entries: &PartEntries,
    name: &str,
    mut with: impl FnMut(T),
) -> Result<(), Failure> {
    let of_users = entries.iter().filter(|(part, _)| part.section == Section::Users);
    for place in of_users.filter_map(|(_, names)| names.get(name)).flatten() {
        each_line(package, place, |line| {
            with(serde_json::from_slice(line)?);
            Ok(())
        })
        .await?;
    }
    Ok(())
}

async fn each_line(
    package: &Package,
    place: &EntryPlace,
    mut with: impl FnMut(&[u8]) -> Result<(), serde_json::Error>,
) -> Result<(), Failure> {
    let lines = package.content(place).await?;
    for line in lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        with(line).map_err(|e| damaged(place.record.path.as_str()).because(e))?;
    }
    Ok(())
}

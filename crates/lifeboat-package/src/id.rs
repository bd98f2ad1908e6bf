//! The names inside a package: its id, entries, parts, volumes and blobs. Parsed once, never bare
//! strings after that.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::hex;
use crate::limits;

/// Why a name is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// Not 32 lower-case hexadecimal digits.
    #[error("{0:?} is not a package id: 32 lower-case hexadecimal digits are needed")]
    Package(String),
    /// Breaks `docs/src/format.md` §3.
    #[error("{0:?} is not an entry path: 1 to 100 bytes of a-z 0-9 . _ / - are needed")]
    Entry(String),
    /// Not `<section>/<number>-<run>`.
    #[error("{0:?} is not the folder of a part, such as rooms/000012-1")]
    Part(String),
}

/// 128 random bits that name a package. Text form: 32 lower-case hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PackageId([u8; 16]);

impl PackageId {
    /// The id of 16 bytes, which the caller draws from the operating system.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// Reads the text form.
    ///
    /// # Errors
    /// [`IdError::Package`] for anything but 32 lower-case hexadecimal digits.
    pub fn parse(text: &str) -> Result<Self, IdError> {
        hex::decode(text).map(Self).ok_or_else(|| IdError::Package(text.to_owned()))
    }
}

impl fmt::Display for PackageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(&self.0))
    }
}

/// The path of an entry of a volume: 1 to 100 bytes of `[a-z0-9._/-]`, relative, without empty,
/// `.` or `..` components.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EntryPath(String);

impl EntryPath {
    /// Checks `path`.
    ///
    /// # Errors
    /// [`IdError::Entry`] for anything that `docs/src/format.md` §3 does not allow.
    pub fn parse(path: &str) -> Result<Self, IdError> {
        let allowed =
            |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'/' | b'-');
        let fits = path.len() <= limits::PATH_BYTES && path.bytes().all(allowed);
        let plain = path.split('/').all(|component| !matches!(component, "" | "." | ".."));
        if fits && plain { Ok(Self(path.to_owned())) } else { Err(IdError::Entry(path.to_owned())) }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the entry holds records: one compressed frame of JSON Lines.
    pub fn is_record(&self) -> bool {
        self.0.ends_with(RECORD_SUFFIX)
    }

    /// The part, name and sequence number of a part's record entry; `None` for other entries.
    pub fn record(&self) -> Option<(PartPath, &str, u32)> {
        let stem = self.0.strip_suffix(RECORD_SUFFIX)?;
        let (folder, file) = stem.rsplit_once('/')?;
        let (name, digits) = file.rsplit_once('.')?;
        let sequence = parse_padded(digits, 4)?;
        (sequence > 0 && is_record_name(name)).then_some((folder.parse().ok()?, name, sequence))
    }

    /// The SHA-256 and piece number of a blob entry; `None` for other entries.
    pub fn blob(&self) -> Option<([u8; 32], Option<u32>)> {
        let (fan, name) = self.0.strip_prefix("media/sha256/")?.split_once('/')?;
        let (digits, piece) = match name.split_once('.') {
            None => (name, None),
            Some((digits, piece)) => (digits, Some(parse_padded(piece, 4)?)),
        };
        let sha256 = hex::decode(digits)?;
        (digits.get(..2) == Some(fan) && piece != Some(0)).then_some((sha256, piece))
    }

    /// The SHA-256 of the content of a segment entry, before compression; `None` for other entries.
    pub fn segment(&self) -> Option<[u8; 32]> {
        let stem = self.0.strip_prefix("segments/sha256/")?.strip_suffix(SEGMENT_SUFFIX)?;
        let (fan, digits) = stem.split_once('/')?;
        let sha256 = hex::decode(digits)?;
        (digits.get(..2) == Some(fan)).then_some(sha256)
    }
}

impl fmt::Display for EntryPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl AsRef<str> for EntryPath {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl FromStr for EntryPath {
    type Err = IdError;

    fn from_str(path: &str) -> Result<Self, IdError> {
        Self::parse(path)
    }
}

const RECORD_SUFFIX: &str = ".jsonl.zst";
const SEGMENT_SUFFIX: &str = ".zst";

/// The entry path of a blob, or of one piece of it (from 1; `docs/src/format.md` §5).
pub fn blob_path(sha256: &[u8; 32], piece: Option<u32>) -> EntryPath {
    let name = hex::encode(sha256);
    let fan = name.get(..2).unwrap_or_default();
    EntryPath(match piece {
        None => format!("media/sha256/{fan}/{name}"),
        Some(number) => format!("media/sha256/{fan}/{name}.{number:04}"),
    })
}

/// The entry path of a segment, named by the SHA-256 of its content before compression
/// (`docs/src/format.md` §11).
pub fn segment_path(sha256: &[u8; 32]) -> EntryPath {
    let name = hex::encode(sha256);
    let fan = name.get(..2).unwrap_or_default();
    EntryPath(format!("segments/sha256/{fan}/{name}{SEGMENT_SUFFIX}"))
}

/// The file name of a volume, numbered from 1.
pub fn volume_name(number: u32) -> String {
    format!("volumes/{number:06}.vol")
}

/// The number in a volume's file name; `None` when `name` is not one.
pub fn parse_volume_name(name: &str) -> Option<u32> {
    let digits = name.strip_prefix("volumes/")?.strip_suffix(".vol")?;
    parse_padded(digits, 6).filter(|number| *number > 0)
}

/// What a part of a package belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Section {
    /// Configuration files and settings.
    Config,
    /// The schema and the tables of the server as a whole.
    Server,
    /// Rooms, by ranges of room ids.
    Rooms,
    /// Users.
    Users,
    /// The media store.
    Media,
    /// Whole components, in a backup.
    Backup,
}

impl Section {
    /// Every section, in the order of the manifest.
    pub const ALL: [Self; 6] =
        [Self::Config, Self::Server, Self::Rooms, Self::Users, Self::Media, Self::Backup];

    /// The word used in paths and in the manifest.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Config => "config",
            Self::Server => "server",
            Self::Rooms => "rooms",
            Self::Users => "users",
            Self::Media => "media",
            Self::Backup => "backup",
        }
    }
}

impl fmt::Display for Section {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The folder of a part, for example `rooms/000012-1`: section, number, and which run wrote it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PartPath {
    /// The section it belongs to.
    pub section: Section,
    /// The number of the part within the section.
    pub number: u32,
    /// Which attempt wrote it; a run that was cut short leaves folders that no manifest names.
    pub run: u32,
}

impl PartPath {
    /// The path of the record entry `name` number `sequence` (from 1) of this part.
    ///
    /// # Errors
    /// [`IdError::Entry`] when `name` is not `[a-z0-9_]{1,64}`, or the path becomes too long.
    pub fn entry(&self, name: &str, sequence: u32) -> Result<EntryPath, IdError> {
        let path = format!("{self}/{name}.{sequence:04}{RECORD_SUFFIX}");
        if !is_record_name(name) || sequence == 0 {
            return Err(IdError::Entry(path));
        }
        EntryPath::parse(&path)
    }
}

impl fmt::Display for PartPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{:06}-{}", self.section, self.number, self.run)
    }
}

impl FromStr for PartPath {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        parse_part(text).ok_or_else(|| IdError::Part(text.to_owned()))
    }
}

fn parse_part(text: &str) -> Option<PartPath> {
    let (word, rest) = text.split_once('/')?;
    let section = Section::ALL.into_iter().find(|section| section.as_str() == word)?;
    let (number, run) = rest.split_once('-')?;
    Some(PartPath { section, number: parse_padded(number, 6)?, run: parse_padded(run, 1)? })
}

/// Whether records can have this name (`docs/src/format.md` §4).
pub fn is_record_name(name: &str) -> bool {
    let allowed = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_');
    (1..=64).contains(&name.len()) && name.bytes().all(allowed)
}

/// A decimal number of at least `width` digits, padded with zeros only up to there.
fn parse_padded(digits: &str, width: usize) -> Option<u32> {
    let number = digits.parse::<u32>().ok()?;
    (format!("{number:0width$}") == digits).then_some(number)
}

macro_rules! text_in_json {
    ($name:ident, $parse:expr) => {
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                $parse(&text).map_err(serde::de::Error::custom)
            }
        }
    };
}

text_in_json!(PackageId, PackageId::parse);
text_in_json!(EntryPath, EntryPath::parse);
text_in_json!(PartPath, str::parse::<PartPath>);

#[cfg(test)]
mod tests;

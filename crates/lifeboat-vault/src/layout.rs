//! The names in a vault (`docs/src/format.md` §11).
//!
//! ```text
//! vault.json                                  what this is, and its id
//! owner.json                                  of which server it is, as a sum
//! packages/20261122T031500Z-<id>/…            a backup: the files of its package
//! forgotten/<id>.json                         retention let this backup go
//! verified/<id>/20261122T040000Z.json         it was read whole, and what came of it
//! pinned/<id>.json                            it is not to be forgotten
//! partial/<id>.json                           it was made of some components only
//! prunes/20261122T050000Z.json                volumes that the next prune may delete
//! probes/…                                    what a doctor wrote and could not delete
//! drills/20261122T060000Z.json                how the restore of a backup for practice went
//! erasures/20261122T031500Z-<id>.age          what was taken back for good since the last one
//! ```

use lifeboat_package::id::PackageId;

/// The file that makes a place a vault.
pub const VAULT: &str = "vault.json";
/// The file that says of which server it is.
pub const OWNER: &str = "owner.json";
/// The folder of packages.
pub const PACKAGES: &str = "packages/";
/// The folder of what was forgotten.
pub const FORGOTTEN: &str = "forgotten/";
/// The folder of what was verified.
pub const VERIFIED: &str = "verified/";
/// The folder of what is pinned.
pub const PINNED: &str = "pinned/";
/// The folder of what was made of some components only: who has no key must know as well.
pub const PARTIAL: &str = "partial/";
/// The folder of what is to be pruned.
pub const PRUNES: &str = "prunes/";
/// The folder of what drills found.
pub const DRILLS: &str = "drills/";

/// The folder of what was taken back for good.
pub const ERASURES: &str = "erasures/";

/// The folder of what a doctor tries to write.
pub const PROBES: &str = "probes/";

/// The folder of a backup: when it was begun, and its id.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Folder(String);

impl Folder {
    /// The folder of the package `id`, begun at `stamp`.
    pub fn of(stamp: &str, id: &PackageId) -> Self {
        Self(format!("{stamp}-{id}"))
    }

    /// Reads a folder's name.
    pub fn parse(name: &str) -> Option<Self> {
        let (stamp, id) = name.split_once('-')?;
        let is_stamp = stamp.len() == 16 && stamp.is_ascii();
        (is_stamp && PackageId::parse(id).is_ok()).then(|| Self(name.to_owned()))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// When it was begun: `20261122T031500Z`.
    pub fn stamp(&self) -> &str {
        self.0.split_once('-').map_or("", |(stamp, _)| stamp)
    }

    /// The package.
    ///
    /// # Panics
    /// Never: the name was checked.
    pub fn id(&self) -> PackageId {
        let id = self.0.split_once('-').and_then(|(_, id)| PackageId::parse(id).ok());
        id.unwrap_or_else(|| PackageId::from_bytes([0; 16]))
    }

    /// The name in the vault of one of its files.
    pub fn file(&self, name: &str) -> String {
        format!("{PACKAGES}{}/{name}", self.0)
    }
}

/// `20261122T031500Z` for seconds since 1970.
pub fn stamp(seconds: i64) -> String {
    let time = jiff::Timestamp::from_second(seconds).unwrap_or_default();
    time.strftime("%Y%m%dT%H%M%SZ").to_string()
}

/// The seconds since 1970 of a stamp.
pub fn seconds_of(stamp: &str) -> Option<i64> {
    let time = jiff::civil::DateTime::strptime("%Y%m%dT%H%M%SZ", stamp).ok()?;
    Some(time.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp().as_second())
}

/// RFC 3339 for a stamp, or the stamp itself.
pub fn shown(stamp: &str) -> String {
    let time = seconds_of(stamp).and_then(|at| jiff::Timestamp::from_second(at).ok());
    time.map_or_else(|| stamp.to_owned(), |time| time.to_string())
}

/// RFC 3339 in UTC for seconds since 1970.
pub fn at(seconds: i64) -> String {
    jiff::Timestamp::from_second(seconds).unwrap_or_default().to_string()
}

/// The seconds since 1970 of an RFC 3339 text.
pub fn seconds_at(text: &str) -> Option<i64> {
    text.parse::<jiff::Timestamp>().ok().map(jiff::Timestamp::as_second)
}

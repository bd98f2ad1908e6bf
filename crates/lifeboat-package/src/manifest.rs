//! The manifest: what a package holds, where, and what is missing (`docs/src/format.md` §6).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::backup::{Component, Group};
use crate::canonical::{self, CanonicalError};
use crate::contents::{BorrowedFile, Contents};
use crate::digest::Digest;
use crate::flow::Gap;
use crate::frame::{CompressError, FrameError, compress, decompress};
use crate::header::{Header, unknown_feature};
use crate::id::{PackageId, PartPath, Section};
use crate::limits::MANIFEST_RAW_BYTES;
use crate::selection::Selection;
use crate::version;

/// The name of the sealed file.
pub const MANIFEST_NAME: &str = "manifest.sealed";
/// What keeps a signed manifest from being taken for an event or a request.
pub const MANIFEST_TYPE: &str = "org.lifeboat.manifest";
/// How many gaps the manifest itself shows.
pub const FIRST_GAPS: usize = 100;

/// The table of contents of a package.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// Always [`MANIFEST_TYPE`].
    #[serde(rename = "type")]
    pub kind: String,
    /// The format version.
    pub version: String,
    /// The package.
    pub package: PackageId,
    /// Features a reader must know.
    pub critical: Vec<String>,
    /// Where it comes from.
    pub metadata: Origin,
    /// What was asked for.
    pub selection: Selection,
    /// The parts of each section.
    pub sections: Sections,
    /// The tables.
    pub tables: Vec<Table>,
    /// The volumes.
    pub volumes: Vec<Volume>,
    /// Volumes of other packages of the same vault: by package, then by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub borrowed: Vec<Borrowed>,
    /// The components of a backup.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub components: Vec<Component>,
    /// The groups of databases of a backup, each read at one instant.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<Group>,
    /// The instants at which the server was read.
    pub cuts: Vec<Cut>,
    /// What is missing.
    pub gaps: Gaps,
    /// Matrix signed JSON: server name → key id → signature.
    #[serde(default)]
    pub signatures: Map<String, Value>,
}

/// Where a package comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// The server's name.
    pub server_id: String,
    /// When it was made: RFC 3339, UTC.
    pub export_date: String,
    /// Whether anything was left out on purpose.
    pub export_type: ExportType,
    /// The program that made it, with its version.
    pub generator: String,
    /// Versions of what was read, for example `synapse` → `1.150.0`.
    pub source: BTreeMap<String, String>,
}

/// Whether anything was left out on purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ExportType {
    /// Nothing.
    Full,
    /// What the selection says.
    Partial,
    /// Whole components, in a vault.
    Backup,
}

/// The parts of each section.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Sections {
    /// Configuration.
    pub config: Vec<Part>,
    /// The server as a whole.
    pub server: Vec<Part>,
    /// Rooms.
    pub rooms: Vec<Part>,
    /// Users.
    pub users: Vec<Part>,
    /// Media.
    pub media: Vec<Part>,
    /// Components of a backup.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub backup: Vec<Part>,
}

impl Sections {
    /// The parts of `section`.
    pub fn get(&self, section: Section) -> &[Part] {
        match section {
            Section::Config => &self.config,
            Section::Server => &self.server,
            Section::Rooms => &self.rooms,
            Section::Users => &self.users,
            Section::Media => &self.media,
            Section::Backup => &self.backup,
        }
    }

    /// The parts of `section`, to add to.
    pub const fn get_mut(&mut self, section: Section) -> &mut Vec<Part> {
        match section {
            Section::Config => &mut self.config,
            Section::Server => &mut self.server,
            Section::Rooms => &mut self.rooms,
            Section::Users => &mut self.users,
            Section::Media => &mut self.media,
            Section::Backup => &mut self.backup,
        }
    }

    /// All parts, section by section.
    pub fn all(&self) -> impl Iterator<Item = &Part> {
        Section::ALL.into_iter().flat_map(|section| self.get(section))
    }
}

/// A part that counts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// Its folder.
    pub part: PartPath,
    /// The cut it was read at.
    pub cut: u32,
    /// Records in its entries.
    pub records: u64,
    /// Raw bytes of its entries.
    pub bytes: u64,
    /// First id it holds; absent at the beginning.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// First id that it does not hold any more; absent at the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
}

/// A table of the server's database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Table {
    /// Its name.
    pub name: String,
    /// The section its rows are in.
    pub section: String,
    /// Name and type of each column.
    pub columns: Vec<(String, String)>,
    /// How many rows are in the package.
    pub rows: u64,
    /// What a restore does with them.
    pub policy: String,
}

impl Part {
    /// Whether a key, of a room or of media, lies in the range that it holds.
    pub fn may_hold(&self, key: &str) -> bool {
        self.from.as_deref().is_none_or(|from| from <= key)
            && self.to.as_deref().is_none_or(|to| key < to)
    }

    /// Whether it lists files of media, and not all there are.
    pub fn is_range_of_media(&self) -> bool {
        self.part.section == Section::Media && (self.from.is_some() || self.to.is_some())
    }

    /// Whether a range of media can hold the file with a key: a local media id, or `server/id`.
    /// Those are in order of servers first, and one server's name may begin another's.
    pub fn may_list(&self, key: &str) -> bool {
        fn order(key: &str) -> (&str, &str) {
            key.split_once('/').unwrap_or(("", key))
        }
        let (from, to) = (self.from.as_deref().map(order), self.to.as_deref().map(order));
        from.is_none_or(|from| from <= order(key)) && to.is_none_or(|to| order(key) < to)
    }
}

/// A volume.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Volume {
    /// The name of the sealed file.
    pub name: String,
    /// Its bytes.
    pub size: u64,
    /// Its SHA-256.
    pub sha256: Digest,
    /// How many entries it has, the index not counted.
    pub entries: u64,
    /// Where the index lies.
    pub index: Place,
    /// The parts that it holds entries of: who wants none of these need not read its index. `None`
    /// where the writer does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parts: Option<Vec<PartPath>>,
}

impl Volume {
    /// Whether it may hold entries of a part that `wanted` asks for.
    pub fn may_hold(&self, wanted: impl Fn(&PartPath) -> bool) -> bool {
        self.parts.as_ref().is_none_or(|parts| parts.iter().any(wanted))
    }

    /// Whether the file that was read, `found`, is what the manifest says of it.
    pub fn agrees_with(&self, found: &Self) -> bool {
        let parts = self.parts.clone().or_else(|| found.parts.clone());
        *found == Self { parts, ..self.clone() }
    }
}

/// A volume of another package of the same vault.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Borrowed {
    /// Whose it is.
    pub package: PackageId,
    /// What it is.
    pub volume: Volume,
}

/// Where an entry lies in a volume's plaintext.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// Offset of its first byte.
    pub offset: u64,
    /// Its bytes.
    pub length: u64,
    /// Its SHA-256.
    pub sha256: Digest,
}

/// An instant at which the server was read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cut {
    /// Its number, from 1.
    pub cut: u32,
    /// When: RFC 3339, UTC.
    pub opened_at: String,
    /// The database's snapshot.
    pub snapshot: String,
    /// The newest position of the event stream.
    pub position: i64,
    /// Rooms that changed between this cut and the next.
    pub changed_rooms: Vec<String>,
}

/// What is missing or was left out.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Gaps {
    /// How many.
    pub total: u64,
    /// How many of each kind.
    pub kinds: BTreeMap<String, u64>,
    /// The first of them, at most [`FIRST_GAPS`].
    pub first: Vec<Gap>,
}

impl Gaps {
    /// Counts one more.
    pub fn add(&mut self, gap: &Gap) {
        self.total = self.total.saturating_add(1);
        let count = self.kinds.entry(gap.kind.clone()).or_default();
        *count = count.saturating_add(1);
        if self.first.len() < FIRST_GAPS {
            self.first.push(gap.clone());
        }
    }
}

/// Why a manifest is refused.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// It cannot be decompressed.
    #[error("the manifest cannot be decompressed")]
    Frame(#[from] FrameError),
    /// It cannot be compressed.
    #[error("the manifest cannot be compressed")]
    Compress(#[from] CompressError),
    /// Not canonical JSON.
    #[error("the manifest is not canonical JSON")]
    Canonical(#[from] CanonicalError),
    /// Not the object it must be.
    #[error("the manifest is not one that this version reads")]
    Json(#[source] serde_json::Error),
    /// Larger than allowed.
    #[error("the manifest has {size} bytes, more than {MANIFEST_RAW_BYTES}")]
    TooLarge {
        /// Its bytes.
        size: usize,
    },
    /// A feature without which it must not be read.
    #[error("the package needs the feature {found:?}; use a Lifeboat that knows it")]
    Critical {
        /// What it asks for.
        found: String,
    },
    /// It contradicts itself.
    #[error("the manifest contradicts itself: {problem}")]
    Inconsistent {
        /// How.
        problem: String,
    },
    /// It is not of this package.
    #[error("the manifest does not belong to these files: {what} differs")]
    Differs {
        /// What.
        what: String,
    },
}

impl Manifest {
    /// A manifest of `package` that holds nothing yet.
    pub fn begin(package: &PackageId, metadata: Origin, selection: Selection) -> Self {
        Self {
            kind: MANIFEST_TYPE.to_owned(),
            version: version::WRITTEN.to_owned(),
            package: *package,
            critical: Vec::new(),
            metadata,
            selection,
            sections: Sections::default(),
            tables: Vec::new(),
            volumes: Vec::new(),
            borrowed: Vec::new(),
            components: Vec::new(),
            groups: Vec::new(),
            cuts: Vec::new(),
            gaps: Gaps::default(),
            signatures: Map::new(),
        }
    }

    /// Its canonical JSON, signatures included.
    ///
    /// # Errors
    /// [`ManifestError`] when it contradicts itself, holds a number that JSON cannot keep, or is
    /// too large.
    pub fn to_canonical(&self) -> Result<Vec<u8>, ManifestError> {
        self.check()?;
        let bytes = canonical::of(self)?;
        if bytes.len() > MANIFEST_RAW_BYTES {
            return Err(ManifestError::TooLarge { size: bytes.len() });
        }
        Ok(bytes)
    }

    /// The plaintext of `manifest.sealed`.
    ///
    /// # Errors
    /// As [`Self::to_canonical`].
    pub fn to_frame(&self) -> Result<Vec<u8>, ManifestError> {
        Ok(compress(&self.to_canonical()?, FRAME_LEVEL)?)
    }

    /// The bytes that signatures of this manifest are made over.
    ///
    /// # Errors
    /// As [`Self::to_canonical`].
    pub fn signing_bytes(&self) -> Result<Vec<u8>, ManifestError> {
        Ok(signing_bytes(&self.to_canonical()?)?)
    }

    /// Reads the canonical JSON of a manifest. Keys that this version does not know are skipped.
    ///
    /// # Errors
    /// [`ManifestError`] when it is not one, or asks for what this version does not know.
    pub fn parse(bytes: &[u8]) -> Result<Self, ManifestError> {
        if bytes.len() > MANIFEST_RAW_BYTES {
            return Err(ManifestError::TooLarge { size: bytes.len() });
        }
        canonical::check(bytes)?;
        let manifest: Self = serde_json::from_slice(bytes).map_err(ManifestError::Json)?;
        // Matrix leaves `unsigned` out of what is signed: nothing may hide there.
        if canonical::has(bytes, "unsigned")? {
            return Err(ManifestError::Inconsistent { problem: "it has `unsigned`".to_owned() });
        }
        if let Some(found) = unknown_feature(&manifest.critical) {
            return Err(ManifestError::Critical { found: found.clone() });
        }
        manifest.check()?;
        Ok(manifest)
    }

    /// Reads the plaintext of `manifest.sealed`; also gives the JSON, which [`signing_bytes`] turns
    /// into what the signatures are to be checked over.
    ///
    /// # Errors
    /// As [`Self::parse`], and [`ManifestError::Frame`].
    pub fn from_frame(frame: &[u8]) -> Result<(Self, Vec<u8>), ManifestError> {
        let bytes = decompress(frame, MANIFEST_RAW_BYTES)?;
        Ok((Self::parse(&bytes)?, bytes))
    }

    /// Checks that this is the manifest of the package with this header and these files.
    ///
    /// # Errors
    /// [`ManifestError::Differs`] names the first difference.
    pub fn check_against(&self, header: &Header, seal: &Contents) -> Result<(), ManifestError> {
        let differs = |what: &str| Err(ManifestError::Differs { what: what.to_owned() });
        if self.package != *header.package() || self.package != seal.package {
            return differs("the package id");
        }
        if self.version != header.version() {
            return differs("the version");
        }
        if self.critical != header.critical() {
            return differs("what a reader must know");
        }
        if !header.is_backup() && !seal.borrowed.is_empty() {
            return differs("what is borrowed, which only a backup does,");
        }
        if self.volumes.len() != seal.volumes().len() {
            return differs("the number of volumes");
        }
        let borrowed = self.borrowed.iter().map(|Borrowed { package, volume }| BorrowedFile {
            name: volume.name.clone(),
            package: *package,
            sha256: volume.sha256,
            size: volume.size,
        });
        if !borrowed.eq(seal.borrowed.iter().cloned()) {
            return differs("what is borrowed");
        }
        for (volume, file) in self.volumes.iter().zip(seal.volumes()) {
            let is_same = volume.name == file.name
                && volume.size == file.size
                && volume.sha256 == file.sha256;
            if !is_same {
                return differs(&volume.name);
            }
        }
        Ok(())
    }
}

/// The bytes that the signatures in a manifest's canonical JSON are made over.
///
/// # Errors
/// [`CanonicalError`] when `json` is not canonical.
pub fn signing_bytes(json: &[u8]) -> Result<Vec<u8>, CanonicalError> {
    canonical::without(json, "signatures")
}

/// Made once for each package and read often.
const FRAME_LEVEL: i32 = 3;

mod check;

#[cfg(test)]
mod tests;

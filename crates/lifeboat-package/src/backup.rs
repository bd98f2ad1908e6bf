//! What a backup says of the components it holds (`docs/src/format.md` §11).
//!
//! The manifest has a few words on each component; the records of its part say where its rows and
//! files are. Content is named by its SHA-256 and found through the indexes of all volumes, own
//! and borrowed.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::id::PartPath;

/// Records of databases.
pub const DATABASES: &str = "databases";
/// Records of tables.
pub const TABLES: &str = "tables";
/// Records of the segments of tables.
pub const SEGMENTS: &str = "segments";
/// Records of files.
pub const FILES: &str = "files";
/// Records of the folders above trees of files and databases of `SQLite`: as those of files, each
/// the root of a tree of its own.
pub const ABOVE: &str = "above";

/// A component, as the manifest shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Component {
    /// What the operator calls it.
    pub name: String,
    /// Its kind, for example `synapse`.
    pub kind: String,
    /// Where its records are.
    pub parts: Vec<PartPath>,
    /// Its databases.
    pub databases: Vec<Database>,
    /// How many files.
    pub files: u64,
    /// Bytes of its files.
    pub file_bytes: u64,
    /// Bytes of rows and files that the vault did not have before.
    pub new_bytes: u64,
}

/// A database, as the manifest shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Database {
    /// What the component calls it.
    pub name: String,
    /// `postgresql` or `sqlite`.
    pub engine: String,
    /// The server's version.
    pub version: String,
    /// The group it was cut with, from 1.
    pub group: u32,
    /// Tables.
    pub tables: u64,
    /// Rows.
    pub rows: u64,
    /// Bytes of its rows before compression.
    pub bytes: u64,
}

/// Databases that were cut at one instant, and the proof.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Group {
    /// Its number, from 1.
    pub group: u32,
    /// `alone`, `snapshot-equality`, `barrier`, `skew`, or `online-copy` for SQLite.
    pub method: String,
    /// How many tries it took.
    pub tries: u64,
    /// Microseconds between the first and the last snapshot.
    pub window_micros: u64,
    /// When: RFC 3339, UTC.
    pub opened_at: String,
    /// Its databases.
    pub members: Vec<Member>,
}

/// A database of a group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// The component.
    pub component: String,
    /// The component's name for the database.
    pub database: String,
    /// `pg_current_snapshot()`, empty for SQLite.
    pub snapshot: String,
}

/// A database with its schema.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DatabaseRecord {
    /// The component's name for it.
    pub database: String,
    /// `postgresql` or `sqlite`.
    pub engine: String,
    /// What the server said of it: version, encoding, collation, extensions, roles.
    pub facts: serde_json::Value,
    /// The SQL before the rows.
    pub pre_data: Option<Content>,
    /// The SQL after the rows.
    pub post_data: Option<Content>,
    /// The SQL that says who owns what and who may do what; absent in backups made before it was
    /// kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rights: Option<Content>,
    /// Sequences, read after the snapshot.
    pub sequences: serde_json::Value,
    /// The whole database, for SQLite.
    pub file: Option<Content>,
}

/// A table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableRecord {
    /// The component's name for its database.
    pub database: String,
    /// Its schema.
    pub schema: String,
    /// Its name.
    pub table: String,
    /// Its columns, and what else it takes to copy its rows back.
    pub shape: serde_json::Value,
    /// Rows.
    pub rows: u64,
    /// Bytes of its segments before compression.
    pub bytes: u64,
    /// How many segments.
    pub segments: u64,
}

/// A stretch of a table's rows: a whole `COPY … (FORMAT binary)` file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SegmentRecord {
    /// The component's name for its database.
    pub database: String,
    /// The schema of its table.
    pub schema: String,
    /// Its table.
    pub table: String,
    /// Its number within the table, from 1.
    pub number: u64,
    /// Rows.
    pub rows: u64,
    /// Bytes before compression.
    pub bytes: u64,
    /// Where it is.
    pub content: Content,
}

/// A file, folder or link.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileRecord {
    /// What the tree is to the component: `config`, `secrets`, `data`, `media`, ….
    pub role: String,
    /// The root of its tree, as it was on the machine.
    pub root: String,
    /// Its path below the root; empty for the root itself.
    pub path: String,
    /// The path's bytes in hexadecimal, where they are not UTF-8.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path_bytes: Option<String>,
    /// What it is.
    pub kind: FileKind,
    /// Permissions: the lowest twelve bits.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// When it was changed last: nanoseconds since 1970, UTC.
    pub modified: i64,
    /// Bytes of a file.
    pub size: u64,
    /// Where a file's content is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<Content>,
    /// The path, below the same root, of a file listed before that this is another name of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hard_link: Option<String>,
    /// Where a link points to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// The target's bytes in hexadecimal, where they are not UTF-8.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target_bytes: Option<String>,
    /// Extended attributes: name to value in hexadecimal.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub attributes: BTreeMap<String, String>,
    /// Whether the file had holes; a restore leaves runs of zeros out again.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub sparse: bool,
}

/// What a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FileKind {
    /// A regular file.
    File,
    /// A folder.
    Folder,
    /// A symbolic link.
    Link,
}

/// Where content is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Content {
    /// One blob (`media/sha256/…`), as it is.
    Blob(Digest),
    /// Segments (`segments/sha256/…`), one behind the other after decompression.
    Segments(Vec<Digest>),
}

impl Content {
    /// Every digest it names.
    pub fn digests(&self) -> &[Digest] {
        match self {
            Self::Blob(digest) => std::slice::from_ref(digest),
            Self::Segments(digests) => digests,
        }
    }
}

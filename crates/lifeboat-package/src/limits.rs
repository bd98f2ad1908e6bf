//! Every limit of the format, in one place (`docs/src/format.md` §9).

/// Raw bytes a record frame may hold; readers refuse more.
pub const FRAME_RAW_BYTES: usize = 16 << 20;
/// Raw bytes at which a writer closes a record frame: keeps memory flat, and zstd has enough to
/// work with.
pub const FRAME_TARGET_BYTES: usize = 2 << 20;
/// Bytes that a frame may make its reader look back.
pub const FRAME_WINDOW_BYTES: u64 = 8 << 20;
/// Bytes of one entry as stored, and of one piece of a blob.
pub const ENTRY_BYTES: usize = 16 << 20;
/// Bytes of a volume at which writers start the next, by default.
pub const VOLUME_TARGET_BYTES: u64 = 256 << 20;
/// Bytes of a sealed volume that readers accept.
pub const VOLUME_BYTES: u64 = 4 << 30;
/// Entries of a volume besides the index, so that the index fits into one entry.
pub const VOLUME_ENTRIES: usize = 100_000;
/// Raw bytes of a volume's index.
pub const INDEX_RAW_BYTES: usize = 64 << 20;
/// Bytes of a room id (Matrix specification, appendices, "Room IDs").
pub const ROOM_ID_BYTES: usize = 255;
/// Bytes of `header.json`.
pub const HEADER_BYTES: usize = 64 << 10;
/// Raw bytes of the manifest; also the bound of `seal.json`.
pub const MANIFEST_RAW_BYTES: usize = 64 << 20;
/// Bytes of `manifest.sealed`.
pub const MANIFEST_SEALED_BYTES: u64 = 66 << 20;
/// Bytes of `key.age`.
pub const KEY_FILE_BYTES: usize = 1 << 20;
/// Files a seal may name.
pub const SEAL_FILES: usize = 1_000_000;
/// Bytes of an entry path.
pub const PATH_BYTES: usize = 100;
/// How deep arrays and objects of canonical JSON may be nested.
pub const JSON_DEPTH: usize = 100;

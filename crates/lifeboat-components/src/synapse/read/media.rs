//! Media: the files that the database's rows name, checked against the rows, each content once.
//!
//! Files are write-once and are read after the cut, so a row without its file is a fault to name,
//! and a file without a row is no part of the cut.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::Mutex;

use lifeboat_package::digest::{Digest, Hasher};
use lifeboat_package::flow::{Batch, BlobPiece, FlowError, Gap, Sink};
use lifeboat_package::limits::ENTRY_BYTES;
use serde::{Deserialize, Serialize};
use tokio_postgres::Client;

use super::frames::Frames;
use super::referenced::{self, filter_condition};
use super::{ReadError, Reading};
use crate::postgres::PostgresError;
use crate::postgres::columns::literal;
use crate::synapse::media_path::{MediaFile, local_thumbnail, remote_thumbnail};
use crate::synapse::plan::{KeyRange, MediaOrigin, Work};

/// A file of the media store in the package's index (`docs/src/format.md` §7.4).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MediaRecord {
    /// Path below the media store.
    pub path: String,
    /// `local`, `local_thumbnail`, `remote`, `remote_thumbnail`, `url_cache`,
    /// `url_cache_thumbnail`.
    pub kind: String,
    /// The content's address.
    pub mxc: String,
    /// SHA-256 of the file, hexadecimal.
    pub sha256: String,
    /// Bytes.
    pub length: u64,
}

/// The kind of gap of a file that a row names and that is not there; its detail begins with the
/// `mxc://` address.
pub const MEDIA_MISSING: &str = "media-missing";

/// The blobs that are in the package, or on their way into it.
#[derive(Default)]
pub struct BlobSet {
    claimed: Mutex<HashSet<[u8; 32]>>,
    /// Pieces that an earlier run stored of blobs that are not whole yet, with the sum of each.
    pieces: Mutex<HashMap<([u8; 32], u32), Digest>>,
}

/// What finished volumes hold: whole blobs, and pieces (blob, number) with the sum of each.
#[derive(Debug, Default)]
pub struct KnownBlobs {
    /// Blobs.
    pub whole: Vec<[u8; 32]>,
    /// Pieces.
    pub pieces: Vec<(([u8; 32], u32), Digest)>,
}

impl BlobSet {
    /// Adds blobs that an earlier run finished.
    pub fn know(&self, known: KnownBlobs) {
        if let (Ok(mut claimed), Ok(mut pieces)) = (self.claimed.lock(), self.pieces.lock()) {
            claimed.extend(known.whole);
            pieces.extend(known.pieces);
        }
    }

    /// Whether a finished volume holds this piece with these bytes.
    fn holds(&self, blob: [u8; 32], piece: u32, bytes: &[u8]) -> bool {
        let known = self.pieces.lock().ok().and_then(|set| set.get(&(blob, piece)).copied());
        known.is_some_and(|sum| sum == Digest::of(bytes))
    }

    /// The blob did not come after all: the next who has it brings it.
    fn release(&self, sha256: [u8; 32]) {
        if let Ok(mut set) = self.claimed.lock() {
            set.remove(&sha256);
        }
    }

    /// Whether the caller is the first to bring this blob.
    fn claim(&self, sha256: [u8; 32]) -> bool {
        self.claimed.lock().is_ok_and(|mut set| set.insert(sha256))
    }
}

/// Which rows of the media tables: conditions on `media_id`, and on `media_origin` and `media_id`.
#[derive(Debug, Default)]
pub(super) struct Conditions {
    /// Of this server's media.
    pub local: Option<String>,
    /// Of other servers' media.
    pub remote: Option<String>,
}

/// Pours the index and the bytes of the media of a range.
///
/// # Errors
/// [`ReadError`] inside, or the sink's.
pub async fn pour_range(
    lane: &Client,
    reading: &Reading,
    (origin, range): (MediaOrigin, &KeyRange),
    sink: &mut dyn Sink,
) -> Result<(), FlowError> {
    let conditions = conditions(reading, (origin, range));
    pour_files(lane, reading, &conditions, sink).await
}

/// Which rows of the media tables a range is about.
fn conditions(reading: &Reading, (origin, range): (MediaOrigin, &KeyRange)) -> Conditions {
    let filter = &reading.selection.media_filter;
    match origin {
        MediaOrigin::Local if filter.is_open() => {
            Conditions { local: Some(range.condition("media_id")), remote: None }
        }
        MediaOrigin::Local => {
            let fits = filter_condition(filter, "user_id");
            let local = format!(
                "{} AND media_id IN (SELECT media_id FROM local_media_repository WHERE {fits})",
                range.condition("media_id")
            );
            Conditions { local: Some(local), remote: None }
        }
        MediaOrigin::Remote if filter.is_open() => {
            Conditions { local: None, remote: Some(in_pair_range(range)) }
        }
        MediaOrigin::Remote => {
            let fits = filter_condition(filter, "NULL::text");
            let remote = format!(
                "{} AND (media_origin, media_id) IN
                    (SELECT media_origin, media_id FROM remote_media_cache WHERE {fits})",
                in_pair_range(range)
            );
            Conditions { local: None, remote: Some(remote) }
        }
    }
}

/// Pours the index and the bytes of the media of some rows.
///
/// # Errors
/// [`ReadError`] inside, or the sink's.
pub(super) async fn pour_files(
    lane: &Client,
    reading: &Reading,
    conditions: &Conditions,
    sink: &mut dyn Sink,
) -> Result<(), FlowError> {
    let files = files(lane, reading, conditions).await.map_err(FlowError::new)?;
    let mut frames = Frames::new("index");
    for file in files {
        let path = reading.media_store.join(&file.path);
        match pour_file(&path, &file, reading, sink).await? {
            Poured::Whole { sha256, length } => {
                let sha256 = Digest::from_bytes(sha256).to_string();
                let MediaFile { path, kind, mxc, .. } = file;
                let record = MediaRecord { path, kind: kind.to_owned(), mxc, sha256, length };
                frames.serialize((None, &record), sink).await?;
            }
            Poured::Nothing(gap) => sink.accept(Batch::Gap(gap)).await?,
        }
    }
    frames.finish(sink).await
}

/// The files that the rows name, those that are to be taken.
async fn files(
    lane: &Client,
    reading: &Reading,
    conditions: &Conditions,
) -> Result<Vec<MediaFile>, PostgresError> {
    let mut files = Vec::new();
    if let Some(condition) = &conditions.local {
        files.extend(local_files(lane, reading, condition).await?);
    }
    if let Some(condition) = &conditions.remote {
        files.extend(remote_files(lane, condition).await?);
    }
    if !reading.selection.media_filter.thumbnails {
        files.retain(|file| !file.kind.ends_with("thumbnail"));
    }
    Ok(files)
}

/// The files of the media store that a part of an export takes.
///
/// # Errors
/// [`PostgresError`] when the server refuses or is lost.
pub async fn media_of(
    lane: &Client,
    reading: &Reading,
    work: &Work,
) -> Result<Vec<MediaFile>, PostgresError> {
    let conditions = match work {
        Work::Media { origin, range } => conditions(reading, (*origin, range)),
        Work::Referenced { users, rooms } => {
            referenced::conditions(lane, reading, (rooms, users)).await?
        }
        _ => return Ok(Vec::new()),
    };
    let mut files = files(lane, reading, &conditions).await?;
    files.retain(MediaFile::is_inside);
    Ok(files)
}

enum Poured {
    Whole { sha256: [u8; 32], length: u64 },
    Nothing(Gap),
}

async fn pour_file(
    path: &Path,
    file: &MediaFile,
    reading: &Reading,
    sink: &mut dyn Sink,
) -> Result<Poured, FlowError> {
    if !file.is_inside() {
        return Ok(Poured::Nothing(missing(file, "the row names no file of the media store")));
    }
    let length = match std::fs::symlink_metadata(path) {
        Ok(meta) if meta.is_file() => meta.len(),
        Ok(_) => return Ok(Poured::Nothing(missing(file, "it is not a regular file"))),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            return Ok(Poured::Nothing(missing(file, "the row is there, the file is not")));
        }
        Err(e) => return Ok(Poured::Nothing(missing(file, &format!("it cannot be read: {e}")))),
    };
    let (sha256, length) = if length <= ENTRY_BYTES as u64 {
        let (sha256, bytes) = match apart(path, read_file).await {
            Ok(read) => read,
            Err(e) => return Ok(Poured::Nothing(missing(file, &format!("cannot be read: {e}")))),
        };
        let length = bytes.len() as u64;
        if reading.blobs.claim(sha256) {
            sink.accept(Batch::Blob(BlobPiece { sha256, piece: None, bytes })).await?;
        }
        (sha256, length)
    } else {
        let (sha256, length) = match apart(path, hash_file).await {
            Ok(hashed) => hashed,
            Err(e) => return Ok(Poured::Nothing(missing(file, &format!("cannot be read: {e}")))),
        };
        if reading.blobs.claim(sha256) && !pour_pieces(path, sha256, &reading.blobs, sink).await? {
            reading.blobs.release(sha256);
            return Ok(Poured::Nothing(missing(file, "it changed while it was read")));
        }
        (sha256, length)
    };
    if let Some(gap) = damaged(file, length, &sha256) {
        sink.accept(Batch::Gap(gap)).await?;
    }
    Ok(Poured::Whole { sha256, length })
}

/// Sends a large file in pieces; false when its bytes are not those that were hashed.
async fn pour_pieces(
    path: &Path,
    sha256: [u8; 32],
    blobs: &BlobSet,
    sink: &mut dyn Sink,
) -> Result<bool, FlowError> {
    let fail = |source| FlowError::new(ReadError::Media { path: path.to_owned(), source });
    let mut from = std::fs::File::open(path).map_err(fail)?;
    let mut hasher = Hasher::new();
    for piece in 1.. {
        let mut bytes = Vec::with_capacity(ENTRY_BYTES);
        let limit = ENTRY_BYTES as u64;
        std::io::Read::read_to_end(&mut std::io::Read::take(&mut from, limit), &mut bytes)
            .map_err(fail)?;
        if bytes.is_empty() {
            break;
        }
        hasher.update(&bytes);
        if blobs.holds(sha256, piece, &bytes) {
            continue;
        }
        sink.accept(Batch::Blob(BlobPiece { sha256, piece: Some(piece), bytes })).await?;
    }
    Ok(*hasher.finish().as_bytes() == sha256)
}

/// Reads and hashes on a thread of its own, so that lanes do so side by side.
async fn apart<T: Send + 'static>(
    path: &Path,
    work: fn(&Path) -> std::io::Result<T>,
) -> std::io::Result<T> {
    let path = path.to_owned();
    let done = tokio::task::spawn_blocking(move || work(&path)).await;
    done.map_err(std::io::Error::other)?
}

fn read_file(path: &Path) -> std::io::Result<([u8; 32], Vec<u8>)> {
    let bytes = std::fs::read(path)?;
    Ok((*Digest::of(&bytes).as_bytes(), bytes))
}

fn hash_file(path: &Path) -> std::io::Result<([u8; 32], u64)> {
    let mut from = std::fs::File::open(path)?;
    let mut hasher = Hasher::new();
    let mut buffer = vec![0; 1 << 20];
    let mut length = 0;
    loop {
        let read = std::io::Read::read(&mut from, &mut buffer)?;
        if read == 0 {
            return Ok((*hasher.finish().as_bytes(), length));
        }
        hasher.update(buffer.get(..read).unwrap_or_default());
        length += read as u64;
    }
}

fn missing(file: &MediaFile, detail: &str) -> Gap {
    let is_thumbnail = file.kind.ends_with("thumbnail");
    Gap {
        kind: if is_thumbnail { "media-thumbnail-missing" } else { MEDIA_MISSING }.to_owned(),
        object: file.path.clone(),
        detail: format!("{} ({detail})", file.mxc),
        remedy: "look for the file in other backups or in the media storage provider".to_owned(),
    }
}

fn damaged(file: &MediaFile, length: u64, sha256: &[u8; 32]) -> Option<Gap> {
    let detail = match (&file.length, &file.sha256) {
        (Some(expected), _) if *expected != length => {
            format!("{}: {length} bytes, the database says {expected}", file.mxc)
        }
        (_, Some(expected)) if *expected != Digest::from_bytes(*sha256).to_string() => {
            format!("{}: its SHA-256 is not the one in the database", file.mxc)
        }
        _ => return None,
    };
    Some(Gap {
        kind: "media-damaged".to_owned(),
        object: file.path.clone(),
        detail,
        remedy: "the file was exported as it is; look for a better copy".to_owned(),
    })
}

async fn local_files(
    lane: &Client,
    reading: &Reading,
    of_range: &str,
) -> Result<Vec<MediaFile>, PostgresError> {
    let doing = |e| PostgresError::sorted("read the list of media", e);
    // A row without a length was created and never uploaded: there is no file to miss.
    let query = format!(
        "SELECT coalesce(media_id, ''), media_length::bigint, url_cache IS NOT NULL, {}
         FROM local_media_repository
         WHERE media_length IS NOT NULL AND {of_range} ORDER BY media_id",
        sha256_column(lane, "local_media_repository").await?
    );
    let server = reading.config.server_name.as_str();
    let mut files = Vec::new();
    let mut previews = HashSet::new();
    for row in lane.query(query.as_str(), &[]).await.map_err(doing)? {
        let (id, preview): (&str, bool) = (row.get(0), row.get(2));
        if preview {
            previews.insert(id.to_owned());
        }
        let length = row.get::<_, Option<i64>>(1).map(i64::unsigned_abs);
        files.push(MediaFile::local(server, id, preview).expecting(length, row.get(3)));
    }
    let query = format!(
        "SELECT coalesce(media_id, ''), thumbnail_width, thumbnail_height, thumbnail_type,
                thumbnail_method, thumbnail_length::bigint
         FROM local_media_repository_thumbnails WHERE {of_range}
         ORDER BY media_id, thumbnail_width, thumbnail_height"
    );
    for row in lane.query(query.as_str(), &[]).await.map_err(doing)? {
        let id: &str = row.get(0);
        let file = local_thumbnail(server, id, previews.contains(id), &thumbnail_name(&row, 1));
        let length = row.get::<_, Option<i64>>(5).map(i64::unsigned_abs);
        files.push(file.expecting(length, None));
    }
    Ok(files)
}

async fn remote_files(lane: &Client, of_range: &str) -> Result<Vec<MediaFile>, PostgresError> {
    let doing = |e| PostgresError::sorted("read the list of remote media", e);
    let query = format!(
        "SELECT coalesce(media_origin, ''), coalesce(media_id, ''), coalesce(filesystem_id, ''),
                media_length::bigint, {}
         FROM remote_media_cache WHERE {of_range} ORDER BY media_origin, media_id",
        sha256_column(lane, "remote_media_cache").await?
    );
    let mut files = Vec::new();
    for row in lane.query(query.as_str(), &[]).await.map_err(doing)? {
        let length = row.get::<_, Option<i64>>(3).map(i64::unsigned_abs);
        let file = MediaFile::remote(row.get(0), row.get(1), row.get(2));
        files.push(file.expecting(length, row.get(4)));
    }
    let query = format!(
        "SELECT coalesce(media_origin, ''), coalesce(media_id, ''), thumbnail_width,
                thumbnail_height, thumbnail_type, thumbnail_method, thumbnail_length::bigint,
                coalesce(filesystem_id, '')
         FROM remote_media_cache_thumbnails WHERE {of_range}
         ORDER BY media_origin, media_id, thumbnail_width, thumbnail_height"
    );
    for row in lane.query(query.as_str(), &[]).await.map_err(doing)? {
        let name = thumbnail_name(&row, 2);
        let file = remote_thumbnail(row.get(0), row.get(1), row.get(7), &name);
        let length = row.get::<_, Option<i64>>(6).map(i64::unsigned_abs);
        files.push(file.expecting(length, None));
    }
    Ok(files)
}

/// The condition that origin and media id lie in a range of `origin/id` keys: a comparison of rows,
/// which the unique index of the pair serves.
fn in_pair_range(range: &KeyRange) -> String {
    let side = |key: &Option<String>, operator: &str| {
        let (origin, id) = key.as_ref()?.split_once('/')?;
        let (origin, id) = (literal(origin), literal(id));
        Some(format!("(media_origin, media_id) {operator} ({origin}, {id})"))
    };
    let sides = [side(&range.from, ">="), side(&range.to, "<")];
    let sides: Vec<String> = sides.into_iter().flatten().collect();
    if sides.is_empty() { "true".to_owned() } else { sides.join(" AND ") }
}

/// Before schema 91 the table has no hash.
async fn sha256_column(lane: &Client, table: &str) -> Result<&'static str, PostgresError> {
    let has = lane
        .query_one(
            "SELECT EXISTS (SELECT FROM pg_attribute WHERE attrelid = to_regclass($1)
             AND attname = 'sha256' AND NOT attisdropped)",
            &[&table],
        )
        .await
        .map_err(|e| PostgresError::sorted("read the columns of the media tables", e))?;
    Ok(if has.get(0) { "sha256" } else { "NULL::text" })
}

/// `<width>-<height>-<type>-<method>`, as Synapse names a thumbnail's file.
fn thumbnail_name(row: &tokio_postgres::Row, at: usize) -> String {
    let (width, height): (Option<i32>, Option<i32>) = (row.get(at), row.get(at + 1));
    let (kind, method): (Option<&str>, Option<&str>) = (row.get(at + 2), row.get(at + 3));
    format!(
        "{}-{}-{}-{}",
        width.unwrap_or_default(),
        height.unwrap_or_default(),
        kind.unwrap_or_default().replace('/', "-"),
        method.unwrap_or_default()
    )
}

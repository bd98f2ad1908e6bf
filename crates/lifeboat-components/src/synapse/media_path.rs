//! Where Synapse keeps a media file below its media store. Pure.

/// The folders of a media store.
pub const FOLDERS: [&str; 6] = [
    "local_content",
    "local_thumbnails",
    "remote_content",
    "remote_thumbnail",
    "url_cache",
    "url_cache_thumbnails",
];

/// A file that a row of the database names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MediaFile {
    /// Path below the media store, with `/`.
    pub path: String,
    /// What it is; see `docs/src/format.md` §7.4.
    pub kind: &'static str,
    /// The content's address.
    pub mxc: String,
    /// Bytes, as the row says.
    pub length: Option<u64>,
    /// SHA-256 in hexadecimal, as the row says.
    pub sha256: Option<String>,
}

impl MediaFile {
    fn new(path: String, kind: &'static str, mxc: String) -> Self {
        Self { path, kind, mxc, length: None, sha256: None }
    }

    /// An upload, or the picture of a link preview.
    pub fn local(server: &str, media_id: &str, preview: bool) -> Self {
        let (folder, kind) =
            if preview { ("url_cache", "url_cache") } else { ("local_content", "local") };
        Self::new(format!("{folder}/{}", split(media_id, preview)), kind, mxc(server, media_id))
    }

    /// A file fetched from another server.
    pub fn remote(origin: &str, media_id: &str, filesystem_id: &str) -> Self {
        let path = format!("remote_content/{origin}/{}", split(filesystem_id, false));
        Self::new(path, "remote", mxc(origin, media_id))
    }

    /// Whether the path stays below the media store, whatever ids the row has.
    pub fn is_inside(&self) -> bool {
        let is_name = |part: &str| !matches!(part, "" | "." | "..") && !part.contains('\0');
        self.path.split('/').all(is_name)
    }

    /// With what the row says of it.
    #[must_use]
    pub fn expecting(mut self, length: Option<u64>, sha256: Option<String>) -> Self {
        (self.length, self.sha256) = (length, sha256);
        self
    }
}

/// A thumbnail of an upload or of the picture of a link preview.
pub fn local_thumbnail(server: &str, media_id: &str, preview: bool, name: &str) -> MediaFile {
    let (folder, kind) = if preview {
        ("url_cache_thumbnails", "url_cache_thumbnail")
    } else {
        ("local_thumbnails", "local_thumbnail")
    };
    let path = format!("{folder}/{}/{name}", split(media_id, preview));
    MediaFile::new(path, kind, mxc(server, media_id))
}

/// A thumbnail of a file fetched from another server.
pub fn remote_thumbnail(
    origin: &str,
    media_id: &str,
    filesystem_id: &str,
    name: &str,
) -> MediaFile {
    let path = format!("remote_thumbnail/{origin}/{}/{name}", split(filesystem_id, false));
    MediaFile::new(path, "remote_thumbnail", mxc(origin, media_id))
}

fn mxc(server: &str, media_id: &str) -> String {
    format!("mxc://{server}/{media_id}")
}

/// `abcdEFG` → `ab/cd/EFG`; for previews `2026-11-21_EFG` → `2026-11-21/EFG`.
fn split(id: &str, preview: bool) -> String {
    if preview && is_dated(id) {
        let (date, rest) = (id.get(..10).unwrap_or(id), id.get(11..).unwrap_or_default());
        return format!("{date}/{rest}");
    }
    match (id.get(..2), id.get(2..4), id.get(4..)) {
        (Some(first), Some(second), Some(rest)) => format!("{first}/{second}/{rest}"),
        _ => id.to_owned(),
    }
}

fn is_dated(id: &str) -> bool {
    id.len() > 11
        && id.bytes().take(10).enumerate().all(|(at, byte)| match at {
            4 | 7 => byte == b'-',
            _ => byte.is_ascii_digit(),
        })
}

#[cfg(test)]
mod tests;

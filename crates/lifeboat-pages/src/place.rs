//! Names of files and folders in the archive, from what people wrote: a few harmless characters,
//! and never a file that a browser would run.

/// Characters of a name.
const NAME_CHARS: usize = 60;

/// Endings that open as what they say and run nothing.
const HARMLESS: &[&str] = &[
    "7z", "aac", "avif", "bmp", "bz2", "csv", "doc", "docx", "epub", "flac", "gif", "gz", "heic",
    "ics", "jpeg", "jpg", "json", "log", "m4a", "md", "mkv", "mov", "mp3", "mp4", "odp", "ods",
    "odt", "oga", "ogg", "ogv", "opus", "pdf", "png", "ppt", "pptx", "rtf", "tar", "tif", "tiff",
    "txt", "vcf", "wav", "weba", "webm", "webp", "xls", "xlsx", "xz", "zip", "zst",
];

/// Endings of pictures that browsers show.
const PICTURES: &[&str] = &["avif", "bmp", "gif", "jpeg", "jpg", "png", "webp"];

/// Endings of sounds that browsers play.
const SOUNDS: &[&str] = &["aac", "flac", "m4a", "mp3", "oga", "ogg", "opus", "wav", "weba"];

/// What a file is, by its ending.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileKind {
    /// Shown on the page.
    Picture,
    /// Played on the page.
    Sound,
    /// Linked.
    Other,
}

impl FileKind {
    /// By the ending of a file name.
    pub fn of(name: &str) -> Self {
        match ending(name).unwrap_or_default().as_str() {
            ending if PICTURES.contains(&ending) => Self::Picture,
            ending if SOUNDS.contains(&ending) => Self::Sound,
            _ => Self::Other,
        }
    }
}

/// A word for a folder: lower-case letters, digits and single dashes; may be empty.
pub fn slug(text: &str) -> String {
    let mut slug = String::new();
    for c in text.chars() {
        if c.is_ascii_alphanumeric() {
            slug.push(c.to_ascii_lowercase());
        } else if !slug.ends_with('-') && !slug.is_empty() {
            slug.push('-');
        }
        if slug.len() >= NAME_CHARS / 2 {
            break;
        }
    }
    slug.trim_end_matches('-').to_owned()
}

/// The name of a media file: `mark` keeps it apart from others, the rest is told by the sender's
/// name for it. An ending that browsers might run gets `.bin` behind it.
pub fn file_name(mark: &str, told: &str, media_type: Option<&str>) -> String {
    let told = told.rsplit(['/', '\\']).next().unwrap_or_default();
    let found = ending(told).or_else(|| media_type.and_then(ending_of_type).map(str::to_owned));
    let stem = match told.rsplit_once('.') {
        Some((stem, _)) if ending(told).is_some() => stem,
        _ => told,
    };
    let stem = slug(stem);
    let stem = if stem.is_empty() { "file".to_owned() } else { stem };
    match found {
        Some(ending) if HARMLESS.contains(&ending.as_str()) => format!("{mark}-{stem}.{ending}"),
        Some(ending) => format!("{mark}-{stem}.{ending}.bin"),
        None => format!("{mark}-{stem}.bin"),
    }
}

/// The ending of a name in lower case: up to eight letters and digits.
fn ending(name: &str) -> Option<String> {
    let (_, ending) = name.rsplit_once('.')?;
    let fits = (1..=8).contains(&ending.len()) && ending.bytes().all(|b| b.is_ascii_alphanumeric());
    fits.then(|| ending.to_ascii_lowercase())
}

fn ending_of_type(media_type: &str) -> Option<&'static str> {
    Some(match media_type {
        "image/png" => "png",
        "image/jpeg" => "jpg",
        "image/gif" => "gif",
        "image/webp" => "webp",
        "image/avif" => "avif",
        "video/mp4" => "mp4",
        "video/webm" => "webm",
        "audio/ogg" => "ogg",
        "audio/mpeg" => "mp3",
        "audio/mp4" => "m4a",
        "audio/webm" => "weba",
        "audio/wav" => "wav",
        "application/pdf" => "pdf",
        "text/plain" => "txt",
        _ => return None,
    })
}

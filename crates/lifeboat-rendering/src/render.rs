//! Render: a readable archive for people who will never see JSON, as HTML, text or CSV.
//!
//! The events of one part are in memory at a time, since rooms are mixed within a part: those of
//! small rooms together, or of one large room; with them the lists of rooms, names and media files.
//! Files of the package's media are copied beside the pages. What was decrypted is in what
//! is written and nowhere else.

pub mod known;
mod rooms;
mod shelf;
mod write;

use std::path::Path;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use lifeboat_components::synapse::archive;
use lifeboat_package::id::Section;
use lifeboat_package::selection::Selection;
use lifeboat_pages::date::Calendar;
use lifeboat_pages::html::Site;
use lifeboat_storage::Access;
use serde::Serialize;
use zeroize::Zeroizing;

use known::Lists;
use lifeboat_engine::context::{Context, Unit};
use lifeboat_engine::failure::Failure;
use lifeboat_engine::keyring::Identities;
use lifeboat_engine::reader::picked;
use lifeboat_engine::reader::{Package, damaged};
use lifeboat_engine::roomkeys::{RoomKeys, is_session_file};
use lifeboat_engine::unpack::make_fresh;
use rooms::{Gathered, Rooms};
use shelf::Shelf;
use write::Writer;

/// How the archive is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Pages for a browser.
    Html,
    /// One table a room.
    Csv,
    /// One text a room.
    Text,
}

/// What opens encrypted messages.
pub enum KeyFile {
    /// Sessions from a file that a client exported.
    Sessions(RoomKeys),
    /// The recovery key of the backup in the package.
    Recovery(Zeroizing<String>),
}

impl KeyFile {
    /// Whether a text needs a passphrase to be read.
    pub fn needs_passphrase(text: &str) -> bool {
        is_session_file(text)
    }

    /// Reads a file of keys: sessions with their passphrase, or without one a recovery key.
    ///
    /// # Errors
    /// [`Failure`] when it is damaged or the passphrase does not fit.
    pub fn read(text: &str, passphrase: Option<&str>) -> Result<Self, Failure> {
        let Some(passphrase) = passphrase else {
            let line = text.lines().next().unwrap_or_default();
            return Ok(Self::Recovery(Zeroizing::new(line.to_owned())));
        };
        let keys = RoomKeys::from_session_file(text, passphrase).map_err(known::refused)?;
        Ok(Self::Sessions(keys))
    }
}

/// What to render and how.
pub struct RenderRequest<'a> {
    /// File, folder or bucket.
    pub package: &'a str,
    /// Where to, new or empty.
    pub folder: &'a Path,
    /// Which rooms and events.
    pub selection: Selection,
    /// How.
    pub format: Format,
    /// The time zone of all dates.
    pub zone: TimeZone,
    /// Whether media files come along.
    pub with_media: bool,
    /// What opens encrypted messages.
    pub keys: Option<KeyFile>,
}

/// What was written.
#[derive(Debug, Clone, Default, Serialize)]
pub struct RenderOutcome {
    /// Package id.
    pub package: String,
    /// Where.
    pub folder: String,
    /// Rooms.
    pub rooms: u64,
    /// Files with text: pages, tables or texts.
    pub pages: u64,
    /// Events shown.
    pub events: u64,
    /// Events that were decrypted.
    pub decrypted: u64,
    /// Events shown as encrypted, because no key opened them.
    pub encrypted: u64,
    /// Events shown by their id alone, because what is stored of them cannot be read.
    pub unreadable: u64,
    /// Media files copied.
    pub media_files: u64,
    /// Files that messages name and the package does not hold, or that do not fit their key.
    pub media_missing: u64,
    /// Bytes written.
    pub bytes: u64,
    /// Gaps the export named.
    pub gaps: u64,
    /// Whether keys were given.
    pub with_keys: bool,
}

impl RenderOutcome {
    /// Whether something is missing that was asked for.
    pub fn has_gaps(&self) -> bool {
        let sealed = self.with_keys && self.encrypted > 0;
        self.gaps > 0 || self.media_missing > 0 || self.unreadable > 0 || sealed
    }
}

/// Renders a package into a new or empty folder.
///
/// # Errors
/// [`Failure`] when the package is damaged, the selection or the keys fit nothing, or the folder
/// cannot be written; nothing is left there.
pub async fn render(
    cx: &Context,
    request: RenderRequest<'_>,
    identities: &Identities,
    access: &Access,
) -> Result<RenderOutcome, Failure> {
    let package = Package::open(request.package, identities, access).await?;
    let entries = picked::entries(&package, &request.selection).await?;
    let mut picked = picked::pick(&package, &entries, &request.selection).await?;
    let lists = Lists::read(&package, &mut picked).await?;
    let with_keys = request.keys.is_some();
    let keys = known::open(cx, &package, &entries, request.keys).await?;
    let fresh = make_fresh(cx, request.folder)?;
    let manifest = &package.manifest;
    let outcome = RenderOutcome {
        package: manifest.package.to_string(),
        folder: request.folder.display().to_string(),
        gaps: manifest.gaps.total,
        with_keys,
        ..RenderOutcome::default()
    };
    let exported: Option<Timestamp> = manifest.metadata.export_date.parse().ok();
    let site = Site {
        server: manifest.metadata.server_id.clone(),
        exported: exported.map_or(0, Timestamp::as_millisecond),
        generator: cx.generator.clone(),
        calendar: Calendar::new(request.zone),
    };
    let shelf = Shelf::open(&package, request.with_media).await?;
    let (folder, format, cards) = (request.folder, request.format, Vec::new());
    let mut writer = Writer { cx, folder, format, site, lists, shelf, cards, outcome };
    let mut gathered = Gathered { selection: &request.selection, keys, rooms: Rooms::new() };
    let is_event =
        |(part, name): (Section, &str)| part == Section::Rooms && name == archive::EVENTS;
    let places: Vec<_> =
        picked.entries.iter().filter(|(part, name, _)| is_event((part.section, name))).collect();
    cx.stage("render", places.iter().map(|(_, _, place)| place.record.raw).sum(), Unit::Bytes);
    let mut part_before = None;
    for (part, _, place) in places {
        if part_before.replace(*part).is_some_and(|before| before != *part) {
            writer.rooms(gathered.take_all()).await?;
        }
        cx.go_on()?;
        let lines = package.content(place).await?;
        let broken = |e| damaged(place.record.path.as_str()).because(e);
        for line in lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            gathered.add(line, &writer).map_err(broken)?;
        }
        cx.advance(place.record.raw);
    }
    writer.rooms(gathered.take_all()).await?;
    let outcome = writer.finish().await?;
    fresh.keep();
    Ok(outcome)
}

//! What an export of a Synapse is made of: parts, in the order they are poured. Pure.
//!
//! Rooms go by ranges of room ids, so that a room is whole within one part and therefore of one
//! cut, and so that one room can be found again without reading the others. Tables that refer to
//! others come before those: then a later cut of the second can only hold more, and no row points
//! to nothing.

use std::collections::BTreeSet;

use lifeboat_package::id::Section;
use serde::{Deserialize, Serialize};

use super::choose::Chosen;
use super::layout::{Layout, Pour, StoredTable};
use crate::postgres::columns::literal;

/// Events after which a range of rooms is closed, at least and at most: about 20 to 100 MB of
/// records. Small ranges cost little when they are poured again, large ones spare the server
/// reading the same pages for several.
pub const RANGE_EVENTS: (u64, u64) = (20_000, 100_000);
/// Rooms after which a range is closed, however few events they have.
pub const RANGE_ROOMS: u64 = 2_000;
/// How many shelves a part has, about: each takes memory while a table is read.
const SHELVES: u64 = 24;
/// Events of a shelf, at least: so few compress badly alone.
const SHELF_EVENTS: u64 = 2_000;
/// Bytes of media after which a range is closed.
pub const RANGE_MEDIA_BYTES: u64 = 64 << 20;
/// Media files after which a range is closed.
pub const RANGE_MEDIA_FILES: u64 = 500;
/// Bytes of small tables that share a part.
pub const SHARED_TABLE_BYTES: u64 = 16 << 20;
/// Bytes of a table above which it is poured in slices.
pub const SLICE_BYTES: u64 = 64 << 20;
/// Bytes of a page of PostgreSQL, as it is built by default.
const PAGE_BYTES: u64 = 8192;

/// Keys from `from` (inclusive) to `to` (exclusive), in byte order; open where `None`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyRange {
    /// First key, or open.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub from: Option<String>,
    /// Key after the last, or open.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub to: Option<String>,
}

impl KeyRange {
    /// The SQL condition that `column` lies in the range.
    pub fn condition(&self, column: &str) -> String {
        let mut conditions = Vec::new();
        if let Some(from) = &self.from {
            conditions.push(format!("{column} >= {}", literal(from)));
        }
        if let Some(to) = &self.to {
            conditions.push(format!("{column} < {}", literal(to)));
        }
        if conditions.is_empty() { "true".to_owned() } else { conditions.join(" AND ") }
    }

    /// Whether the key lies in the range.
    pub fn holds(&self, key: &str) -> bool {
        self.from.as_deref().is_none_or(|from| from <= key)
            && self.to.as_deref().is_none_or(|to| key < to)
    }
}

/// Which media files a part holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MediaOrigin {
    /// Uploaded here, previews of links included.
    Local,
    /// Fetched from other servers.
    Remote,
}

/// What one part pours. A part is the unit of retry, progress and checkpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Work {
    /// Configuration files, settings and secrets.
    Config,
    /// The statements that rebuild the database's schema.
    Schema,
    /// Everything of the rooms of a range.
    Rooms(KeyRange),
    /// Chosen rooms of a range.
    Chosen {
        /// The range.
        range: KeyRange,
        /// Those of it that were chosen, in order.
        rooms: Vec<String>,
    },
    /// Chosen accounts, and the profiles of the members of chosen rooms.
    Accounts {
        /// Accounts.
        users: Vec<String>,
        /// Rooms.
        rooms: Vec<String>,
    },
    /// The media that chosen rooms and accounts need.
    Referenced {
        /// Accounts.
        users: Vec<String>,
        /// Rooms.
        rooms: Vec<String>,
    },
    /// Rows of room tables that belong to no event or state group that exists.
    Strays,
    /// Whole tables.
    Tables(Vec<String>),
    /// The pages of a table from `from_page` to before `to_page` (open at the end).
    Slice {
        /// Table.
        table: String,
        /// First page.
        from_page: u64,
        /// Page after the last.
        to_page: Option<u64>,
    },
    /// Media files, their index and their bytes.
    Media {
        /// Local or remote.
        origin: MediaOrigin,
        /// Range of media ids; for remote media of `server/id`.
        range: KeyRange,
    },
    /// The positions of the sequences: after every row.
    Sequences,
    /// The list of gaps: the last part.
    Gaps,
}

/// A part: its work and where it lies in the package.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// Section of the package.
    pub section: Section,
    /// Number within the package, from 1.
    pub number: u32,
    /// What it pours.
    pub work: Work,
    /// Expected raw bytes, for progress.
    pub weight: u64,
}

/// How many events a room has, in order of room id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoomSize {
    /// Room.
    pub room_id: String,
    /// Events.
    pub events: u64,
}

/// The ranges of rooms for so many lanes, none left out: the first is open below, the last above.
pub fn room_ranges(rooms: &[RoomSize], lanes: usize) -> Vec<(KeyRange, u64)> {
    let mut left: u64 = rooms.iter().map(|room| room.events).sum();
    let mut lanes = u64::try_from(lanes.max(1)).unwrap_or(1);
    let mut cuts = Vec::new();
    let (mut events, mut count) = (0, 0);
    for room in rooms {
        // What is left is shared anew each time, so that no small range is left over at the end.
        let share = left.div_ceil(lanes).clamp(RANGE_EVENTS.0, RANGE_EVENTS.1);
        let with = events + room.events;
        // With this room or without it: whichever comes nearer to a share.
        let full = with > share && with - share >= share.saturating_sub(events);
        if count > 0 && (full || count >= RANGE_ROOMS) {
            cuts.push((room.room_id.clone(), events));
            left -= events;
            lanes = lanes.saturating_sub(1).max(1);
            (events, count) = (0, 0);
        }
        events += room.events;
        count += 1;
    }
    close(cuts, events)
}

/// The rooms with which the shelves of a part begin, but for the first: neighbouring rooms lie
/// together, so that one can be read without the others.
pub fn shelf_cuts(rooms: &[RoomSize]) -> Vec<String> {
    let all: u64 = rooms.iter().map(|room| room.events).sum();
    let share = (all / SHELVES).max(SHELF_EVENTS);
    let mut cuts = Vec::new();
    let mut events = 0;
    for room in rooms {
        // A room that fills a shelf has it for itself.
        if events > 0 && events + room.events > share {
            cuts.push(room.room_id.clone());
            events = 0;
        }
        events += room.events;
    }
    cuts
}

/// The parts of a partial export, without the list of gaps.
pub fn chosen_parts(chosen: &Chosen, lanes: usize) -> Vec<(Section, Work, u64)> {
    let mut parts = Vec::new();
    let ids: Vec<String> = chosen.rooms.iter().map(|room| room.room_id.clone()).collect();
    if !ids.is_empty() {
        for (range, weight) in room_ranges(&chosen.rooms, lanes) {
            let rooms = ids.iter().filter(|room| range.holds(room)).cloned().collect();
            parts.push((Section::Rooms, Work::Chosen { range, rooms }, weight));
        }
    }
    let (users, rooms) = (chosen.users.clone(), ids.clone());
    parts.push((Section::Users, Work::Accounts { users, rooms }, 0));
    parts.push((Section::Media, Work::Referenced { users: chosen.users.clone(), rooms: ids }, 0));
    parts
}

/// Turns inner boundaries with the weight before each into ranges that cover everything.
fn close(cuts: Vec<(String, u64)>, last: u64) -> Vec<(KeyRange, u64)> {
    let mut ranges = Vec::with_capacity(cuts.len() + 1);
    let mut from = None;
    for (key, weight) in cuts {
        ranges.push((KeyRange { from: from.replace(key.clone()), to: Some(key) }, weight));
    }
    ranges.push((KeyRange { from, to: None }, last));
    ranges
}

/// The parts that pour the tables which do not go by room: referring tables first, small ones
/// together.
pub fn table_parts(layout: &Layout) -> Vec<(Section, Work, u64)> {
    let mut parts = Vec::new();
    let mut shared: Vec<(Section, Vec<String>, u64)> = Vec::new();
    for table in in_order(layout) {
        if table.bytes > SLICE_BYTES {
            slices(table, &mut parts);
            continue;
        }
        match shared.iter_mut().find(|(section, _, bytes)| {
            *section == table.section && bytes + table.bytes <= SHARED_TABLE_BYTES
        }) {
            Some((_, names, bytes)) => {
                names.push(table.name.clone());
                *bytes += table.bytes;
            }
            None => shared.push((table.section, vec![table.name.clone()], table.bytes)),
        }
    }
    let shared =
        shared.into_iter().map(|(section, names, bytes)| (section, Work::Tables(names), bytes));
    parts.extend(shared);
    parts
}

fn slices(table: &StoredTable, parts: &mut Vec<(Section, Work, u64)>) {
    let pages_each = SLICE_BYTES / PAGE_BYTES;
    // TOAST makes pages weigh more than they show; cut finer by that ratio.
    let ratio = (table.bytes / PAGE_BYTES).div_ceil(table.pages.max(1)).max(1);
    let step = (pages_each / ratio).max(1);
    let mut from_page = 0;
    loop {
        let next = from_page + step;
        let to_page = (next < table.pages).then_some(next);
        let work = Work::Slice { table: table.name.clone(), from_page, to_page };
        parts.push((table.section, work, SLICE_BYTES));
        if to_page.is_none() {
            return;
        }
        from_page = next;
    }
}

/// The tables that are poured whole, those that refer to others before the others.
fn in_order(layout: &Layout) -> Vec<&StoredTable> {
    let mut waiting: Vec<&StoredTable> =
        layout.tables().iter().filter(|table| table.pour == Pour::Whole).collect();
    let mut ordered = Vec::with_capacity(waiting.len());
    while !waiting.is_empty() {
        let referred: BTreeSet<&str> =
            waiting.iter().flat_map(|t| t.refers_to.iter().map(String::as_str)).collect();
        let (ready, rest): (Vec<_>, Vec<_>) =
            waiting.iter().copied().partition(|t| !referred.contains(t.name.as_str()));
        // A circle of references: nothing better than the order of names.
        let stuck = ready.is_empty();
        ordered.extend(if stuck { rest.clone() } else { ready });
        waiting = if stuck { Vec::new() } else { rest };
    }
    ordered
}

/// Ranges of media from keys in order with the bytes of each, one at a time.
#[derive(Default)]
pub struct MediaRanges {
    cuts: Vec<(String, u64)>,
    bytes: u64,
    files: u64,
}

impl MediaRanges {
    /// The next file.
    pub fn add(&mut self, key: &str, bytes: u64) {
        let full = self.bytes + bytes > RANGE_MEDIA_BYTES || self.files >= RANGE_MEDIA_FILES;
        if full && self.files > 0 {
            self.cuts.push((key.to_owned(), self.bytes));
            (self.bytes, self.files) = (0, 0);
        }
        self.bytes += bytes;
        self.files += 1;
    }

    /// The ranges; none when there was no file.
    pub fn finish(self) -> Vec<(KeyRange, u64)> {
        if self.files == 0 && self.cuts.is_empty() {
            return Vec::new();
        }
        close(self.cuts, self.bytes)
    }
}

#[cfg(test)]
mod tests;

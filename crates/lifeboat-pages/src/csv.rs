//! The archive as CSV (RFC 4180): one event a row.

use crate::date::Calendar;
use crate::event::{self, Seal};
use crate::html::{Files, RoomCard};
use crate::timeline::Timeline;
use crate::{say, tame};

/// The columns.
const COLUMNS: &[&str] = &[
    "time",
    "event_id",
    "sender",
    "name",
    "type",
    "text",
    "edited",
    "state",
    "answers",
    "thread",
    "reactions",
    "file",
];

/// The rows of a room, the names of the columns first.
pub fn room_csv(timeline: &Timeline, calendar: &Calendar, files: &Files) -> String {
    let mut csv = String::new();
    row(&mut csv, COLUMNS.iter().copied());
    for index in timeline.shown() {
        let Some(event) = timeline.event(index) else { continue };
        let is_gone = timeline.gone(index).is_some();
        let reactions = timeline.reactions(index).into_iter().flatten();
        let reactions = reactions.map(|(key, names)| format!("{key} {}", names.len()));
        let reactions: Vec<String> = reactions.collect();
        let wish = timeline.content(index).and_then(event::media);
        let edited = timeline.edit(index).filter(|_| !is_gone);
        row(
            &mut csv,
            [
                calendar.machine(event.sent).as_str(),
                &event.id,
                &event.sender,
                timeline.sender_name(index),
                &event.kind,
                &say::text(timeline, index),
                &edited.map(|edit| calendar.machine(edit.sent)).unwrap_or_default(),
                match event.seal {
                    _ if is_gone => "deleted",
                    Seal::Opened => "decrypted",
                    Seal::Unreadable => "unreadable",
                    Seal::None if event.is_sealed() => "encrypted",
                    Seal::None => "",
                },
                event.answers().unwrap_or_default(),
                event.related("m.thread").unwrap_or_default(),
                &reactions.join(", "),
                wish.and_then(|wish| files.get(&wish.mxc)).map_or("", String::as_str),
            ]
            .into_iter(),
        );
    }
    csv
}

/// The list of rooms.
pub fn rooms_csv(rooms: &[RoomCard], calendar: &Calendar) -> String {
    let mut csv = String::new();
    row(&mut csv, ["room", "name", "topic", "file", "events", "first", "last"].into_iter());
    for room in rooms {
        let (first, last) = room.range.unzip();
        let date = |ms: Option<i64>| ms.map(|ms| calendar.machine(ms)).unwrap_or_default();
        let cells = [
            room.id.as_str(),
            &room.name,
            room.topic.as_deref().unwrap_or_default(),
            &format!("rooms/{}.csv", room.folder),
            &room.shown.to_string(),
            &date(first),
            &date(last),
        ];
        row(&mut csv, cells.into_iter());
    }
    csv
}

/// One row.
fn row<'a>(csv: &mut String, cells: impl Iterator<Item = &'a str>) {
    for (at, text) in cells.enumerate() {
        if at > 0 {
            csv.push(',');
        }
        csv.push_str(&cell(text));
    }
    csv.push_str("\r\n");
}

/// A cell in quotes. What a spreadsheet would take for a formula gets a `'` before it.
fn cell(text: &str) -> String {
    let tame = tame::tame(text).replace('"', "\"\"");
    let is_formula = tame.starts_with(['=', '+', '-', '@', '\t']);
    let mark = if is_formula { "'" } else { "" };
    format!("\"{mark}{tame}\"")
}

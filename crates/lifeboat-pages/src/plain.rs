//! The archive as plain text: one event a line, or more where it says more; to read and to search.

use std::fmt::Write;

use crate::date::Calendar;
use crate::html::{Files, Pages};
use crate::timeline::Timeline;
use crate::{event, say, tame};

/// The text of a room. With `pages`, each event says in which file of the archive it stands;
/// `folder` is the room's.
pub fn room_text(
    timeline: &Timeline,
    calendar: &Calendar,
    files: &Files,
    pages: Option<(&Pages, &str)>,
) -> String {
    let mut text = String::new();
    for index in timeline.shown() {
        let Some(event) = timeline.event(index) else { continue };
        text.push_str(&calendar.moment(event.sent));
        text.push_str("  ");
        if !event.is_state() {
            text.push_str(timeline.sender_name(index));
            text.push_str(": ");
        }
        // The next lines of a message must not be taken for other messages.
        text.push_str(&say::text(timeline, index).replace('\n', "\n    "));
        if timeline.edit(index).is_some() && timeline.gone(index).is_none() {
            text.push_str(" (edited)");
        }
        let answered = event.answers().or_else(|| event.related("m.thread"));
        if let Some(answered) = answered.and_then(|id| timeline.find(id)) {
            text.push_str("\n    in reply to ");
            text.push_str(timeline.sender_name(answered));
            text.push_str(": ");
            text.push_str(&tame::line(&say::text(timeline, answered)));
        }
        for (key, names) in timeline.reactions(index).into_iter().flatten() {
            let names: Vec<&str> = names.iter().map(AsRef::as_ref).collect();
            // Writing to a string does not fail.
            write!(text, "\n    {} {}", tame::tame(key), names.join(", ")).ok();
        }
        let wish = timeline.content(index).and_then(event::media);
        if let Some(path) = wish.and_then(|wish| files.get(&wish.mxc)) {
            text.push_str("\n    ");
            text.push_str(path);
        }
        if let Some((pages, folder)) = pages
            && let Some(address) = pages.address(timeline, index)
        {
            write!(text, "\n    rooms/{folder}/{address}").ok();
        }
        text.push('\n');
    }
    text
}

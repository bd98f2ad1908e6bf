//! The archive as HTML: an index of rooms, a page a room, pages of messages by month. Each file is
//! complete in itself: its style is in it, and it loads nothing but files of the archive.

mod entry;
mod front;
mod month;
mod pages;
#[cfg(test)]
mod tests;

use std::collections::HashMap;

pub use self::front::{index, room_page};
pub use self::month::month_page;
pub use self::pages::{Page, Pages};
use crate::date::Calendar;
use crate::markup::Html;

const STYLE: &str = include_str!("html/style.css");

/// The archive as a whole.
pub struct Site {
    /// Server.
    pub server: String,
    /// When the package was made, milliseconds since 1970.
    pub exported: i64,
    /// What wrote the archive.
    pub generator: String,
    /// The time zone of all dates.
    pub calendar: Calendar,
}

/// A room, as the index tells it.
#[derive(Debug, Clone, Default)]
pub struct RoomCard {
    /// Room id.
    pub id: String,
    /// Its folder below `rooms/`.
    pub folder: String,
    /// Name.
    pub name: String,
    /// Topic.
    pub topic: Option<String>,
    /// Main address.
    pub alias: Option<String>,
    /// Whether encryption is on.
    pub is_encrypted: bool,
    /// Whether it is a space.
    pub is_space: bool,
    /// Events shown.
    pub shown: usize,
    /// Joined members.
    pub members: usize,
    /// The first event shown and the last, milliseconds since 1970.
    pub range: Option<(i64, i64)>,
}

/// Files of the archive by the address that messages name: path below its root.
pub type Files = HashMap<String, String>;

/// A whole page. `root` is the way from it to the root of the archive.
fn document(site: &Site, title: &str, root: &'static str, content: &Html) -> String {
    let mut page = Html::default();
    page.raw("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n")
        .raw("<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; ")
        .raw("img-src 'self' file:; media-src 'self' file:; style-src 'unsafe-inline'; ")
        .raw("base-uri 'none'; form-action 'none'\">\n")
        .raw("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n")
        .raw("<meta name=\"referrer\" content=\"no-referrer\">\n")
        .raw("<meta name=\"color-scheme\" content=\"light dark\">\n<title>")
        .text(title)
        .raw("</title>\n<style>\n")
        .raw(STYLE)
        .raw(
            "</style>\n</head>\n<body>\n<a class=\"skip\" href=\"#content\">Skip to content</a>\n",
        );
    // The index needs no way to itself.
    if !root.is_empty() {
        page.raw("<header class=\"top\"><a href=\"").raw(root).raw("index.html\">");
        page.text(&site.server).raw("</a></header>\n");
    }
    page.raw("<main id=\"content\" tabindex=\"-1\">\n")
        .add(content)
        .raw("</main>\n<footer>Archive of ")
        .text(&site.server)
        .raw(" as of ")
        .text(&site.calendar.moment(site.exported))
        .raw(". Times are in ")
        .text(&site.calendar.zone_name())
        .raw(". Made by ")
        .text(&site.generator)
        .raw(".</footer>\n</body>\n</html>\n");
    page.into_string()
}

/// A number with the word that fits it.
fn count(html: &mut Html, number: usize, one: &'static str, many: &'static str) {
    html.number(number).raw(" ").raw(if number == 1 { one } else { many });
}

/// Somebody's text in an element of its own direction.
fn own(html: &mut Html, text: &str) {
    html.raw("<bdi>").text(text).raw("</bdi>");
}

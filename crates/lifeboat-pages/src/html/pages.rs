//! Which page an event stands on: pages by month, none too long for a browser.

use std::collections::HashMap;

use crate::date::Calendar;
use crate::markup::anchor;
use crate::timeline::Timeline;

/// Events on a page; a busier month has several.
const EVENTS: usize = 1500;

/// A page of messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// File name in the room's folder: `2026-03.html`, then `2026-03-part-2.html`.
    pub file: String,
    /// `March 2026`.
    pub title: String,
    /// The events on it.
    pub entries: Vec<usize>,
}

/// The pages of a room.
#[derive(Debug, Default)]
pub struct Pages {
    pages: Vec<Page>,
    of_event: HashMap<usize, usize>,
}

impl Pages {
    /// Sorts what is shown into months.
    pub fn new(timeline: &Timeline, calendar: &Calendar) -> Self {
        let mut months: Vec<(String, i64, Vec<usize>)> = Vec::new();
        let mut at: HashMap<String, usize> = HashMap::new();
        for index in timeline.shown() {
            let sent = timeline.event(index).map_or(0, |event| event.sent);
            let month = calendar.month(sent);
            let number = *at.entry(month.clone()).or_insert_with(|| {
                months.push((month, sent, Vec::new()));
                months.len() - 1
            });
            if let Some((_, _, entries)) = months.get_mut(number) {
                entries.push(index);
            }
        }
        months.sort_by(|a, b| a.0.cmp(&b.0));
        let mut pages = Self::default();
        for (month, sent, entries) in months {
            let parts = entries.len().div_ceil(EVENTS);
            for (part, entries) in entries.chunks(EVENTS).enumerate() {
                let number = part + 1;
                let mut page = Page {
                    file: format!("{month}.html"),
                    title: calendar.month_name(sent),
                    entries: entries.to_vec(),
                };
                if number > 1 {
                    page.file = format!("{month}-part-{number}.html");
                }
                if parts > 1 {
                    page.title = format!("{}, part {number} of {parts}", page.title);
                }
                pages.push(page);
            }
        }
        pages
    }

    fn push(&mut self, page: Page) {
        let number = self.pages.len();
        self.of_event.extend(page.entries.iter().map(|index| (*index, number)));
        self.pages.push(page);
    }

    /// The pages, by month.
    pub fn all(&self) -> &[Page] {
        &self.pages
    }

    /// The way from a page to an event, if that is shown.
    pub fn link(&self, timeline: &Timeline, from: &Page, index: usize) -> Option<String> {
        let page = self.pages.get(*self.of_event.get(&index)?)?;
        let anchor = anchor(&timeline.event(index)?.id);
        let file = if page.file == from.file { "" } else { page.file.as_str() };
        Some(format!("{file}#{anchor}"))
    }

    /// The file and anchor of an event, if it is shown.
    pub fn address(&self, timeline: &Timeline, index: usize) -> Option<String> {
        let page = self.pages.get(*self.of_event.get(&index)?)?;
        Some(format!("{}#{}", page.file, anchor(&timeline.event(index)?.id)))
    }
}

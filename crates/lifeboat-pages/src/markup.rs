//! HTML that is harmless by construction: markup is fixed text of this crate, everything else is
//! escaped.

use std::fmt::Write;

use crate::tame;

/// A piece of HTML.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Html(String);

impl Html {
    /// Fixed markup: a `&'static str`, so never what somebody wrote.
    pub fn raw(&mut self, markup: &'static str) -> &mut Self {
        self.0.push_str(markup);
        self
    }

    /// What somebody wrote, as text or as the value of an attribute in double quotes.
    pub fn text(&mut self, text: &str) -> &mut Self {
        let mut buffer = String::new();
        for c in text.chars() {
            match c {
                '&' => self.0.push_str("&amp;"),
                '<' => self.0.push_str("&lt;"),
                '>' => self.0.push_str("&gt;"),
                '"' => self.0.push_str("&quot;"),
                '\'' => self.0.push_str("&#39;"),
                c => {
                    buffer.clear();
                    tame::push(&mut buffer, c);
                    self.0.push_str(&buffer);
                }
            }
        }
        self
    }

    /// A number.
    pub fn number(&mut self, number: usize) -> &mut Self {
        self.0.push_str(&number.to_string());
        self
    }

    /// Another piece.
    pub fn add(&mut self, piece: &Self) -> &mut Self {
        self.0.push_str(&piece.0);
        self
    }

    /// A reference to a character, `&name;`, when the name has letters and digits alone.
    pub(crate) fn reference(&mut self, name: &str) -> &mut Self {
        if name.chars().all(|c| c.is_ascii_alphanumeric()) {
            self.0.push('&');
            self.0.push_str(name);
            self.0.push(';');
        }
        self
    }

    /// Whether nothing was written.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The HTML.
    pub fn into_string(self) -> String {
        self.0
    }
}

/// The `id` of an event on its page, from letters, digits, `-`, `_` and `.` alone; no two events
/// share one.
pub fn anchor(event_id: &str) -> String {
    let mut anchor = String::from("e");
    for c in event_id.strip_prefix('$').unwrap_or(event_id).chars() {
        if c.is_ascii_alphanumeric() || matches!(c, '-' | '_') {
            anchor.push(c);
        } else {
            // Writing to a string does not fail.
            write!(anchor, ".{:x}.", u32::from(c)).ok();
        }
    }
    anchor
}

//! Patterns of names: `*` stands for any characters, `?` for one.

use std::fmt;
use std::str::Chars;

use serde::{Deserialize, Serialize};

use super::SelectionError;

/// Bytes a pattern may have.
const PATTERN_BYTES: usize = 512;

/// A pattern, or a plain name. Compared by characters, upper and lower case apart.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Pattern(String);

impl Pattern {
    /// Checks the text and brings it to normal form: one `*` for several in a row.
    ///
    /// # Errors
    /// [`SelectionError::Pattern`] when it is empty, longer than 512 bytes or has control
    /// characters.
    pub fn parse(text: &str) -> Result<Self, SelectionError> {
        if text.is_empty() || text.len() > PATTERN_BYTES || text.chars().any(char::is_control) {
            return Err(SelectionError::Pattern(text.chars().take(80).collect()));
        }
        let mut normal = String::with_capacity(text.len());
        for c in text.chars() {
            if c != '*' || !normal.ends_with('*') {
                normal.push(c);
            }
        }
        Ok(Self(normal))
    }

    /// Whether the whole of `name` fits. Takes time in proportion to both lengths multiplied, at
    /// worst.
    pub fn fits(&self, name: &str) -> bool {
        let (mut pattern, mut name) = (self.0.chars(), name.chars());
        // What follows the last `*`, and the name from where that began.
        let mut star: Option<(Chars<'_>, Chars<'_>)> = None;
        loop {
            let here = name.clone();
            match (pattern.next(), name.next()) {
                (Some('*'), _) => {
                    star = Some((pattern.clone(), here.clone()));
                    name = here;
                }
                (None, None) => return true,
                (Some(p), Some(n)) if p == '?' || p == n => {}
                (_, None) => return false,
                (_, Some(_)) => {
                    // The last `*` takes one character more.
                    let Some((after, taken)) = &mut star else { return false };
                    taken.next();
                    (pattern, name) = (after.clone(), taken.clone());
                }
            }
        }
    }

    /// The name, where the pattern has neither `*` nor `?`.
    pub fn plain(&self) -> Option<&str> {
        (!self.0.contains(['*', '?'])).then_some(self.0.as_str())
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The same as a pattern of SQL's `LIKE`, with `\` as its escape.
    pub fn to_like(&self) -> String {
        let mut like = String::with_capacity(self.0.len());
        for c in self.0.chars() {
            match c {
                '*' => like.push('%'),
                '?' => like.push('_'),
                '%' | '_' | '\\' => like.extend(['\\', c]),
                c => like.push(c),
            }
        }
        like
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for Pattern {
    type Error = SelectionError;

    fn try_from(text: String) -> Result<Self, SelectionError> {
        Self::parse(&text)
    }
}

impl From<Pattern> for String {
    fn from(pattern: Pattern) -> Self {
        pattern.0
    }
}

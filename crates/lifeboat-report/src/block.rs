//! What a page is made of, before it is Markdown or HTML.

use lifeboat_restore::plan::Step;

/// A piece of a page. Texts are plain: whoever writes them out escapes them.
pub(crate) enum Block {
    /// The title of a section; 1 is that of the page.
    Heading(u8, String),
    /// A paragraph.
    Text(String),
    /// A list.
    List(Vec<String>),
    /// A table.
    Table { head: Vec<&'static str>, rows: Vec<Vec<String>> },
    /// Commands to type, a line each.
    Commands(Vec<String>),
    /// Something to fill in by hand on paper.
    FillIn(String),
    /// The order of a restore.
    Order(Vec<Step>),
}

/// A paragraph.
pub(crate) fn text(text: impl Into<String>) -> Block {
    Block::Text(text.into())
}

/// A section's title.
pub(crate) fn heading(level: u8, title: impl Into<String>) -> Block {
    Block::Heading(level, title.into())
}

/// A command of words, quoted for a shell where it must be.
pub(crate) fn command<'a>(words: impl IntoIterator<Item = &'a str>) -> String {
    let quoted: Vec<String> = words.into_iter().map(quoted).collect();
    quoted.join(" ")
}

fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=@%+,".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

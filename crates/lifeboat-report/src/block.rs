//! What a page is made of, before it is Markdown or HTML.

pub(crate) use lifeboat_pages::document::Block;

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

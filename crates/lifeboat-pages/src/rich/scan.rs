//! HTML cut into tags and text. What is no tag is text; comments and declarations are nothing.

/// A piece of a text.
pub(super) enum Piece<'a> {
    /// Text, references to characters included.
    Text(&'a str),
    /// A tag.
    Tag(Tag<'a>),
}

/// A tag.
pub(super) struct Tag<'a> {
    /// Name in lower case.
    pub(super) name: String,
    /// Whether it ends an element.
    pub(super) is_end: bool,
    /// What stands between the name and `>`.
    pub(super) attributes: &'a str,
}

/// Cuts a text.
pub(super) fn scan(text: &str) -> impl Iterator<Item = Piece<'_>> {
    let mut rest = text;
    std::iter::from_fn(move || {
        loop {
            if rest.is_empty() {
                return None;
            }
            if let Some((found, after)) = markup(rest) {
                rest = after;
                match found {
                    Some(tag) => return Some(Piece::Tag(tag)),
                    None => continue,
                }
            }
            // The first character is text, even when it is a `<`.
            let first = rest.chars().next().map_or(0, char::len_utf8);
            let tail = rest.get(first..).unwrap_or_default();
            let end = tail.find('<').map_or(rest.len(), |at| first + at);
            let (piece, after) = rest.split_at(end);
            rest = after;
            return Some(Piece::Text(piece));
        }
    })
}

/// The markup that a text begins with, if it does: a tag, or nothing for a comment; and the rest.
fn markup(text: &str) -> Option<(Option<Tag<'_>>, &str)> {
    let inside = text.strip_prefix('<')?;
    if let Some(comment) = inside.strip_prefix("!--") {
        return Some((None, comment.split_once("-->").map_or("", |(_, rest)| rest)));
    }
    if inside.starts_with(['!', '?']) {
        return Some((None, inside.split_once('>').map_or("", |(_, rest)| rest)));
    }
    let is_end = inside.starts_with('/');
    let named = inside.strip_prefix('/').unwrap_or(inside);
    if !named.starts_with(|c: char| c.is_ascii_alphabetic()) {
        return None;
    }
    let ends_name = |c: char| c.is_whitespace() || matches!(c, '/' | '>');
    let (name, tail) = named.split_at(named.find(ends_name).unwrap_or(named.len()));
    let end = end_of_tag(tail)?;
    let (attributes, rest) = tail.split_at(end);
    let tag = Tag { name: name.to_ascii_lowercase(), is_end, attributes };
    Some((Some(tag), rest.get(1..).unwrap_or_default()))
}

/// Where the `>` is that ends the tag; one in quotes does not.
fn end_of_tag(tail: &str) -> Option<usize> {
    let mut quote = None;
    let mut before = ' ';
    for (at, c) in tail.char_indices() {
        match (quote, c) {
            (None, '>') => return Some(at),
            // A quote opens a value only after the equals sign.
            (None, '"' | '\'') if before == '=' => quote = Some(c),
            (Some(open), c) if open == c => quote = None,
            _ => {}
        }
        if !c.is_whitespace() {
            before = c;
        }
    }
    None
}

/// The value of an attribute, references resolved.
pub(super) fn attribute(attributes: &str, wanted: &str) -> Option<String> {
    let mut rest = attributes;
    loop {
        rest = rest.trim_start_matches(|c: char| c.is_whitespace() || c == '/');
        if rest.is_empty() {
            return None;
        }
        let ends_name = |c: char| c.is_whitespace() || matches!(c, '=' | '/');
        let end = rest.find(ends_name).unwrap_or(rest.len()).max(1);
        let name = rest.get(..end)?;
        let after = rest.get(end..)?.trim_start();
        let Some(value) = after.strip_prefix('=').map(str::trim_start) else {
            rest = after;
            continue;
        };
        let (value, after) = match value.chars().next() {
            Some(quote @ ('"' | '\'')) => {
                let inside = value.get(1..)?;
                inside.split_once(quote).unwrap_or((inside, ""))
            }
            _ => value.split_at(value.find(char::is_whitespace).unwrap_or(value.len())),
        };
        if name.eq_ignore_ascii_case(wanted) {
            return Some(decode(value));
        }
        rest = after;
    }
}

/// Whether it may name a character: `&name;`.
pub(super) fn is_name(name: &str) -> bool {
    let letters = name.bytes().all(|b| b.is_ascii_alphanumeric());
    (2..=31).contains(&name.len()) && letters && name.starts_with(|c: char| c.is_alphabetic())
}

/// Resolves the references that addresses have; what is not known stays as it is.
pub(super) fn decode(text: &str) -> String {
    let mut decoded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('&') {
        decoded.push_str(before);
        let known = after.split_once(';').and_then(|(name, tail)| Some((character(name)?, tail)));
        let (c, tail) = known.unwrap_or(('&', after));
        decoded.push(c);
        rest = tail;
    }
    decoded.push_str(rest);
    decoded
}

fn character(name: &str) -> Option<char> {
    if let Some(number) = name.strip_prefix('#') {
        let code = match number.strip_prefix(['x', 'X']) {
            Some(digits) => u32::from_str_radix(digits, 16),
            None => number.parse(),
        };
        return char::from_u32(code.ok()?);
    }
    Some(match name {
        "amp" => '&',
        "lt" => '<',
        "gt" => '>',
        "quot" => '"',
        "apos" => '\'',
        "nbsp" => '\u{a0}',
        _ => return None,
    })
}

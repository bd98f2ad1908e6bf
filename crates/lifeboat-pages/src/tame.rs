//! Text of other people made harmless to look at: no control characters, no reversed reading.

/// Characters of a quoted line.
const LINE_CHARS: usize = 120;

/// What becomes of a character that does more than stand for itself; `None` where it is harmless.
fn tamed(c: char) -> Option<Tamed> {
    match c {
        '\n' | '\t' => None,
        // Carriage returns would come out as line ends. And each text stands in an element of its
        // own direction; more embedding is not needed.
        '\r' | '\u{202a}'..='\u{202c}' | '\u{2066}'..='\u{2069}' => Some(Tamed::Nothing),
        // The pictures of control characters, U+2400 and on.
        '\0'..='\u{1f}' => char::from_u32(0x2400 + u32::from(c)).map(Tamed::Char),
        '\u{7f}' => Some(Tamed::Char('\u{2421}')),
        '\u{80}'..='\u{9f}' => Some(Tamed::Char('\u{fffd}')),
        // Overrides make a text read backwards: shown, so that it is seen that they were there.
        '\u{202d}' => Some(Tamed::Text("[U+202D]")),
        '\u{202e}' => Some(Tamed::Text("[U+202E]")),
        // Line and paragraph separators end a line where nobody expects it.
        '\u{2028}' | '\u{2029}' => Some(Tamed::Char('\n')),
        _ => None,
    }
}

enum Tamed {
    Char(char),
    Text(&'static str),
    Nothing,
}

/// Adds one character, tamed.
pub(crate) fn push(to: &mut String, c: char) {
    match tamed(c) {
        None => to.push(c),
        Some(Tamed::Char(c)) => to.push(c),
        Some(Tamed::Text(text)) => to.push_str(text),
        Some(Tamed::Nothing) => {}
    }
}

/// The text with its controls made visible and its overrides disarmed.
pub fn tame(text: &str) -> String {
    let mut tame = String::with_capacity(text.len());
    text.chars().for_each(|c| push(&mut tame, c));
    tame
}

/// The beginning of a text as one line.
pub fn line(text: &str) -> String {
    let mut line = String::new();
    for word in text.split_whitespace() {
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
        if line.len() > 4 * LINE_CHARS {
            break;
        }
    }
    match line.char_indices().nth(LINE_CHARS) {
        Some((end, _)) => format!("{}…", line.get(..end).unwrap_or_default()),
        None => line,
    }
}

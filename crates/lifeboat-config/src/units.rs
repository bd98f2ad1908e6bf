//! Sizes and durations as Synapse writes them: `50M`, `28d`.

use std::time::Duration;

/// A size in bytes: a number, or one with `K`, `M`, `G` or `T` (powers of 1,024).
pub fn parse_size(text: &str) -> Option<u64> {
    let factor = |power: u32| 1024_u64.pow(power);
    let (digits, factor) = match text.chars().last()? {
        'K' => (&text[..text.len() - 1], factor(1)),
        'M' => (&text[..text.len() - 1], factor(2)),
        'G' => (&text[..text.len() - 1], factor(3)),
        'T' => (&text[..text.len() - 1], factor(4)),
        _ => (text, 1),
    };
    number(digits)?.checked_mul(factor)
}

/// A duration: milliseconds, or a number with `s`, `m`, `h`, `d`, `w` or `y` (365 days).
pub fn parse_duration(text: &str) -> Option<Duration> {
    let seconds = match text.chars().last()? {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        'd' => 86_400,
        'w' => 7 * 86_400,
        'y' => 365 * 86_400,
        _ => return Some(Duration::from_millis(number(text)?)),
    };
    Some(Duration::from_secs(number(&text[..text.len() - 1])?.checked_mul(seconds)?))
}

/// Python's `int()`: blanks around and underscores between digits are let in.
fn number(text: &str) -> Option<u64> {
    let text = text.trim();
    let bare = text.strip_prefix('+').unwrap_or(text);
    let tidy = !bare.starts_with('_') && !bare.ends_with('_') && !bare.contains("__");
    (tidy && !bare.starts_with('+')).then(|| bare.replace('_', "").parse().ok())?
}

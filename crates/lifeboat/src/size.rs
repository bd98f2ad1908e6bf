//! Numbers of bytes as people write and read them.

use indicatif::{HumanBytes, HumanCount};

const UNITS: [(&str, u64); 10] = [
    ("", 1),
    ("B", 1),
    ("KIB", 1 << 10),
    ("K", 1 << 10),
    ("MIB", 1 << 20),
    ("M", 1 << 20),
    ("GIB", 1 << 30),
    ("G", 1 << 30),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
];

/// Reads `256MiB`, `1GiB`, `500 MB` or a plain number of bytes.
pub(crate) fn parse(text: &str) -> Result<u64, String> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let unit = unit.trim().to_ascii_uppercase();
    let factor = UNITS.iter().find(|(name, _)| *name == unit).map(|(_, factor)| *factor);
    let number = number.parse::<u64>().ok();
    number
        .zip(factor)
        .and_then(|(number, factor)| number.checked_mul(factor))
        .ok_or_else(|| "a size such as 256MiB or 1GiB is needed".to_owned())
}

/// `1.21 GiB`.
pub(crate) fn bytes(count: u64) -> String {
    HumanBytes(count).to_string()
}

/// `1,234 rooms`, `1 room`.
pub(crate) fn count(count: u64, one: &str, many: &str) -> String {
    format!("{} {}", HumanCount(count), if count == 1 { one } else { many })
}

/// `1 h 2 min`, `3 min 4 s`, `5 s`.
pub(crate) fn seconds(count: u64) -> String {
    match (count / 3600, count / 60 % 60, count % 60) {
        (0, 0, seconds) => format!("{seconds} s"),
        (0, minutes, seconds) => format!("{minutes} min {seconds} s"),
        (hours, minutes, _) => format!("{hours} h {minutes} min"),
    }
}

#[cfg(test)]
mod tests;

//! What a scalar means in YAML 1.1 as `PyYAML` resolves it. A password `0123` is the number 83
//! there, and `1e3` is text: the same bytes must give Synapse and us the same value.

use serde_saphyr::granit_parser::Tag;
use zeroize::Zeroizing;

use super::yaml::Yaml;

/// A scalar as it is written.
pub(super) struct Scalar<'a> {
    pub(super) text: &'a str,
    /// Without quotes.
    pub(super) plain: bool,
    pub(super) tag: Option<&'a Tag>,
}

impl Scalar<'_> {
    /// Its value; `None` when its tag is not one of the plain ones.
    pub(super) fn resolve(&self) -> Option<Yaml> {
        resolve(self.text, self.plain, self.tag)
    }
}

fn resolve(text: &str, plain: bool, tag: Option<&Tag>) -> Option<Yaml> {
    // A bare `!` is `PyYAML`'s word for no tag at all.
    let Some(tag) = tag.filter(|tag| tag.handle().len() + tag.suffix().len() != 1) else {
        return Some(if plain { implicit(text) } else { self::text(text) });
    };
    match tag.core_suffix()? {
        "str" => Some(self::text(text)),
        "null" => Some(Yaml::Null),
        "bool" => boolean(text).map(Yaml::Bool),
        "int" => integer(text).map(Yaml::Int),
        "float" => float(text).or_else(|| text.replace('_', "").parse().ok()).map(Yaml::Float),
        _ => None,
    }
}

/// A scalar as the key of a mapping, in JSON's spelling.
pub(super) fn key(value: &Yaml) -> Option<String> {
    match value {
        Yaml::Text(text) => Some(text.to_string()),
        Yaml::Null => Some("null".to_owned()),
        Yaml::Bool(value) => Some(value.to_string()),
        Yaml::Int(value) => Some(value.to_string()),
        Yaml::Float(value) => Some(format!("{value:?}")),
        Yaml::List(_) | Yaml::Map(_) => None,
    }
}

fn text(text: &str) -> Yaml {
    Yaml::Text(Zeroizing::new(text.to_owned()))
}

fn implicit(text: &str) -> Yaml {
    if matches!(text, "" | "~" | "null" | "Null" | "NULL") {
        return Yaml::Null;
    }
    if let Some(value) = boolean(text) {
        return Yaml::Bool(value);
    }
    if let Some(value) = integer(text) {
        return Yaml::Int(value);
    }
    match float(text) {
        // JSON has no word for these; they stay as written.
        Some(value) if value.is_finite() => Yaml::Float(value),
        _ => self::text(text),
    }
}

fn boolean(text: &str) -> Option<bool> {
    match text {
        "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => Some(true),
        "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => Some(false),
        _ => None,
    }
}

fn integer(text: &str) -> Option<i128> {
    let (negative, digits) = unsigned(text);
    let value = if let Some(binary) = digits.strip_prefix("0b") {
        radix(binary, 2)
    } else if let Some(hex) = digits.strip_prefix("0x") {
        radix(hex, 16)
    } else if digits == "0" {
        Some(0)
    } else if let Some(octal) = digits.strip_prefix('0') {
        // `0_` is zero: the underscore alone is let in after the leading 0.
        if octal.bytes().all(|byte| byte == b'_') { Some(0) } else { radix(octal, 8) }
    } else if digits.contains(':') {
        sexagesimal(digits)
    } else {
        digits.starts_with(|first: char| first.is_ascii_digit()).then(|| radix(digits, 10))?
    }?;
    Some(if negative { -value } else { value })
}

fn unsigned(text: &str) -> (bool, &str) {
    match text.as_bytes().first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        _ => (false, text),
    }
}

fn radix(digits: &str, radix: u32) -> Option<i128> {
    // `from_str_radix` would take a sign, also one that stands behind underscores.
    if digits.contains(['+', '-']) {
        return None;
    }
    i128::from_str_radix(&digits.replace('_', ""), radix).ok()
}

/// `1:30` is 90.
fn sexagesimal(text: &str) -> Option<i128> {
    let mut parts = text.split(':');
    let first =
        parts.next().filter(|first| first.starts_with(|c: char| ('1'..='9').contains(&c)))?;
    let mut value = radix(first, 10)?;
    for part in parts {
        value = value.checked_mul(60)?.checked_add(i128::from(sixty(part)?))?;
    }
    Some(value)
}

fn sixty(part: &str) -> Option<u8> {
    let fits = match part.as_bytes() {
        [unit] => unit.is_ascii_digit(),
        [tens, unit] => (b'0'..=b'5').contains(tens) && unit.is_ascii_digit(),
        _ => false,
    };
    fits.then(|| part.parse().ok())?
}

/// `PyYAML` wants a point in a float, and a sign in its exponent.
fn float(text: &str) -> Option<f64> {
    let (negative, rest) = unsigned(text);
    let signed = rest.len() != text.len();
    match rest {
        ".inf" | ".Inf" | ".INF" => return Some(f64::INFINITY),
        ".nan" | ".NaN" | ".NAN" if !signed => return Some(f64::NAN),
        _ => {}
    }
    let (whole, fraction) = rest.split_once('.')?;
    let value = if whole.contains(':') {
        sexagesimal_float(whole, fraction)?
    } else {
        plain_float(whole, fraction, signed)?
    };
    Some(if negative { -value } else { value })
}

fn plain_float(whole: &str, fraction: &str, signed: bool) -> Option<f64> {
    let (fraction, exponent) = match fraction.find(['e', 'E']) {
        Some(at) => (&fraction[..at], &fraction[at + 1..]),
        None => (fraction, "+0"),
    };
    let exponent_fits = exponent.len() > 1
        && exponent.starts_with(['+', '-'])
        && exponent[1..].bytes().all(|byte| byte.is_ascii_digit());
    let starts = if whole.is_empty() { fraction } else { whole };
    let fits = starts.starts_with(|first: char| first.is_ascii_digit())
        && !(signed && whole.is_empty())
        && digits(whole)
        && digits(fraction);
    if !fits || !exponent_fits {
        return None;
    }
    let clean = format!("{whole}.{fraction}").replace('_', "");
    format!("0{clean}0e{exponent}").parse().ok()
}

fn sexagesimal_float(whole: &str, fraction: &str) -> Option<f64> {
    let mut parts = whole.split(':');
    let first = parts.next().filter(|first| first.starts_with(|c: char| c.is_ascii_digit()))?;
    let mut value: f64 = first.replace('_', "").parse().ok()?;
    for part in parts {
        value = value * 60.0 + f64::from(sixty(part)?);
    }
    let fraction = digits(fraction).then(|| fraction.replace('_', ""))?;
    let fraction: f64 = format!("0.{fraction}0").parse().ok()?;
    Some(value + fraction)
}

fn digits(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'_')
}

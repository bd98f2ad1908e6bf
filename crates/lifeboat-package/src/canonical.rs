//! Matrix canonical JSON: the one byte form of a JSON value.
//!
//! Reading never builds the value: [`check`] and [`without`] scan the bytes, so hostile input costs
//! no memory, and a key that is there twice is refused like any key out of order.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

mod scan;

use scan::Scanner;

/// Integers lie between `-MAX_INTEGER` and `MAX_INTEGER`.
pub const MAX_INTEGER: u64 = (1 << 53) - 1;

/// Why JSON is refused.
#[derive(Debug, thiserror::Error)]
pub enum CanonicalError {
    /// Not canonical, from here on.
    #[error("not canonical JSON at byte {offset}")]
    Form {
        /// The first byte that cannot stand there.
        offset: usize,
    },
    /// Nested too deep.
    #[error("JSON is nested too deep at byte {offset}")]
    Depth {
        /// Where.
        offset: usize,
    },
    /// A number that canonical JSON does not have.
    #[error("the number {number} has no canonical form: only integers below 2^53 have")]
    Number {
        /// The number.
        number: String,
    },
    /// A value that is not JSON.
    #[error("a value cannot be written as JSON")]
    Value(#[source] serde_json::Error),
}

/// The canonical form of `value`.
///
/// # Errors
/// [`CanonicalError::Number`] when it holds a float or an integer of 2⁵³ and beyond.
pub fn to_bytes(value: &Value) -> Result<Vec<u8>, CanonicalError> {
    let mut out = Vec::new();
    write(value, &mut out)?;
    Ok(out)
}

/// The canonical form of anything that serialises.
///
/// # Errors
/// As [`to_bytes`], and [`CanonicalError::Value`] when it is not JSON.
pub fn of(value: &impl Serialize) -> Result<Vec<u8>, CanonicalError> {
    to_bytes(&serde_json::to_value(value).map_err(CanonicalError::Value)?)
}

/// Checks that `bytes` are one canonical JSON object and nothing else.
///
/// # Errors
/// [`CanonicalError`] with the place of the first byte that is not canonical.
pub fn check(bytes: &[u8]) -> Result<(), CanonicalError> {
    let mut scanner = Scanner::begin(bytes);
    scanner.object(0, &mut |_, _| {})?;
    scanner.end()
}

/// The canonical object `bytes` without the top-level member `key`; what signatures are made over.
///
/// # Errors
/// As [`check`].
pub fn without(bytes: &[u8], key: &str) -> Result<Vec<u8>, CanonicalError> {
    let mut out = Vec::with_capacity(bytes.len());
    out.push(b'{');
    let mut scanner = Scanner::begin(bytes);
    scanner.object(0, &mut |name, member| {
        if name != key {
            if out.len() > 1 {
                out.push(b',');
            }
            out.extend_from_slice(bytes.get(member).unwrap_or_default());
        }
    })?;
    scanner.end()?;
    out.push(b'}');
    Ok(out)
}

/// Whether the canonical object `bytes` has the top-level member `key`.
///
/// # Errors
/// As [`check`].
pub fn has(bytes: &[u8], key: &str) -> Result<bool, CanonicalError> {
    let mut is_there = false;
    let mut scanner = Scanner::begin(bytes);
    scanner.object(0, &mut |name, _| is_there |= name == key)?;
    scanner.end()?;
    Ok(is_there)
}

fn write(value: &Value, out: &mut Vec<u8>) -> Result<(), CanonicalError> {
    match value {
        Value::Null => out.extend_from_slice(b"null"),
        Value::Bool(true) => out.extend_from_slice(b"true"),
        Value::Bool(false) => out.extend_from_slice(b"false"),
        Value::Number(number) => {
            let integer = number.as_i64().filter(|integer| integer.unsigned_abs() <= MAX_INTEGER);
            let refused = || CanonicalError::Number { number: number.to_string() };
            out.extend_from_slice(integer.ok_or_else(refused)?.to_string().as_bytes());
        }
        Value::String(text) => write_string(text, out)?,
        Value::Array(items) => {
            out.push(b'[');
            for (at, item) in items.iter().enumerate() {
                if at > 0 {
                    out.push(b',');
                }
                write(item, out)?;
            }
            out.push(b']');
        }
        Value::Object(members) => {
            out.push(b'{');
            // Sorted here: whether serde_json's own map is depends on features of other crates.
            let members: BTreeMap<_, _> = members.iter().collect();
            for (at, (key, member)) in members.into_iter().enumerate() {
                if at > 0 {
                    out.push(b',');
                }
                write_string(key, out)?;
                out.push(b':');
                write(member, out)?;
            }
            out.push(b'}');
        }
    }
    Ok(())
}

/// `serde_json` escapes exactly what canonical JSON escapes, in the same way.
fn write_string(text: &str, out: &mut Vec<u8>) -> Result<(), CanonicalError> {
    serde_json::to_writer(out, text).map_err(CanonicalError::Value)
}

#[cfg(test)]
mod tests;

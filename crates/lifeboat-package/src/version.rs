//! Which format versions this reader accepts (`docs/src/format.md` §1.1).

/// The version that is written.
pub(crate) const WRITTEN: &str = "1.0";

/// Whether a file of this version can be read: major version 1, any minor one.
pub(crate) fn is_readable(version: &str) -> bool {
    let Some(minor) = version.strip_prefix("1.") else { return false };
    minor.parse::<u32>().is_ok_and(|number| number.to_string() == minor)
}

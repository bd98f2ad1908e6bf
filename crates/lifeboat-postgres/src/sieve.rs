//! Rows of a kept `COPY` file, looked at or left out before they are loaded. Pure.

use std::collections::HashSet;
use std::ops::Range;

use bytes::{BufMut, Bytes, BytesMut};
use thiserror::Error;

use crate::copy_out::{HEADER_BYTES, Parsed, Row, parse};

/// Rows that are no whole binary `COPY` file of their table.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("the kept rows of {table} cannot be read: {detail}")]
pub struct SieveError {
    /// Table.
    pub table: String,
    /// What is wrong.
    pub detail: &'static str,
}

/// Values of a column, as their bytes in `COPY BINARY`.
pub type Keys = HashSet<Box<[u8]>>;

/// Keeps the rows that have, in one of some columns, one of the values that belong to it.
#[derive(Debug, Clone)]
pub struct Sieve<'a> {
    /// Columns by their place, from 0, each with the values that keep a row.
    pub tests: Vec<(usize, &'a Keys)>,
    /// The column whose values are collected of the rows that are kept.
    pub collects: Option<usize>,
    /// How many columns the table has.
    pub columns: usize,
}

/// What a [`Sieve`] let through.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sieved {
    /// A whole binary `COPY` file of the rows that were kept.
    pub copy: Bytes,
    /// How many rows there were.
    pub rows: u64,
    /// How many of them were kept.
    pub kept: u64,
    /// The values that were collected; null is none.
    pub collected: Vec<Box<[u8]>>,
}

impl Sieve<'_> {
    /// Sifts one binary `COPY` file of `table`.
    ///
    /// # Errors
    /// [`SieveError`] when it is none, or its rows have another number of columns.
    pub fn sift(&self, table: &str, copy: &[u8]) -> Result<Sieved, SieveError> {
        let (mut kept, mut collected) = (0, Vec::new());
        let mut taken = BytesMut::new();
        let rows = each_row((table, self.columns), copy, |row| {
            if !self.keeps(row) {
                return;
            }
            kept += 1;
            taken.extend_from_slice(row.bytes());
            let value = self.collects.and_then(|at| row.field(at));
            collected.extend(value.map(Box::from));
        })?;
        // Of what is kept nothing is changed, and so the header is the file's own.
        let header = copy.get(..header_bytes(copy)).unwrap_or_default();
        let mut file = BytesMut::with_capacity(header.len() + taken.len() + 2);
        file.extend_from_slice(header);
        file.extend_from_slice(&taken);
        file.put_i16(-1);
        Ok(Sieved { copy: file.freeze(), rows, kept, collected })
    }

    fn keeps(&self, row: &Row<'_>) -> bool {
        let fits =
            |(at, keys): &(usize, &Keys)| row.field(*at).is_some_and(|value| keys.contains(value));
        self.tests.iter().any(fits)
    }
}

/// Shows each row of one binary `COPY` file of a table, given by name and number of columns;
/// returns how many there were.
///
/// # Errors
/// [`SieveError`] when it is none, or its rows have another number of columns.
pub fn each_row(
    (table, columns): (&str, usize),
    copy: &[u8],
    mut show: impl FnMut(&Row<'_>),
) -> Result<u64, SieveError> {
    let wrong = |detail| SieveError { table: table.to_owned(), detail };
    let (mut begun, mut fields): (bool, Vec<Option<Range<usize>>>) = (false, Vec::new());
    let (mut rest, mut rows) = (copy, 0);
    loop {
        let used = match parse(rest, &mut begun, &mut fields).map_err(wrong)? {
            Parsed::Skip(used) => used,
            Parsed::Row(used) => {
                if fields.len() != columns {
                    return Err(wrong("a row has another number of columns than the table"));
                }
                let bytes = rest.get(..used).unwrap_or_default();
                show(&Row::new(bytes, &fields));
                rows += 1;
                used
            }
            Parsed::End if rest.len() == 2 => return Ok(rows),
            Parsed::End => return Err(wrong("it goes on after the end mark")),
            Parsed::More => return Err(wrong("it ended without the end mark")),
        };
        rest = rest.get(used..).unwrap_or_default();
    }
}

/// Where the rows of a file begin that was parsed.
fn header_bytes(copy: &[u8]) -> usize {
    let (mut begun, mut fields) = (false, Vec::new());
    match parse(copy, &mut begun, &mut fields) {
        Ok(Parsed::Skip(used)) => used,
        _ => HEADER_BYTES,
    }
}

#[cfg(test)]
mod tests;

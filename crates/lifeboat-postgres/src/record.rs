//! Rows into records: the JSON Lines of the package (`docs/src/format.md` §7.1).
//!
//! The mirror image is [`super::copy_in`].

use super::columns::{Carrier, Column};
use super::copy_out::Row;

/// How a row becomes an object: steps in order.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    /// A member with a column's value; `key` is `"name":` in JSON.
    Member { key: String, at: usize, carrier: Carrier },
    /// A member that holds an object of its own, or null when the column at `present` is null.
    Open { key: String, present: usize },
    /// The end of that object.
    Close,
    /// A member whose text is a JSON object already, byte for byte where that is safe.
    Document { key: String, at: usize },
    /// A member that is always true.
    Mark { key: String },
}

/// The shape of a record: which columns of a query become which members.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Shape {
    steps: Vec<Step>,
    columns: usize,
}

impl Shape {
    /// One member a column, in order.
    pub fn flat(columns: &[Column]) -> Self {
        let mut shape = Self::default();
        for column in columns {
            shape.member(&column.name, column.carrier);
        }
        shape
    }

    /// The next column of the query becomes a member.
    pub fn member(&mut self, name: &str, carrier: Carrier) {
        self.steps.push(Step::Member { key: key(name), at: self.columns, carrier });
        self.columns += 1;
    }

    /// The next column (any type) says whether the nested object of `columns`, which follow, is
    /// there.
    pub fn nested(&mut self, name: &str, columns: &[Column]) {
        self.steps.push(Step::Open { key: key(name), present: self.columns });
        self.columns += 1;
        for column in columns {
            self.member(&column.name, column.carrier);
        }
        self.steps.push(Step::Close);
    }

    /// The next column is not written. Returns where it is.
    pub fn hidden(&mut self) -> usize {
        self.columns += 1;
        self.columns - 1
    }

    /// A member of every record that says `true`.
    pub fn mark(&mut self, name: &str) {
        self.steps.push(Step::Mark { key: key(name) });
    }

    /// The next column holds a JSON document.
    pub fn document(&mut self, name: &str) {
        self.steps.push(Step::Document { key: key(name), at: self.columns });
        self.columns += 1;
    }

    /// Appends the row as one line.
    ///
    /// # Errors
    /// Says what is wrong when the bytes are not what the column's type says.
    pub fn write(&self, row: &Row<'_>, out: &mut Vec<u8>) -> Result<(), &'static str> {
        self.write_with(row, None, out)
    }

    /// Appends the row as one line, with `instead` in place of its document.
    ///
    /// # Errors
    /// As [`Self::write`].
    pub fn write_with(
        &self,
        row: &Row<'_>,
        instead: Option<&[u8]>,
        out: &mut Vec<u8>,
    ) -> Result<(), &'static str> {
        let mut first = true;
        let mut absent = false;
        out.push(b'{');
        for step in &self.steps {
            match step {
                Step::Member { .. } | Step::Document { .. } if absent => {}
                Step::Member { key, at, carrier } => {
                    separate(&mut first, key, out);
                    match row.field(*at) {
                        None => out.extend_from_slice(b"null"),
                        Some(bytes) => write_value(*carrier, bytes, out)?,
                    }
                }
                Step::Document { key, at } => {
                    separate(&mut first, key, out);
                    match instead.or(row.field(*at)) {
                        None => out.extend_from_slice(b"null"),
                        Some(bytes) => write_document(bytes, out)?,
                    }
                }
                Step::Mark { key } => {
                    separate(&mut first, key, out);
                    out.extend_from_slice(b"true");
                }
                Step::Open { key, present } => {
                    separate(&mut first, key, out);
                    absent = row.field(*present).is_none();
                    out.extend_from_slice(if absent { b"null" } else { b"{" });
                    first = !absent;
                }
                Step::Close => {
                    if !absent {
                        out.push(b'}');
                    }
                    (absent, first) = (false, false);
                }
            }
        }
        out.extend_from_slice(b"}\n");
        Ok(())
    }
}

fn key(name: &str) -> String {
    let mut text = Vec::with_capacity(name.len() + 3);
    write_string(name, &mut text);
    text.push(b':');
    String::from_utf8_lossy(&text).into_owned()
}

fn separate(first: &mut bool, key: &str, out: &mut Vec<u8>) {
    if !*first {
        out.push(b',');
    }
    *first = false;
    out.extend_from_slice(key.as_bytes());
}

fn write_value(carrier: Carrier, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), &'static str> {
    const LENGTH: &str = "a number has a wrong length";
    let number = match carrier {
        Carrier::Bool => {
            let [byte] = bytes else { return Err("a boolean has a wrong length") };
            out.extend_from_slice(if *byte == 0 { b"false" } else { b"true" });
            return Ok(());
        }
        Carrier::Int2 => i64::from(i16::from_be_bytes(bytes.try_into().map_err(|_| LENGTH)?)),
        Carrier::Int4 => i64::from(i32::from_be_bytes(bytes.try_into().map_err(|_| LENGTH)?)),
        Carrier::Int8 => i64::from_be_bytes(bytes.try_into().map_err(|_| LENGTH)?),
        Carrier::Text | Carrier::Cast => {
            let text = std::str::from_utf8(bytes).map_err(|_| "a text is not UTF-8")?;
            write_string(text, out);
            return Ok(());
        }
        Carrier::Bytea => {
            const HEX: &[u8; 16] = b"0123456789abcdef";
            out.extend_from_slice(b"\"\\\\x");
            for byte in bytes {
                out.push(HEX[usize::from(byte >> 4)]);
                out.push(HEX[usize::from(byte & 15)]);
            }
            out.push(b'"');
            return Ok(());
        }
    };
    serde_json::to_writer(out, &number).map_err(|_| "a number cannot be written")
}

fn write_string(text: &str, out: &mut Vec<u8>) {
    serde_json::to_writer(out, text).expect("writing a string to memory cannot fail");
}

/// A stored JSON document goes in as it is when any reader will give back the same bytes: an
/// object, well formed, without control characters (a line feed would end the record). Else as a
/// string that holds it.
fn write_document(bytes: &[u8], out: &mut Vec<u8>) -> Result<(), &'static str> {
    let text = std::str::from_utf8(bytes).map_err(|_| "a text is not UTF-8")?;
    let plain = bytes.first() == Some(&b'{')
        && bytes.last() == Some(&b'}')
        && bytes.iter().all(|byte| *byte >= 0x20)
        && serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok();
    if plain {
        out.extend_from_slice(bytes);
    } else {
        write_string(text, out);
    }
    Ok(())
}

#[cfg(test)]
mod tests;

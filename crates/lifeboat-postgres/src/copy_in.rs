//! `COPY … FROM STDIN`: records back into rows, binary where every column's type allows it, else
//! text.
//!
//! The mirror image of [`super::copy_out`]: what that casts to text, this sends as text.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};
use futures_util::SinkExt;
use thiserror::Error;
use tokio_postgres::{Client, CopyInSink};

use super::PostgresError;
use super::columns::{Carrier, Column, quoted};
use super::copy_out::SIGNATURE;
use super::members::{Member, Members};

/// Bytes that go to the server in one message, at most.
const MESSAGE_BYTES: usize = 256 << 10;

/// A record that does not fit the table.
#[derive(Debug, Error)]
#[error("a record for table {table} does not fit column {column}: {detail}")]
pub struct RowError {
    /// Table.
    pub table: String,
    /// Column.
    pub column: String,
    /// What is wrong.
    pub detail: &'static str,
}

/// The bytes of one `COPY … FROM STDIN`, row by row.
pub struct RowEncoder {
    table: String,
    columns: Vec<Column>,
    binary: bool,
}

impl RowEncoder {
    /// For a table with these columns.
    pub fn new(table: &str, columns: Vec<Column>) -> Self {
        let binary = columns.iter().all(|c| c.carrier != Carrier::Cast || is_jsonb(c));
        Self { table: table.to_owned(), columns, binary }
    }

    /// The statement this encodes for.
    pub fn statement(&self) -> String {
        let names: Vec<String> = self.columns.iter().map(|c| quoted(&c.name)).collect();
        let format = if self.binary { "binary" } else { "text" };
        let (table, names) = (quoted(&self.table), names.join(", "));
        format!("COPY {table} ({names}) FROM STDIN (FORMAT {format})")
    }

    /// What comes before the first row.
    pub fn begin(&self, out: &mut BytesMut) {
        if self.binary {
            out.put_slice(SIGNATURE);
            out.put_slice(&[0; 8]);
        }
    }

    /// What comes after the last row.
    pub fn end(&self, out: &mut BytesMut) {
        if self.binary {
            out.put_i16(-1);
        }
    }

    /// One row, from a record's members.
    ///
    /// # Errors
    /// [`RowError`] when a value is missing or does not fit its column.
    pub fn row(&self, members: &Members<'_>, out: &mut BytesMut) -> Result<(), RowError> {
        if self.binary {
            out.put_u16(u16::try_from(self.columns.len()).unwrap_or(u16::MAX));
        }
        for (at, column) in self.columns.iter().enumerate() {
            let fail = |detail| RowError {
                table: self.table.clone(),
                column: column.name.clone(),
                detail,
            };
            let value = members.find(at, &column.name).ok_or_else(|| fail("it is missing"))?;
            if self.binary {
                binary_field(column, value, out).map_err(fail)?;
            } else {
                if at > 0 {
                    out.put_u8(b'\t');
                }
                text_field(value, out).map_err(fail)?;
            }
        }
        if !self.binary {
            out.put_u8(b'\n');
        }
        Ok(())
    }
}

fn is_jsonb(column: &Column) -> bool {
    column.type_name == "jsonb"
}

fn binary_field(
    column: &Column,
    value: Member<'_>,
    out: &mut BytesMut,
) -> Result<(), &'static str> {
    const RANGE: &str = "it is out of range";
    let json = match value {
        Member::Json(json) => json,
        Member::Text(text) if column.carrier == Carrier::Text => {
            return sized(text.as_bytes(), None, out);
        }
        Member::Text(_) => return Err("it is not a text column"),
    };
    if json == "null" {
        out.put_i32(-1);
        return Ok(());
    }
    match column.carrier {
        Carrier::Bool => {
            out.put_i32(1);
            out.put_u8(match json {
                "true" => 1,
                "false" => 0,
                _ => return Err("it is not a boolean"),
            });
        }
        Carrier::Int2 => {
            out.put_i32(2);
            out.put_i16(integer(json)?.try_into().map_err(|_| RANGE)?);
        }
        Carrier::Int4 => {
            out.put_i32(4);
            out.put_i32(integer(json)?.try_into().map_err(|_| RANGE)?);
        }
        Carrier::Int8 => {
            out.put_i32(8);
            out.put_i64(integer(json)?);
        }
        Carrier::Text => sized(string(json)?.as_bytes(), None, out)?,
        // Version 1 of jsonb's binary form: its text.
        Carrier::Cast => sized(string(json)?.as_bytes(), Some(1), out)?,
        Carrier::Bytea => {
            let bytes = unhex(&string(json)?).ok_or("it is not hexadecimal with a leading \\x")?;
            sized(&bytes, None, out)?;
        }
    }
    Ok(())
}

fn integer(json: &str) -> Result<i64, &'static str> {
    json.parse().map_err(|_| "it is not a whole number")
}

/// The text of a JSON string; borrowed where nothing is escaped.
fn string(json: &str) -> Result<Cow<'_, str>, &'static str> {
    const WRONG: &str = "it is not a string";
    let inner = json.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).ok_or(WRONG)?;
    if !inner.contains('\\') {
        return Ok(Cow::Borrowed(inner));
    }
    serde_json::from_str(json).map(Cow::Owned).map_err(|_| WRONG)
}

fn sized(bytes: &[u8], version: Option<u8>, out: &mut BytesMut) -> Result<(), &'static str> {
    let length = bytes.len() + usize::from(version.is_some());
    out.put_i32(i32::try_from(length).map_err(|_| "it is longer than PostgreSQL allows")?);
    if let Some(version) = version {
        out.put_u8(version);
    }
    out.put_slice(bytes);
    Ok(())
}

/// PostgreSQL's text form of `COPY`: tab, line feed, carriage return and backslash are escaped.
fn text_field(value: Member<'_>, out: &mut BytesMut) -> Result<(), &'static str> {
    let json = match value {
        Member::Json(json) => json,
        Member::Text(text) => {
            escaped(text, out);
            return Ok(());
        }
    };
    match json {
        "null" => out.put_slice(b"\\N"),
        "true" => out.put_u8(b't'),
        "false" => out.put_u8(b'f'),
        _ if json.starts_with('"') => {
            escaped(&string(json)?, out);
        }
        _ => out.put_slice(integer(json)?.to_string().as_bytes()),
    }
    Ok(())
}

fn escaped(text: &str, out: &mut BytesMut) {
    let mut rest = text.as_bytes();
    let special = |b: &u8| matches!(b, b'\t' | b'\n' | b'\r' | b'\\');
    while let Some(at) = rest.iter().position(special) {
        out.put_slice(&rest[..at]);
        out.put_slice(match rest[at] {
            b'\t' => b"\\t",
            b'\n' => b"\\n",
            b'\r' => b"\\r",
            _ => b"\\\\",
        });
        rest = &rest[at + 1..];
    }
    out.put_slice(rest);
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits = text.strip_prefix("\\x")?.as_bytes();
    if digits.len() % 2 != 0 {
        return None;
    }
    let digit = |b: u8| char::from(b).to_digit(16).and_then(|d| u8::try_from(d).ok());
    digits.chunks_exact(2).map(|pair| Some(digit(pair[0])? << 4 | digit(pair[1])?)).collect()
}

/// An open `COPY … FROM STDIN`.
pub struct RowSink {
    sink: std::pin::Pin<Box<CopyInSink<Bytes>>>,
    encoder: Arc<RowEncoder>,
}

impl RowSink {
    /// Starts the statement of `encoder`.
    ///
    /// # Errors
    /// [`PostgresError`] when the server refuses.
    pub async fn start(client: &Client, encoder: RowEncoder) -> Result<Self, PostgresError> {
        let sink = client
            .copy_in(encoder.statement().as_str())
            .await
            .map_err(|e| PostgresError::sorted(format!("fill {}", encoder.table), e))?;
        let mut begin = BytesMut::new();
        encoder.begin(&mut begin);
        let mut rows = Self { sink: Box::pin(sink), encoder: Arc::new(encoder) };
        rows.send(begin).await?;
        Ok(rows)
    }

    /// What encodes the rows of this statement, wherever there is a core for it.
    pub fn encoder(&self) -> Arc<RowEncoder> {
        self.encoder.clone()
    }

    /// Sends rows that [`Self::encoder`] encoded.
    ///
    /// # Errors
    /// [`PostgresError`] when the server refuses or is lost.
    pub async fn send(&mut self, rows: BytesMut) -> Result<(), PostgresError> {
        let doing = |e| PostgresError::sorted(format!("fill {}", self.encoder.table), e);
        let mut rows = rows.freeze();
        while !rows.is_empty() {
            let message = rows.split_to(rows.len().min(MESSAGE_BYTES));
            self.sink.send(message).await.map_err(doing)?;
        }
        Ok(())
    }

    /// Ends the statement; returns how many rows the server took.
    ///
    /// # Errors
    /// [`PostgresError`] when the server refuses the rows.
    pub async fn finish(mut self) -> Result<u64, PostgresError> {
        let mut end = BytesMut::new();
        self.encoder.end(&mut end);
        self.send(end).await?;
        let doing = |e| PostgresError::sorted(format!("fill {}", self.encoder.table), e);
        self.sink.as_mut().finish().await.map_err(doing)
    }
}

#[cfg(test)]
mod tests;

//! `COPY … TO STDOUT (FORMAT binary)` as a stream of rows (PostgreSQL documentation, COPY, "Binary
//! Format").

use std::ops::Range;

use bytes::Bytes;
use futures_util::StreamExt;
use tokio_postgres::{Client, CopyOutStream};

use super::PostgresError;

/// The signature every binary COPY stream begins with.
pub(super) const SIGNATURE: &[u8; 11] = b"PGCOPY\n\xff\r\n\0";
/// Signature, flags and header extension length.
pub(super) const HEADER_BYTES: usize = 19;
/// A field longer than PostgreSQL can hold is a broken stream.
const FIELD_BYTES: usize = 1 << 30;

/// One row: the fields as they came, `None` for SQL null.
pub struct Row<'a> {
    bytes: &'a [u8],
    fields: &'a [Option<Range<usize>>],
}

impl<'a> Row<'a> {
    /// A row whose fields lie at `fields` of `bytes`.
    pub fn new(bytes: &'a [u8], fields: &'a [Option<Range<usize>>]) -> Self {
        Self { bytes, fields }
    }

    /// The field at `at`, `None` for SQL null or where there is no such field.
    pub fn field(&self, at: usize) -> Option<&'a [u8]> {
        self.fields.get(at)?.clone().and_then(|range| self.bytes.get(range))
    }

    /// The row as it came: the number of fields, then each with its length.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Bytes of the row on the wire.
    pub fn bytes_len(&self) -> usize {
        self.bytes.len()
    }
}

/// Rows of one `COPY` query.
pub struct RowStream {
    stream: std::pin::Pin<Box<CopyOutStream>>,
    label: String,
    chunk: Bytes,
    at: usize,
    fields: Vec<Option<Range<usize>>>,
    begun: bool,
    ended: bool,
}

impl RowStream {
    /// Starts `COPY (query) TO STDOUT` for `label`, a name for messages.
    ///
    /// # Errors
    /// [`PostgresError`] when the server refuses the query or is lost.
    pub async fn start(client: &Client, label: &str, query: &str) -> Result<Self, PostgresError> {
        let statement = format!("COPY ({query}) TO STDOUT (FORMAT binary)");
        Self::copy(client, label, &statement).await
    }

    /// Starts a whole `COPY … TO STDOUT (FORMAT binary)` statement.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub(crate) async fn copy(
        client: &Client,
        label: &str,
        statement: &str,
    ) -> Result<Self, PostgresError> {
        let stream = client
            .copy_out(statement)
            .await
            .map_err(|e| PostgresError::sorted(format!("read {label}"), e))?;
        Ok(Self {
            stream: Box::pin(stream),
            label: label.to_owned(),
            chunk: Bytes::new(),
            at: 0,
            fields: Vec::new(),
            begun: false,
            ended: false,
        })
    }

    /// The next row, or `None` after the last.
    ///
    /// # Errors
    /// [`PostgresError`] when the stream breaks off or is malformed.
    pub async fn next(&mut self) -> Result<Option<Row<'_>>, PostgresError> {
        loop {
            if self.ended {
                return Ok(None);
            }
            let rest = self.chunk.get(self.at..).unwrap_or_default();
            match parse(rest, &mut self.begun, &mut self.fields) {
                Ok(Parsed::Row(used)) => {
                    let from = self.at;
                    self.at += used;
                    let bytes = self.chunk.get(from..self.at).unwrap_or_default();
                    return Ok(Some(Row { bytes, fields: &self.fields }));
                }
                Ok(Parsed::Skip(used)) => self.at += used,
                Ok(Parsed::End) => {
                    self.ended = true;
                    self.drain().await?;
                }
                Ok(Parsed::More) => self.refill().await?,
                Err(detail) => {
                    return Err(PostgresError::Malformed { table: self.label.clone(), detail });
                }
            }
        }
    }

    /// Fetches the next message and puts what was left of the last one before it.
    async fn refill(&mut self) -> Result<(), PostgresError> {
        let rest = self.chunk.split_off(self.at.min(self.chunk.len()));
        // A message is a row, which may be large: it must not wait here for the next.
        (self.chunk, self.at) = (Bytes::new(), 0);
        let Some(next) = self.stream.next().await else {
            return Err(PostgresError::Malformed {
                table: self.label.clone(),
                detail: "it ended without the end mark",
            });
        };
        let next = next.map_err(|e| PostgresError::sorted(format!("read {}", self.label), e))?;
        self.chunk = if rest.is_empty() { next } else { [rest, next].concat().into() };
        Ok(())
    }

    /// Reads to the end of the protocol exchange, so that a late error is not lost.
    async fn drain(&mut self) -> Result<(), PostgresError> {
        while let Some(next) = self.stream.next().await {
            next.map_err(|e| PostgresError::sorted(format!("read {}", self.label), e))?;
        }
        Ok(())
    }
}

/// What [`parse`] found at the front of the bytes.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Parsed {
    Row(usize),
    Skip(usize),
    End,
    More,
}

/// Looks at what is at the front of a stream: the header, a row with where its fields are, the end,
/// or too little to tell.
pub(super) fn parse(
    bytes: &[u8],
    begun: &mut bool,
    fields: &mut Vec<Option<Range<usize>>>,
) -> Result<Parsed, &'static str> {
    if !*begun {
        let Some(header) = bytes.get(..HEADER_BYTES) else { return Ok(Parsed::More) };
        if !header.starts_with(SIGNATURE) {
            return Err("the signature is wrong");
        }
        let extension = number(bytes, 15).ok_or("the header is short")?;
        let used = HEADER_BYTES + usize::try_from(extension).map_err(|_| "the header is wrong")?;
        if bytes.len() < used {
            return Ok(Parsed::More);
        }
        *begun = true;
        return Ok(Parsed::Skip(used));
    }
    let Some(&[high, low]) = bytes.get(..2).and_then(|b| b.first_chunk::<2>()) else {
        return Ok(Parsed::More);
    };
    let count = i16::from_be_bytes([high, low]);
    if count == -1 {
        return Ok(Parsed::End);
    }
    let count = u16::try_from(count).map_err(|_| "a row has a negative number of fields")?;
    fields.clear();
    let mut at = 2;
    for _ in 0..count {
        let Some(length) = number(bytes, at) else { return Ok(Parsed::More) };
        at += 4;
        if length == -1 {
            fields.push(None);
            continue;
        }
        let length = usize::try_from(length).map_err(|_| "a field has a negative length")?;
        if length > FIELD_BYTES {
            return Err("a field is longer than PostgreSQL allows");
        }
        if bytes.len() < at + length {
            return Ok(Parsed::More);
        }
        fields.push(Some(at..at + length));
        at += length;
    }
    Ok(Parsed::Row(at))
}

fn number(bytes: &[u8], at: usize) -> Option<i32> {
    bytes.get(at..)?.first_chunk::<4>().map(|b| i32::from_be_bytes(*b))
}

/// A row on the wire and where its fields are, for tests of what reads and writes rows.
#[cfg(test)]
pub(crate) fn row_of(fields: &[Option<&[u8]>]) -> (Vec<u8>, Vec<Option<Range<usize>>>) {
    let count = u16::try_from(fields.len()).expect("tests have few fields");
    let mut bytes = count.to_be_bytes().to_vec();
    let mut ranges = Vec::new();
    for field in fields {
        let length = field.map_or(-1, |field| i32::try_from(field.len()).expect("a short field"));
        bytes.extend(length.to_be_bytes());
        ranges.push(field.map(|field| bytes.len()..bytes.len() + field.len()));
        bytes.extend(field.unwrap_or_default());
    }
    (bytes, ranges)
}

#[cfg(test)]
mod tests;

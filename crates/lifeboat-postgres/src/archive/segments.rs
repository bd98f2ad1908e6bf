//! A table's rows as segments: complete binary `COPY` files, cut where the content says.
//!
//! Whether a segment ends after a row is decided by that row and the three before it, so rows that
//! are added, changed or removed change the segments they are in, at most one neighbour, and no
//! other: a vault that has the others need not store them again. The decision is a question of
//! economy and not of trust, so a fast hash makes it; whoever writes rows that never let a segment
//! end gets segments of the largest size.

use tokio_postgres::Client;

use crate::PostgresError;
use crate::copy_out::{RowStream, SIGNATURE};

use super::TableShape;

/// A segment does not end by its content before it has as many bytes.
pub const SEGMENT_LEAST_BYTES: usize = 512 << 10;
/// A segment of more than one row has at most as many bytes.
pub const SEGMENT_MOST_BYTES: usize = 8 << 20;
/// No row is longer: the server cannot make a longer message.
pub const ROW_LIMIT_BYTES: usize = 1 << 30;

/// What follows the least, on average. Half of both would cost a first backup 3 % more bytes, and
/// save a quarter of those that 2 % more events cost.
const MEAN_BYTES_BEYOND: u64 = 512 << 10;
/// Signature, no flags, no extension.
const HEADER_BYTES: usize = 19;
/// A row with -1 fields.
const TRAILER: [u8; 2] = (-1_i16).to_be_bytes();

/// Rows that can be given back by themselves.
#[derive(Clone, PartialEq, Eq)]
pub struct Segment {
    /// How many.
    pub rows: u64,
    /// A complete file of `COPY … (FORMAT binary)`.
    pub copy: Vec<u8>,
}

/// The rows of one table, read segment by segment.
pub struct Segments {
    rows: RowStream,
    table: String,
    cutter: Cutter,
    ended: bool,
}

impl Segments {
    /// Begins to read a table on a lane of its cut, which it keeps busy until the last segment.
    ///
    /// # Errors
    /// [`PostgresError`] when the server refuses or is lost.
    pub async fn start(lane: &Client, shape: &TableShape) -> Result<Self, PostgresError> {
        if shape.columns.iter().any(|column| column.as_text) {
            // Names of objects are written with their schemas.
            let doing = |e| PostgresError::sorted(format!("read {}", shape.label()), e);
            lane.batch_execute("SET LOCAL search_path = ''").await.map_err(doing)?;
        }
        let rows = RowStream::copy(lane, &shape.label(), &shape.copy_statement()).await?;
        Ok(Self { rows, table: shape.label(), cutter: Cutter::default(), ended: false })
    }

    /// The next segment, or `None` after the last; a table without rows has none.
    ///
    /// # Errors
    /// [`PostgresError`] when the stream breaks off or is malformed.
    pub async fn next(&mut self) -> Result<Option<Segment>, PostgresError> {
        while !self.ended {
            match self.rows.next().await? {
                None => self.ended = true,
                Some(row) if row.bytes_len() > ROW_LIMIT_BYTES => {
                    let detail = "a row is longer than PostgreSQL allows";
                    return Err(PostgresError::Malformed { table: self.table.clone(), detail });
                }
                Some(row) => {
                    if let Some(segment) = self.cutter.push(row.bytes()) {
                        return Ok(Some(segment));
                    }
                }
            }
        }
        Ok(self.cutter.finish())
    }
}

/// Where segments end. Pure.
#[derive(Default)]
struct Cutter {
    /// Header and rows of the segment that is being filled; empty between segments.
    filling: Vec<u8>,
    rows: u64,
    /// The hashes of the last four rows, each 16 bits further up than the one after it.
    recent: u64,
    /// The last row ended its segment, which was not given out because the one before was.
    ripe: bool,
}

impl Cutter {
    /// Takes a row, and gives a segment when one is complete.
    fn push(&mut self, row: &[u8]) -> Option<Segment> {
        let full = self.filling.len() + row.len() + TRAILER.len() > SEGMENT_MOST_BYTES;
        let before = if self.ripe || full { self.finish() } else { None };
        if self.filling.is_empty() {
            self.filling.reserve(SEGMENT_LEAST_BYTES + SEGMENT_LEAST_BYTES / 2);
            self.filling.extend_from_slice(SIGNATURE);
            self.filling.resize(HEADER_BYTES, 0);
        }
        // Exactly: a row may be as large as all else that a run holds.
        self.filling.reserve(row.len() + TRAILER.len());
        self.filling.extend_from_slice(row);
        self.rows += 1;
        self.recent = (self.recent << 16) ^ hash(row);
        let bytes = self.filling.len();
        let chosen = bytes >= SEGMENT_LEAST_BYTES && chooses(self.recent, row.len());
        // Nothing fits behind a row that is as large.
        let ends = chosen || bytes + TRAILER.len() >= SEGMENT_MOST_BYTES;
        if before.is_some() {
            self.ripe = ends;
            return before;
        }
        if ends { self.finish() } else { None }
    }

    /// The segment that is being filled, if it has rows.
    fn finish(&mut self) -> Option<Segment> {
        self.ripe = false;
        if self.rows == 0 {
            return None;
        }
        let mut copy = std::mem::take(&mut self.filling);
        copy.extend_from_slice(&TRAILER);
        Some(Segment { rows: std::mem::take(&mut self.rows), copy })
    }
}

/// True for one in as many rows of this length as make [`MEAN_BYTES_BEYOND`].
fn chooses(hash: u64, row_bytes: usize) -> bool {
    let share = u64::try_from(row_bytes).unwrap_or(u64::MAX);
    hash < share.saturating_mul(u64::MAX / MEAN_BYTES_BEYOND)
}

/// Eight bytes a step: multiplied to 128 bits and folded. It is written down nowhere and may
/// change; then nothing is borrowed from older packages, once.
fn hash(row: &[u8]) -> u64 {
    const ODD: u64 = 0x9e37_79b9_7f4a_7c15;
    let mut state = 0x2545_f491_4f6c_dd1d ^ u64::try_from(row.len()).unwrap_or_default();
    let (words, rest) = row.as_chunks::<8>();
    for word in words {
        state = fold(state ^ u64::from_le_bytes(*word), ODD);
    }
    let mut last = [0_u8; 8];
    last[..rest.len()].copy_from_slice(rest);
    fold(fold(state ^ u64::from_le_bytes(last), ODD) ^ ODD, 0xd6e8_feb8_6659_fd93)
}

#[expect(clippy::cast_possible_truncation, reason = "the halves of the product are wanted")]
fn fold(left: u64, right: u64) -> u64 {
    let product = u128::from(left) * u128::from(right);
    (product as u64) ^ ((product >> 64) as u64)
}

#[cfg(test)]
mod tests;

//! Gathers records into frames of bounded size.

use lifeboat_package::flow::{Batch, FlowError, Gap, Records, Sink};
use lifeboat_package::limits::{FRAME_RAW_BYTES, FRAME_TARGET_BYTES};
use serde::Serialize;

use super::ReadError;
use crate::postgres::copy_out::{Row, RowStream};
use crate::postgres::record::Shape;

/// Records of one kind on their way to the sink.
pub struct Frames {
    name: String,
    /// Table whose rows the records are, where they are rows.
    table: Option<String>,
    /// A second table whose row a record holds where this field is not null, and how many there
    /// were.
    second: Option<(String, usize, u64)>,
    lines: Vec<u8>,
    count: u64,
}

impl Frames {
    /// Records that are no rows.
    pub fn new(name: &str) -> Self {
        Self { name: name.to_owned(), table: None, second: None, lines: Vec::new(), count: 0 }
    }

    /// Records that are the rows of `table`.
    pub fn of_table(table: &str) -> Self {
        Self { table: Some(table.to_owned()), ..Self::new(table) }
    }

    /// A record also holds a row of `table` where the query's field `at` is not null.
    pub fn also_counts(&mut self, table: &str, at: usize) {
        self.second = Some((table.to_owned(), at, 0));
    }

    /// Adds a record.
    ///
    /// # Errors
    /// The sink's.
    pub async fn serialize(
        &mut self,
        record: &impl Serialize,
        sink: &mut dyn Sink,
    ) -> Result<(), FlowError> {
        let from = self.lines.len();
        serde_json::to_writer(&mut self.lines, record).map_err(FlowError::new)?;
        self.lines.push(b'\n');
        self.added(from, sink).await
    }

    /// Adds every row of a stream.
    ///
    /// # Errors
    /// [`ReadError`] inside, or the sink's.
    pub async fn stream(
        &mut self,
        rows: &mut RowStream,
        shape: &Shape,
        sink: &mut dyn Sink,
    ) -> Result<(), FlowError> {
        while let Some(row) = rows.next().await.map_err(FlowError::new)? {
            self.row(row, (shape, None), sink).await?;
        }
        Ok(())
    }

    /// Adds a row, with `instead` in place of its document.
    ///
    /// # Errors
    /// [`ReadError`] inside, or the sink's.
    pub async fn row(
        &mut self,
        row: Row<'_>,
        (shape, instead): (&Shape, Option<&[u8]>),
        sink: &mut dyn Sink,
    ) -> Result<(), FlowError> {
        let from = self.lines.len();
        shape.write_with(&row, instead, &mut self.lines).map_err(|detail| {
            FlowError::new(ReadError::Row { table: self.name.clone(), detail })
        })?;
        if let Some((_, at, count)) = &mut self.second {
            *count += u64::from(row.field(*at).is_some());
        }
        self.added(from, sink).await
    }

    /// Sends what is left.
    ///
    /// # Errors
    /// The sink's.
    pub async fn finish(mut self, sink: &mut dyn Sink) -> Result<(), FlowError> {
        self.send(sink).await
    }

    /// Counts the record that begins at `from`, and sends the frame when it is full.
    async fn added(&mut self, from: usize, sink: &mut dyn Sink) -> Result<(), FlowError> {
        let record_bytes = self.lines.len() - from;
        if record_bytes > FRAME_RAW_BYTES {
            self.lines.truncate(from);
            return sink
                .accept(Batch::Gap(Gap {
                    kind: "record-too-large".to_owned(),
                    object: self.name.clone(),
                    detail: format!("a record of {record_bytes} bytes was left out"),
                    remedy: "save that row by hand with COPY".to_owned(),
                }))
                .await;
        }
        if self.lines.len() > FRAME_RAW_BYTES {
            let last = self.lines.split_off(from);
            self.send(sink).await?;
            self.lines = last;
        }
        self.count += 1;
        if self.lines.len() >= FRAME_TARGET_BYTES {
            self.send(sink).await?;
        }
        Ok(())
    }

    async fn send(&mut self, sink: &mut dyn Sink) -> Result<(), FlowError> {
        if self.count == 0 {
            return Ok(());
        }
        let mut rows: Vec<_> = self.table.iter().map(|table| (table.clone(), self.count)).collect();
        if let Some((table, _, count)) = &mut self.second {
            rows.push((table.clone(), std::mem::take(count)));
        }
        let next = Vec::with_capacity(FRAME_TARGET_BYTES + (64 << 10));
        let lines = std::mem::replace(&mut self.lines, next);
        let count = std::mem::take(&mut self.count);
        sink.accept(Batch::Records(Records { name: self.name.clone(), lines, count, rows })).await
    }
}

//! Records of one name on their way into a part, gathered until a frame is worth it.

use lifeboat_engine::failure::Failure;
use lifeboat_engine::writer::sink::PartSink;
use lifeboat_package::flow::{Batch, Records, Sink};
use lifeboat_package::limits::FRAME_TARGET_BYTES;
use serde::Serialize;

use super::flow;

/// Gathers records.
pub struct Lines {
    name: &'static str,
    text: Vec<u8>,
    count: u64,
}

impl Lines {
    /// Records of this name.
    pub fn of(name: &'static str) -> Self {
        Self { name, text: Vec::new(), count: 0 }
    }

    /// Adds a record.
    ///
    /// # Errors
    /// [`Failure`] when the package cannot be written.
    pub async fn add(
        &mut self,
        record: &impl Serialize,
        sink: &mut PartSink,
    ) -> Result<(), Failure> {
        serde_json::to_writer(&mut self.text, record).map_err(|e| {
            Failure::failed("cannot write a record", "this is a fault of ours").because(e)
        })?;
        self.text.push(b'\n');
        self.count += 1;
        if self.text.len() >= FRAME_TARGET_BYTES { self.flush(sink).await } else { Ok(()) }
    }

    /// Sends what was gathered.
    ///
    /// # Errors
    /// [`Failure`] when the package cannot be written.
    pub async fn flush(&mut self, sink: &mut PartSink) -> Result<(), Failure> {
        if self.count == 0 {
            return Ok(());
        }
        let records = Records {
            name: self.name.to_owned(),
            lines: std::mem::take(&mut self.text),
            count: std::mem::take(&mut self.count),
            rows: Vec::new(),
            rooms: None,
            shelf: None,
        };
        sink.accept(Batch::Records(records)).await.map_err(flow)
    }
}

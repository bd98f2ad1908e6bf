//! A part of a package as a source: the mirror image of the sink that wrote it.

use lifeboat_package::flow::{Batch, Flow, FlowError, Records, Sink, Source};

use super::{EntryPlace, Package};

/// Pours the records of some entries of one name, in order.
pub struct RecordSource<'a> {
    /// The package.
    pub package: &'a Package,
    /// Name of the records.
    pub name: &'a str,
    /// Entries.
    pub entries: &'a [EntryPlace],
}

impl Source for RecordSource<'_> {
    fn pour<'a>(&'a mut self, sink: &'a mut dyn Sink) -> Flow<'a> {
        Box::pin(async move {
            for entry in self.entries {
                let lines = self.package.content(entry).await.map_err(FlowError::new)?;
                let count = entry.record.records;
                let (name, rows) = (self.name.to_owned(), Vec::new());
                sink.accept(Batch::Records(Records {
                    name,
                    lines,
                    count,
                    rows,
                    rooms: None,
                    shelf: None,
                }))
                .await?;
            }
            Ok(())
        })
    }
}

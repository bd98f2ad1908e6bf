//! Records into rows: the mirror image of [`super::super::read::tables`] and
//! [`super::super::read::rooms`].

use std::collections::BTreeMap;

use lifeboat_package::flow::{Batch, Flow, FlowError, Records, Sink};
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio_postgres::Client;

use super::WriteError;
use crate::postgres::columns::Column;
use crate::postgres::copy_in::{RowEncoder, RowSink};
use crate::postgres::members::{Member, Members};

/// The name of the records that hold a row of `events` and one of `event_json`.
pub const JOINED: &str = "events";

/// Columns of every table of the package.
pub type Columns = BTreeMap<String, Vec<Column>>;

/// Takes the records of one table and loads them.
pub struct TableSink {
    table: String,
    rows: RowSink,
    sent: u64,
}

impl TableSink {
    /// Starts loading `table`.
    ///
    /// # Errors
    /// [`WriteError`] when the table is not described or the database refuses.
    pub async fn start(
        client: &Client,
        table: &str,
        columns: &Columns,
    ) -> Result<Self, WriteError> {
        let rows = start(client, table, columns).await?;
        Ok(Self { table: table.to_owned(), rows, sent: 0 })
    }

    /// Ends; returns how many rows were loaded.
    ///
    /// # Errors
    /// [`WriteError`] when the database refuses the rows or counts others.
    pub async fn finish(self) -> Result<u64, WriteError> {
        finish(self.table, self.rows, self.sent).await
    }

    async fn records(&mut self, records: &Records) -> Result<(), WriteError> {
        for line in lines(records)? {
            let members = Members::parse(line)
                .map_err(|source| WriteError::Record { name: self.table.clone(), source })?;
            self.rows.row(&members)?;
            self.sent += 1;
            self.rows.flush().await?;
        }
        Ok(())
    }
}

impl Sink for TableSink {
    fn accept(&mut self, batch: Batch) -> Flow<'_> {
        Box::pin(async move {
            match batch {
                Batch::Records(records) => self.records(&records).await.map_err(FlowError::new),
                Batch::Blob(_) | Batch::Gap(_) => Ok(()),
            }
        })
    }
}

/// Takes joined event records and loads both their tables, over two sessions.
pub struct EventSink {
    events: RowSink,
    contents: RowSink,
    sent: (u64, u64),
}

/// A joined record (`docs/src/format.md` §7.3), unparsed where it can stay so.
#[derive(Deserialize)]
struct EventRecord<'a> {
    #[serde(borrow)]
    event_id: &'a RawValue,
    #[serde(borrow)]
    events: Option<Members<'a>>,
    #[serde(borrow)]
    event_json: Option<Members<'a>>,
    #[serde(borrow)]
    pdu: &'a RawValue,
}

impl EventSink {
    /// Starts loading both tables.
    ///
    /// # Errors
    /// [`WriteError`] when a table is not described or the database refuses.
    pub async fn start(clients: (&Client, &Client), columns: &Columns) -> Result<Self, WriteError> {
        let events = start(clients.0, "events", columns).await?;
        let contents = start(clients.1, "event_json", columns).await?;
        Ok(Self { events, contents, sent: (0, 0) })
    }

    /// Ends; returns how many rows were loaded into each table.
    ///
    /// # Errors
    /// [`WriteError`] when the database refuses the rows or counts others.
    pub async fn finish(self) -> Result<[(String, u64); 2], WriteError> {
        let (events, contents) = ("events".to_owned(), "event_json".to_owned());
        let taken = finish(events.clone(), self.events, self.sent.0).await?;
        let also_taken = finish(contents.clone(), self.contents, self.sent.1).await?;
        Ok([(events, taken), (contents, also_taken)])
    }

    async fn records(&mut self, records: &Records) -> Result<(), WriteError> {
        for line in lines(records)? {
            let record: EventRecord<'_> = serde_json::from_str(line)
                .map_err(|source| WriteError::Record { name: "events".to_owned(), source })?;
            if let Some(mut row) = record.events {
                row.push("event_id", Member::Json(record.event_id.get()));
                self.events.row(&row)?;
                self.sent.0 += 1;
                self.events.flush().await?;
            }
            if let Some(mut row) = record.event_json {
                row.push("event_id", Member::Json(record.event_id.get()));
                row.push("json", content(record.pdu.get()));
                self.contents.row(&row)?;
                self.sent.1 += 1;
                self.contents.flush().await?;
            }
        }
        Ok(())
    }
}

impl Sink for EventSink {
    fn accept(&mut self, batch: Batch) -> Flow<'_> {
        Box::pin(async move {
            match batch {
                Batch::Records(records) => self.records(&records).await.map_err(FlowError::new),
                Batch::Blob(_) | Batch::Gap(_) => Ok(()),
            }
        })
    }
}

/// A PDU that went in as an object is the text of the column; one that went in as a string holds
/// it.
fn content(pdu: &str) -> Member<'_> {
    if pdu.starts_with('{') { Member::Text(pdu) } else { Member::Json(pdu) }
}

fn lines(records: &Records) -> Result<impl Iterator<Item = &str>, WriteError> {
    let text = std::str::from_utf8(&records.lines).map_err(|e| WriteError::Record {
        name: records.name.clone(),
        source: serde::de::Error::custom(e),
    })?;
    Ok(text.lines())
}

async fn start(client: &Client, table: &str, columns: &Columns) -> Result<RowSink, WriteError> {
    let found = columns.get(table).ok_or_else(|| WriteError::UnknownTable(table.to_owned()))?;
    Ok(RowSink::start(client, RowEncoder::new(table, found.clone())).await?)
}

async fn finish(table: String, rows: RowSink, sent: u64) -> Result<u64, WriteError> {
    let taken = rows.finish().await?;
    if taken == sent { Ok(taken) } else { Err(WriteError::RowCount { table, sent, taken }) }
}

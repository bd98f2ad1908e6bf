//! Records into rows: the mirror image of [`super::super::read::tables`] and
//! [`super::super::read::rooms`].

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::BytesMut;
use lifeboat_package::flow::{Batch, Flow, FlowError, Records, Sink};
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::task::JoinHandle;
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
pub struct TableSink(Loading);

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
        let tables = vec![Table::start(client, table, columns).await?];
        Ok(Self(Loading { tables, encode: encode_rows, encoding: None }))
    }

    /// Ends; returns how many rows were loaded.
    ///
    /// # Errors
    /// [`WriteError`] when a record does not fit, or the database refuses the rows or counts
    /// others.
    pub async fn finish(self) -> Result<u64, WriteError> {
        Ok(self.0.finish().await?.iter().map(|(_, rows)| rows).sum())
    }
}

impl Sink for TableSink {
    fn accept(&mut self, batch: Batch) -> Flow<'_> {
        Box::pin(async move { self.0.take(batch).await.map_err(FlowError::new) })
    }
}

/// Takes joined event records and loads both their tables, over two sessions.
pub struct EventSink(Loading);

impl EventSink {
    /// Starts loading both tables.
    ///
    /// # Errors
    /// [`WriteError`] when a table is not described or the database refuses.
    pub async fn start(clients: (&Client, &Client), columns: &Columns) -> Result<Self, WriteError> {
        let tables = vec![
            Table::start(clients.0, "events", columns).await?,
            Table::start(clients.1, "event_json", columns).await?,
        ];
        Ok(Self(Loading { tables, encode: encode_events, encoding: None }))
    }

    /// Ends; returns how many rows were loaded into each table.
    ///
    /// # Errors
    /// [`WriteError`] when a record does not fit, or the database refuses the rows or counts
    /// others.
    pub async fn finish(self) -> Result<Vec<(String, u64)>, WriteError> {
        self.0.finish().await
    }
}

impl Sink for EventSink {
    fn accept(&mut self, batch: Batch) -> Flow<'_> {
        Box::pin(async move { self.0.take(batch).await.map_err(FlowError::new) })
    }
}

/// One table's `COPY`.
struct Table {
    name: String,
    rows: RowSink,
    sent: u64,
}

impl Table {
    async fn start(client: &Client, name: &str, columns: &Columns) -> Result<Self, WriteError> {
        let found = columns.get(name).ok_or_else(|| WriteError::UnknownTable(name.to_owned()))?;
        let rows = RowSink::start(client, RowEncoder::new(name, found.clone())).await?;
        Ok(Self { name: name.to_owned(), rows, sent: 0 })
    }
}

/// The rows that a batch of records holds of one table.
#[derive(Default)]
struct Encoded {
    rows: BytesMut,
    count: u64,
}

/// Makes a batch of records into rows, for as many tables as there are encoders.
type Encode = fn(&[Arc<RowEncoder>], &Records) -> Result<Vec<Encoded>, WriteError>;

/// Records on their way into tables. The next batch is made into rows on a thread of its own while
/// the rows of the last one go to the server.
struct Loading {
    tables: Vec<Table>,
    encode: Encode,
    encoding: Option<JoinHandle<Result<Vec<Encoded>, WriteError>>>,
}

impl Loading {
    async fn take(&mut self, batch: Batch) -> Result<(), WriteError> {
        let Batch::Records(records) = batch else { return Ok(()) };
        let encoders: Vec<_> = self.tables.iter().map(|table| table.rows.encoder()).collect();
        let encode = self.encode;
        let next = tokio::task::spawn_blocking(move || encode(&encoders, &records));
        let last = self.encoding.replace(next);
        self.send(last).await
    }

    async fn send(
        &mut self,
        encoding: Option<JoinHandle<Result<Vec<Encoded>, WriteError>>>,
    ) -> Result<(), WriteError> {
        let Some(encoding) = encoding else { return Ok(()) };
        let encoded = encoding.await.map_err(WriteError::Thread)??;
        for (table, Encoded { rows, count }) in self.tables.iter_mut().zip(encoded) {
            table.rows.send(rows).await?;
            table.sent += count;
        }
        Ok(())
    }

    async fn finish(mut self) -> Result<Vec<(String, u64)>, WriteError> {
        let last = self.encoding.take();
        self.send(last).await?;
        let mut loaded = Vec::with_capacity(self.tables.len());
        for Table { name, rows, sent } in self.tables {
            let taken = rows.finish().await?;
            if taken != sent {
                return Err(WriteError::RowCount { table: name, sent, taken });
            }
            loaded.push((name, taken));
        }
        Ok(loaded)
    }
}

fn encode_rows(
    encoders: &[Arc<RowEncoder>],
    records: &Records,
) -> Result<Vec<Encoded>, WriteError> {
    let [table] = encoders else { return Ok(Vec::new()) };
    let mut encoded = Encoded::default();
    encoded.rows.reserve(records.lines.len());
    for line in lines(records)? {
        let members = Members::parse(line).map_err(|source| unreadable(records, source))?;
        table.row(&members, &mut encoded.rows)?;
        encoded.count += 1;
    }
    Ok(vec![encoded])
}

/// A joined record (`docs/src/format.md` §7.3), unparsed where it can stay so.
#[derive(Deserialize)]
pub(in crate::synapse) struct EventRecord<'a> {
    #[serde(borrow)]
    pub(in crate::synapse) event_id: &'a RawValue,
    #[serde(borrow, default)]
    pub(in crate::synapse) room_id: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(in crate::synapse) events: Option<Members<'a>>,
    #[serde(borrow)]
    pub(in crate::synapse) event_json: Option<Members<'a>>,
    #[serde(borrow)]
    pub(in crate::synapse) pdu: &'a RawValue,
    /// It only came along, so that others can stand.
    #[serde(default)]
    pub(in crate::synapse) closure: bool,
}

fn encode_events(
    encoders: &[Arc<RowEncoder>],
    records: &Records,
) -> Result<Vec<Encoded>, WriteError> {
    let [of_events, of_contents] = encoders else { return Ok(Vec::new()) };
    let (mut events, mut contents) = (Encoded::default(), Encoded::default());
    contents.rows.reserve(records.lines.len());
    for line in lines(records)? {
        let record: EventRecord<'_> =
            serde_json::from_str(line).map_err(|source| unreadable(records, source))?;
        if let Some(mut row) = record.events {
            row.push("event_id", Member::Json(record.event_id.get()));
            of_events.row(&row, &mut events.rows)?;
            events.count += 1;
        }
        if let Some(mut row) = record.event_json {
            row.push("event_id", Member::Json(record.event_id.get()));
            row.push("json", content(record.pdu.get()));
            of_contents.row(&row, &mut contents.rows)?;
            contents.count += 1;
        }
    }
    Ok(vec![events, contents])
}

/// A PDU that went in as an object is the text of the column; one that went in as a string holds
/// it.
pub(in crate::synapse) fn content(pdu: &str) -> Member<'_> {
    if pdu.starts_with('{') { Member::Text(pdu) } else { Member::Json(pdu) }
}

fn lines(records: &Records) -> Result<impl Iterator<Item = &str>, WriteError> {
    let text = std::str::from_utf8(&records.lines)
        .map_err(|e| unreadable(records, serde::de::Error::custom(e)))?;
    Ok(text.lines())
}

fn unreadable(records: &Records, source: serde_json::Error) -> WriteError {
    WriteError::Record { name: records.name.clone(), source }
}

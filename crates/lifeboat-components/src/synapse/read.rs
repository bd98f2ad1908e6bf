//! Reading a Synapse: one [`PartSource`] pours one part of the plan.

mod chosen;
mod closure;
pub mod frames;
pub mod media;
mod referenced;
pub mod rooms;
pub mod summary;
pub mod tables;
mod unfit;
mod visible;

use std::path::PathBuf;
use std::sync::Arc;

use lifeboat_package::flow::{Batch, Flow, FlowError, Gap, Sink, Source};
use lifeboat_package::selection::Selection;
use thiserror::Error;
use tokio_postgres::Client;

pub(in crate::synapse) use self::chosen::leaves_with_rooms;
use self::frames::Frames;
pub use self::media::media_of;
pub use self::referenced::{encrypted, referenced_bytes};
pub use self::unfit::{Unfit, why_nothing};
use super::config::SynapseConfig;
use super::config::records::to_records;
use super::layout::{self, Holds, Layout, STATE_STORE, StoredTable, key_of_each};
use super::plan::Work;
use super::schema;
use crate::postgres::PostgresError;

/// Why a part could not be poured.
#[derive(Debug, Error)]
pub enum ReadError {
    /// The database.
    #[error(transparent)]
    Postgres(#[from] PostgresError),
    /// The schema could not be read.
    #[error("cannot read the schema of the database")]
    Schema(#[source] schema::SchemaError),
    /// A row's bytes do not fit its column types.
    #[error("a row of {table} cannot be read: {detail}")]
    Row {
        /// Table.
        table: String,
        /// What is wrong.
        detail: &'static str,
    },
    /// A media file exists and cannot be read.
    #[error("cannot read media file {path}")]
    Media {
        /// Path.
        path: PathBuf,
        /// Cause.
        source: std::io::Error,
    },
}

impl From<schema::SchemaError> for ReadError {
    fn from(error: schema::SchemaError) -> Self {
        match error {
            schema::SchemaError::Postgres(error) => Self::Postgres(error),
            error => Self::Schema(error),
        }
    }
}

/// What every part of one export is read with.
pub struct Reading {
    /// Tables.
    pub layout: Layout,
    /// Configuration.
    pub config: SynapseConfig,
    /// Root of the media store.
    pub media_store: PathBuf,
    /// What is wanted.
    pub selection: Selection,
    /// Whether so little is wanted that tables are to be read by their indexes only.
    pub frugal: bool,
    /// Gaps found before any part was poured.
    pub early_gaps: Vec<Gap>,
    /// Blobs that are in the package already.
    pub blobs: media::BlobSet,
    /// What the ranges of rooms held.
    pub room_rows: rooms::RoomRows,
}

/// Sessions on the snapshot.
#[derive(Clone, Copy)]
pub struct Lane<'a> {
    /// On the main database.
    pub main: &'a Client,
    /// On the database of the state store: the same session where that is the same database.
    pub state: &'a Client,
}

impl<'a> Lane<'a> {
    /// The session that sees `table`.
    pub fn of(self, table: &str) -> &'a Client {
        if STATE_STORE.contains(&table) { self.state } else { self.main }
    }

    /// Whether the state store is a database of its own.
    fn is_split(self) -> bool {
        !std::ptr::eq(self.main, self.state)
    }
}

/// Pours one part.
pub struct PartSource<'a> {
    /// Sessions.
    pub lane: Lane<'a>,
    /// What is read.
    pub reading: &'a Arc<Reading>,
    /// The part's work.
    pub work: &'a Work,
}

impl Source for PartSource<'_> {
    fn pour<'a>(&'a mut self, sink: &'a mut dyn Sink) -> Flow<'a> {
        Box::pin(async move { self.pour_part(sink).await })
    }
}

impl PartSource<'_> {
    async fn pour_part(&self, sink: &mut dyn Sink) -> Result<(), FlowError> {
        let layout = &self.reading.layout;
        let frugal = self.reading.frugal;
        chosen::plan_frugally(self.lane, frugal).await.map_err(FlowError::new)?;
        match self.work {
            Work::Config => self.pour_config(sink).await,
            Work::Schema => self.pour_schema(sink).await,
            Work::Chosen { rooms, .. } => {
                chosen::pour_rooms(self.lane, self.reading, rooms, sink).await
            }
            Work::Accounts { users, rooms } => {
                chosen::pour_accounts(self.lane, self.reading, (users, rooms), sink).await
            }
            Work::Referenced { users, rooms } => {
                referenced::pour(self.lane.main, self.reading, (rooms, users), sink).await
            }
            Work::Rooms(range) => {
                let rows = &self.reading.room_rows;
                let mut sink = rooms::Counted { sink, rows };
                rooms::pour_range(self.lane, layout, range, &mut sink).await
            }
            Work::Strays => rooms::pour_strays(self.lane, self.reading, sink).await,
            Work::Tables(names) => {
                for table in names.iter().filter_map(|name| layout.table(name)) {
                    tables::pour_table(self.lane.of(&table.name), table, None, sink).await?;
                    self.pour_state_rows(table, sink).await?;
                }
                Ok(())
            }
            Work::Slice { table, from_page, to_page } => match layout.table(table) {
                Some(table) => {
                    let pages = tables::Pages { from: *from_page, to: *to_page };
                    tables::pour_table(self.lane.of(&table.name), table, Some(pages), sink).await?;
                    match to_page {
                        None => self.pour_state_rows(table, sink).await,
                        Some(_) => Ok(()),
                    }
                }
                None => Ok(()),
            },
            Work::Media { origin, range } => {
                media::pour_range(self.lane.main, self.reading, (*origin, range), sink).await
            }
            Work::Sequences => self.pour_sequences(sink).await,
            Work::Gaps => {
                for gap in &self.reading.early_gaps {
                    sink.accept(Batch::Gap(gap.clone())).await?;
                }
                Ok(())
            }
        }
    }

    /// The rows that the state store's own database has of a table which both databases have.
    async fn pour_state_rows(
        &self,
        table: &StoredTable,
        sink: &mut dyn Sink,
    ) -> Result<(), FlowError> {
        match key_of_each(&table.name) {
            Some(key) if self.lane.is_split() => {
                tables::pour_others(self.lane, table, key, sink).await
            }
            _ => Ok(()),
        }
    }

    async fn pour_config(&self, sink: &mut dyn Sink) -> Result<(), FlowError> {
        for records in to_records(&self.reading.config.kept) {
            sink.accept(Batch::Records(records)).await?;
        }
        Ok(())
    }

    async fn pour_schema(&self, sink: &mut dyn Sink) -> Result<(), FlowError> {
        let fail = |e| FlowError::new(ReadError::from(e));
        let mut schema = schema::read_schema(self.lane.main).await.map_err(fail)?;
        if self.lane.is_split() {
            let other = schema::read_schema(self.lane.state).await.map_err(fail)?;
            schema.statements = layout::join_statements(schema.statements, other.statements);
        }
        let mut frames = Frames::new("schema");
        for statement in &schema.statements {
            frames.serialize((None, statement), sink).await?;
        }
        frames.finish(sink).await?;
        for gap in schema.unsupported {
            sink.accept(Batch::Gap(gap)).await?;
        }
        Ok(())
    }

    async fn pour_sequences(&self, sink: &mut dyn Sink) -> Result<(), FlowError> {
        let fail = |e| FlowError::new(ReadError::from(e));
        let mut sequences = schema::read_sequences(self.lane.main).await.map_err(fail)?;
        if self.lane.is_split() {
            // A database that was split by hand may have kept what it no longer uses.
            sequences.retain(|sequence| Holds::AllButState.sequence(&sequence.name));
            for other in schema::read_sequences(self.lane.state).await.map_err(fail)? {
                if sequences.iter().all(|sequence| sequence.name != other.name) {
                    sequences.push(other);
                }
            }
        }
        let mut frames = Frames::new("sequences");
        for sequence in &sequences {
            frames.serialize((None, sequence), sink).await?;
        }
        frames.finish(sink).await
    }
}

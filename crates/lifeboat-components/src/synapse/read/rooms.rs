//! Rooms: every row of a range of room ids, and the rows that no room reaches.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use lifeboat_package::flow::{Batch, Flow, FlowError, Sink};
use tokio_postgres::Client;

use super::frames::{Frames, Shelves};
use super::summary;
use super::tables::{pour_query, selected};
use super::{Lane, Reading};
use crate::postgres::PostgresError;
use crate::postgres::columns::{Carrier, Column, quoted};
use crate::postgres::copy_out::RowStream;
use crate::postgres::record::Shape;
use crate::synapse::catalogue::Path;
use crate::synapse::layout::{Layout, Pour, StoredTable};
use crate::synapse::plan::{KeyRange, shelf_cuts};

/// Pours everything of the rooms in `range`.
///
/// # Errors
/// [`super::ReadError`] inside, or the sink's.
pub async fn pour_range(
    lane: Lane<'_>,
    layout: &Layout,
    range: &KeyRange,
    sink: &mut dyn Sink,
) -> Result<(), FlowError> {
    let of_rooms = |column: &str| range.condition(column);
    let rooms = summary::pour(lane.main, (&of_rooms, &range.condition("e.room_id")), sink).await?;
    let cuts = shelf_cuts(&rooms);
    if let (Some(events), Some(contents)) = (layout.table("events"), layout.table("event_json")) {
        pour_events(lane.main, (events, contents), (range, &cuts), sink).await?;
    }
    for table in layout.tables() {
        let Pour::ByRoom(path) = table.pour else { continue };
        if matches!(table.name.as_str(), "events" | "event_json") {
            continue;
        }
        pour_rows(lane.of(&table.name), (table, path), (range, &cuts), sink).await?;
    }
    Ok(())
}

/// Pours a table's rows of a range.
async fn pour_rows(
    lane: &Client,
    (table, path): (&StoredTable, Path),
    (range, cuts): (&KeyRange, &[String]),
    sink: &mut dyn Sink,
) -> Result<(), FlowError> {
    let query = range_query(table, path, range);
    let mut rows = RowStream::start(lane, &table.name, &query).await.map_err(FlowError::new)?;
    let mut frames = Frames::of_table(&table.name);
    let mut shape = Shape::flat(&table.columns);
    if !matches!(path, Path::Chain) {
        frames.by_room(Shelves { room: shape.hidden(), cuts: cuts.to_vec() });
    }
    frames.stream(&mut rows, &shape, sink).await?;
    frames.finish(sink).await
}

/// Rows of each table that the ranges of rooms held, all read under one cut.
#[derive(Default)]
pub struct RoomRows {
    rows: Mutex<BTreeMap<String, u64>>,
    of_other_cuts: AtomicBool,
}

impl RoomRows {
    /// Some ranges were read under another cut: what is counted here says nothing.
    pub fn distrust(&self) {
        self.of_other_cuts.store(true, Ordering::Relaxed);
    }

    fn add(&self, table: &str, count: u64) {
        if let Ok(mut rows) = self.rows.lock() {
            match rows.get_mut(table) {
                Some(rows) => *rows += count,
                None => drop(rows.insert(table.to_owned(), count)),
            }
        }
    }

    /// Whether the ranges held all of a table's `count` rows.
    fn held_all(&self, table: &str, count: u64) -> bool {
        let rows = self.rows.lock().ok().and_then(|rows| rows.get(table).copied());
        !self.of_other_cuts.load(Ordering::Relaxed) && rows.unwrap_or(0) == count
    }
}

/// Counts the rows that pass.
pub(super) struct Counted<'a> {
    /// Where they go.
    pub(super) sink: &'a mut dyn Sink,
    /// What they are added to.
    pub(super) rows: &'a RoomRows,
}

impl Sink for Counted<'_> {
    fn accept(&mut self, batch: Batch) -> Flow<'_> {
        if let Batch::Records(records) = &batch {
            for (table, count) in &records.rows {
                self.rows.add(table, *count);
            }
        }
        self.sink.accept(batch)
    }
}

/// Pours the rows that no range of rooms reaches. All ranges of this run must have been poured.
///
/// # Errors
/// [`super::ReadError`] inside, or the sink's.
pub async fn pour_strays(
    lane: Lane<'_>,
    reading: &Reading,
    sink: &mut dyn Sink,
) -> Result<(), FlowError> {
    for table in reading.layout.tables().iter().filter(|table| table.strays) {
        let Pour::ByRoom(path) = table.pour else { continue };
        let Some(condition) = stray_condition(path) else { continue };
        let client = lane.of(&table.name);
        // Counting is much cheaper than asking of every row whether its event is there.
        if is_reached_once(path) {
            let count = rows_of(client, table).await.map_err(FlowError::new)?;
            if reading.room_rows.held_all(&table.name, count) {
                continue;
            }
        }
        let columns = selected(&table.columns, "t");
        let name = quoted(&table.name);
        let query = format!("SELECT {columns} FROM ONLY {name} t WHERE {condition}");
        pour_query(client, table, &query, sink).await?;
    }
    Ok(())
}

/// Whether no row can come with two rooms: what it is reached through is unique. So as many rows as
/// the table has are all of its rows.
fn is_reached_once(path: Path) -> bool {
    matches!(path, Path::RoomId | Path::Event | Path::StateGroup)
}

async fn rows_of(client: &Client, table: &StoredTable) -> Result<u64, PostgresError> {
    let query = format!("SELECT count(*) FROM ONLY {}", quoted(&table.name));
    let doing = |e| PostgresError::sorted(format!("count {}", table.name), e);
    let row = client.query_one(query.as_str(), &[]).await.map_err(doing)?;
    Ok(row.get::<_, i64>(0).unsigned_abs())
}

fn range_query(table: &StoredTable, path: Path, range: &KeyRange) -> String {
    let columns = selected(&table.columns, "t");
    let name = quoted(&table.name);
    let select = |from: &str, room: &str| {
        let condition = range.condition(room);
        format!("SELECT {columns}, {room} FROM {from} WHERE {condition}")
    };
    match path {
        Path::Event => {
            select(&format!("events e JOIN {name} t ON t.event_id = e.event_id"), "e.room_id")
        }
        Path::StateGroup => {
            select(&format!("state_groups g JOIN {name} t ON t.state_group = g.id"), "g.room_id")
        }
        Path::Chain => format!(
            "SELECT {columns} FROM {name} t
             WHERE t.origin_chain_id IN (SELECT c.chain_id FROM event_auth_chains c
                   JOIN events e ON e.event_id = c.event_id WHERE {})",
            range.condition("e.room_id")
        ),
        Path::RoomId | Path::Alias | Path::Media | Path::User(_) | Path::Whole => {
            select(&format!("{name} t"), "t.room_id")
        }
    }
}

fn stray_condition(path: Path) -> Option<&'static str> {
    match path {
        Path::RoomId => Some("t.room_id IS NULL"),
        Path::Event => Some("NOT EXISTS (SELECT FROM events e WHERE e.event_id = t.event_id)"),
        Path::StateGroup => {
            Some("NOT EXISTS (SELECT FROM state_groups g WHERE g.id = t.state_group)")
        }
        Path::Chain => Some(
            "NOT EXISTS (SELECT FROM event_auth_chains c
             JOIN events e ON e.event_id = c.event_id
             WHERE c.chain_id = t.origin_chain_id)",
        ),
        Path::Alias | Path::Media | Path::User(_) | Path::Whole => None,
    }
}

/// Events with their content in one record (`docs/src/format.md` §7.3), in whatever order the
/// server finds them: in the order of rooms it could not read pages in a row.
async fn pour_events(
    lane: &Client,
    (events, contents): (&StoredTable, &StoredTable),
    (range, cuts): (&KeyRange, &[String]),
    sink: &mut dyn Sink,
) -> Result<(), FlowError> {
    let others = |table: &StoredTable, left_out: &[&str]| -> Vec<Column> {
        let keep = |column: &&Column| !left_out.contains(&column.name.as_str());
        table.columns.iter().filter(keep).cloned().collect()
    };
    let event_columns = others(events, &["event_id"]);
    let content_columns = others(contents, &["event_id", "json"]);
    let mut shape = Shape::default();
    shape.member("event_id", Carrier::Text);
    shape.member("room_id", Carrier::Text);
    shape.member("room_version", Carrier::Text);
    shape.member("stream_ordering", Carrier::Int8);
    shape.nested("events", &event_columns);
    shape.nested("event_json", &content_columns);
    shape.document("pdu");
    let query = format!(
        "SELECT e.event_id, e.room_id, r.room_version, e.stream_ordering, true, {},
                j.event_id, {}, j.json
         FROM events e
         LEFT JOIN event_json j ON j.event_id = e.event_id
         LEFT JOIN rooms r ON r.room_id = e.room_id
         WHERE {}",
        selected(&event_columns, "e"),
        selected(&content_columns, "j"),
        range.condition("e.room_id")
    );
    let mut rows = RowStream::start(lane, "events", &query).await.map_err(FlowError::new)?;
    let mut frames = Frames::of_table("events");
    frames.also_counts("event_json", 5 + event_columns.len());
    frames.by_room(Shelves { room: 1, cuts: cuts.to_vec() });
    frames.stream(&mut rows, &shape, sink).await?;
    frames.finish(sink).await
}

#[cfg(test)]
#[path = "rooms_tests.rs"]
mod tests;

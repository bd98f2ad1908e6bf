//! The package's rows beside the server's: temporary tables with the columns that both have.

use std::collections::{BTreeMap, BTreeSet};

use bytes::BytesMut;
use lifeboat_package::id::Section;
use lifeboat_package::selection::{Clock, Selection};
use serde_json::value::RawValue;
use tokio_postgres::Client;

use super::{MergeError, ask, batch};
use crate::postgres::columns::{Column, Table, quoted, read_tables};
use crate::postgres::copy_in::{RowEncoder, RowSink};
use crate::postgres::members::{Member, Members};
use crate::synapse::catalogue::{Catalogue, Import};
use crate::synapse::write::WriteError;
use crate::synapse::write::rows::{Columns, EventRecord, JOINED, content};

/// The column of staged events that says which of them only came along, so that others can stand.
const CLOSURE: &str = "closure";

/// The temporary tables of one session.
pub struct Stage {
    /// By table: the columns that package and target both have.
    tables: BTreeMap<String, Vec<Column>>,
    /// What does not fit and is left out, in words.
    pub notes: Vec<String>,
}

/// Says whether a record is wanted.
pub type Wanted<'a> = &'a (dyn Fn(&Members<'_>) -> bool + Sync);

/// The temporary table that holds a table's rows.
pub(super) fn staged(table: &str) -> String {
    quoted(&format!("lifeboat_{table}"))
}

impl Stage {
    /// Makes the temporary tables for what the catalogue brings into a living server.
    ///
    /// # Errors
    /// [`MergeError`] when the target wants a column that the package does not have, or refuses.
    pub async fn prepare(client: &Client, package: &Columns) -> Result<Self, MergeError> {
        let target = read_tables(client).await?;
        let demanded = demanded(client).await?;
        let mut stage = Self { tables: BTreeMap::new(), notes: Vec::new() };
        for known in Catalogue::known().tables().filter(|known| is_taken(&known.import)) {
            let (name, Some(theirs)) = (known.name, package.get(known.name)) else { continue };
            if !matches!(known.section, Section::Rooms | Section::Users | Section::Media) {
                continue;
            }
            let Some(ours) = target.iter().find(|table| table.name == name) else {
                stage.notes.push(format!("{name} is not on the target: its rows are left out"));
                continue;
            };
            stage.add(client, (ours, theirs), &demanded).await?;
        }
        Ok(stage)
    }

    async fn add(
        &mut self,
        client: &Client,
        (ours, theirs): (&Table, &[Column]),
        demanded: &BTreeSet<(String, String)>,
    ) -> Result<(), MergeError> {
        let has = |columns: &[Column], name: &str| columns.iter().any(|c| c.name == name);
        let lacking = ours.columns.iter().find(|column| {
            let key = (ours.name.clone(), column.name.clone());
            demanded.contains(&key) && !has(theirs, &column.name)
        });
        if let Some(column) = lacking {
            let (table, column) = (ours.name.clone(), column.name.clone());
            return Err(MergeError::Lacks { table, column });
        }
        for column in theirs.iter().filter(|column| !has(&ours.columns, &column.name)) {
            let note = format!("{}.{} is not on the target: left out", ours.name, column.name);
            self.notes.push(note);
        }
        let mut columns: Vec<Column> =
            ours.columns.iter().filter(|c| has(theirs, &c.name)).cloned().collect();
        let names: Vec<String> = columns.iter().map(|column| quoted(&column.name)).collect();
        let (name, more) = (staged(&ours.name), names.join(", "));
        let (is_events, table) = (ours.name == JOINED, quoted(&ours.name));
        let closure = if is_events { ", false AS closure" } else { "" };
        let sql =
            format!("CREATE TEMP TABLE {name} AS SELECT {more}{closure} FROM {table} WITH NO DATA");
        batch(client, "made room for the package's rows", &sql).await?;
        if is_events {
            columns.push(Column::new(CLOSURE, "boolean"));
        }
        self.tables.insert(ours.name.clone(), columns);
        Ok(())
    }

    /// Whether rows of this table are taken.
    pub fn takes(&self, table: &str) -> bool {
        self.tables.contains_key(table)
    }

    /// The columns of a staged table that the server's has too.
    pub(super) fn columns(&self, table: &str) -> Option<impl Iterator<Item = &Column>> {
        let columns = self.tables.get(table)?;
        Some(columns.iter().filter(move |c| table != JOINED || c.name != CLOSURE))
    }

    /// Empties the temporary tables.
    ///
    /// # Errors
    /// [`MergeError`] when the database refuses.
    pub async fn clear(&self, client: &Client) -> Result<(), MergeError> {
        let names: Vec<String> = self.tables.keys().map(|table| staged(table)).collect();
        let sql = format!("TRUNCATE {}", names.join(", "));
        Ok(batch(client, "made room for the package's rows", &sql).await?)
    }

    /// Gathers statistics, without which large joins go wrong.
    ///
    /// # Errors
    /// [`MergeError`] when the database refuses.
    pub async fn analyze(&self, client: &Client) -> Result<(), MergeError> {
        let tables = self.tables.keys().map(|table| format!("ANALYZE {};", staged(table)));
        let sql: String = tables.collect();
        Ok(batch(client, "looked at the package's rows", &sql).await?)
    }

    /// Loads those records of a table that `keep` wants; how many.
    ///
    /// # Errors
    /// [`MergeError`] when a record does not fit or the database refuses.
    pub async fn load(
        &self,
        client: &Client,
        (table, lines): (&str, &[u8]),
        keep: Wanted<'_>,
    ) -> Result<u64, MergeError> {
        let mut sink = self.sink(client, table).await?;
        let (encoder, mut out, mut rows) = (sink.encoder(), BytesMut::new(), 0);
        for line in text(table, lines)?.lines() {
            let members = parse(table, line)?;
            if keep(&members) {
                encoder.row(&members, &mut out).map_err(WriteError::Row)?;
                rows += 1;
            }
        }
        sink.send(out).await?;
        sink.finish().await?;
        Ok(rows)
    }

    /// Loads the joined event records of some rooms into both their tables; how many. Events that
    /// are not `inside` what was asked for are marked as such.
    ///
    /// # Errors
    /// [`MergeError`] when a record does not fit or the database refuses.
    pub async fn load_events(
        &self,
        client: &Client,
        lines: &[u8],
        (rooms, inside): (&BTreeSet<String>, Wanted<'_>),
    ) -> Result<u64, MergeError> {
        let lines = text(JOINED, lines)?;
        let (mut rows, mut kept) = (0, Vec::new());
        let mut sink = self.sink(client, JOINED).await?;
        let (encoder, mut out) = (sink.encoder(), BytesMut::new());
        for line in lines.lines() {
            let record: EventRecord<'_> = serde_json::from_str(line).map_err(unreadable(JOINED))?;
            let room = record.room_id.map(RawValue::get);
            let room = room.and_then(|room| serde_json::from_str::<String>(room).ok());
            if !room.is_some_and(|room| rooms.contains(&room)) {
                continue;
            }
            let EventRecord { event_id, events, event_json, pdu, closure, .. } = record;
            let Some(mut row) = events else { continue };
            let closure = closure || !inside(&row);
            row.push("event_id", Member::Json(event_id.get()));
            row.push(CLOSURE, Member::Json(if closure { "true" } else { "false" }));
            encoder.row(&row, &mut out).map_err(WriteError::Row)?;
            rows += 1;
            if let Some(mut row) = event_json {
                row.push("event_id", Member::Json(event_id.get()));
                row.push("json", content(pdu.get()));
                kept.push(row);
            }
        }
        sink.send(out).await?;
        sink.finish().await?;
        let mut sink = self.sink(client, "event_json").await?;
        let (encoder, mut out) = (sink.encoder(), BytesMut::new());
        for row in &kept {
            encoder.row(row, &mut out).map_err(WriteError::Row)?;
        }
        sink.send(out).await?;
        sink.finish().await?;
        Ok(rows)
    }

    /// Gives staged rows with one name in a column another one.
    ///
    /// # Errors
    /// [`MergeError`] when the database refuses.
    pub async fn rename(
        &self,
        client: &Client,
        (table, column): (&str, &str),
        (from, to): (&str, &str),
    ) -> Result<(), MergeError> {
        if self.columns(table).is_some_and(|mut all| all.any(|c| c.name == column)) {
            let (table, column) = (staged(table), quoted(column));
            let sql = format!("UPDATE {table} SET {column} = $2 WHERE {column} = $1");
            super::run(client, "gave the package's rows a name", &sql, &[&from, &to]).await?;
        }
        Ok(())
    }

    /// How many events of each room are staged.
    ///
    /// # Errors
    /// [`MergeError`] when the database refuses.
    pub async fn events_by_room(
        &self,
        client: &Client,
    ) -> Result<BTreeMap<String, u64>, MergeError> {
        let sql = format!("SELECT room_id, count(*) FROM {} GROUP BY 1", staged(JOINED));
        let rows = ask(client, "counted the package's events", &sql, &[]).await?;
        Ok(rows.iter().map(|row| (row.get(0), row.get::<_, i64>(1).unsigned_abs())).collect())
    }

    async fn sink(&self, client: &Client, table: &str) -> Result<RowSink, MergeError> {
        let columns = self.tables.get(table);
        let columns = columns.ok_or_else(|| WriteError::UnknownTable(table.to_owned()))?;
        let encoder = RowEncoder::new(&format!("lifeboat_{table}"), columns.clone());
        Ok(RowSink::start(client, encoder).await?)
    }
}

/// The name of the records that hold events.
pub const EVENTS: &str = JOINED;

/// Whether a table's rows lie with the rooms they belong to.
pub fn is_by_room(table: &str) -> bool {
    Catalogue::known().get(table).is_some_and(|known| known.by_room)
}

/// Whether a record is of one of these rooms, or does not say which room it is of.
pub fn of_rooms(row: &Members<'_>, rooms: &BTreeSet<String>) -> bool {
    member(row, "room_id").is_none_or(|room| rooms.contains(&room))
}

/// Whether an event is inside what was asked for.
pub fn is_inside(row: &Members<'_>, selection: &Selection) -> bool {
    if !selection.is_cut() {
        return true;
    }
    let text = |name| member(row, name).unwrap_or_default();
    let date = match selection.range.by {
        Clock::Sent => "origin_server_ts",
        Clock::Received => "received_ts",
    };
    let at = match row.find(0, date) {
        Some(Member::Json(json)) => json.parse().unwrap_or_default(),
        _ => 0,
    };
    selection.includes_message(&text("type"), &text("sender"), at)
}

/// A record's member that is a text.
pub fn member(members: &Members<'_>, name: &str) -> Option<String> {
    match members.find(0, name)? {
        Member::Json(json) => serde_json::from_str(json).ok(),
        Member::Text(text) => Some(text.to_owned()),
    }
}

/// The records of an entry, each parsed.
///
/// # Errors
/// [`MergeError`] when one is no object.
pub fn records<'a>(name: &str, lines: &'a [u8]) -> Result<Vec<Members<'a>>, MergeError> {
    text(name, lines)?.lines().map(|line| parse(name, line)).collect()
}

fn parse<'a>(name: &str, line: &'a str) -> Result<Members<'a>, MergeError> {
    Members::parse(line).map_err(unreadable(name))
}

fn text<'a>(name: &str, lines: &'a [u8]) -> Result<&'a str, MergeError> {
    let text = std::str::from_utf8(lines);
    text.map_err(|e| unreadable(name)(serde::de::Error::custom(e)))
}

fn unreadable(name: &str) -> impl Fn(serde_json::Error) -> MergeError {
    let name = name.to_owned();
    move |source| MergeError::Write(WriteError::Record { name: name.clone(), source })
}

fn is_taken(import: &Import) -> bool {
    matches!(import, Import::Copy | Import::Remap(_))
}

/// Columns that must have a value and have none of their own.
async fn demanded(client: &Client) -> Result<BTreeSet<(String, String)>, MergeError> {
    let sql = "SELECT c.relname::text, a.attname::text
               FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
               WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind = 'r'
                 AND a.attnum > 0 AND NOT a.attisdropped AND a.attnotnull AND NOT a.atthasdef
                 AND a.attidentity = '' AND a.attgenerated = ''";
    let rows = ask(client, "read the columns of the target", sql, &[]).await?;
    Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
}

//! Gathers records into frames of bounded size, those of neighbouring rooms together.

use lifeboat_package::flow::{self, Batch, FlowError, Gap, Records, Sink};
use lifeboat_package::index::RoomSpan;
use lifeboat_package::limits::{FRAME_RAW_BYTES, FRAME_TARGET_BYTES, ROOM_ID_BYTES};
use serde::Serialize;

use super::ReadError;
use crate::postgres::copy_out::{Row, RowStream};
use crate::postgres::record::Shape;

/// Raw bytes at which a shelf is closed, where there are several.
const SHELF_BYTES: usize = 512 << 10;
/// Neighbouring shelves that may share a frame: it is read for each of their rooms.
const BAY: u32 = 2;

/// Records of neighbouring rooms on their way into a frame.
#[derive(Default)]
struct Shelf {
    lines: Vec<u8>,
    count: u64,
    /// Rows of the second table among them.
    second: u64,
    span: Option<RoomSpan>,
    /// Holds a record of which no room is known.
    roomless: bool,
}

impl Shelf {
    /// Notes that a record of this room is here; `None` where its room is not known.
    fn note(&mut self, room: Option<&str>) {
        let Some(room) = room else {
            self.roomless = true;
            return;
        };
        match &mut self.span {
            Some(span) if room.len() <= ROOM_ID_BYTES => span.widen(room),
            Some(_) => self.roomless = true,
            None => {
                self.span = RoomSpan::of(room);
                self.roomless |= self.span.is_none();
            }
        }
    }

    /// Takes what another shelf holds.
    fn join(&mut self, other: Self) {
        if self.count == 0 {
            *self = other;
            return;
        }
        self.lines.extend_from_slice(&other.lines);
        self.count += other.count;
        self.second += other.second;
        self.roomless |= other.roomless;
        if let Some(RoomSpan { first, last }) = other.span {
            self.note(Some(&first));
            self.note(Some(&last));
        }
    }
}

/// How the records of a table lie on shelves by their room.
pub struct Shelves {
    /// The field of a row that holds the room id.
    pub room: usize,
    /// The room with which each shelf but the first begins, in byte order.
    pub cuts: Vec<String>,
}

/// Records of one kind on their way to the sink.
pub struct Frames {
    name: String,
    /// Table whose rows the records are, where they are rows.
    table: Option<String>,
    /// A second table whose row a record holds where this field is not null.
    second: Option<(String, usize)>,
    /// The field that holds the room, and where each further shelf begins.
    by_room: Option<Shelves>,
    shelves: Vec<Shelf>,
}

impl Frames {
    /// Records that are no rows.
    pub fn new(name: &str) -> Self {
        let (name, shelves) = (name.to_owned(), vec![Shelf::default()]);
        Self { name, table: None, second: None, by_room: None, shelves }
    }

    /// Records that are the rows of `table`.
    pub fn of_table(table: &str) -> Self {
        Self { table: Some(table.to_owned()), ..Self::new(table) }
    }

    /// A record also holds a row of `table` where the query's field `at` is not null.
    pub fn also_counts(&mut self, table: &str, at: usize) {
        self.second = Some((table.to_owned(), at));
    }

    /// Rows lie on shelves by their room.
    pub fn by_room(&mut self, by: Shelves) {
        self.shelves.resize_with(by.cuts.len() + 1, Shelf::default);
        self.by_room = Some(by);
    }

    /// Adds a record, of a room where it is one's.
    ///
    /// # Errors
    /// The sink's.
    pub async fn serialize(
        &mut self,
        (room, record): (Option<&str>, &impl Serialize),
        sink: &mut dyn Sink,
    ) -> Result<(), FlowError> {
        let at = self.shelf_of(room);
        let Some(board) = self.shelves.get_mut(at) else { return Ok(()) };
        let from = board.lines.len();
        serde_json::to_writer(&mut board.lines, record).map_err(FlowError::new)?;
        board.lines.push(b'\n');
        if let Some(gap) = self.too_large((at, from)) {
            return sink.accept(Batch::Gap(gap)).await;
        }
        if let Some(board) = self.shelves.get_mut(at) {
            board.note(room);
        }
        self.added((at, from), sink).await
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
        let room = self.by_room.as_ref().and_then(|by| row.field(by.room));
        let room = room.and_then(|room| std::str::from_utf8(room).ok());
        let at = self.shelf_of(room);
        let Some(board) = self.shelves.get_mut(at) else { return Ok(()) };
        let from = board.lines.len();
        shape.write_with(&row, instead, &mut board.lines).map_err(|detail| {
            FlowError::new(ReadError::Row { table: self.name.clone(), detail })
        })?;
        if let Some(gap) = self.too_large((at, from)) {
            return sink.accept(Batch::Gap(gap)).await;
        }
        let has_second = self.second.as_ref().is_some_and(|(_, at)| row.field(*at).is_some());
        if let Some(board) = self.shelves.get_mut(at) {
            board.second += u64::from(has_second);
            board.note(room);
        }
        self.added((at, from), sink).await
    }

    /// Sends what is left, in order: neighbouring shelves with little on them together.
    ///
    /// # Errors
    /// The sink's.
    pub async fn finish(mut self, sink: &mut dyn Sink) -> Result<(), FlowError> {
        let mut together = (flow::Shelf { number: 0, is_shared: false }, Shelf::default());
        for (at, board) in (0_u32..).zip(std::mem::take(&mut self.shelves)) {
            if at % BAY == 0 || together.1.lines.len() >= SHELF_BYTES {
                self.send((together.0, std::mem::take(&mut together.1)), sink).await?;
            }
            if board.count > 0 {
                let is_shared = together.1.count > 0;
                let number = if is_shared { at - at % BAY } else { at };
                together.0 = flow::Shelf { number, is_shared };
                together.1.join(board);
            }
        }
        self.send(together, sink).await
    }

    /// The shelf for rows of a room.
    fn shelf_of(&self, room: Option<&str>) -> usize {
        let (Some(by), Some(room)) = (&self.by_room, room) else { return 0 };
        by.cuts.partition_point(|cut| cut.as_str() <= room)
    }

    /// Raw bytes at which a frame is closed.
    fn target(&self) -> usize {
        if self.shelves.len() > 1 { SHELF_BYTES } else { FRAME_TARGET_BYTES }
    }

    /// Takes back a record that no frame can hold, and says so.
    fn too_large(&mut self, (at, from): (usize, usize)) -> Option<Gap> {
        let board = self.shelves.get_mut(at)?;
        let record_bytes = board.lines.len() - from;
        if record_bytes <= FRAME_RAW_BYTES {
            return None;
        }
        board.lines.truncate(from);
        Some(Gap {
            kind: "record-too-large".to_owned(),
            object: self.name.clone(),
            detail: format!("a record of {record_bytes} bytes was left out"),
            remedy: "save that row by hand with COPY".to_owned(),
        })
    }

    /// Counts the record that begins at `from` of a shelf, and sends the frame when it is full.
    async fn added(
        &mut self,
        (at, from): (usize, usize),
        sink: &mut dyn Sink,
    ) -> Result<(), FlowError> {
        let target = self.target();
        let Some(board) = self.shelves.get_mut(at) else { return Ok(()) };
        let mut full = None;
        if board.lines.len() > FRAME_RAW_BYTES {
            let last = board.lines.split_off(from);
            // Its room was noted with the others', so of what begins with it none is known.
            let rest = Shelf { lines: last, roomless: true, ..Shelf::default() };
            full = Some(std::mem::replace(board, rest));
        }
        board.count += 1;
        let is_full = board.lines.len() >= target;
        let next = Shelf { lines: Vec::with_capacity(target + (64 << 10)), ..Shelf::default() };
        let ready = is_full.then(|| std::mem::replace(board, next));
        let number = u32::try_from(at).unwrap_or(u32::MAX);
        let place = flow::Shelf { number, is_shared: false };
        for board in [full, ready].into_iter().flatten() {
            self.send((place, board), sink).await?;
        }
        Ok(())
    }

    async fn send(
        &self,
        (place, board): (flow::Shelf, Shelf),
        sink: &mut dyn Sink,
    ) -> Result<(), FlowError> {
        let Shelf { lines, count, second, span, roomless } = board;
        if count == 0 {
            return Ok(());
        }
        let mut rows: Vec<_> = self.table.iter().map(|table| (table.clone(), count)).collect();
        rows.extend(self.second.iter().map(|(table, _)| (table.clone(), second)));
        let rooms = span.filter(|_| !roomless);
        let place = rooms.as_ref().map(|_| place);
        let name = self.name.clone();
        sink.accept(Batch::Records(Records { name, lines, count, rows, rooms, shelf: place })).await
    }
}

#[cfg(test)]
#[path = "frames_tests.rs"]
mod tests;

//! PostgreSQL databases: schema by `pg_dump`, rows by `COPY` in segments that unchanged rows leave
//! as they were, all under one snapshot.

use std::cmp::Reverse;

use lifeboat_engine::export::source::database_fault;
use lifeboat_engine::failure::Failure;
use lifeboat_engine::writer::sink::PartSink;
use lifeboat_package::backup::{
    Content, DATABASES, DatabaseRecord, SEGMENTS, SegmentRecord, TABLES, TableRecord,
};
use lifeboat_package::digest::Digest;
use lifeboat_package::flow::{Batch, BlobPiece, Gap, Sink};
use lifeboat_package::limits::{ENTRY_BYTES, FRAME_RAW_BYTES};
use lifeboat_postgres::archive::{self, DatabaseFacts, Segments, TableShape, Unreadable};
use lifeboat_postgres::connect::Connector;
use lifeboat_postgres::cut::Cut;
use lifeboat_postgres::schema_text::{PgDump, SchemaTextError, SearchPlaces, schema_text};

use super::lines::Lines;
use super::{Poured, flow, send};
use crate::known::Known;

/// Bytes of a segment of a schema's text.
const TEXT_BYTES: usize = 1 << 20;

/// A database under its snapshot, ready to be poured.
pub struct Ready {
    /// What the component calls it.
    pub name: String,
    /// The same after the component's name, for people.
    pub label: String,
    /// The way to it.
    pub connector: Connector,
    /// Its snapshot.
    pub cut: Cut,
    /// What its server says of it.
    pub facts: DatabaseFacts,
    /// Its tables.
    pub tables: Vec<TableShape>,
}

impl Ready {
    /// Looks at a database under its snapshot, and holds its tables.
    ///
    /// # Errors
    /// [`Failure`] when it cannot be read.
    pub async fn look(
        (name, label): (&str, &str),
        connector: &Connector,
        cut: Cut,
    ) -> Result<Self, Failure> {
        // Else pg_dump or a lane meets it, when all the others are under way.
        let unreadable = archive::unreadable(cut.anchor(), &["r", "p", "S"]).await;
        if let Some(found) = unreadable.map_err(database_fault)? {
            let Unreadable { count, first, .. } = &found;
            let what = format!("{count} tables or sequences cannot be read, {first} first");
            return Err(Failure::failed(what, found.remedy()));
        }
        let tables = archive::tables(&cut).await.map_err(database_fault)?;
        let facts = archive::facts(&cut).await.map_err(database_fault)?;
        let (name, label, connector) = (name.to_owned(), label.to_owned(), connector.clone());
        Ok(Self { name, label, connector, cut, facts, tables })
    }

    /// Its tables in so many shares of about the same size, the largest first.
    pub fn shares(&self, count: usize) -> Vec<Vec<TableShape>> {
        let mut tables: Vec<&TableShape> = self.tables.iter().collect();
        tables.sort_by_key(|table| Reverse(table.bytes));
        let mut shares: Vec<(u64, Vec<TableShape>)> = vec![(0, Vec::new()); count.max(1)];
        for table in tables {
            if let Some(least) = shares.iter_mut().min_by_key(|(bytes, _)| *bytes) {
                // Reading a table costs something even when it is empty.
                least.0 += table.bytes + (64 << 10);
                least.1.push(table.clone());
            }
        }
        let shares = shares.into_iter().map(|(_, tables)| tables);
        shares.filter(|tables| !tables.is_empty()).collect()
    }
}

/// Pours the schema, the facts and the sequences. Sequences are read now: what was handed out by
/// the snapshot lies below them.
///
/// # Errors
/// [`Failure`] when the database or the package fails.
pub async fn pour_schema(
    ready: &Ready,
    (known, places): (&Known, &SearchPlaces),
    sink: &mut PartSink,
) -> Result<Poured, Failure> {
    let mut poured = Poured::default();
    let version = ready.facts.server_version;
    let program = PgDump::find(version, places).await.map_err(schema_fault)?;
    let text = schema_text(&ready.cut, &program).await.map_err(schema_fault)?;
    let session = ready.connector.connect().await.map_err(database_fault)?;
    let sequences = archive::sequences(&session).await.map_err(database_fault)?;
    let record = DatabaseRecord {
        database: ready.name.clone(),
        engine: "postgresql".to_owned(),
        facts: serde_json::to_value(&ready.facts).unwrap_or_default(),
        pre_data: Some(text_content(&text.before, known, (&mut poured, sink)).await?),
        post_data: Some(text_content(&text.after, known, (&mut poured, sink)).await?),
        rights: Some(text_content(&text.rights, known, (&mut poured, sink)).await?),
        sequences: serde_json::to_value(&sequences).unwrap_or_default(),
        file: None,
    };
    let mut lines = Lines::of(DATABASES);
    lines.add(&record, sink).await?;
    lines.flush(sink).await?;
    for gap in left_out(&ready.label, &ready.facts) {
        sink.accept(Batch::Gap(gap)).await.map_err(flow)?;
    }
    Ok(poured)
}

/// What the database has and a backup does not keep.
fn left_out(database: &str, facts: &DatabaseFacts) -> Vec<Gap> {
    let gap = |kind: &str, object: String, detail: String, remedy: &str| Gap {
        kind: kind.to_owned(),
        object,
        detail,
        remedy: remedy.to_owned(),
    };
    let mut gaps = Vec::new();
    if facts.large_objects > 0 {
        let objects = facts.large_objects;
        let detail = format!("{objects} large objects (pg_largeobject) are not kept");
        let remedy = "keep them by pg_dump --large-objects, or remove them: vacuumlo finds orphans";
        gaps.push(gap("large-objects", database.to_owned(), detail, remedy));
    }
    for set_up in &facts.replication {
        let object = format!("{database}: {set_up}");
        let detail = "logical replication is not kept: it belongs to the installation".to_owned();
        gaps.push(gap("replication", object, detail, "note how to set it up again"));
    }
    gaps
}

async fn text_content(
    text: &str,
    known: &Known,
    (poured, sink): (&mut Poured, &mut PartSink),
) -> Result<Content, Failure> {
    let mut digests = Vec::new();
    for piece in text.as_bytes().chunks(TEXT_BYTES) {
        digests.push(send::segment(piece.to_vec(), known, (poured, sink)).await?);
    }
    Ok(Content::Segments(digests))
}

/// Pours the rows of some tables.
///
/// # Errors
/// [`Failure`] when the database or the package fails.
pub async fn pour_tables(
    (database, cut): (&str, &Cut),
    tables: &[TableShape],
    known: &Known,
    sink: &mut PartSink,
) -> Result<Poured, Failure> {
    let lane = cut.lane().await.map_err(database_fault)?;
    let mut poured = Poured::default();
    let (mut segments, mut listed) = (Lines::of(SEGMENTS), Lines::of(TABLES));
    for shape in tables {
        let mut record = TableRecord {
            database: database.to_owned(),
            schema: shape.schema.clone(),
            table: shape.name.clone(),
            shape: serde_json::to_value(shape).unwrap_or_default(),
            rows: 0,
            bytes: 0,
            segments: 0,
        };
        let mut reading = Segments::start(&lane, shape).await.map_err(database_fault)?;
        while let Some(segment) = reading.next().await.map_err(database_fault)? {
            record.segments += 1;
            record.rows += segment.rows;
            let bytes = segment.copy.len() as u64;
            record.bytes += bytes;
            let content = row_content(segment.copy, known, (&mut poured, sink)).await?;
            let segment = SegmentRecord {
                database: database.to_owned(),
                schema: shape.schema.clone(),
                table: shape.name.clone(),
                number: record.segments,
                rows: segment.rows,
                bytes,
                content,
            };
            segments.add(&segment, sink).await?;
        }
        poured.tables += 1;
        poured.rows += record.rows;
        poured.row_bytes += record.bytes;
        listed.add(&record, sink).await?;
    }
    segments.flush(sink).await?;
    listed.flush(sink).await?;
    Ok(poured)
}

/// A stretch of rows; one that is larger than an entry may be, because of one huge row, is a blob.
async fn row_content(
    copy: Vec<u8>,
    known: &Known,
    (poured, sink): (&mut Poured, &mut PartSink),
) -> Result<Content, Failure> {
    if copy.len() <= FRAME_RAW_BYTES {
        return Ok(Content::Segments(vec![send::segment(copy, known, (poured, sink)).await?]));
    }
    let digest = Digest::of(&copy);
    let pieces = copy.chunks(ENTRY_BYTES);
    if known.is_wanted(digest.as_bytes(), u32::try_from(pieces.len()).unwrap_or(u32::MAX)) {
        poured.new_bytes += copy.len() as u64;
        for (piece, number) in pieces.zip(1..) {
            let (sha256, bytes) = (*digest.as_bytes(), piece.to_vec());
            let blob = BlobPiece { sha256, piece: Some(number), bytes };
            sink.accept(Batch::Blob(blob)).await.map_err(flow)?;
        }
    }
    Ok(Content::Blob(digest))
}

fn schema_fault(error: SchemaTextError) -> Failure {
    let remedy = match &error {
        SchemaTextError::Missing { .. } | SchemaTextError::TooOld { .. } => "",
        _ => "see the cause, then run the same command again",
    };
    Failure::failed("cannot read a database's schema", remedy).because(error)
}

//! Databases, made again: schema, rows, sequences, then indexes and constraints.

use std::collections::{BTreeMap, VecDeque};
use std::pin::pin;
use std::sync::Mutex;

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use lifeboat_components::synapse::portion::Portion;
use lifeboat_components::synapse::write::target::LAST_TABLE;
use lifeboat_engine::context::{Context, Unit};
use lifeboat_engine::failure::{Code, Failure};
use lifeboat_engine::import::check::database_fault;
use lifeboat_package::backup::{
    Component, Content, DATABASES, DatabaseRecord, SEGMENTS, SegmentRecord, TABLES, TableRecord,
};
use lifeboat_postgres::PostgresError;
use lifeboat_postgres::archive::{
    DatabaseFacts, SequenceValue, TableShape, TextOrder, server_version, text_order,
};
use lifeboat_postgres::connect::Connector;
use lifeboat_postgres::restore::{
    self, Board, CLAIM_PATIENCE, Filling, RestoreError, Skipped, Wanted, create_database,
    name_before, rename_database, reopen_database, standing, things_in,
};
use lifeboat_vault::backup::OpenBackup;

use self::make::{administration, how_to_make, make};
use crate::aside::{KeptDatabase, Thing};
use crate::files::{self, Placing};
use crate::journal::StepDone;
use crate::targets::TargetDatabase;

pub(crate) mod make;
pub(crate) mod part;

/// Bytes of a schema's text.
const TEXT_BYTES: usize = 256 << 20;
/// Bytes of a stretch of rows that is held in memory.
const SEGMENT_BYTES: usize = (1 << 30) + (16 << 20);
/// Stretches of a table that are read while one is loaded.
const READ_AHEAD: usize = 2;

/// A database of a backup with its records.
pub struct Kept<'a> {
    /// The backup.
    pub open: &'a OpenBackup,
    /// The component.
    pub component: &'a Component,
    /// The database.
    pub record: DatabaseRecord,
}

impl<'a> Kept<'a> {
    /// Finds a database of a component.
    ///
    /// # Errors
    /// [`Failure`] when the backup is damaged or has no such database.
    pub async fn find(
        open: &'a OpenBackup,
        component: &'a Component,
        database: &str,
    ) -> Result<Self, Failure> {
        let records = open.records::<DatabaseRecord>(component, DATABASES).await?;
        let record = records.into_iter().find(|record| record.database == database);
        let record = record.ok_or_else(|| {
            Failure::not_valid(
                format!("the backup has no database {}/{database}", component.name),
                "look for another backup",
            )
        })?;
        Ok(Self { open, component, record })
    }

    /// Its tables.
    ///
    /// # Errors
    /// [`Failure`] when the backup is damaged.
    pub async fn tables(&self) -> Result<Vec<(TableRecord, TableShape)>, Failure> {
        let records = self.open.records::<TableRecord>(self.component, TABLES).await?;
        let own = records.into_iter().filter(|table| table.database == self.record.database);
        own.map(|table| {
            let shape = serde_json::from_value(table.shape.clone()).map_err(|e| {
                let what = format!("the record of table {} is damaged", table.table);
                Failure::not_valid(what, "look for another copy of the backup").because(e)
            })?;
            Ok((table, shape))
        })
        .collect()
    }

    /// What its server said of it.
    ///
    /// # Errors
    /// [`Failure`] when the backup is damaged.
    pub fn facts(&self) -> Result<DatabaseFacts, Failure> {
        serde_json::from_value(self.record.facts.clone()).map_err(|e| {
            Failure::not_valid("the record of a database is damaged", "look for another copy")
                .because(e)
        })
    }

    /// Its sequences.
    ///
    /// # Errors
    /// [`Failure`] when the backup is damaged.
    pub fn sequences(&self) -> Result<Vec<SequenceValue>, Failure> {
        // A file of SQLite has none.
        if self.record.sequences.is_null() {
            return Ok(Vec::new());
        }
        serde_json::from_value(self.record.sequences.clone()).map_err(|e| {
            let what = "the record of a database's sequences is damaged";
            Failure::not_valid(what, "look for another copy").because(e)
        })
    }

    /// One of its texts; nothing where there is none.
    ///
    /// # Errors
    /// [`Failure`] when the backup is damaged.
    pub async fn text(&self, content: Option<&Content>) -> Result<String, Failure> {
        let Some(content) = content else { return Ok(String::new()) };
        let bytes = self.open.whole(content, TEXT_BYTES).await?;
        String::from_utf8(bytes).map_err(|e| {
            Failure::not_valid("a schema in the backup is no text", "look for another copy")
                .because(e)
        })
    }
}

/// How a database is put back.
pub struct Loading<'a> {
    /// Sessions that load in parallel.
    pub lanes: usize,
    /// Whether a database that is not empty is renamed; else it stops the step.
    pub replace: bool,
    /// What a renamed database is called at its end.
    pub stamp: String,
    /// How files are put back, for SQLite.
    pub placing: &'a Placing<'a>,
    /// What is needed of a Synapse; else everything is.
    pub portion: Option<&'a Portion>,
}

/// Puts a database back.
///
/// # Errors
/// [`Failure`] when the target is not empty, or something refuses. What broke off is begun again:
/// the database then is cleared first, because it carries our mark.
pub async fn put_back(
    cx: &Context,
    kept: &Kept<'_>,
    (target, loading): (&TargetDatabase, &Loading<'_>),
) -> Result<StepDone, Failure> {
    match target {
        TargetDatabase::Sqlite(path) => sqlite(kept, path, loading).await,
        TargetDatabase::Postgres(connector) => postgres(cx, kept, connector, loading).await,
    }
}

async fn sqlite(
    kept: &Kept<'_>,
    path: &std::path::Path,
    loading: &Loading<'_>,
) -> Result<StepDone, Failure> {
    let Some(content) = &kept.record.file else {
        return Err(Failure::not_valid(
            format!("the backup has no file for database {}", kept.record.database),
            "look for another backup",
        ));
    };
    let of = (kept.open, kept.component);
    files::sqlite(of, (content, path), &kept.record.facts, loading.placing).await
}

async fn postgres(
    cx: &Context,
    kept: &Kept<'_>,
    connector: &Connector,
    loading: &Loading<'_>,
) -> Result<StepDone, Failure> {
    let mut done = StepDone::default();
    let facts = kept.facts()?;
    let session = make_empty((kept, &facts), connector, loading, &mut done).await?;
    let order = text_order(&session).await.map_err(database_fault)?;
    tell_order((&facts, &order), connector, &mut done).await?;
    if loading.placing.targets.suffix.is_none() && !facts.replication.is_empty() {
        let what = facts.replication.join(", ");
        done.gaps.push(format!("{what}: logical replication was not kept: set it up again"));
    }
    let package = kept.open.manifest().package.to_string();
    restore::mark(&session, &package).await.map_err(database_fault)?;
    let portion = loading.portion.filter(|_| kept.component.kind == "synapse");
    let target = (&session, connector);
    let mut filled = fill(cx, kept, target, (portion, loading.lanes)).await;
    if let (Some(_), Err(failure)) = (portion, &filled)
        && failure.code == Code::Failed
    {
        cx.note(format!("the rows that are needed are not enough ({failure}): taking all"));
        restore::clear(&session).await.map_err(database_fault)?;
        filled = fill(cx, kept, target, (None, loading.lanes)).await;
    }
    let filled = match filled {
        Ok(filled) => filled,
        Err(failure) => return Err(of_newer(failure, &facts, &session).await),
    };
    done.lines.extend(filled.lines);
    done.gaps.extend(filled.gaps);
    if kept.component.kind != "synapse" {
        restore::unmark(&session).await.map_err(database_fault)?;
    }
    Ok(done)
}

/// A failure on a server that is older than that of the backup says so: its words tell only what it
/// does not know.
async fn of_newer(
    mut failure: Failure,
    facts: &DatabaseFacts,
    session: &lifeboat_postgres::Client,
) -> Failure {
    let was = facts.server_version / 10_000;
    let is = server_version(session).await.map_or(was, |version| version / 10_000);
    if is < was && failure.code == Code::Failed {
        failure.remedy = format!(
            "the backup is of PostgreSQL {was}, and this server is {is}, which may lack what it \
             needs: restore into PostgreSQL {was} or newer; {}",
            failure.remedy
        );
    }
    failure
}

/// Fills an empty database: schema, rows, sequences, indexes and constraints.
async fn fill(
    cx: &Context,
    kept: &Kept<'_>,
    (session, connector): (&lifeboat_postgres::Client, &Connector),
    (portion, lanes): (Option<&Portion>, usize),
) -> Result<StepDone, Failure> {
    let (facts, sequences) = (kept.facts()?, kept.sequences()?);
    let mut done = StepDone::default();
    let before = kept.text(kept.record.pre_data.as_ref()).await?;
    tell(&mut done, restore::run_schema(session, &before).await.map_err(restore_fault)?);
    let tables = kept.tables().await?;
    let needed = match portion {
        Some(portion) => part::load(cx, (kept, &tables), (connector, lanes), portion).await?,
        None => None,
    };
    let after = kept.text(kept.record.post_data.as_ref()).await?;
    let loading = match needed {
        Some(rows) => RowsLeft { rows, ..RowsLeft::default() },
        None => RowsLeft::of(kept, &tables).await?,
    };
    restore::set_sequences(session, &sequences).await.map_err(database_fault)?;
    let (rows, mut skipped) =
        build(cx, (kept, &tables), (connector, lanes), (loading, &after)).await?;
    if kept.record.rights.is_some() {
        // Rights tell of them, where others get any.
        skipped.retain(|skipped| !is_policy(&skipped.statement));
    }
    tell(&mut done, skipped);
    tell(&mut done, restore::apply_settings(session, &facts).await.map_err(database_fault)?);
    done.lines.push(format!("{} tables, {rows} rows", tables.len()));
    Ok(done)
}

/// Says where text is ordered otherwise than it was.
async fn tell_order(
    (facts, is): (&DatabaseFacts, &TextOrder),
    connector: &Connector,
    done: &mut StepDone,
) -> Result<(), Failure> {
    let (was, name) = (facts.text_order(), connector.database());
    if !was.is_as(is) {
        let (was_words, is_words) = (was.words(), is.words());
        let how = how_to_make(connector, facts).await;
        done.gaps.push(format!(
            "database {name} was there, and is {is_words}; the lost one was {was_words}: text is \
             ordered otherwise. To have it as it was, drop it and {how}, then restore again"
        ));
    } else if let (Some(was), Some(is)) = (was.version, &is.version)
        && was != *is
    {
        done.lines.push(format!(
            "text was ordered by version {was} of the rules and is by {is} here: indexes are made \
             anew, so there is nothing to REINDEX; sorted lists may differ"
        ));
    }
    Ok(())
}

fn is_policy(statement: &str) -> bool {
    statement.starts_with("CREATE POLICY ") || statement.starts_with("COMMENT ON POLICY ")
}

fn tell(done: &mut StepDone, skipped: Vec<Skipped>) {
    for Skipped { statement, reason } in skipped {
        done.gaps.push(format!("left out: {statement}: {reason}"));
    }
}

/// A session in a database that nobody else fills, for as long as it lasts.
async fn claimed(connector: &Connector) -> Result<lifeboat_postgres::Client, Failure> {
    let session = restore::lane(connector).await.map_err(database_fault)?;
    claim(connector, session).await
}

async fn claim(
    connector: &Connector,
    session: lifeboat_postgres::Client,
) -> Result<lifeboat_postgres::Client, Failure> {
    if restore::claim(&session, CLAIM_PATIENCE).await.map_err(database_fault)? {
        return Ok(session);
    }
    let what = format!("another restore is filling database {}", connector.database());
    Err(Failure::failed(what, "wait for its end, or end it, and look at what it says"))
}

/// An empty database: made, or found so, or made after what was there has another name. What is
/// returned has claimed it.
async fn make_empty(
    (kept, facts): (&Kept<'_>, &DatabaseFacts),
    connector: &Connector,
    loading: &Loading<'_>,
    done: &mut StepDone,
) -> Result<lifeboat_postgres::Client, Failure> {
    let name = connector.database();
    let session = match restore::lane(connector).await {
        Ok(session) => Some(session),
        Err(_) => reopened(connector, loading).await?,
    };
    let Some(session) = session else {
        make(connector, facts).await?;
        done.lines.push(format!("database {name} was made"));
        return claimed(connector).await;
    };
    let session = claim(connector, session).await?;
    let found = things_in(&session, 5).await.map_err(database_fault)?;
    if found.is_empty() {
        return Ok(session);
    }
    if restore::is_marked(&session).await.map_err(database_fault)? {
        restore::clear(&session).await.map_err(database_fault)?;
        done.lines.push(format!("what an earlier run had begun in {name} was cleared away"));
        return Ok(session);
    }
    if !loading.replace {
        return Err(Failure::failed(
            format!("database {name} is not empty: {} …", found.join(", ")),
            "name an empty one, or give --replace, which keeps this one under another name",
        ));
    }
    drop(session);
    let administration = administration(connector).await?;
    let aside = name_before(&name, &loading.stamp);
    let now = standing(&administration, &name).await.map_err(database_fault)?;
    let oid = now.map(|now| now.oid).ok_or_else(|| {
        Failure::failed(format!("database {name} went away"), "run the same command again")
    })?;
    loading.placing.asides.note(Thing::Database(KeptDatabase {
        component: kept.component.name.clone(),
        database: kept.record.database.clone(),
        suffix: loading.placing.targets.suffix.clone(),
        place: connector.place(),
        was: name.clone(),
        name: aside.clone(),
        oid,
    }))?;
    rename_database(&administration, &name, &aside).await.map_err(database_fault)?;
    create_database(&administration, &name, facts, None).await.map_err(database_fault)?;
    done.lines.push(format!("the database that was there is {aside} now"));
    claimed(connector).await
}

/// A session in a database that this restore had shut to rename it, and was killed.
async fn reopened(
    connector: &Connector,
    loading: &Loading<'_>,
) -> Result<Option<lifeboat_postgres::Client>, Failure> {
    let name = connector.database();
    let administration = administration(connector).await?;
    let now = standing(&administration, &name).await.map_err(database_fault)?;
    let Some(now) = now else { return Ok(None) };
    if !loading.placing.asides.has_database(&connector.place(), &name, now.oid)? {
        return Ok(None);
    }
    reopen_database(&administration, &name).await.map_err(database_fault)?;
    Ok(restore::lane(connector).await.ok())
}

/// One stretch of rows to load.
struct Stretch {
    table: usize,
    number: u64,
    content: Content,
    rows: u64,
    bytes: u64,
}

/// Rows that are still to be loaded.
#[derive(Default)]
struct RowsLeft {
    /// The stretches of each table, in order.
    tables: BTreeMap<usize, Vec<Stretch>>,
    /// Rows that are there, or that come last.
    rows: u64,
}

impl RowsLeft {
    /// All rows but those of the table that Synapse looks at first.
    async fn of(kept: &Kept<'_>, tables: &[(TableRecord, TableShape)]) -> Result<Self, Failure> {
        let is_held_back = |table: &TableShape| is_last(kept.component, table);
        let found = stretches(kept, tables, |table| !is_held_back(table)).await?;
        let rows = tables.iter().filter(|(_, s)| is_held_back(s)).map(|(t, _)| t.rows).sum();
        Ok(Self { tables: by_table(found), rows })
    }
}

/// Loads rows, and makes what comes after them; how many rows there are, and what was left out.
async fn build(
    cx: &Context,
    (kept, tables): (&Kept<'_>, &[(TableRecord, TableShape)]),
    (connector, lanes): (&Connector, usize),
    (left, after): (RowsLeft, &str),
) -> Result<(u64, Vec<Skipped>), Failure> {
    let facts = kept.facts()?;
    let sizes: BTreeMap<usize, u64> = left
        .tables
        .iter()
        .map(|(table, list)| (*table, list.iter().map(|s| s.bytes).sum()))
        .collect();
    let wanted = tables.iter().enumerate().map(|(at, (table, shape))| Wanted {
        shape,
        bytes: table.bytes,
        load: sizes.contains_key(&at),
        analyze: table.rows > 0,
    });
    let wanted: Vec<Wanted<'_>> = wanted.collect();
    let board = Board::new(&wanted, (after, facts.search_path()));
    let begin_rest = || cx.stage("indexes and constraints", 0, Unit::Items);
    if sizes.is_empty() {
        begin_rest();
    } else {
        cx.stage("rows", sizes.values().sum(), Unit::Bytes);
    }
    let (count, left) = (Mutex::new((left.rows, sizes.len())), Mutex::new(left.tables));
    let load = async |lane: &lifeboat_postgres::Client, at: usize| {
        let table = left.lock().ok().and_then(|mut left| left.remove(&at)).unwrap_or_default();
        let shape = &tables[at].1;
        // All of a table on one lane and in order: in another order the next backup would find its
        // rows in other stretches, and have to store them again.
        let filling = restore::begin_table(lane, (shape, &facts)).await.map_err(database_fault)?;
        let rows = load_table(cx, kept.open, (&filling, shape), table).await?;
        filling.finish().await.map_err(database_fault)?;
        let is_last = count.lock().is_ok_and(|mut count| {
            *count = (count.0 + rows, count.1 - 1);
            count.1 == 0
        });
        if is_last {
            begin_rest();
        }
        Ok(())
    };
    let skipped = restore::work_off((connector, lanes), &board, load, restore_fault).await?;
    let rows = count.lock().map_or(0, |count| count.0);
    Ok((rows, skipped))
}

/// The stretches of each table, in order.
fn by_table(stretches: VecDeque<Stretch>) -> BTreeMap<usize, Vec<Stretch>> {
    let mut tables: BTreeMap<usize, Vec<Stretch>> = BTreeMap::new();
    for stretch in stretches {
        tables.entry(stretch.table).or_default().push(stretch);
    }
    for table in tables.values_mut() {
        table.sort_by_key(|stretch| stretch.number);
    }
    tables
}

/// Loads the rows of the table without which Synapse does not start: when all else is right.
///
/// # Errors
/// [`Failure`] when the backup is damaged or the database refuses.
pub async fn load_last(
    cx: &Context,
    kept: &Kept<'_>,
    lane: &lifeboat_postgres::Client,
) -> Result<u64, Failure> {
    let tables = kept.tables().await?;
    let mut rows = 0;
    let last = stretches(kept, &tables, |table| is_last(kept.component, table)).await?;
    for table in by_table(last).into_values() {
        let Some(shape) = table.first().map(|stretch| &tables[stretch.table].1) else { continue };
        rows += load_table(cx, kept.open, (&Filling::of(lane), shape), table).await?;
    }
    Ok(rows)
}

fn is_last(component: &Component, table: &TableShape) -> bool {
    component.kind == "synapse" && table.name == LAST_TABLE
}

async fn stretches(
    kept: &Kept<'_>,
    tables: &[(TableRecord, TableShape)],
    wanted: impl Fn(&TableShape) -> bool,
) -> Result<VecDeque<Stretch>, Failure> {
    let place: BTreeMap<(&str, &str), usize> = tables
        .iter()
        .enumerate()
        .map(|(at, (_, shape))| ((shape.schema.as_str(), shape.name.as_str()), at))
        .collect();
    let mut queue = VecDeque::new();
    for entry in kept.open.record_entries(kept.component, SEGMENTS) {
        for record in kept.open.package().records::<SegmentRecord>(&entry).await? {
            if record.database != kept.record.database {
                continue;
            }
            let Some(table) = place.get(&(record.schema.as_str(), record.table.as_str())) else {
                return Err(Failure::not_valid(
                    format!("the backup has rows of {}, which it does not list", record.table),
                    "look for another copy of the backup",
                ));
            };
            if wanted(&tables[*table].1) {
                let SegmentRecord { number, content, rows, bytes, .. } = record;
                queue.push_back(Stretch { table: *table, number, content, rows, bytes });
            }
        }
    }
    Ok(queue)
}

/// Loads the stretches of a table in order; the next are read while one is loaded.
async fn load_table(
    cx: &Context,
    open: &OpenBackup,
    (filling, shape): (&Filling<'_>, &TableShape),
    table: Vec<Stretch>,
) -> Result<u64, Failure> {
    let reading = table.into_iter().map(|stretch| async move {
        let bytes = open.whole(&stretch.content, SEGMENT_BYTES).await?;
        Ok::<_, Failure>((stretch, Bytes::from(bytes)))
    });
    let mut reading = pin!(stream::iter(reading).buffered(READ_AHEAD));
    let mut all = 0;
    while let Some((stretch, bytes)) = reading.try_next().await? {
        cx.go_on()?;
        cx.advance(bytes.len() as u64);
        let rows = filling.load(shape, bytes).await.map_err(load_fault)?;
        if rows != stretch.rows {
            let (table, kept) = (shape.label(), stretch.rows);
            return Err(Failure::not_valid(
                format!("{table}: {rows} rows were taken, the backup says {kept}"),
                "look for another copy of the backup",
            ));
        }
        all += rows;
    }
    Ok(all)
}

/// Rows that the server did not take.
fn load_fault(error: PostgresError) -> Failure {
    // A constraint holds for the rows in another order than they were written in, or with what
    // another server knows.
    if !error.code().is_some_and(|code| code.starts_with("23") || code.starts_with("42")) {
        return database_fault(error);
    }
    let remedy = "the backup has these rows whole: `lifeboat backup unpack` writes them and the \
                  schema as files, to be loaded by psql without what refuses them; or correct that \
                  where the database still is, and back up again";
    Failure::failed("the target database refuses rows of the backup", remedy).because(error)
}

fn restore_fault(error: RestoreError) -> Failure {
    Failure::failed("cannot make the schema again", "see the database's message").because(error)
}

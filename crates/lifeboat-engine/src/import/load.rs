//! The database: schema, rows in parallel, then keys, indexes and constraints.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Mutex;
use std::sync::atomic::AtomicBool;

use futures_util::future::try_join_all;
use lifeboat_components::postgres::{Client, PostgresError};
use lifeboat_components::synapse::fixups;
use lifeboat_components::synapse::layout::Holds;
use lifeboat_components::synapse::schema::{Kind, SchemaStatement, Stage};
use lifeboat_components::synapse::write::rows::{EventSink, JOINED, TableSink};
use lifeboat_components::synapse::write::target::{self, LAST_TABLE};
use lifeboat_package::flow::{FlowError, Source};

use super::check::{Checked, Contents, database_fault};
use super::databases;
use super::{ImportOutcome, ImportRequest};
use crate::context::{Context, Unit};
use crate::failure::Failure;
use crate::reader::EntryPlace;
use crate::reader::part::RecordSource;

/// Raw bytes of records that one `COPY` loads.
const UNIT_BYTES: u64 = 32 << 20;

/// The databases with the first half of their schema.
pub struct Prepared {
    /// One a database, in their order: the main one first.
    pub halves: Vec<Half>,
    /// What could not be made there and a server is whole without.
    pub left_out: LeftOut,
}

/// Objects that Synapse did not make and that the target refuses, each with the reason.
#[derive(Default)]
pub struct LeftOut(Mutex<BTreeMap<String, String>>);

impl LeftOut {
    /// Whether what a statement makes belongs to an object that was left out.
    fn holds(&self, statement: &SchemaStatement) -> bool {
        self.has(statement.table.as_deref().unwrap_or(&statement.name))
    }

    fn has(&self, object: &str) -> bool {
        self.0.lock().is_ok_and(|objects| objects.contains_key(object))
    }

    fn add(&self, object: String, why: String) {
        if let Ok(mut objects) = self.0.lock() {
            objects.entry(object).or_insert(why);
        }
    }

    /// Tells it, and counts it as gaps.
    pub fn tell(&self, outcome: &mut ImportOutcome) {
        let Ok(objects) = self.0.lock() else { return };
        for (object, why) in objects.iter() {
            outcome.warnings.push(format!("{object}, which is not Synapse's, is left out: {why}"));
        }
        outcome.gaps += objects.len() as u64;
    }
}

/// One database, its schema, and the session that made the schema's first half.
pub struct Half {
    /// What it holds.
    pub holds: Holds,
    /// Statements, [`LAST_TABLE`]'s left out.
    pub statements: Vec<SchemaStatement>,
    /// Those of [`LAST_TABLE`].
    pub last: Vec<SchemaStatement>,
    /// The session.
    pub session: Client,
}

/// Rows loaded, by table.
pub type Loaded = BTreeMap<String, u64>;

/// Makes or clears the databases, and makes everything that must be there before the rows. `run`
/// tells this import from every other; `touched` becomes true when something is changed.
///
/// # Errors
/// [`Failure`] when a database refuses.
pub async fn prepare(
    checked: &Checked,
    contents: &Contents,
    (run, touched): (&str, &AtomicBool),
) -> Result<Prepared, Failure> {
    let all = read_schema(checked, contents).await?;
    let package = checked.package.manifest.package.to_string();
    let (mut halves, left_out) = (Vec::new(), LeftOut::default());
    let sessions = databases::claim(&checked.databases, touched).await?;
    for (database, session) in checked.databases.iter().zip(sessions) {
        let is_last =
            |s: &SchemaStatement| s.name == LAST_TABLE || s.table.as_deref() == Some(LAST_TABLE);
        let held = all.iter().filter(|s| database.holds.statement(s)).cloned();
        let (last, statements): (Vec<_>, Vec<_>) = held.partition(is_last);
        halves.push(Half { holds: database.holds, statements, last, session });
    }
    // Together: with the note and without tables, Synapse would make itself a new server here, and
    // we would take it for ours to clear.
    for half in &halves {
        target::begin(&half.session).await.map_err(database_fault)?;
        target::note_begin(&half.session, &package, run).await.map_err(database_fault)?;
        for statement in half.statements.iter().filter(|s| s.stage == Stage::BeforeRows) {
            before_rows(&half.session, statement, &left_out).await?;
        }
    }
    for half in &halves {
        target::commit(&half.session).await.map_err(database_fault)?;
    }
    Ok(Prepared { halves, left_out })
}

/// Runs a statement inside the transaction that makes the first half of the schema.
async fn before_rows(
    session: &Client,
    statement: &SchemaStatement,
    left_out: &LeftOut,
) -> Result<(), Failure> {
    if !target::may_be_left_out(statement) {
        return target::run(session, statement).await.map_err(database_fault);
    }
    if left_out.holds(statement) {
        return Ok(());
    }
    if let Some(why) = target::attempt(session, statement).await.map_err(database_fault)? {
        left_out.add(statement.table.clone().unwrap_or(statement.name.clone()), why.to_string());
    }
    Ok(())
}

/// Runs a statement after the rows, each its own transaction.
async fn after(
    session: &Client,
    statement: &SchemaStatement,
    left_out: &LeftOut,
) -> Result<(), PostgresError> {
    if left_out.holds(statement) {
        return Ok(());
    }
    match target::run(session, statement).await {
        Err(failed) if target::may_be_left_out(statement) && !failed.is_transient() => {
            // The table is there, and so are its rows: only this is not.
            left_out.add(format!("{:?} {}", statement.kind, statement.name), failed.to_string());
            Ok(())
        }
        ended => ended,
    }
}

/// The schema in the package.
///
/// # Errors
/// [`Failure`] when it has none, or an entry is damaged.
pub async fn read_schema(
    checked: &Checked,
    contents: &Contents,
) -> Result<Vec<SchemaStatement>, Failure> {
    let mut statements = Vec::new();
    for entry in contents.named("schema") {
        statements.extend(checked.package.records::<SchemaStatement>(entry).await?);
    }
    if statements.is_empty() {
        return Err(Failure::failed(
            "the package holds no database schema",
            "only a full export can be imported into an empty database",
        ));
    }
    Ok(statements)
}

/// Loads all rows but [`LAST_TABLE`]'s, in parallel.
///
/// # Errors
/// [`Failure`] when an entry is damaged, a record does not fit, or the counts are not the
/// manifest's.
pub async fn rows(
    cx: &Context,
    request: &ImportRequest,
    checked: &Checked,
    (contents, left_out): (&Contents, &LeftOut),
) -> Result<Loaded, Failure> {
    let mut tables = contents.tables(LAST_TABLE);
    tables.retain(|table, _| !left_out.has(table));
    let total = tables.values().flatten().map(|entry| entry.record.raw).sum();
    cx.stage("rows", total, Unit::Bytes);
    let queue = Mutex::new(units(&tables));
    let loaded = Mutex::new(Loaded::new());
    let lanes = (0..request.lanes.max(1)).map(|_| lane(cx, checked, contents, (&queue, &loaded)));
    try_join_all(lanes).await?;
    let loaded = loaded.into_inner().unwrap_or_default();
    for table in &checked.package.manifest.tables {
        let is_empty = super::check::stays_empty(&table.name) || left_out.has(&table.name);
        let expected = if is_empty { 0 } else { table.rows };
        let found = loaded.get(&table.name).copied().unwrap_or_default();
        if table.name != LAST_TABLE && found != expected {
            return Err(Failure::not_valid(
                format!("table {}: {found} rows, the manifest says {expected}", table.name),
                "verify the package; look for another copy",
            ));
        }
    }
    Ok(loaded)
}

/// One `COPY`: some entries of one name.
struct LoadUnit {
    name: String,
    entries: Vec<EntryPlace>,
    bytes: u64,
}

/// The largest first, so that no lane is left with one at the end.
fn units(tables: &BTreeMap<&str, Vec<&EntryPlace>>) -> VecDeque<LoadUnit> {
    let mut units: Vec<LoadUnit> = Vec::new();
    for (name, entries) in tables {
        let mut open: Option<LoadUnit> = None;
        for entry in entries {
            let unit = open.get_or_insert_with(|| LoadUnit {
                name: (*name).to_owned(),
                entries: Vec::new(),
                bytes: 0,
            });
            unit.entries.push((*entry).clone());
            unit.bytes += entry.record.raw;
            if unit.bytes >= UNIT_BYTES {
                units.extend(open.take());
            }
        }
        units.extend(open);
    }
    units.sort_by_key(|unit| std::cmp::Reverse(unit.bytes));
    units.into()
}

async fn lane(
    cx: &Context,
    checked: &Checked,
    contents: &Contents,
    (queue, loaded): (&Mutex<VecDeque<LoadUnit>>, &Mutex<Loaded>),
) -> Result<(), Failure> {
    let mut sessions = Vec::new();
    for database in &checked.databases {
        sessions.push((database.holds, database.session().await?));
    }
    // The records of events fill two tables at a time.
    let contents_session = target::session(&checked.opened.main).await.map_err(database_fault)?;
    let next = || queue.lock().ok().and_then(|mut queue| queue.pop_front());
    while let Some(unit) = next() {
        let rows = load(checked, contents, (&sessions, &contents_session), &unit).await?;
        if let Ok(mut loaded) = loaded.lock() {
            for (table, count) in rows {
                *loaded.entry(table).or_insert(0) += count;
            }
        }
        cx.advance(unit.bytes);
    }
    Ok(())
}

async fn load(
    checked: &Checked,
    contents: &Contents,
    (sessions, contents_session): (&[(Holds, Client)], &Client),
    unit: &LoadUnit,
) -> Result<Vec<(String, u64)>, Failure> {
    let fault = |e: FlowError| {
        let remedy = "run the same command again: it clears away what is there and begins anew";
        Failure::failed(format!("cannot load {}", unit.name), remedy).because(e)
    };
    let flow = |e| fault(FlowError::new(e));
    let (name, entries) = (unit.name.as_str(), unit.entries.as_slice());
    let mut source = RecordSource { package: &checked.package, name, entries };
    let mut loaded = Vec::new();
    // What each of two databases notes for itself goes into both, and counts once.
    for (_, session) in sessions.iter().filter(|(holds, _)| holds.table(name)) {
        if name == JOINED {
            let sessions = (session, contents_session);
            let mut sink = EventSink::start(sessions, &contents.columns).await.map_err(flow)?;
            source.pour(&mut sink).await.map_err(fault)?;
            loaded = sink.finish().await.map_err(flow)?;
        } else {
            let mut sink =
                TableSink::start(session, name, &contents.columns).await.map_err(flow)?;
            source.pour(&mut sink).await.map_err(fault)?;
            loaded = vec![(name.to_owned(), sink.finish().await.map_err(flow)?)];
        }
    }
    Ok(loaded)
}

/// Makes keys and indexes in parallel, then what checks rows, then what watches them.
///
/// # Errors
/// [`Failure`] when the database refuses.
pub async fn after_rows(
    cx: &Context,
    request: &ImportRequest,
    checked: &Checked,
    prepared: &Prepared,
    outcome: &mut ImportOutcome,
) -> Result<(), Failure> {
    let of_halves = prepared.halves.iter().enumerate();
    let statements: Vec<Placed<'_>> = of_halves
        .flat_map(|(half, of)| of.statements.iter().map(move |statement| (half, statement)))
        .filter(|(_, statement)| statement.stage == Stage::AfterRows)
        .collect();
    cx.stage("keys, indexes, constraints", statements.len() as u64, Unit::Items);
    let rows: BTreeMap<&str, u64> = checked
        .package
        .manifest
        .tables
        .iter()
        .map(|table| (table.name.as_str(), table.rows))
        .collect();
    let size = |s: &SchemaStatement| s.table.as_deref().and_then(|t| rows.get(t)).copied();
    for kind in [Kind::Key, Kind::Index] {
        let mut wanted: Vec<Placed<'_>> =
            statements.iter().copied().filter(|(_, s)| s.kind == kind).collect();
        wanted.sort_by_key(|(_, s)| std::cmp::Reverse(size(s)));
        let queue = Mutex::new(chains(&wanted, kind));
        let lanes = (0..request.lanes.max(1))
            .map(|_| run_chains(cx, checked, (&queue, &prepared.left_out)));
        try_join_all(lanes).await?;
    }
    let rest = statements.iter().filter(|(_, s)| !matches!(s.kind, Kind::Key | Kind::Index));
    for (half, statement) in rest {
        let session = (&prepared.halves[*half].session, &prepared.left_out);
        one_by_one(checked, session, statement, outcome).await?;
        cx.advance(1);
    }
    prepared.left_out.tell(outcome);
    Ok(())
}

/// A statement, and the number of the database it is for.
type Placed<'a> = (usize, &'a SchemaStatement);

/// Keys of one table wait for each other; indexes do not.
fn chains<'a>(wanted: &[Placed<'a>], kind: Kind) -> VecDeque<Vec<Placed<'a>>> {
    let mut chains: VecDeque<Vec<Placed<'_>>> = VecDeque::new();
    for &(half, statement) in wanted {
        let is_same = |first: &Placed<'_>| first.0 == half && first.1.table == statement.table;
        let same =
            chains.iter_mut().find(|chain| kind == Kind::Key && chain.first().is_some_and(is_same));
        match same {
            Some(chain) => chain.push((half, statement)),
            None => chains.push_back(vec![(half, statement)]),
        }
    }
    chains
}

async fn run_chains(
    cx: &Context,
    checked: &Checked,
    (queue, left_out): (&Mutex<VecDeque<Vec<Placed<'_>>>>, &LeftOut),
) -> Result<(), Failure> {
    let mut sessions = Vec::new();
    for database in &checked.databases {
        sessions.push(database.session().await?);
    }
    let next = || queue.lock().ok().and_then(|mut queue| queue.pop_front());
    while let Some(chain) = next() {
        for (half, statement) in chain {
            after(&sessions[half], statement, left_out).await.map_err(database_fault)?;
            cx.advance(1);
        }
    }
    Ok(())
}

/// Rows of two cuts may refer to what the other cut no longer or not yet had: those go, and are
/// told.
async fn one_by_one(
    checked: &Checked,
    (session, left_out): (&Client, &LeftOut),
    statement: &SchemaStatement,
    outcome: &mut ImportOutcome,
) -> Result<(), Failure> {
    let failed = match after(session, statement, left_out).await {
        Ok(()) => return Ok(()),
        Err(failed) => failed,
    };
    let is_torn = checked.package.manifest.cuts.len() > 1;
    if !is_torn || statement.kind != Kind::ForeignKey || failed.code() != Some("23503") {
        return Err(database_fault(failed));
    }
    let table = statement.table.as_deref().unwrap_or_default();
    let dropped = fixups::mend_foreign_key(session, table, &statement.name, &statement.sql)
        .await
        .map_err(database_fault)?;
    outcome
        .warnings
        .push(format!("{table}: {dropped} rows referred to rows of another cut and were dropped"));
    outcome.gaps += 1;
    Ok(())
}

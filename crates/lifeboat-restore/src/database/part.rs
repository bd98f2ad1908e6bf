//! Of a Synapse's database only the rows that an export of some rooms and accounts needs.
//!
//! The segments of a table are in no order of rooms. So all of those that may hold a needed row are
//! read and checked as in a whole restore, but only the needed rows go to the server.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use lifeboat_components::synapse::portion::{Among, Asked, Needed, Portion, Rule, Search};
use lifeboat_engine::context::{Context, Unit};
use lifeboat_engine::failure::Failure;
use lifeboat_engine::import::check::database_fault;
use lifeboat_engine::reader::apart;
use lifeboat_package::backup::{Component, TableRecord};
use lifeboat_package::selection::Selection;
use lifeboat_postgres::Client;
use lifeboat_postgres::archive::TableShape;
use lifeboat_postgres::connect::Connector;
use lifeboat_postgres::restore::{self, Filling};
use lifeboat_postgres::sieve::{Keys, Sieve, SieveError, each_row};
use lifeboat_vault::backup::OpenBackup;

use super::{Kept, SEGMENT_BYTES, Stretch, is_last, stretches};

/// Ids of events and of state groups that are held in memory, about 100 bytes each.
const MOST_KEYS: usize = 1_000_000;

/// The tables of a database, as the backup lists them.
type Tables = [(TableRecord, TableShape)];

/// Values that keep a row.
type Known = BTreeMap<Among, Arc<Keys>>;

/// What every lane works with.
struct Sifting<'a> {
    cx: &'a Context,
    kept: &'a Kept<'a>,
    tables: &'a Tables,
    rules: &'a [Rule],
}

/// Finds the rooms and accounts of a selection in a backup of a component; nothing where all rooms
/// are wanted, there are too many to look through, or the tables are not as they are known.
///
/// # Errors
/// [`Failure`] when the backup is damaged.
pub(crate) async fn find(
    cx: &Context,
    (open, component): (&OpenBackup, &Component),
    (selection, lanes): (&Selection, usize),
) -> Result<Option<Portion>, Failure> {
    let Some(search) = Search::of(selection) else { return Ok(None) };
    let search = Arc::new(Mutex::new(search));
    let broken = || Failure::failed("the search broke off", "run the same command again");
    for asks in [Search::asks, Search::asks_then] {
        let asked = asks(&*search.lock().map_err(|_| broken())?);
        for database in component.databases.iter().filter(|_| !asked.is_empty()) {
            let kept = Kept::find(open, component, &database.name).await?;
            let tables = kept.tables().await?;
            if !search_all(cx, (&kept, &tables), (&asked, lanes), &search).await? {
                return Ok(None);
            }
        }
    }
    let search = search.lock().map_err(|_| broken())?;
    Ok(search.clone().finish())
}

/// Shows a search what it asks for of a database; whether that is there as it is known.
async fn search_all(
    cx: &Context,
    (kept, tables): (&Kept<'_>, &Tables),
    (asked, lanes): (&[Asked], usize),
    search: &Arc<Mutex<Search>>,
) -> Result<bool, Failure> {
    let wanted: Option<Vec<_>> = tables.iter().map(|(_, shape)| look(shape, asked)).collect();
    let Some(wanted) = wanted else { return Ok(false) };
    let is_asked = |shape: &TableShape| asked.iter().any(|asked| asked.table == shape.name);
    let queue = Mutex::new(stretches(kept, tables, is_asked).await?);
    let work = (0..lanes.max(1)).map(|_| async {
        while let Some(stretch) = next(&queue) {
            cx.go_on()?;
            let (shape, wanted) = (&tables[stretch.table].1, &wanted[stretch.table]);
            search_one(kept, (shape, wanted), (stretch, search)).await?;
        }
        Ok::<_, Failure>(())
    });
    futures_util::future::try_join_all(work).await?;
    Ok(true)
}

/// Where the columns are that a search asks for; nothing where they are no text.
fn look(shape: &TableShape, asked: &[Asked]) -> Option<Vec<usize>> {
    let Some(asked) = asked.iter().find(|asked| asked.table == shape.name) else {
        return Some(Vec::new());
    };
    let place = |name: &&str| {
        shape.columns.iter().position(|c| c.name == **name && c.type_name == "text" && !c.as_text)
    };
    asked.columns.iter().map(place).collect()
}

async fn search_one(
    kept: &Kept<'_>,
    (shape, wanted): (&TableShape, &[usize]),
    (stretch, search): (Stretch, &Arc<Mutex<Search>>),
) -> Result<(), Failure> {
    let bytes = kept.open.whole(&stretch.content, SEGMENT_BYTES).await?;
    let (table, label, columns) = (shape.name.clone(), shape.label(), shape.columns.len());
    let (wanted, search) = (wanted.to_vec(), search.clone());
    let seen = apart(move || {
        let mut search = search.lock().ok()?;
        Some(each_row((&label, columns), &bytes, |row| {
            let values: Vec<_> = wanted.iter().map(|at| row.field(*at)).collect();
            search.see(&table, &values);
        }))
    });
    let broken = || Failure::failed("the search broke off", "run the same command again");
    let seen = seen.await?.ok_or_else(broken)?;
    demand(shape, seen.map_err(unreadable)?, stretch.rows)
}

/// Loads the rows that are needed, of all tables but the one that Synapse looks at first. Nothing
/// is done, and nothing returned, where the tables are not as they are known.
///
/// # Errors
/// [`Failure`] when the backup is damaged, the database refuses, or the rooms are too large.
pub(super) async fn load(
    cx: &Context,
    (kept, tables): (&Kept<'_>, &Tables),
    (connector, lanes): (&Connector, usize),
    portion: &Portion,
) -> Result<Option<u64>, Failure> {
    let shapes: Vec<&TableShape> = tables.iter().map(|(_, shape)| shape).collect();
    let Some(rules) = portion.rules(&shapes) else { return Ok(None) };
    let sifting = Sifting { cx, kept, tables, rules: &rules };
    let read = tables.iter().zip(&rules).filter(|(_, rule)| rule.needed != Needed::Nothing);
    cx.stage("rows", read.map(|((table, _), _)| table.bytes).sum(), Unit::Bytes);
    let mut known = Known::from([(Among::Rooms, keys(&portion.rooms))]);
    known.insert(Among::Users, keys(portion.users.iter().flatten()));
    // What tells which rows of other tables are needed comes before those.
    let all = sifting.stretches().await?;
    let (first, second): (VecDeque<_>, VecDeque<_>) =
        all.into_iter().partition(|stretch| rules[stretch.table].tells.is_some());
    let (early, told) = sifting.round(first, (connector, lanes), &known).await?;
    for (among, keys) in told {
        known.insert(among, Arc::new(keys));
    }
    let (late, _) = sifting.round(second, (connector, lanes), &known).await?;
    let all: u64 = tables.iter().map(|(table, _)| table.rows).sum();
    cx.note(format!("{} rows that are needed, of {all}, were put back", early + late));
    Ok(Some(early + late))
}

fn keys<'a>(values: impl IntoIterator<Item = &'a String>) -> Arc<Keys> {
    Arc::new(values.into_iter().map(|value| Box::from(value.as_bytes())).collect())
}

fn next(queue: &Mutex<VecDeque<Stretch>>) -> Option<Stretch> {
    queue.lock().ok().and_then(|mut queue| queue.pop_front())
}

impl Sifting<'_> {
    /// The segments that may hold a row that is needed, the largest first.
    async fn stretches(&self) -> Result<VecDeque<Stretch>, Failure> {
        let all = stretches(self.kept, self.tables, |shape| !is_last(self.kept.component, shape));
        let mut all: Vec<Stretch> = all.await?.into();
        all.retain(|stretch| self.rules[stretch.table].needed != Needed::Nothing);
        all.sort_by_key(|stretch| std::cmp::Reverse(stretch.rows));
        Ok(all.into())
    }

    /// Loads what is needed of some segments; how many rows, and what they tell.
    async fn round(
        &self,
        queue: VecDeque<Stretch>,
        (connector, lanes): (&Connector, usize),
        known: &Known,
    ) -> Result<(u64, BTreeMap<Among, Keys>), Failure> {
        let queue = Mutex::new(queue);
        let tellers = self.rules.iter().filter_map(|rule| rule.tells);
        let none = tellers.map(|(among, _)| (among, Keys::new())).collect();
        let told: Mutex<BTreeMap<Among, Keys>> = Mutex::new(none);
        let work = (0..lanes.max(1)).map(|_| async {
            let lane = restore::lane(connector).await.map_err(database_fault)?;
            let mut rows = 0;
            while let Some(stretch) = next(&queue) {
                self.cx.go_on()?;
                let tells = self.rules[stretch.table].tells;
                let (kept, collected) = self.one(&lane, stretch, known).await?;
                rows += kept;
                if let (Some((among, _)), Ok(mut told)) = (tells, told.lock()) {
                    let keys = told.entry(among).or_default();
                    keys.extend(collected);
                    if keys.len() > MOST_KEYS {
                        return Err(Failure::failed("the rooms have too many events", ""));
                    }
                }
            }
            Ok::<u64, Failure>(rows)
        });
        let loaded = futures_util::future::try_join_all(work).await?;
        Ok((loaded.iter().sum(), told.into_inner().unwrap_or_default()))
    }

    /// Loads what is needed of a segment.
    async fn one(
        &self,
        lane: &Client,
        stretch: Stretch,
        known: &Known,
    ) -> Result<(u64, Vec<Box<[u8]>>), Failure> {
        let (shape, rule) = (&self.tables[stretch.table].1, &self.rules[stretch.table]);
        let bytes = self.kept.open.whole(&stretch.content, SEGMENT_BYTES).await?;
        self.cx.advance(bytes.len() as u64);
        let Needed::Rows(tests) = &rule.needed else {
            let rows = Filling::of(lane).load(shape, Bytes::from(bytes)).await;
            let rows = rows.map_err(database_fault)?;
            demand(shape, rows, stretch.rows)?;
            return Ok((rows, Vec::new()));
        };
        let keys = |among: &Among| known.get(among).cloned().unwrap_or_default();
        let tests: Vec<_> = tests.iter().map(|(at, among)| (*at, keys(among))).collect();
        let (label, columns) = (shape.label(), shape.columns.len());
        let collects = rule.tells.map(|(_, at)| at);
        let sieved = apart(move || {
            let tests = tests.iter().map(|(at, keys)| (*at, keys.as_ref())).collect();
            Sieve { tests, collects, columns }.sift(&label, &bytes)
        });
        let sieved = sieved.await?.map_err(unreadable)?;
        demand(shape, sieved.rows, stretch.rows)?;
        if sieved.kept > 0 {
            let taken = Filling::of(lane).load(shape, sieved.copy).await;
            demand(shape, taken.map_err(database_fault)?, sieved.kept)?;
        }
        Ok((sieved.kept, sieved.collected))
    }
}

/// As many rows as there should be.
fn demand(shape: &TableShape, found: u64, expected: u64) -> Result<(), Failure> {
    if found == expected {
        return Ok(());
    }
    Err(Failure::not_valid(
        format!("{}: {found} rows were found, the backup says {expected}", shape.label()),
        "look for another copy of the backup",
    ))
}

fn unreadable(error: SieveError) -> Failure {
    Failure::not_valid("the backup is damaged", "look for another copy of the backup")
        .because(error)
}

#[cfg(test)]
mod tests;

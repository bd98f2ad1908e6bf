//! What is to be done to fill a database, and what waits for what. Pure, but for the waiting.
//!
//! Each table's keys are made as soon as its rows are there, its indexes after its keys, so that no
//! lane is idle while a large table is still filled. An index over an expression, or over some rows
//! only, waits for the rows of all tables: functions in it may read others. What else comes after
//! the rows waits for all keys and indexes.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::archive::TableShape;

use super::statements::{Phases, phases, table_name};

/// A table that is to be filled.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    /// The table.
    pub shape: &'a TableShape,
    /// Bytes of its rows: the largest is begun first.
    pub bytes: u64,
    /// Whether its rows are to be loaded; else they are there, or come later.
    pub load: bool,
    /// Whether the server is to look at its rows, so that its first queries are planned well.
    pub analyze: bool,
}

/// One thing to do, on one lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Work<'a> {
    /// Load the rows of a table, by its place among those wanted.
    Rows(usize),
    /// Run statements in order.
    Statements(&'a [&'a str]),
    /// Have the server look at a table.
    Analyze(&'a TableShape),
}

/// What is begun first of what could be begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    Rows,
    Rest,
    Keys,
    Index,
    Analyze,
}

enum Task<'a> {
    Rows(usize),
    Statements(Vec<&'a str>),
    Analyze(&'a TableShape),
    /// Something to wait for only.
    Mark,
}

struct Node<'a> {
    task: Task<'a>,
    rank: Rank,
    bytes: u64,
    then: Vec<usize>,
}

/// Schema and name, unquoted.
type TableName = (String, String);

/// What is known of a table while the board is made.
#[derive(Default)]
struct Known {
    bytes: u64,
    /// What its indexes wait for: its rows, or its keys.
    filled: Vec<usize>,
    /// Its keys and indexes.
    built: Vec<usize>,
}

struct State {
    /// How many others each waits for.
    waits: Vec<usize>,
    ready: BTreeSet<(Rank, Reverse<u64>, usize)>,
    /// Those that are not done.
    left: usize,
}

/// All that is to be done, shared by the lanes that do it.
pub struct Board<'a> {
    settings: Vec<&'a str>,
    /// Where to look for names that are found nowhere.
    path: &'a str,
    nodes: Vec<Node<'a>>,
    state: Mutex<State>,
    changed: Notify,
}

impl<'a> Board<'a> {
    /// Everything that fills the tables and runs the text that comes after their rows, in a
    /// database that looked for names in `path`.
    pub fn new(tables: &[Wanted<'a>], (after, path): (&'a str, &'a str)) -> Self {
        let Phases { settings, keys, indexes, rest } = phases(after);
        let mut nodes = Nodes::default();
        let all_rows = nodes.add(Task::Mark, Rank::Rows, 0, &[]);
        let before_rest = nodes.add(Task::Mark, Rank::Rest, 0, &[all_rows]);
        let mut known: BTreeMap<TableName, Known> = BTreeMap::new();
        for (place, wanted) in tables.iter().enumerate() {
            let mut table = Known { bytes: wanted.bytes, ..Known::default() };
            if wanted.load {
                let rows = nodes.add(Task::Rows(place), Rank::Rows, wanted.bytes, &[]);
                nodes.order(rows, all_rows);
                table.filled.push(rows);
            }
            known.insert((wanted.shape.schema.clone(), wanted.shape.name.clone()), table);
        }
        let mut add = |list: Vec<&'a str>, rank, table: &Known| {
            let mut waits = table.filled.clone();
            waits.extend((!list.iter().all(|one| reads_columns_only(one))).then_some(all_rows));
            let built = nodes.add(Task::Statements(list), rank, table.bytes, &waits);
            nodes.order(built, before_rest);
            built
        };
        // The keys of a table are one task: they would wait for each other's locks.
        let mut keyed: BTreeMap<TableName, Vec<&str>> = BTreeMap::new();
        for (table, statement) in keys {
            keyed.entry(table_name(table)).or_default().push(statement);
        }
        for (table, list) in keyed {
            let table = known.entry(table).or_default();
            let built = add(list, Rank::Keys, table);
            (table.filled, table.built) = (vec![built], vec![built]);
        }
        for (table, statement) in indexes {
            let table = known.entry(table_name(table)).or_default();
            let built = add(vec![statement], Rank::Index, table);
            table.built.push(built);
        }
        nodes.end((tables, &known), rest, (all_rows, before_rest));
        nodes.board(settings, path)
    }

    /// What each session that runs statements is told first.
    pub(super) fn settings(&self) -> &[&'a str] {
        &self.settings
    }

    /// Where statements look for names that they do not find.
    pub(super) fn path(&self) -> &str {
        self.path
    }

    /// The next thing to do, with its number, as soon as there is one; nothing when all is done.
    pub(super) async fn next(&self) -> Option<(usize, Work<'_>)> {
        loop {
            let mut changed = std::pin::pin!(self.changed.notified());
            changed.as_mut().enable();
            let ready = {
                let mut state = self.state();
                let ready = state.ready.pop_first();
                if ready.is_none() && state.left == 0 {
                    return None;
                }
                ready
            };
            let Some((.., number)) = ready else {
                changed.await;
                continue;
            };
            match &self.nodes[number].task {
                Task::Rows(place) => return Some((number, Work::Rows(*place))),
                Task::Statements(list) => return Some((number, Work::Statements(list))),
                Task::Analyze(shape) => return Some((number, Work::Analyze(shape))),
                Task::Mark => self.done(number),
            }
        }
    }

    /// Says that something is done.
    pub(super) fn done(&self, number: usize) {
        let mut state = self.state();
        state.left -= 1;
        for then in &self.nodes[number].then {
            state.waits[*then] -= 1;
            if state.waits[*then] == 0 {
                let node = &self.nodes[*then];
                state.ready.insert((node.rank, Reverse(node.bytes), *then));
            }
        }
        drop(state);
        self.changed.notify_waiters();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Default)]
struct Nodes<'a> {
    nodes: Vec<Node<'a>>,
    waits: Vec<usize>,
}

impl<'a> Nodes<'a> {
    fn add(&mut self, task: Task<'a>, rank: Rank, bytes: u64, after: &[usize]) -> usize {
        let number = self.nodes.len();
        self.nodes.push(Node { task, rank, bytes, then: Vec::new() });
        self.waits.push(0);
        for before in after {
            self.order(*before, number);
        }
        number
    }

    fn order(&mut self, before: usize, then: usize) {
        self.nodes[before].then.push(then);
        self.waits[then] += 1;
    }

    /// What comes after keys and indexes. The server looks at a table when nothing changes any more
    /// what it looks for, and its heirs have their rows.
    fn end(
        &mut self,
        (tables, known): (&[Wanted<'a>], &BTreeMap<TableName, Known>),
        rest: Vec<&'a str>,
        (all_rows, before_rest): (usize, usize),
    ) {
        let is_looked_for = |statement: &&str| {
            statement.starts_with("CREATE STATISTICS ") || statement.contains(" SET STATISTICS ")
        };
        let has_more = rest.iter().any(is_looked_for);
        let rest = self.add(Task::Statements(rest), Rank::Rest, 0, &[before_rest]);
        for wanted in tables.iter().filter(|wanted| wanted.analyze) {
            let name = (wanted.shape.schema.clone(), wanted.shape.name.clone());
            let mut waits = known.get(&name).map(|table| table.built.clone()).unwrap_or_default();
            waits.push(if has_more { rest } else { all_rows });
            self.add(Task::Analyze(wanted.shape), Rank::Analyze, wanted.bytes, &waits);
        }
    }

    fn board(self, settings: Vec<&'a str>, path: &'a str) -> Board<'a> {
        let Self { nodes, waits } = self;
        let key = |number: usize| (nodes[number].rank, Reverse(nodes[number].bytes), number);
        let ready = (0..nodes.len()).filter(|number| waits[*number] == 0).map(key).collect();
        let state = Mutex::new(State { left: nodes.len(), waits, ready });
        Board { settings, path, nodes, state, changed: Notify::new() }
    }
}

/// Whether a key or index is one of plain columns and of all rows.
fn reads_columns_only(statement: &str) -> bool {
    statement.matches('(').count() == 1 && !statement.contains(" WHERE ")
}

#[cfg(test)]
mod tests;

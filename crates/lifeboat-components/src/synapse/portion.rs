//! Which rows of a backed-up database an export of some rooms and accounts reads.
//!
//! An export reads by ids ([`super::read`]): of tables of rooms the rows of the chosen rooms, of
//! tables of accounts those of the chosen accounts. So a copy of the database that lacks other rows
//! gives the same package. What is said here may be too much and must not be too little; a table
//! that is not known is needed whole.

mod search;

use std::collections::BTreeSet;

use lifeboat_package::selection::{Scope, Selection};

use super::archive::{ERASED, PROFILES, ROOM_KEYS};
use super::catalogue::{Catalogue, Class, Path, Table};
use super::pick::ALIASES;
use super::read::leaves_with_rooms;
use crate::postgres::archive::TableShape;

pub use self::search::{Asked, Search};

/// Tables that are needed whole although they are about rooms or accounts: small, and picks are
/// looked up in them, other tables point to them, or they are about others than the chosen.
const WHOLE: [&str; 5] = ["rooms", "users", ALIASES, PROFILES, ERASED];

/// Tables of rooms that no package has, and that picks are looked up in.
const LOOKED_UP: [&str; 1] = [STATS];

/// The table that says by what alias a room calls itself.
const STATS: &str = "room_stats_state";

/// The rooms and accounts of an export.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Portion {
    /// Room ids: the chosen ones; others may be among them.
    pub rooms: BTreeSet<String>,
    /// The accounts: full user ids. Nothing where they can be told by patterns only.
    pub users: Option<BTreeSet<String>>,
}

/// What keeps a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Among {
    /// The rooms of the portion.
    Rooms,
    /// The accounts of the portion.
    Users,
    /// The ids of the rooms' events.
    Events,
    /// The ids of the rooms' state groups.
    Groups,
}

/// Which rows of a table are needed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Needed {
    /// All of them.
    Whole,
    /// None.
    Nothing,
    /// Those that have, in one of these columns (by its place in the shape), one of the values.
    Rows(Vec<(usize, Among)>),
}

/// What is to be done with the rows of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// Which are needed.
    pub needed: Needed,
    /// What other tables are told by: the values of this column of the rows that are needed.
    pub tells: Option<(Among, usize)>,
}

impl Portion {
    /// The accounts of a selection, if they are named one by one.
    fn users(selection: &Selection) -> Option<BTreeSet<String>> {
        match &selection.users {
            Scope::All => None,
            Scope::None => Some(BTreeSet::new()),
            Scope::Only(picks) => {
                picks.iter().map(|pick| Some(pick.pattern().plain()?.to_owned())).collect()
            }
        }
    }

    /// What is to be done with each table of a database. Nothing where the tables are not as the
    /// catalogue knows them: then all rows are needed.
    pub fn rules(&self, tables: &[&TableShape]) -> Option<Vec<Rule>> {
        let mut names = BTreeSet::new();
        // Of two schemas with tables of one name it cannot be told which is Synapse's.
        if !tables.iter().all(|table| names.insert(table.name.as_str())) {
            return None;
        }
        tables.iter().map(|table| self.rule(table)).collect()
    }

    fn rule(&self, shape: &TableShape) -> Option<Rule> {
        let told = match shape.name.as_str() {
            "events" => Some((Among::Events, "event_id")),
            "state_groups" => Some((Among::Groups, "id")),
            _ => None,
        };
        let Some(known) = Catalogue::known().get(&shape.name) else {
            return Some(Rule { needed: Needed::Whole, tells: None });
        };
        let tells = match told {
            Some((among, column)) => Some((among, place(shape, known, column)?)),
            None => None,
        };
        Some(Rule { needed: self.needed(shape, known)?, tells })
    }

    fn needed(&self, shape: &TableShape, known: &Table) -> Option<Needed> {
        let name = known.name;
        if WHOLE.contains(&name) {
            return Some(Needed::Whole);
        }
        let of_user = |column| Some((place(shape, known, column)?, Among::Users));
        match (known.class, known.path) {
            (Class::Room | Class::RoomUser | Class::Derived, _) => self.of_rooms(shape, known),
            // Keys of chosen rooms are counted of everybody: an export says what it leaves behind.
            (_, Path::User(column)) if name == ROOM_KEYS => {
                if self.users.is_none() {
                    return Some(Needed::Whole);
                }
                let of_room = (place(shape, known, "room_id")?, Among::Rooms);
                Some(Needed::Rows(vec![of_user(column)?, of_room]))
            }
            (Class::User | Class::Key, Path::User(column)) => Some(match &self.users {
                None => Needed::Whole,
                Some(users) if users.is_empty() => Needed::Nothing,
                Some(_) => Needed::Rows(vec![of_user(column)?]),
            }),
            // Of these no part of a server has a row.
            (Class::Federation | Class::Transient, _) => Some(Needed::Nothing),
            (Class::User | Class::Key | Class::Media | Class::Server | Class::Bookkeeping, _) => {
                Some(Needed::Whole)
            }
        }
    }

    fn of_rooms(&self, shape: &TableShape, known: &Table) -> Option<Needed> {
        let name = known.name;
        let is_read = matches!(name, "events" | "event_json")
            || LOOKED_UP.contains(&name)
            || leaves_with_rooms(name).is_some();
        if self.rooms.is_empty() || !is_read {
            return Some(Needed::Nothing);
        }
        let (column, among) = match known.path {
            Path::RoomId => ("room_id", Among::Rooms),
            Path::Event => ("event_id", Among::Events),
            Path::StateGroup => ("state_group", Among::Groups),
            Path::Alias | Path::Chain | Path::Media | Path::User(_) | Path::Whole => {
                return Some(Needed::Whole);
            }
        };
        let mut tests = vec![(place(shape, known, column)?, among)];
        // What a row says of its room counts too: its event may not be there.
        if among != Among::Rooms && known.column("room_id").is_some() {
            tests.push((place(shape, known, "room_id")?, Among::Rooms));
        }
        Some(Needed::Rows(tests))
    }
}

/// Where a column is whose values are compared byte by byte: of the type that the catalogue knows.
fn place(shape: &TableShape, known: &Table, column: &str) -> Option<usize> {
    let type_name = known.column(column)?.type_name;
    let fits = |found: &crate::postgres::archive::StoredColumn| {
        found.name == column && found.type_name == type_name && !found.as_text
    };
    shape.columns.iter().position(fits)
}

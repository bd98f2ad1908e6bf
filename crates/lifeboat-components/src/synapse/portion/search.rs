//! Finding the rooms of a selection in the rows of a backup, without a database.
//!
//! What [`super::super::choose`] asks of a server, asked of rows as they pass. It may find more
//! rooms than that does, never fewer.

use std::collections::{BTreeMap, BTreeSet};

use lifeboat_package::selection::{Pattern, RoomPick, Scope, Selection};

use super::{Portion, STATS};
use crate::synapse::choose::name_in;
use crate::synapse::pick::{ALIASES, CURRENT_STATE, MEMBERSHIPS};

/// Columns of a table whose values are to be shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asked {
    /// Table.
    pub table: &'static str,
    /// Its columns, in the order in which [`Search::see`] wants them.
    pub columns: &'static [&'static str],
}

/// A search for the rooms of a selection.
#[derive(Debug, Clone)]
pub struct Search {
    aliases: BTreeSet<String>,
    members: BTreeSet<String>,
    spaces: bool,
    found: BTreeSet<String>,
    /// Which rooms a space names, also those that it named once.
    children: BTreeMap<String, BTreeSet<String>>,
    roots: BTreeSet<String>,
    root_aliases: BTreeSet<String>,
    names: Vec<Pattern>,
    /// The rooms' names: the events that tell them, each with its room.
    naming: BTreeMap<String, String>,
    users: Option<BTreeSet<String>>,
    /// Room names and children of spaces that were seen.
    seen: usize,
}

/// Names of rooms and children of spaces that are held in memory, about 200 bytes each.
const MOST_SEEN: usize = 500_000;

/// The table of what events say.
const CONTENTS: &str = "event_json";

impl Search {
    /// A search; nothing where all rooms are wanted.
    pub fn of(selection: &Selection) -> Option<Self> {
        let mut search = Self {
            aliases: BTreeSet::new(),
            members: BTreeSet::new(),
            spaces: false,
            found: BTreeSet::new(),
            children: BTreeMap::new(),
            roots: BTreeSet::new(),
            root_aliases: BTreeSet::new(),
            names: Vec::new(),
            naming: BTreeMap::new(),
            users: Portion::users(selection),
            seen: 0,
        };
        if selection.rooms == Scope::All {
            return None;
        }
        for pick in selection.rooms.picks() {
            match pick {
                RoomPick::Id(id) => drop(search.found.insert(id.clone())),
                RoomPick::Alias(alias) => drop(search.aliases.insert(alias.clone())),
                RoomPick::Of(user) => drop(search.members.insert(user.clone())),
                RoomPick::Space(space) => {
                    search.spaces = true;
                    let roots = if space.starts_with('#') {
                        &mut search.root_aliases
                    } else {
                        &mut search.roots
                    };
                    roots.insert(space.clone());
                }
                RoomPick::Name(pattern) => search.names.push(pattern.clone()),
            }
        }
        Some(search)
    }

    /// What has to be seen, every row of it.
    pub fn asks(&self) -> Vec<Asked> {
        let mut asked = Vec::new();
        if !self.aliases.is_empty() || !self.root_aliases.is_empty() {
            asked.push(Asked { table: ALIASES, columns: &["room_alias", "room_id"] });
            asked.push(Asked { table: STATS, columns: &["canonical_alias", "room_id"] });
        }
        if !self.members.is_empty() {
            let of = |table| Asked { table, columns: &["user_id", "room_id"] };
            asked.extend(MEMBERSHIPS.map(of));
        }
        if self.spaces || !self.names.is_empty() {
            let columns = &["type", "room_id", "state_key", "event_id"];
            asked.push(Asked { table: CURRENT_STATE, columns });
        }
        asked
    }

    /// What has to be seen when all that was seen.
    pub fn asks_then(&self) -> Vec<Asked> {
        let asked = Asked { table: CONTENTS, columns: &["event_id", "json"] };
        if self.naming.is_empty() { Vec::new() } else { vec![asked] }
    }

    /// Looks at a row: the values of the columns that were asked for, as text.
    pub fn see(&mut self, table: &str, values: &[Option<&[u8]>]) {
        let text = |at: usize| {
            let value = values.get(at).copied().flatten();
            value.and_then(|value| std::str::from_utf8(value).ok())
        };
        let (Some(first), Some(room)) = (text(0), text(1)) else { return };
        if self.seen > MOST_SEEN {
            return;
        }
        match table {
            ALIASES | STATS => {
                if self.aliases.contains(first) {
                    self.found.insert(room.to_owned());
                }
                if self.root_aliases.contains(first) {
                    self.roots.insert(room.to_owned());
                }
            }
            CURRENT_STATE => match (first, text(2), text(3)) {
                ("m.space.child", Some(child), _) => {
                    let children = self.children.entry(room.to_owned()).or_default();
                    self.seen += usize::from(children.insert(child.to_owned()));
                }
                ("m.room.name", Some(""), Some(event)) if !self.names.is_empty() => {
                    self.naming.insert(event.to_owned(), room.to_owned());
                    self.seen += 1;
                }
                _ => {}
            },
            CONTENTS => self.read(first, room),
            _ => {
                if self.members.contains(first) {
                    self.found.insert(room.to_owned());
                }
            }
        }
    }

    /// Reads what an event says, if it tells the name of a room.
    fn read(&mut self, event: &str, json: &str) {
        let Some(room) = self.naming.get(event) else { return };
        let Some(name) = name_in(json) else { return };
        if self.names.iter().any(|pattern| pattern.fits(&name)) {
            self.found.insert(room.clone());
        }
    }

    /// What was found; nothing where there was more to see than memory is taken for.
    pub fn finish(self) -> Option<Portion> {
        let Self { found: mut rooms, children, roots, users, seen, .. } = self;
        if seen > MOST_SEEN {
            return None;
        }
        let mut newest: Vec<String> = roots.iter().cloned().collect();
        let mut of_spaces = roots;
        while let Some(space) = newest.pop() {
            for child in children.get(&space).into_iter().flatten() {
                if of_spaces.insert(child.clone()) {
                    newest.push(child.clone());
                }
            }
        }
        rooms.extend(of_spaces);
        Some(Portion { rooms, users })
    }
}

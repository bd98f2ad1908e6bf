//! The table catalogue: every table and column of Synapse's database, and what is done with it.
//!
//! Export, restore, import and the reference page of what is left out are all derived from it.
//! It was read from a real database of Synapse 1.163.2 (schema 94), after its background updates; a
//! test compares it with the newest release. Databases differ (upgrades leave tables behind, newer
//! releases add some), so readers go by what the database has and report what is not in here.
//!
//! The content lies in the text files of `catalogue/`, one paragraph a table:
//!
//! ```text
//! table     NAME
//! class     a variant of Class
//! section   rooms | users | media | server
//! path      room | event | state-group | chain | alias | media | user COLUMN | whole
//!           [, by-room [, strays]]
//! sometimes WHEN                        (only for tables that are not always there)
//! export    skip: REASON                (else every row)
//! restore   empty: REASON               (else kept)
//! import    copy | remap COLUMN, … | skip | derive [: NOTE]
//! columns   NAME TYPE [personal|secret], …
//! ```
//!
//! A line that begins with a space goes on with the line before.

mod compare;
mod parse;
mod reference;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::LazyLock;

use lifeboat_package::id::Section;

pub use compare::Difference;
pub use parse::CatalogueError;
pub use reference::reference_markdown;

/// The files of the catalogue, in the order of the reference page.
const FILES: [(&str, &str); 10] = [
    ("rooms.txt", include_str!("catalogue/rooms.txt")),
    ("room-users.txt", include_str!("catalogue/room-users.txt")),
    ("derived.txt", include_str!("catalogue/derived.txt")),
    ("users.txt", include_str!("catalogue/users.txt")),
    ("keys.txt", include_str!("catalogue/keys.txt")),
    ("media.txt", include_str!("catalogue/media.txt")),
    ("server.txt", include_str!("catalogue/server.txt")),
    ("federation.txt", include_str!("catalogue/federation.txt")),
    ("transient.txt", include_str!("catalogue/transient.txt")),
    ("bookkeeping.txt", include_str!("catalogue/bookkeeping.txt")),
];

static KNOWN: LazyLock<Catalogue> = LazyLock::new(|| {
    Catalogue::parse(&FILES).expect("the built-in catalogue parses, as a test shows")
});

/// What is known of a Synapse database.
#[derive(Debug, Clone)]
pub struct Catalogue {
    tables: Vec<Table>,
    by_name: BTreeMap<&'static str, usize>,
}

/// One table: what it is, how its rows are reached, what is done with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// Name, unquoted.
    pub name: &'static str,
    /// What kind of thing its rows are.
    pub class: Class,
    /// Section of the package its rows go to.
    pub section: Section,
    /// How its rows are reached from a room or a user.
    pub path: Path,
    /// Whether it is poured in ranges of room ids: it belongs to rooms, and an index serves `path`.
    /// The other tables are poured whole.
    pub by_room: bool,
    /// Whether rows can exist that no range of room ids reaches: no event, state group or chain
    /// answers to them, or their room id is null. A full export pours those too.
    pub strays: bool,
    /// When the table exists, for those that are not always there.
    pub sometimes: Option<&'static str>,
    /// What an export takes of it.
    pub export: Export,
    /// What a full restore puts back.
    pub restore: Restore,
    /// What an import into another database does with it.
    pub import: Import,
    /// Why, or what to mind at import; may be empty.
    pub import_note: &'static str,
    /// Every column.
    pub columns: Vec<Column>,
}

/// What kind of thing the rows of a table are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// Part of a room.
    Room,
    /// What a user did or keeps in a room.
    RoomUser,
    /// Synapse could compute it anew from other tables.
    Derived,
    /// Part of an account.
    User,
    /// End-to-end encryption keys of a user.
    Key,
    /// Describes files of the media store.
    Media,
    /// Belongs to the server as a whole: moderation, tokens, application services.
    Server,
    /// Traffic with other servers, and what is known of them.
    Federation,
    /// Short-lived: change streams, queues, sessions, locks.
    Transient,
    /// Synapse's own positions and schema versions.
    Bookkeeping,
}

/// How the rows of a table are reached from a room or a user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Path {
    /// Column `room_id`.
    RoomId,
    /// Column `event_id`, through `events`.
    Event,
    /// Column `state_group`, through `state_groups.id`.
    StateGroup,
    /// Column `origin_chain_id`, through `event_auth_chains.chain_id` and then `events`.
    Chain,
    /// Column `room_alias`, through `room_aliases`.
    Alias,
    /// Column `media_id`, through `local_media_repository`.
    Media,
    /// This column holds the full user id.
    User(&'static str),
    /// From neither.
    Whole,
}

/// What an export takes of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Export {
    /// Every row.
    Rows,
    /// Nothing, with the reason.
    Skip(&'static str),
}

/// What a full restore puts back of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Restore {
    /// Every row of the package.
    Keep,
    /// The table is made but left empty, with the reason.
    Empty(&'static str),
}

/// What an import into another database does with a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Import {
    /// Rows as they are.
    Copy,
    /// Rows with fresh values in these columns, which come from counters of the target.
    Remap(Vec<&'static str>),
    /// No rows.
    Skip,
    /// Rows made from other rows, by the import or by Synapse afterwards.
    Derive,
}

/// One column of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Column {
    /// Name, unquoted.
    pub name: &'static str,
    /// Type as `format_type` prints it.
    pub type_name: &'static str,
    /// Who may see it.
    pub sensitivity: Sensitivity,
}

/// How carefully a column's values are to be kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Sensitivity {
    /// Says nothing about a person.
    Plain,
    /// Says something about a person, or is what a person wrote.
    Personal,
    /// Whoever reads it can act as someone else.
    Secret,
}

impl Catalogue {
    /// The catalogue this program was built with.
    pub fn known() -> &'static Self {
        &KNOWN
    }

    /// The table of this name.
    pub fn get(&self, table: &str) -> Option<&Table> {
        self.by_name.get(table).and_then(|&at| self.tables.get(at))
    }

    /// All tables, by class.
    pub fn tables(&self) -> impl ExactSizeIterator<Item = &Table> {
        self.tables.iter()
    }
}

impl Table {
    /// The column of this name.
    pub fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.name == name)
    }
}

impl Path {
    /// The column that leads to a room or a user, if there is one.
    pub fn column(self) -> Option<&'static str> {
        match self {
            Self::RoomId => Some("room_id"),
            Self::Event => Some("event_id"),
            Self::StateGroup => Some("state_group"),
            Self::Chain => Some("origin_chain_id"),
            Self::Alias => Some("room_alias"),
            Self::Media => Some("media_id"),
            Self::User(column) => Some(column),
            Self::Whole => None,
        }
    }
}

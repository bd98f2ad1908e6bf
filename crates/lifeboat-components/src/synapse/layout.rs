//! The tables of one real database, each with what the catalogue says about it.
//!
//! A table the catalogue does not know is poured whole into the `server` section and named as a
//! gap.

use lifeboat_package::flow::Gap;
use lifeboat_package::id::{Section, is_record_name};

use super::catalogue::{Catalogue, Export, Path};
use super::schema::{Kind, SchemaStatement};
use crate::postgres::columns::{Column, Table};

/// The tables of the state store, which may lie in a database of its own (`databases:` in
/// homeserver.yaml).
pub const STATE_STORE: [&str; 5] = [
    "state_group_edges",
    "state_groups",
    "state_groups_pending_deletion",
    "state_groups_persisting",
    "state_groups_state",
];

/// The sequences of the state store's tables.
const STATE_SEQUENCES: [&str; 2] =
    ["state_group_id_seq", "state_groups_pending_deletion_sequence_number_seq"];

/// The tables that each of two databases has for itself: how far its schema came.
const OF_EACH: [&str; 5] = [
    "applied_module_schemas",
    "applied_schema_deltas",
    "background_updates",
    "schema_compat_version",
    "schema_version",
];

/// The background updates of the state store's tables. Synapse runs an update on the database it is
/// noted in, and fails for ever on one that belongs to the other.
pub(super) const STATE_UPDATES: [&str; 6] = [
    "delete_unreferenced_state_groups_bg_update",
    "mark_unreferenced_state_groups_for_deletion_bg_update",
    "state_group_edges_unique_idx",
    "state_group_state_deduplication",
    "state_group_state_type_index",
    "state_groups_room_id_idx",
];

/// What one database of a server holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holds {
    /// Everything: there is no other.
    Everything,
    /// Everything but the state store.
    AllButState,
    /// The state store, and how far its own schema came.
    StateStore,
}

impl Holds {
    /// Whether a table is in it.
    pub fn table(self, name: &str) -> bool {
        match self {
            Self::Everything => true,
            Self::AllButState => !STATE_STORE.contains(&name),
            Self::StateStore => STATE_STORE.contains(&name) || OF_EACH.contains(&name),
        }
    }

    /// Whether a sequence is in it.
    pub fn sequence(self, name: &str) -> bool {
        match self {
            Self::Everything => true,
            Self::AllButState => !STATE_SEQUENCES.contains(&name),
            Self::StateStore => STATE_SEQUENCES.contains(&name),
        }
    }

    /// Whether what a statement makes is in it.
    pub fn statement(self, statement: &SchemaStatement) -> bool {
        let object = statement.table.as_deref().unwrap_or(&statement.name);
        match statement.kind {
            Kind::Schema | Kind::Extension => true,
            Kind::Function => self != Self::StateStore,
            Kind::Sequence => self.sequence(&statement.name),
            _ if STATE_SEQUENCES.contains(&object) => self.sequence(object),
            _ => self.table(object),
        }
    }
}

/// Whether a row of a table is in one of two databases and not in the other, though both have the
/// table.
pub fn is_shared_out(table: &str) -> bool {
    table == "background_updates"
}

/// What names a row, as SQL over `t`, of those tables of each database whose rows belong together:
/// in one database for both they would all be in one table.
pub(super) fn key_of_each(table: &str) -> Option<&'static str> {
    match table {
        "applied_module_schemas" => Some("t.module_name || '/' || t.file"),
        "applied_schema_deltas" => Some("t.file"),
        "background_updates" => Some("t.update_name"),
        _ => None,
    }
}

/// How a table's rows leave the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pour {
    /// With the rooms, by ranges of room ids, reached on this path.
    ByRoom(Path),
    /// Whole, or in slices of pages.
    Whole,
    /// Not at all, for the catalogue's reason.
    Never(&'static str),
}

/// A table with its columns and the way it leaves.
#[derive(Debug, Clone)]
pub struct StoredTable {
    /// Name.
    pub name: String,
    /// Columns with stored values.
    pub columns: Vec<Column>,
    /// Section it belongs to.
    pub section: Section,
    /// How it leaves.
    pub pour: Pour,
    /// Whether rows can exist that no range of rooms reaches.
    pub strays: bool,
    /// Estimated rows.
    pub rows_estimate: u64,
    /// Bytes without indexes.
    pub bytes: u64,
    /// Pages.
    pub pages: u64,
    /// Tables its foreign keys point to.
    pub refers_to: Vec<String>,
}

/// All tables of a database.
#[derive(Debug, Clone)]
pub struct Layout {
    tables: Vec<StoredTable>,
    /// Tables and columns that the catalogue does not know, or that are missing.
    pub gaps: Vec<Gap>,
}

impl Layout {
    /// Joins what the database has with what the catalogue knows.
    pub fn of(tables: Vec<Table>) -> Self {
        let mut gaps = unknown(&tables);
        let (tables, others): (Vec<_>, Vec<_>) =
            tables.into_iter().partition(|table| is_record_name(&table.name));
        gaps.extend(others.iter().map(|table| Gap {
            kind: "table-name".to_owned(),
            object: table.name.clone(),
            detail:
                "its rows are left out: records of the package cannot have this name".to_owned(),
            remedy:
                "give the table a name of a-z, 0-9 and _, or save it by hand with COPY".to_owned(),
        }));
        let tables = tables.into_iter().map(stored).collect();
        Self { tables, gaps }
    }

    /// All tables, in order of name.
    pub fn tables(&self) -> &[StoredTable] {
        &self.tables
    }

    /// The table of this name.
    pub fn table(&self, name: &str) -> Option<&StoredTable> {
        self.tables.iter().find(|table| table.name == name)
    }

    /// Bytes of the tables that go by rooms.
    pub fn by_room_bytes(&self) -> u64 {
        let by_room = |table: &&StoredTable| matches!(table.pour, Pour::ByRoom(_));
        self.tables.iter().filter(by_room).map(|table| table.bytes).sum()
    }

    /// Whether the schema numbers and rooms that make a database a Synapse's are there.
    pub fn is_synapse(&self) -> bool {
        ["events", "event_json", "rooms", "users", "schema_version"]
            .iter()
            .all(|name| self.table(name).is_some())
    }
}

fn stored(table: Table) -> StoredTable {
    let known = Catalogue::known().get(&table.name);
    let pour = match known {
        None => Pour::Whole,
        Some(known) => match known.export {
            Export::Skip(reason) => Pour::Never(reason),
            Export::Rows if known.by_room => Pour::ByRoom(known.path),
            Export::Rows => Pour::Whole,
        },
    };
    StoredTable {
        section: known.map_or(Section::Server, |known| known.section),
        pour,
        strays: known.is_some_and(|known| known.strays),
        name: table.name,
        columns: table.columns,
        rows_estimate: table.rows_estimate,
        bytes: table.bytes,
        pages: table.pages,
        refers_to: table.refers_to,
    }
}

fn unknown(tables: &[Table]) -> Vec<Gap> {
    let columns: Vec<(&str, &str, &str)> = tables
        .iter()
        .flat_map(|table| {
            table.columns.iter().map(move |column| {
                (table.name.as_str(), column.name.as_str(), column.type_name.as_str())
            })
        })
        .collect();
    Catalogue::known()
        .compare(&columns)
        .into_iter()
        .map(|difference| Gap {
            kind: difference.kind().to_owned(),
            object: difference.object(),
            detail: difference.to_string(),
            remedy: difference.remedy().to_owned(),
        })
        .collect()
}

/// Whether a table may be dropped while a server runs: it is not always there, or not known.
pub fn comes_and_goes(table: &str) -> bool {
    Catalogue::known().get(table).is_none_or(|known| known.sometimes.is_some())
}

/// Takes the state store's tables from its own database.
pub fn join_state_store(tables: &mut Vec<Table>, others: Vec<Table>) {
    let is_state = |table: &Table| STATE_STORE.contains(&table.name.as_str());
    tables.retain(|table| !is_state(table));
    tables.extend(others.into_iter().filter(is_state));
    tables.sort_by(|a, b| a.name.cmp(&b.name));
}

/// Joins the schemas of two databases: what makes the state store's tables comes from the second.
pub fn join_statements(
    main: Vec<SchemaStatement>,
    state: Vec<SchemaStatement>,
) -> Vec<SchemaStatement> {
    let is_main = |statement: &SchemaStatement| Holds::AllButState.statement(statement);
    let mut joined: Vec<_> = main.into_iter().filter(is_main).collect();
    joined.extend(state.into_iter().filter(|statement| !is_main(statement)));
    joined.sort_by_key(|statement| (statement.stage, statement.kind));
    joined
}

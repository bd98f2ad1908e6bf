//! Where a database and the catalogue differ.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::{Catalogue, Table};

/// One difference between a database and the catalogue.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Difference {
    /// The database has a table that the catalogue does not know.
    UnknownTable {
        /// Its name.
        table: String,
    },
    /// The database has a column that the catalogue does not know.
    UnknownColumn {
        /// A table both know.
        table: String,
        /// The column's name.
        column: String,
        /// Its type in the database.
        type_name: String,
    },
    /// A column has another type in the database.
    OtherType {
        /// A table both know.
        table: String,
        /// A column both know.
        column: String,
        /// Its type in the database.
        type_name: String,
        /// Its type in the catalogue.
        expected: &'static str,
    },
    /// The database lacks a table that should always be there.
    MissingTable {
        /// Its name.
        table: &'static str,
    },
    /// The database lacks a column.
    MissingColumn {
        /// A table both know.
        table: &'static str,
        /// The column's name.
        column: &'static str,
    },
}

impl Difference {
    /// The stable word for this kind of difference, as gaps have it.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::UnknownTable { .. } => "unknown-table",
            Self::UnknownColumn { .. } => "unknown-column",
            Self::OtherType { .. } => "other-column-type",
            Self::MissingTable { .. } => "missing-table",
            Self::MissingColumn { .. } => "missing-column",
        }
    }

    /// The table, or table and column with a dot between.
    pub fn object(&self) -> String {
        match self {
            Self::UnknownTable { table } => table.clone(),
            Self::MissingTable { table } => (*table).to_owned(),
            Self::UnknownColumn { table, column, .. } | Self::OtherType { table, column, .. } => {
                format!("{table}.{column}")
            }
            Self::MissingColumn { table, column } => format!("{table}.{column}"),
        }
    }

    /// What a person can do about it.
    pub fn remedy(&self) -> &'static str {
        match self {
            Self::UnknownTable { .. } => {
                "nothing for a full export, which takes it whole; a partial export leaves it out: \
                 check whether a newer Lifeboat knows this release of Synapse"
            }
            Self::UnknownColumn { .. } | Self::OtherType { .. } => {
                "nothing for an export, which takes it as it is; before an import, \
                 check whether a newer Lifeboat knows this release of Synapse"
            }
            Self::MissingTable { .. } | Self::MissingColumn { .. } => {
                "let Synapse finish its upgrade and its background updates; \
                 an older release of Synapse may not have it yet"
            }
        }
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownTable { table } => write!(f, "unknown table {table}"),
            Self::UnknownColumn { table, column, type_name } => {
                write!(f, "unknown column {table}.{column} of type {type_name}")
            }
            Self::OtherType { table, column, type_name, expected } => {
                write!(f, "column {table}.{column} is of type {type_name}, not {expected}")
            }
            Self::MissingTable { table } => write!(f, "table {table} is missing"),
            Self::MissingColumn { table, column } => {
                write!(f, "column {table}.{column} is missing")
            }
        }
    }
}

impl Catalogue {
    /// Compares a database's columns, each given as table, column and type as `format_type` prints
    /// it, with the catalogue. A table without columns is unseen. Sorted, so that equal databases
    /// give equal answers.
    pub fn compare(&self, found: &[(&str, &str, &str)]) -> Vec<Difference> {
        let mut databases: BTreeMap<&str, Vec<(&str, &str)>> = BTreeMap::new();
        for &(table, column, type_name) in found {
            databases.entry(table).or_default().push((column, type_name));
        }
        let mut differences = Vec::new();
        for (&table, columns) in &databases {
            match self.get(table) {
                Some(known) => compare_columns(known, columns, &mut differences),
                None => differences.push(Difference::UnknownTable { table: table.to_owned() }),
            }
        }
        for table in self.tables() {
            if table.sometimes.is_none() && !databases.contains_key(table.name) {
                differences.push(Difference::MissingTable { table: table.name });
            }
        }
        differences.sort();
        differences
    }
}

fn compare_columns(known: &Table, found: &[(&str, &str)], differences: &mut Vec<Difference>) {
    for &(name, type_name) in found {
        let (table, column) = (known.name.to_owned(), name.to_owned());
        let type_name = type_name.to_owned();
        match known.column(name) {
            None => differences.push(Difference::UnknownColumn { table, column, type_name }),
            Some(expected) if expected.type_name != type_name => {
                let expected = expected.type_name;
                differences.push(Difference::OtherType { table, column, type_name, expected });
            }
            Some(_) => {}
        }
    }
    let names: BTreeSet<&str> = found.iter().map(|(name, _)| *name).collect();
    let missing = known.columns.iter().filter(|column| !names.contains(column.name));
    differences.extend(
        missing.map(|column| Difference::MissingColumn { table: known.name, column: column.name }),
    );
}

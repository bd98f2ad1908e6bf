//! The table catalogue against the schema that the newest Synapse makes.

use std::collections::BTreeSet;

use lifeboat_components::synapse::catalogue::{Catalogue, Path};

use crate::standing_synapse::standing_synapse;

/// The rows a query prints, split at the column separator.
fn rows(sql: &str) -> Vec<Vec<String>> {
    let world = standing_synapse();
    let output = world.cluster.psql(world.server.database(), sql).expect("the query runs");
    output.lines().map(|line| line.split('|').map(str::to_owned).collect()).collect()
}

#[test]
fn background_updates_of_the_test_server_are_done() {
    // Else tables, columns and indexes are still on their way, and the other tests say nothing.
    assert_eq!(rows("SELECT update_name FROM background_updates"), Vec::<Vec<String>>::new());
}

#[test]
fn every_table_and_column_of_synapse_is_in_the_catalogue() {
    let found = rows(
        "SELECT c.relname, a.attname, format_type(a.atttypid, a.atttypmod)
        FROM pg_class c
        JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
        WHERE c.relkind IN ('r', 'p') AND c.relnamespace = 'public'::regnamespace",
    );
    let found: Vec<(&str, &str, &str)> =
        found.iter().map(|row| (row[0].as_str(), row[1].as_str(), row[2].as_str())).collect();
    let differences = Catalogue::known().compare(&found);
    let told: Vec<String> = differences.iter().map(ToString::to_string).collect();
    assert!(told.is_empty(), "the catalogue and Synapse differ:\n{}", told.join("\n"));
}

/// Table and first column of each index that can serve any range of that column.
fn leading_columns() -> BTreeSet<(String, String)> {
    let rows = rows(
        "SELECT c.relname, a.attname
        FROM pg_index x
        JOIN pg_class c ON c.oid = x.indrelid
        JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = x.indkey[0]
        WHERE c.relnamespace = 'public'::regnamespace
          AND x.indisvalid AND x.indpred IS NULL",
    );
    rows.into_iter().map(|row| (row[0].clone(), row[1].clone())).collect()
}

#[test]
fn every_table_poured_by_room_has_an_index_for_it() {
    let indexed = leading_columns();
    for table in Catalogue::known().tables().filter(|table| table.by_room) {
        let column = table.path.column().expect("a table poured by room has a path");
        let wanted = (table.name.to_owned(), column.to_owned());
        assert!(indexed.contains(&wanted), "no index of {} begins with {column}", table.name);
    }
    // The far ends of the paths.
    for (table, column) in [("state_groups", "room_id"), ("events", "room_id")] {
        assert!(indexed.contains(&(table.to_owned(), column.to_owned())), "{table}.{column}");
    }
}

#[test]
fn only_tables_without_an_index_for_it_are_not_poured_by_room() {
    use lifeboat_components::synapse::catalogue::Class;
    let indexed = leading_columns();
    let whole = Catalogue::known().tables().filter(|table| {
        let of_rooms = matches!(table.class, Class::Room | Class::RoomUser | Class::Derived);
        let by_room =
            matches!(table.path, Path::RoomId | Path::Event | Path::StateGroup | Path::Chain);
        of_rooms && by_room && !table.by_room
    });
    for table in whole {
        let column = table.path.column().expect("these paths have a column");
        let index = (table.name.to_owned(), column.to_owned());
        assert!(!indexed.contains(&index), "{} could be poured by room", table.name);
    }
}

#[test]
fn tables_without_strays_have_none_by_the_schema() {
    let rows = rows(
        "SELECT c.relname, a.attname, EXISTS (
            SELECT FROM pg_constraint k
            WHERE k.conrelid = c.oid AND k.contype = 'f' AND k.convalidated
              AND k.confrelid = 'events'::regclass AND k.conkey = ARRAY[a.attnum])
        FROM pg_class c
        JOIN pg_attribute a ON a.attrelid = c.oid
        WHERE c.relkind = 'r' AND c.relnamespace = 'public'::regnamespace AND a.attnotnull",
    );
    for table in Catalogue::known().tables().filter(|table| table.by_room) {
        let column = table.path.column().expect("a table poured by room has a path");
        let required = rows.iter().find(|row| row[0] == table.name && row[1] == column);
        let reached = match table.path {
            Path::RoomId => required.is_some(),
            Path::Event => required.is_some_and(|row| row[2] == "t"),
            _ => false,
        };
        assert_eq!(table.strays, !reached, "{}", table.name);
    }
}

//! What each of two databases holds, also when both have kept what was in one.

use lifeboat_components::postgres::columns::Table;
use lifeboat_components::synapse::catalogue::Catalogue;
use lifeboat_components::synapse::layout::{Holds, STATE_STORE, join_state_store, join_statements};
use lifeboat_components::synapse::schema::{Kind, SchemaStatement, Stage};

const HALVES: [Holds; 2] = [Holds::AllButState, Holds::StateStore];

fn statement(kind: Kind, name: &str, table: Option<&str>, sql: &str) -> SchemaStatement {
    let (name, table) = (name.to_owned(), table.map(str::to_owned));
    SchemaStatement { stage: Stage::BeforeRows, kind, name, table, sql: sql.to_owned() }
}

fn table(name: &str, bytes: u64) -> Table {
    Table {
        name: name.to_owned(),
        columns: Vec::new(),
        rows_estimate: 0,
        bytes,
        pages: 0,
        refers_to: Vec::new(),
    }
}

#[test]
fn every_table_is_in_one_of_two_databases_and_the_bookkeeping_of_schemas_in_both() {
    let mut in_both = Vec::new();
    for table in Catalogue::known().tables() {
        let holding = HALVES.iter().filter(|holds| holds.table(table.name)).count();
        assert!(holding >= 1, "{}", table.name);
        if holding == 2 {
            in_both.push(table.name);
        }
        assert!(Holds::Everything.table(table.name));
    }
    in_both.sort_unstable();
    let bookkeeping = [
        "applied_module_schemas",
        "applied_schema_deltas",
        "background_updates",
        "schema_compat_version",
        "schema_version",
    ];
    assert_eq!(in_both, bookkeeping);
}

#[test]
fn statements_go_where_their_table_lies() {
    let of = |kind, name, table| {
        let statement = statement(kind, name, table, "");
        HALVES.map(|holds| holds.statement(&statement))
    };
    assert_eq!(of(Kind::Table, "events", None), [true, false]);
    assert_eq!(of(Kind::Table, "state_groups", None), [false, true]);
    assert_eq!(of(Kind::Table, "schema_version", None), [true, true]);
    assert_eq!(of(Kind::Index, "any", Some("state_groups_state")), [false, true]);
    assert_eq!(of(Kind::Index, "any", Some("event_to_state_groups")), [true, false]);
    assert_eq!(of(Kind::Sequence, "state_group_id_seq", None), [false, true]);
    assert_eq!(of(Kind::Comment, "state_group_id_seq", None), [false, true]);
    assert_eq!(of(Kind::Sequence, "events_stream_seq", None), [true, false]);
    assert_eq!(of(Kind::Function, "check_event_stream_ordering", None), [true, false]);
    assert_eq!(of(Kind::Schema, "matrix", None), [true, true]);
}

/// Whoever splits a server copies its database, and may leave everything in both.
#[test]
fn what_a_split_by_copying_left_in_the_other_database_is_not_taken() {
    let all = ["events", "schema_version", "state_groups", "state_groups_state"];
    let mut tables: Vec<Table> = all.iter().map(|name| table(name, 1)).collect();
    join_state_store(&mut tables, all.iter().map(|name| table(name, 2)).collect());
    let found: Vec<(&str, u64)> = tables.iter().map(|t| (t.name.as_str(), t.bytes)).collect();
    let expected = all.map(|name| (name, if STATE_STORE.contains(&name) { 2 } else { 1 }));
    assert_eq!(found, expected);

    let made = |sql| {
        let tables = all.iter().map(move |name| statement(Kind::Table, name, None, sql));
        let sequences = ["events_stream_seq", "state_group_id_seq"];
        let sequences =
            sequences.into_iter().map(move |name| statement(Kind::Sequence, name, None, sql));
        tables.chain(sequences).collect::<Vec<_>>()
    };
    let joined = join_statements(made("main"), made("state"));
    assert_eq!(joined.len(), made("main").len());
    for statement in joined {
        let is_state = statement.name.starts_with("state_group");
        let from = if is_state { "state" } else { "main" };
        assert_eq!(statement.sql, from, "{}", statement.name);
    }
}

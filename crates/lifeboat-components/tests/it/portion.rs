//! What is needed of each table, and how the rooms of a selection are found.

use std::collections::BTreeSet;

use lifeboat_components::postgres::archive::{StoredColumn, TableShape};
use lifeboat_components::synapse::catalogue::{Catalogue, Column};
use lifeboat_components::synapse::portion::{Among, Needed, Portion, Rule, Search};
use lifeboat_package::selection::{RoomPick, Scope, Selection, UserPick};

const ROOM: &str = "!a:x.org";

fn shape(name: &str) -> TableShape {
    let known = Catalogue::known().get(name).expect("the catalogue knows it");
    let column = |column: &Column| StoredColumn {
        name: column.name.to_owned(),
        type_name: column.type_name.to_owned(),
        as_text: false,
    };
    TableShape {
        schema: "public".to_owned(),
        name: name.to_owned(),
        columns: known.columns.iter().map(column).collect(),
        unlogged: false,
        condition: None,
        bytes: 0,
    }
}

fn portion(users: Option<&[&str]>) -> Portion {
    let users = users.map(|users| users.iter().map(|&user| user.to_owned()).collect());
    Portion { rooms: BTreeSet::from([ROOM.to_owned()]), users }
}

/// What is needed of a table, its columns by name.
fn needed(users: Option<&[&str]>, table: &str) -> String {
    let shape = shape(table);
    let rule =
        portion(users).rules(&[&shape]).expect("tables as they are known").pop().expect("a rule");
    match rule.needed {
        Needed::Rows(tests) => {
            let test =
                |(at, among): &(usize, Among)| format!("{} {among:?}", shape.columns[*at].name);
            tests.iter().map(test).collect::<Vec<_>>().join(", ")
        }
        needed => format!("{needed:?}"),
    }
}

#[test]
fn tables_are_needed_as_far_as_an_export_of_a_room_reads_them() {
    let cases = [
        ("rooms users profiles erased_users room_aliases room_alias_servers", "Whole"),
        ("local_media_repository remote_media_cache", "Whole"),
        ("schema_version background_updates scheduled_tasks", "Whole"),
        ("events state_groups event_search room_stats_state room_memberships", "room_id Rooms"),
        ("event_json event_edges event_auth", "event_id Events, room_id Rooms"),
        ("redactions event_relations event_to_state_groups", "event_id Events"),
        ("state_groups_state", "state_group Groups, room_id Rooms"),
        ("state_group_edges", "state_group Groups"),
        ("e2e_room_keys", "user_id Users, room_id Rooms"),
        ("event_auth_chain_links users_who_share_private_rooms", "Nothing"),
        ("sliding_sync_joined_rooms user_directory_search", "Nothing"),
        ("device_lists_outbound_pokes presence_stream", "Nothing"),
        ("device_inbox e2e_device_keys_json", "Nothing"),
    ];
    for (tables, expected) in cases {
        for table in tables.split(' ') {
            assert_eq!(needed(Some(&[]), table), expected, "{table}");
        }
    }
}

#[test]
fn accounts_are_needed_as_they_are_named() {
    let one: Option<&[&str]> = Some(&["@ada:x.org"]);
    for (table, column) in [("device_inbox", "user_id"), ("e2e_device_keys_json", "user_id")] {
        assert_eq!(needed(one, table), format!("{column} Users"));
        assert_eq!(needed(None, table), "Whole", "by a pattern: {table}");
    }
    assert_eq!(needed(one, "push_rules"), "user_name Users");
    assert_eq!(needed(None, "e2e_room_keys"), "Whole");
    assert_eq!(needed(one, "events"), "room_id Rooms");
}

#[test]
fn without_rooms_no_table_of_rooms_is_needed() {
    let nobody = Portion { rooms: BTreeSet::new(), users: None };
    for table in ["events", "event_json", "state_groups_state", "room_memberships"] {
        let rules = nobody.rules(&[&shape(table)]).unwrap();
        assert_eq!(rules[0].needed, Needed::Nothing, "{table}");
    }
}

#[test]
fn events_and_state_groups_tell_which_rows_of_other_tables_are_needed() {
    for (table, among, at) in [("events", Among::Events, 1), ("state_groups", Among::Groups, 0)] {
        let rules = portion(None).rules(&[&shape(table)]).unwrap();
        assert_eq!(rules[0].tells, Some((among, at)));
    }
}

#[test]
fn unknown_tables_are_needed_whole() {
    let stranger = TableShape { name: "stranger".to_owned(), ..shape("events") };
    let rules = portion(None).rules(&[&stranger]).unwrap();
    assert_eq!(rules, [Rule { needed: Needed::Whole, tells: None }]);
}

#[test]
fn tables_that_are_not_as_known_say_nothing() {
    let mut numbers = shape("state_groups_state");
    numbers.columns[0].type_name = "integer".to_owned();
    let mut lacking = shape("events");
    lacking.columns.retain(|column| column.name != "event_id");
    let mut texts = shape("event_json");
    texts.columns[0].as_text = true;
    for shape in [&numbers, &lacking, &texts] {
        assert_eq!(portion(None).rules(&[shape]), None, "{}", shape.name);
    }
    let other = TableShape { schema: "other".to_owned(), ..shape("events") };
    assert_eq!(portion(None).rules(&[&shape("events"), &other]), None);
}

fn selection(rooms: &[&str], users: &[&str]) -> Selection {
    let rooms: Vec<RoomPick> = rooms.iter().map(|pick| pick.parse().expect("a pick")).collect();
    let users: Vec<UserPick> = users.iter().map(|pick| pick.parse().expect("a pick")).collect();
    Selection {
        rooms: Scope::only(rooms, Scope::None),
        users: Scope::only(users, Scope::None),
        ..Selection::EVERYTHING
    }
}

/// The rooms that are found in these rows.
fn found(rooms: &[&str], rows: &[(&str, [&str; 4])]) -> Vec<String> {
    let mut search = Search::of(&selection(rooms, &[])).expect("not all rooms");
    for asks in [Search::asks, Search::asks_then] {
        let asked = asks(&search);
        for (table, values) in rows {
            let Some(asked) = asked.iter().find(|asked| asked.table == *table) else { continue };
            let values = values.iter().take(asked.columns.len());
            let values: Vec<_> = values.map(|value| Some(value.as_bytes())).collect();
            search.see(table, &values);
        }
    }
    search.finish().expect("few rooms").rooms.into_iter().collect()
}

#[test]
fn rooms_are_found_by_id_alias_and_member() {
    let rows = [
        ("room_aliases", ["#a:x.org", "!1", "", ""]),
        ("room_aliases", ["#b:x.org", "!2", "", ""]),
        ("room_stats_state", ["#a:x.org", "!3", "", ""]),
        ("room_memberships", ["@ada:x.org", "!4", "", ""]),
        ("room_memberships", ["@bob:x.org", "!5", "", ""]),
        ("local_current_membership", ["@ada:x.org", "!6", "", ""]),
    ];
    assert_eq!(found(&["!0:x.org"], &rows), ["!0:x.org"]);
    assert_eq!(found(&["#a:x.org"], &rows), ["!1", "!3"]);
    assert_eq!(found(&["@ada:x.org", "#b:x.org"], &rows), ["!2", "!4", "!6"]);
}

#[test]
fn what_lies_in_a_space_is_found_at_any_depth_and_in_circles() {
    let child = |space, room| ("current_state_events", ["m.space.child", space, room, "$"]);
    let rows = [
        child("!s:x.org", "!1"),
        child("!1", "!2"),
        child("!2", "!s:x.org"),
        child("!other", "!3"),
        ("current_state_events", ["m.space.parent", "!s:x.org", "!4", "$"]),
        ("room_aliases", ["#s:x.org", "!s:x.org", "", ""]),
    ];
    let all = ["!1", "!2", "!s:x.org"];
    assert_eq!(found(&["space:!s:x.org"], &rows), all);
    assert_eq!(found(&["space:#s:x.org"], &rows), all);
    assert_eq!(found(&["space:!s:x.org", "!s:x.org"], &rows), all);
}

#[test]
fn rooms_are_found_by_the_name_that_their_state_tells() {
    let state = |kind, room, key, event| ("current_state_events", [kind, room, key, event]);
    let content = |event, json| ("event_json", [event, json, "", ""]);
    let rows = [
        state("m.room.name", "!1", "", "$1"),
        state("m.room.name", "!2", "", "$2"),
        state("m.room.name", "!3", "other", "$3"),
        state("m.room.topic", "!4", "", "$4"),
        state("m.room.name", "!5", "", "$5"),
        content("$1", r#"{"content": {"name": "Lobby"}}"#),
        content("$2", r#"{"content": {"name": "Harbour"}}"#),
        content("$3", r#"{"content": {"name": "Lobby"}}"#),
        content("$4", r#"{"content": {"name": "Lobby"}}"#),
        content("$5", "no JSON"),
        content("$6", r#"{"content": {"name": "Lobby"}}"#),
    ];
    assert_eq!(found(&["name:Lob*"], &rows), ["!1"]);
    assert_eq!(found(&["name:*b*", "!0:x.org"], &rows), ["!0:x.org", "!1", "!2"]);
}

#[test]
fn of_a_whole_server_nothing_has_to_be_found() {
    assert!(Search::of(&Selection::EVERYTHING).is_none());
}

#[test]
fn accounts_are_those_that_are_named_one_by_one() {
    let users = |users: &[&str]| {
        Search::of(&selection(&["!a:x.org"], users)).unwrap().finish().unwrap().users
    };
    assert_eq!(users(&[]), Some(BTreeSet::new()));
    assert_eq!(users(&["@ada:x.org"]), Some(BTreeSet::from(["@ada:x.org".to_owned()])));
    assert_eq!(users(&["@ada:x.org", "@b*:x.org"]), None);
}

#[test]
fn more_rooms_than_memory_is_taken_for_are_not_looked_through() {
    let seen = |count: u32| {
        let mut search = Search::of(&selection(&["name:Harbour"], &[])).unwrap();
        for at in 0..count {
            let (room, event) = (format!("!{at}:x.org"), format!("${at}"));
            let row = ["m.room.name", &room, "", &event].map(|text| Some(text.as_bytes()));
            search.see("current_state_events", &row);
        }
        search.finish().is_some()
    };
    assert!(seen(500_000));
    assert!(!seen(500_001));
}

//! What the parser takes and refuses, what the built-in catalogue holds, and the reference page.

use std::path::Path as FilePath;

use lifeboat_package::id::Section;

use super::*;

const ONE: &str = "\
# a comment

table     letters
class     RoomUser
section   rooms
path      event, by-room, strays
import    remap id, stream_id: fresh numbers
columns   id bigint, event_id text, name character varying(32) personal,
          stream_id bigint, token text secret
";

fn parsed(text: &'static str) -> Result<Catalogue, CatalogueError> {
    Catalogue::parse(&[("one.txt", text)])
}

/// The paragraph of `ONE` with one part replaced.
fn changed(from: &str, to: &str) -> Result<Catalogue, CatalogueError> {
    assert!(ONE.contains(from), "{from} is not in the text");
    parsed(Box::leak(ONE.replace(from, to).into_boxed_str()))
}

#[test]
fn paragraph_becomes_a_table() {
    let catalogue = parsed(ONE).unwrap();
    let table = catalogue.get("letters").unwrap();
    let column = |name, type_name, sensitivity| Column { name, type_name, sensitivity };
    let expected = Table {
        name: "letters",
        class: Class::RoomUser,
        section: Section::Rooms,
        path: Path::Event,
        by_room: true,
        strays: true,
        sometimes: None,
        export: Export::Rows,
        restore: Restore::Keep,
        import: Import::Remap(vec!["id", "stream_id"]),
        import_note: "fresh numbers",
        columns: vec![
            column("id", "bigint", Sensitivity::Plain),
            column("event_id", "text", Sensitivity::Plain),
            column("name", "character varying(32)", Sensitivity::Personal),
            column("stream_id", "bigint", Sensitivity::Plain),
            column("token", "text", Sensitivity::Secret),
        ],
    };
    assert_eq!(table, &expected);
    assert_eq!(catalogue.tables().len(), 1);
}

#[test]
fn optional_entries_are_read() {
    let more = "sometimes while it rains\nexport    skip: wet\nrestore   empty: dry\nimport ";
    let catalogue = changed("import ", more).unwrap();
    let table = catalogue.get("letters").unwrap();
    assert_eq!(table.sometimes, Some("while it rains"));
    assert_eq!(table.export, Export::Skip("wet"));
    assert_eq!(table.restore, Restore::Empty("dry"));
}

#[test]
fn malformed_paragraphs_are_refused() {
    let cases = [
        ("class     RoomUser\n", "", "has no entry class"),
        ("RoomUser", "Roomy", "unknown class Roomy"),
        ("section   rooms", "section   attic", "unknown section attic"),
        ("event, by-room, strays", "event, strays", "cannot read path event, strays"),
        ("event, by-room, strays", "room, by-room", "begins at room_id, which is not a column"),
        ("event, by-room, strays", "user reader", "begins at reader, which is not a column"),
        ("remap id, stream_id", "remap id, stray_id", "remaps stray_id"),
        ("remap id, stream_id: fresh numbers", "skip", "gives no reason"),
        ("import ", "export    skip\nimport ", "wants \"skip: reason\""),
        ("import ", "colour    blue\nimport ", "unknown or second entry colour"),
        ("import ", "class     Room\nimport ", "unknown or second entry class"),
        ("id bigint,", "id,", "column \"id\" has no type"),
    ];
    for (from, to, detail) in cases {
        let error = changed(from, to).expect_err(detail);
        assert!(error.detail.contains(detail), "{from:?} → {to:?}: {error}");
        assert_eq!((error.file, error.table.as_str()), ("one.txt", "letters"));
    }
}

#[test]
fn table_listed_twice_is_refused() {
    let error = Catalogue::parse(&[("one.txt", ONE), ("two.txt", ONE)]).expect_err("twice");
    assert_eq!((error.file, error.detail.as_str()), ("two.txt", "listed a second time"));
}

#[test]
fn built_in_catalogue_parses() {
    let catalogue = Catalogue::parse(&FILES).unwrap();
    let always = catalogue.tables().filter(|table| table.sometimes.is_none()).count();
    assert_eq!(always, 176, "tables of Synapse 1.163.2");
    assert_eq!(catalogue.tables().len(), 179);
}

#[test]
fn only_room_tables_are_poured_by_room() {
    for table in Catalogue::known().tables() {
        let of_rooms = matches!(table.class, Class::Room | Class::RoomUser | Class::Derived);
        let reachable =
            matches!(table.path, Path::RoomId | Path::Event | Path::StateGroup | Path::Chain);
        if table.by_room {
            assert!(of_rooms && reachable, "{}", table.name);
            assert_eq!(table.section, Section::Rooms, "{}", table.name);
        }
        assert!(table.by_room || !table.strays, "{}", table.name);
    }
}

#[test]
fn one_time_keys_and_locks_are_the_only_tables_left_out() {
    let left_out = ["e2e_one_time_keys_json", "worker_locks", "worker_read_write_locks"];
    let left_out: Vec<&str> =
        left_out.into_iter().chain(["worker_read_write_locks_mode"]).collect();
    let tables = || Catalogue::known().tables();
    let skipped = tables().filter(|table| table.export != Export::Rows).map(|table| table.name);
    assert_eq!(skipped.collect::<Vec<_>>(), left_out);
    let emptied = tables().filter(|table| table.restore != Restore::Keep).map(|table| table.name);
    assert_eq!(emptied.collect::<Vec<_>>(), left_out);
}

#[test]
fn fallback_keys_are_exported_restored_and_imported() {
    let table = Catalogue::known().get("e2e_fallback_keys_json").unwrap();
    assert_eq!(table.export, Export::Rows);
    assert_eq!(table.restore, Restore::Keep);
    assert_eq!(table.import, Import::Copy);
}

#[test]
fn credentials_are_secret() {
    let columns = [
        ("access_tokens", "token"),
        ("refresh_tokens", "token"),
        ("users", "password_hash"),
        ("registration_tokens", "token"),
        ("login_tokens", "token"),
        ("open_id_tokens", "token"),
        ("pushers", "pushkey"),
        ("user_ips", "access_token"),
    ];
    for (table, column) in columns {
        let column = Catalogue::known().get(table).and_then(|table| table.column(column)).unwrap();
        assert_eq!(column.sensitivity, Sensitivity::Secret, "{table}.{}", column.name);
    }
}

#[test]
fn every_difference_is_named() {
    let catalogue = parsed(ONE).unwrap();
    let found = [
        ("letters", "id", "integer"),
        ("letters", "event_id", "text"),
        ("letters", "name", "character varying(32)"),
        ("letters", "token", "text"),
        ("letters", "colour", "text"),
        ("stamps", "id", "bigint"),
    ];
    let told: Vec<String> = catalogue.compare(&found).iter().map(ToString::to_string).collect();
    let expected = [
        "unknown table stamps",
        "unknown column letters.colour of type text",
        "column letters.id is of type integer, not bigint",
        "column letters.stream_id is missing",
    ];
    assert_eq!(told, expected);
    let objects = catalogue.compare(&found).iter().map(Difference::object).collect::<Vec<_>>();
    assert_eq!(objects, ["stamps", "letters.colour", "letters.id", "letters.stream_id"]);
    let told = catalogue.compare(&[]);
    assert_eq!(told, [Difference::MissingTable { table: "letters" }]);
}

#[test]
fn table_that_is_not_always_there_is_not_missed() {
    let catalogue = changed("import ", "sometimes while it rains\nimport ").unwrap();
    assert_eq!(catalogue.compare(&[]), []);
}

#[test]
fn reference_page_is_up_to_date() {
    let path = FilePath::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../docs/src/reference/synapse-tables.md");
    lifeboat_testing::page::assert_fresh(&path, &reference_markdown());
}

#[test]
fn reference_page_names_every_table() {
    let page = reference_markdown();
    for table in Catalogue::known().tables() {
        assert!(page.contains(&format!("| `{}` |", table.name)), "{}", table.name);
    }
}

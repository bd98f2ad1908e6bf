//! How rows are counted, and where a search looks.

use lifeboat_engine::failure::Code;
use lifeboat_postgres::archive::StoredColumn;

use super::*;

fn shape(type_name: &str) -> TableShape {
    let column = |name: &str| StoredColumn {
        name: name.to_owned(),
        type_name: type_name.to_owned(),
        as_text: false,
    };
    TableShape {
        schema: "public".to_owned(),
        name: "letters".to_owned(),
        columns: vec![column("id"), column("room_id")],
        unlogged: false,
        condition: None,
        bytes: 0,
    }
}

#[test]
fn segment_with_another_number_of_rows_than_the_backup_says_is_damage() {
    assert!(demand(&shape("text"), 3, 3).is_ok());
    for found in [2, 4] {
        let failure = demand(&shape("text"), found, 3).unwrap_err();
        assert_eq!(failure.code, Code::NotValid);
        assert!(failure.what.contains("public.letters"), "{failure}");
    }
}

#[test]
fn only_text_is_searched() {
    let asked = [Asked { table: "letters", columns: &["room_id", "id"] }];
    assert_eq!(look(&shape("text"), &asked), Some(vec![1, 0]));
    assert_eq!(look(&shape("bigint"), &asked), None);
    let more = [Asked { table: "letters", columns: &["room_id", "colour"] }];
    assert_eq!(look(&shape("text"), &more), None);
    let other = [Asked { table: "stamps", columns: &["id"] }];
    assert_eq!(look(&shape("bigint"), &other), Some(Vec::new()));
}

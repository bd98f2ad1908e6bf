//! The records of `server/schema` and `server/sequences`, as the format describes them.

use super::*;

#[test]
fn statement_has_the_form_of_the_package_format() {
    let statement = SchemaStatement {
        stage: Stage::AfterRows,
        kind: Kind::ForeignKey,
        name: "letters_stamp_fkey".to_owned(),
        table: Some("letters".to_owned()),
        sql: "ALTER TABLE".to_owned(),
    };
    let text = concat!(
        r#"{"stage":"after-rows","kind":"foreign-key","name":"letters_stamp_fkey","#,
        r#""table":"letters","sql":"ALTER TABLE"}"#
    );
    assert_eq!(serde_json::to_string(&statement).unwrap(), text);
    assert_eq!(serde_json::from_str::<SchemaStatement>(text).unwrap(), statement);
}

#[test]
fn sequence_has_the_form_of_the_package_format() {
    let sequence = SequenceState { name: "ids".to_owned(), last_value: -7, is_called: true };
    let text = r#"{"name":"ids","last_value":-7,"is_called":true}"#;
    assert_eq!(serde_json::to_string(&sequence).unwrap(), text);
    assert_eq!(serde_json::from_str::<SequenceState>(text).unwrap(), sequence);
}

#[test]
fn queries_come_in_the_order_of_their_statements() {
    let order: Vec<(Stage, Kind)> =
        queries::STATEMENTS.iter().map(|&(stage, kind, ..)| (stage, kind)).collect();
    assert!(order.is_sorted(), "{order:?}");
}

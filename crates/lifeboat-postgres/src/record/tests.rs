//! Rows become lines, and documents stay byte for byte.

use super::*;
use crate::copy_out::row_of;

fn columns(list: &[(&str, &str)]) -> Vec<Column> {
    list.iter().map(|(name, kind)| Column::new(name, kind)).collect()
}

fn line(shape: &Shape, fields: &[Option<&[u8]>]) -> String {
    let mut out = Vec::new();
    let (bytes, ranges) = row_of(fields);
    shape.write(&Row::new(&bytes, &ranges), &mut out).expect("the row fits");
    String::from_utf8(out).expect("lines are UTF-8")
}

#[test]
fn every_type_has_its_json() {
    let shape = Shape::flat(&columns(&[
        ("b", "boolean"),
        ("s", "smallint"),
        ("i", "integer"),
        ("l", "bigint"),
        ("t", "character varying(5)"),
        ("h", "bytea"),
        ("n", "text"),
    ]));
    let fields: [Option<&[u8]>; 7] = [
        Some(&[1]),
        Some(&(-2_i16).to_be_bytes()),
        Some(&3_i32.to_be_bytes()),
        Some(&i64::MIN.to_be_bytes()),
        Some("a\"\\\n\u{202e}é".as_bytes()),
        Some(&[0, 0xff]),
        None,
    ];
    let expected = "{\"b\":true,\"s\":-2,\"i\":3,\"l\":-9223372036854775808,\
                    \"t\":\"a\\\"\\\\\\n\u{202e}é\",\"h\":\"\\\\x00ff\",\"n\":null}\n";
    assert_eq!(line(&shape, &fields), expected);
}

#[test]
fn a_nested_object_is_there_or_null() {
    let mut shape = Shape::default();
    shape.member("id", Carrier::Text);
    shape.nested("inner", &columns(&[("a", "integer")]));
    shape.document("pdu");
    let five = 5_i32.to_be_bytes();
    let present: [Option<&[u8]>; 4] = [Some(b"x"), Some(&[1]), Some(&five), Some(b"{}")];
    assert_eq!(line(&shape, &present), "{\"id\":\"x\",\"inner\":{\"a\":5},\"pdu\":{}}\n");
    let absent: [Option<&[u8]>; 4] = [Some(b"x"), None, None, None];
    assert_eq!(line(&shape, &absent), "{\"id\":\"x\",\"inner\":null,\"pdu\":null}\n");
}

#[test]
fn a_document_stays_byte_for_byte_and_odd_ones_become_strings() {
    let mut shape = Shape::default();
    shape.document("pdu");
    let check = |stored: &str, expected: &str| {
        let fields = [Some(stored.as_bytes())];
        assert_eq!(line(&shape, &fields), format!("{{\"pdu\":{expected}}}\n"));
    };
    check(
        "{ \"b\":1,\"a\":\"\\u0000\" , \"n\":1.0e5}",
        "{ \"b\":1,\"a\":\"\\u0000\" , \"n\":1.0e5}",
    );
    check("{\"a\":\n1}", "\"{\\\"a\\\":\\n1}\"");
    check("{\"a\":}", "\"{\\\"a\\\":}\"");
    check("[1]", "\"[1]\"");
    check("", "\"\"");
}

#[test]
fn a_number_of_the_wrong_length_is_refused() {
    let shape = Shape::flat(&columns(&[("i", "integer")]));
    let (bytes, ranges) = row_of(&[Some(&[1, 2])]);
    assert!(shape.write(&Row::new(&bytes, &ranges), &mut Vec::new()).is_err());
}

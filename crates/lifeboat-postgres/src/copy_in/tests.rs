//! Records become the rows they were: what `record` writes, this reads.

use proptest::prelude::*;

use super::*;
use crate::copy_out::row_of;
use crate::record::Shape;

fn encoded(columns: &[Column], line: &str) -> Result<Vec<u8>, RowError> {
    let mut out = BytesMut::new();
    let members = Members::parse(line).expect("the line is an object");
    RowEncoder::new("t", columns.to_vec()).row(&members, &mut out)?;
    Ok(out.to_vec())
}

fn columns(list: &[(&str, &str)]) -> Vec<Column> {
    list.iter().map(|(name, kind)| Column::new(name, kind)).collect()
}

#[test]
fn a_missing_member_is_refused_by_name() {
    let error = encoded(&columns(&[("a", "text"), ("b", "text")]), "{\"a\":\"x\"}");
    let error = error.expect_err("b is missing");
    assert_eq!(error.column, "b");
}

#[test]
fn values_out_of_range_are_refused() {
    for (kind, value) in [
        ("smallint", "40000"),
        ("integer", "3000000000"),
        ("bigint", "9223372036854775808"),
        ("boolean", "1"),
        ("text", "1"),
        ("bytea", "\"\\\\xzz\""),
        ("bytea", "\"00\""),
        ("bigint", "1.5"),
    ] {
        let line = format!("{{\"a\":{value}}}");
        assert!(encoded(&columns(&[("a", kind)]), &line).is_err(), "{kind} {value}");
    }
}

#[test]
fn a_table_with_a_cast_column_goes_as_text() {
    let columns = columns(&[("v", "tsvector"), ("n", "bigint"), ("b", "boolean"), ("x", "text")]);
    let encoder = RowEncoder::new("t", columns.clone());
    assert!(encoder.statement().ends_with("(FORMAT text)"));
    let row = encoded(&columns, "{\"v\":\"'a':1\\t\\\\\",\"n\":-5,\"b\":true,\"x\":null}");
    assert_eq!(row.expect("it fits"), b"'a':1\\t\\\\\t-5\tt\t\\N\n");
}

#[test]
fn jsonb_goes_binary_with_its_version() {
    let row = encoded(&columns(&[("j", "jsonb")]), "{\"j\":\"{}\"}").expect("it fits");
    assert_eq!(row, [&[0, 1][..], &3_i32.to_be_bytes(), &[1], b"{}"].concat());
}

proptest! {
    #[test]
    fn a_row_goes_out_and_comes_back(
        text in proptest::option::of("\\PC*|[\\x01-\\x1f\"\\\\é\u{1F600}]*"),
        bytes in proptest::collection::vec(any::<u8>(), 0..40),
        number in any::<i64>(),
        small in any::<i16>(),
        flag in any::<bool>(),
    ) {
        let columns = columns(&[
            ("t", "text"), ("h", "bytea"), ("l", "bigint"), ("s", "smallint"), ("b", "boolean"),
        ]);
        let (number, small) = (number.to_be_bytes(), small.to_be_bytes());
        let flag = [u8::from(flag)];
        let fields: [Option<&[u8]>; 5] = [
            text.as_deref().map(str::as_bytes),
            Some(&bytes),
            Some(&number),
            Some(&small),
            Some(&flag),
        ];
        let (row, ranges) = row_of(&fields);
        let mut line = Vec::new();
        Shape::flat(&columns)
            .write(&crate::copy_out::Row::new(&row, &ranges), &mut line)
            .expect("the row fits");
        let line = String::from_utf8(line).expect("lines are UTF-8");
        prop_assert!(line.ends_with('\n') && line.matches('\n').count() == 1);
        prop_assert_eq!(encoded(&columns, &line).expect("it fits"), row);
    }
}

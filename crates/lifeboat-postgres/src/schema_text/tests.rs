//! What is done to the text of `pg_dump`.

use super::{last_lines, without_restriction};

#[test]
fn words_of_chance_around_the_text_are_left_out() {
    let text = "--\n\\restrict aB3\n\nSELECT '\\restrict aB4';\n\\unrestrict aB3\n\n";
    assert_eq!(without_restriction(text), "--\n\nSELECT '\\restrict aB4';\n\n");
    assert_eq!(without_restriction("SET a = b;\n"), "SET a = b;\n");
}

#[test]
fn complaint_is_its_last_lines() {
    let text = "1\n2\n\n3\n4\n5\n6\n";
    assert_eq!(last_lines(text), "2; 3; 4; 5; 6");
    assert_eq!(last_lines(""), "");
}

//! What is shown of rights.

use super::{SHOWN, shown};

#[test]
fn statements_that_are_too_many_to_read_are_counted() {
    let few = ["GRANT SELECT ON TABLE a TO m;", "GRANT SELECT ON TABLE b TO m;"];
    assert_eq!(shown(&few.map(str::to_owned)), "GRANT SELECT ON TABLE a, b TO m;");
    let many: Vec<String> =
        (0..500).map(|n| format!("ALTER TABLE table_{n} OWNER TO m;")).collect();
    let text = shown(&many);
    assert!(text.len() < SHOWN + 30, "{}", text.len());
    assert!(text.ends_with(" more") && text.contains(" … and 3"), "{text}");
    let long = vec![format!("GRANT SELECT ON TABLE {} TO m;", "x".repeat(2 * SHOWN))];
    assert_eq!(shown(&long), long[0], "one is shown whole");
}

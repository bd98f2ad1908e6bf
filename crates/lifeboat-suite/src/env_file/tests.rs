//! Environment files as they are written.

use super::*;

#[test]
fn variables_are_read_with_and_without_quotes() {
    let text = "# comment\nA=1\nexport B=\"two words\"\nC='x=y'\n  D = d \nnothing\nE=\n";
    let file = EnvFile::parse(text);
    let get = |name: &str| file.get(name).map(Secret::expose);
    assert_eq!(get("A"), Some("1"));
    assert_eq!(get("B"), Some("two words"));
    assert_eq!(get("C"), Some("x=y"));
    assert_eq!(get("D"), Some("d"));
    assert_eq!(get("E"), None);
    assert_eq!(get("# comment"), None);
}

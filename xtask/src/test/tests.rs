//! What cargo tells of what it built.

use super::programs;

#[test]
fn programs_with_tests_are_found_among_what_cargo_built() {
    let told = concat!(
        r#"{"reason":"compiler-artifact","manifest_path":"/w/a/Cargo.toml","profile":"#,
        r#"{"opt_level":"0","test":false},"features":[],"executable":"/w/target/a"}"#,
        "\n",
        r#"{"reason":"compiler-artifact","manifest_path":"/w/a/Cargo.toml","profile":"#,
        r#"{"opt_level":"0","test":true},"features":[],"executable":"/w/target/a-1"}"#,
        "\n",
        r#"{"reason":"compiler-artifact","manifest_path":"/w/b/Cargo.toml","profile":"#,
        r#"{"opt_level":"0","test":true},"features":[],"executable":null}"#,
        "\n",
        r#"{"reason":"build-finished","success":true}"#,
    );
    let found = programs(told).unwrap();
    let shown: Vec<_> =
        found.iter().map(|one| (one.folder.to_str(), one.program.to_str())).collect();
    assert_eq!(shown, [(Some("/w/a"), Some("/w/target/a-1"))]);
    assert!(programs("").is_err());
}

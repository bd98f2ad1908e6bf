//! Backups into the vault, and back.

use crate::harbour::suite;

#[test]
fn backup_is_whole_and_an_unchanged_suite_stores_next_to_nothing_again() {
    let suite = suite();
    let first = suite.back_up();
    let said = suite.lifeboat_opened(&["backup", "verify"]);
    assert_eq!(said.exit, 0, "{said:?}");
    let second = suite.back_up();
    println!("{second:#}");
    let said = suite.lifeboat_opened(&["backup", "verify"]);
    println!("{said:?}");
    println!("{}", suite.lifeboat(&["backup", "list"]).stdout);
    println!("{}", suite.text(&["restore", "plan", "-i", suite.identity.to_str().unwrap()]));
    println!(
        "{}",
        suite.text(&[
            "restore",
            "run",
            "-i",
            suite.identity.to_str().unwrap(),
            "--beside",
            "_copy",
            "--root",
            suite.world.directory().join("copy").to_str().unwrap(),
            "--no-start"
        ])
    );
    panic!("look {first}");
}

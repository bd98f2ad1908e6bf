//! Backups into the vault.

use crate::harbour::suite;

#[test]
fn backup_is_whole_and_an_unchanged_suite_stores_next_to_nothing_again() {
    let suite = suite();
    let first = suite.back_up();
    println!("{first:#}");
    let said = suite.lifeboat_opened(&["backup", "verify"]);
    println!("{said:?}");
    assert_eq!(said.exit, 0);
    let second = suite.back_up();
    println!("{second:#}");
    let said = suite.lifeboat_opened(&["backup", "verify"]);
    println!("{said:?}");
    println!("{}", suite.lifeboat(&["backup", "list"]).stdout);
    panic!("look");
}

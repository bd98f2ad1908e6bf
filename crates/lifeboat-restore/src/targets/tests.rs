//! Tests of the places of a restore.

use super::name_beside;

#[test]
fn name_that_postgresql_would_cut_to_that_of_the_database_in_use_is_refused() {
    assert_eq!(name_beside("synapse", "_drill").unwrap(), "synapse_drill");
    assert_eq!(name_beside(&"x".repeat(57), "_drill").unwrap().len(), 63);
    let refused = name_beside(&"x".repeat(58), "_drill").unwrap_err();
    assert!(refused.what.contains("too long"), "{refused}");
}

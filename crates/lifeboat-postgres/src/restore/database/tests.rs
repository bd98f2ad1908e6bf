//! Names of databases that were put aside.

use super::{NAME_BYTES, name_before};

#[test]
fn name_of_a_database_put_aside_fits_into_what_the_server_allows() {
    assert_eq!(name_before("matrix", "20260301T120000Z"), "matrix_before_20260301T120000Z");
    let long = "é".repeat(40);
    let name = name_before(&long, "20260301T120000Z");
    assert!(name.len() <= NAME_BYTES && name.ends_with("_before_20260301T120000Z"), "{name}");
    assert!(name.starts_with("éé"));
}

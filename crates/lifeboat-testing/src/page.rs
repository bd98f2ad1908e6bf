//! Pages of the book that are made from code: committed, and told when they are out of date.

use std::fs;
use std::path::Path;

/// Compares the committed page with what is made of the code now; with `LIFEBOAT_BLESS` set in the
/// environment, writes it first.
///
/// # Panics
/// When the page is out of date, or cannot be written.
pub fn assert_fresh(path: &Path, made: &str) {
    if std::env::var_os("LIFEBOAT_BLESS").is_some() {
        fs::write(path, made).expect("the page is written");
    }
    let committed = fs::read_to_string(path).unwrap_or_default();
    assert!(
        committed == made,
        "{} is out of date: run this test with LIFEBOAT_BLESS=1",
        path.display()
    );
}

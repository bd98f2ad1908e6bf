//! The table and the details fit a terminal.

use super::*;

#[test]
fn everything_fits_a_terminal_of_80_columns() {
    let rows: Vec<&Row> = catalogue::rows().iter().collect();
    let mut lines = table(&rows);
    lines.extend(rows.iter().flat_map(|row| details(row)));
    for line in lines {
        assert!(line.chars().count() <= COLUMNS, "{line}");
    }
}

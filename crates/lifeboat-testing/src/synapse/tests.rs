//! What is taken for an error in a log.

use super::*;

#[test]
fn errors_come_with_the_lines_that_say_what_is_wrong() {
    let log = "t - a - 1 - INFO - main - well\nmore\nt - a - 2 - ERROR - x - failed\n\
               Traceback\nValueError: why\nt - a - 3 - WARNING - x - then\nand so on\n";
    assert_eq!(grave(log), ["t - a - 2 - ERROR - x - failed\nTraceback\nValueError: why"]);
}

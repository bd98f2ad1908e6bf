//! What is taken for an error in a log.

use super::*;

#[test]
fn errors_come_with_the_lines_that_say_what_is_wrong() {
    let log = "t - a - 1 - INFO - main - well\nmore\nt - a - 2 - ERROR - x - failed\n\
               Traceback\nValueError: why\nt - a - 3 - WARNING - x - then\nand so on\n";
    assert_eq!(grave(log), ["t - a - 2 - ERROR - x - failed\nTraceback\nValueError: why"]);
}

#[test]
fn only_a_metric_that_was_there_already_is_no_error() {
    let line = |what: &str| format!("t - synapse.util.metrics - 338 - ERROR - reap-0 - {what}");
    let twice = "Metric named cache_lru_cache_is_x_a.test already registered for server a.test";
    assert!(is_metric_twice(&line(twice)));
    assert!(!is_metric_twice(&line(&format!("{twice}\nTraceback"))));
    assert!(!is_metric_twice(&line("Failed to count cache_lru_cache_")));
    assert!(!is_metric_twice(&line(twice).replace("util.metrics", "handlers.message")));
}

//! The command line against itself.

use clap::CommandFactory;

use super::*;

#[test]
fn the_command_line_is_consistent() {
    CommandLine::command().debug_assert();
}

#[test]
fn exit_codes_tell_gaps() {
    assert_eq!((Exit::with_gaps(0).code(), Exit::with_gaps(2).code()), (0, 3));
}

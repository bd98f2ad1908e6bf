//! Which `pg_dump` is taken.

use super::{PgDump, choose, version};

fn program(major: u32, minor: u32) -> PgDump {
    PgDump { path: "/".into(), major, minor, text: format!("{major}.{minor}") }
}

#[test]
fn version_is_read_from_what_the_program_says() {
    let debian = "pg_dump (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)";
    assert_eq!(version(debian), Some((15, 18)));
    assert_eq!(version("pg_dump (PostgreSQL) 18.6"), Some((18, 6)));
    assert_eq!(version("pg_dump (PostgreSQL) 19beta2"), Some((19, 0)));
    assert_eq!(version("pg_dump (Other) 9"), None);
}

#[test]
fn nearest_program_that_is_not_older_than_the_server_is_taken() {
    let all = [program(14, 23), program(18, 6), program(16, 2), program(16, 15)];
    assert_eq!(choose(&all, 14), Some(&program(14, 23)));
    assert_eq!(choose(&all, 15), Some(&program(16, 15)));
    assert_eq!(choose(&all, 18), Some(&program(18, 6)));
    assert_eq!(choose(&all, 19), None);
}

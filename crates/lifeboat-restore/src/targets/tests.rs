//! Tests of the places of a restore.

use lifeboat_postgres::connect::{CertificateCheck, Config, Connector};

use super::beside;

fn database_of(letters: usize) -> Connector {
    let mut config = Config::new();
    config.dbname("x".repeat(letters));
    Connector::new(config, &CertificateCheck::Nothing, None).unwrap()
}

#[test]
fn name_that_postgresql_would_cut_to_that_of_the_database_in_use_is_refused() {
    assert_eq!(beside(&database_of(3), "_drill").unwrap().database(), "xxx_drill");
    assert_eq!(beside(&database_of(57), "_drill").unwrap().database().len(), 63);
    let Err(refused) = beside(&database_of(58), "_drill") else { panic!("it is too long") };
    assert!(refused.what.contains("too long"), "{refused}");
}

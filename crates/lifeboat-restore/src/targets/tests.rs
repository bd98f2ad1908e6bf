//! Tests of the places of a restore.

use std::path::Path;

use lifeboat_postgres::connect::{CertificateCheck, Config, Connector};

use super::{Targets, beside};

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

#[test]
fn what_an_installation_below_the_root_names_is_not_put_below_it_twice() {
    let targets = Targets {
        root: Some("/drill".into()),
        suffix: None,
        around: lifeboat_suite::Surroundings::default(),
    };
    let drilled = Path::new("/drill/etc/matrix/conf.d");
    assert_eq!(targets.installed(drilled), drilled);
    assert_eq!(targets.installed(Path::new("/etc/matrix/conf.d")), drilled);
    assert_eq!(targets.place(drilled), Path::new("/drill/drill/etc/matrix/conf.d"));
}

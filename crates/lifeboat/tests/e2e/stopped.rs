//! An import that is cancelled leaves an empty database; what others make of one that was cut
//! short is theirs.

use std::ffi::OsString;
use std::io::{BufRead, BufReader};
use std::process::ExitStatus;

use lifeboat_testing::Homeserver;
use rustix::process::{Pid, Signal, kill_process};

use crate::crossing::tables;
use crate::harbour::{Harbour, harbour};
use crate::program::{import_words, program};

/// Sends a signal to an import when it begins with the rows.
fn signalled(harbour: &Harbour, server: &Homeserver, signal: Signal) -> ExitStatus {
    let mut words = import_words(&harbour.package, &harbour.identity, server);
    words.extend(["--accept-signer", harbour.signer.as_str()].map(OsString::from));
    let mut child = program().args(words).spawn().unwrap();
    let mut told = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(told.any(|line| line.unwrap().contains("\"rows\"")), "the rows did not begin");
    let pid = Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
    kill_process(pid, signal).unwrap();
    told.for_each(drop);
    child.wait().unwrap()
}

#[test]
fn cancelled_import_leaves_an_empty_database() {
    let harbour = harbour();
    let server = harbour.world.empty_server("cancelled").unwrap();
    assert_eq!(signalled(harbour, &server, Signal::INT).code(), Some(130));
    assert_eq!(tables(harbour, &server), "");
}

#[test]
fn server_that_was_made_where_an_import_was_cut_short_is_not_cleared() {
    let harbour = harbour();
    let server = harbour.world.empty_server("theirs").unwrap();
    assert_eq!(signalled(harbour, &server, Signal::TERM).code(), Some(130));
    let before = tables(harbour, &server);
    assert!(before.contains("public.events"), "{before}");
    let role = &server.role().name;
    let made = format!(
        "CREATE TABLE schema_version AS SELECT 94 AS version;
         ALTER TABLE schema_version OWNER TO \"{role}\""
    );
    harbour.world.cluster.psql(server.database(), &made).unwrap();
    let said = harbour.import(&server, &[]);
    assert_eq!(said.exit, 1, "{said:?}");
    assert!(said.stdout.contains("is not empty"), "{said:?}");
    assert_eq!(tables(harbour, &server).replace(" public.schema_version", ""), before);
}

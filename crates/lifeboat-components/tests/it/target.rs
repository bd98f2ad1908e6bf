//! The database that an import makes.

use lifeboat_components::postgres::connect::{CertificateCheck, Connector};
use lifeboat_components::synapse::write::target;
use lifeboat_testing::Role;

use crate::standing_synapse::standing_synapse;

#[tokio::test]
async fn database_that_was_made_meanwhile_is_no_error() {
    let cluster = &standing_synapse().cluster;
    let owner = Role::named("shipwright");
    cluster.create_role(&owner, true).unwrap();
    let config = cluster.url("slipway", &owner).parse().unwrap();
    let connector = Connector::new(config, &CertificateCheck::Nothing, None).unwrap();
    // Two at once: whoever comes second waits for the first and is refused by the server.
    let (one, other) =
        tokio::join!(target::create_database(&connector), target::create_database(&connector));
    assert!(one.is_ok() && other.is_ok(), "{one:?} {other:?}");
    target::create_database(&connector).await.unwrap();
    let session = target::session(&connector).await.unwrap();
    assert_eq!(target::fitness(&session).await.unwrap().state, target::State::Empty);
}

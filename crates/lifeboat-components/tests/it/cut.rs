//! Tables that come and go while a snapshot is open.

use lifeboat_components::postgres::columns::read_tables;
use lifeboat_components::postgres::connect::{CertificateCheck, Connector};
use lifeboat_components::postgres::cut::{Cut, Hold};
use lifeboat_testing::Role;

use crate::standing_synapse::standing_synapse;

const OWNER: &str = "captain";

#[tokio::test]
async fn table_that_was_dropped_is_told_and_one_that_is_held_cannot_be_dropped() {
    let cluster = &standing_synapse().cluster;
    let owner = Role::named(OWNER);
    cluster.create_role(&owner, false).unwrap();
    cluster.create_database("tides", &owner).unwrap();
    let make = format!("SET ROLE {OWNER}; CREATE TABLE low (x int); CREATE TABLE high (x int)");
    cluster.psql("tides", &make).unwrap();
    let config = cluster.url("tides", &owner).parse().unwrap();
    let connector = Connector::new(config, &CertificateCheck::Nothing, None).unwrap();
    let cut = Cut::open(&connector).await.unwrap();
    // The first question fixes what the snapshot sees.
    let names = |tables: Vec<lifeboat_components::postgres::columns::Table>| -> Vec<String> {
        tables.into_iter().map(|table| table.name).collect()
    };
    assert_eq!(names(read_tables(cut.anchor()).await.unwrap()), ["high", "low"]);
    cluster.psql("tides", "DROP TABLE low").unwrap();
    assert_eq!(names(read_tables(cut.anchor()).await.unwrap()), ["high", "low"]);
    assert_eq!(cut.hold("low").await.unwrap(), Hold::Gone);
    let lock = "BEGIN; LOCK TABLE high IN ACCESS EXCLUSIVE MODE";
    let locked = cluster.hold("tides", lock).unwrap();
    assert_eq!(cut.hold("high").await.unwrap(), Hold::Locked);
    drop(locked);
    assert_eq!(cut.hold("high").await.unwrap(), Hold::Held);
    let drop = "SET lock_timeout = '50ms'; DROP TABLE high";
    let refused = cluster.psql("tides", drop).unwrap_err().to_string();
    assert!(refused.contains("lock timeout"), "{refused}");
    // The snapshot is as good as before.
    let lane = cut.lane().await.unwrap();
    lane.query("SELECT FROM high", &[]).await.unwrap();
}

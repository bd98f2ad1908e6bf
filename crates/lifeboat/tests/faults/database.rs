//! Databases that go away, and roles that may not read.

use std::fs;

use lifeboat_testing::{Role, World};

use crate::conversation::{Running, run};
use crate::harbour::harbour;
use crate::moments::{Berth, noted, volumes_so_far};

#[test]
fn a_database_that_goes_away_is_told_and_the_same_command_goes_on() {
    // Before the lock on the world: comparing asks for the world as well.
    harbour().undisturbed();
    for power_cut in [false, true] {
        let berth = Berth::archive();
        let mut world = harbour().whole_world();
        let mut running = Running::start(&mut berth.export(&world));
        assert!(running.watch(|| volumes_so_far(&berth.journal()) >= 3));
        if power_cut { world.cluster.crash() } else { world.cluster.restart() }.unwrap();
        let said = running.end();
        drop(world);
        assert_eq!(said.exit, Some(1), "{said:?}");
        let error = said.error();
        assert!(error.contains("database"), "{error}");
        assert!(error.contains("run the same command again"), "{error}");
        let before = noted(&berth.journal());
        assert!(!before.volumes.is_empty());
        let said = run(&mut berth.export(&harbour().world()));
        assert_eq!(said.exit, Some(3), "{said:?}");
        assert_eq!(said.outcome()["volumes_resumed"], before.volumes.len());
        harbour().assert_undisturbed(&berth.target, &[]);
    }
}

#[test]
fn a_database_that_is_not_there_is_named_and_nothing_is_written() {
    let berth = Berth::archive();
    let world = harbour().world();
    let address = berth.folder.join("address");
    let url = world.cluster.url("nowhere", world.server.role());
    fs::write(&address, &url).unwrap();
    let said = run(&mut harbour().export_by(&address, &berth.folder, &berth.target));
    assert_eq!(said.exit, Some(1), "{said:?}");
    assert!(said.error().contains("nowhere"), "{said:?}");
    assert!(!said.error().contains(&world.server.role().password), "{said:?}");
    assert_eq!(berth.left(), Vec::<String>::new());
}

/// The role of `docs/src/operations/least-privilege-role.md`.
fn reader(world: &World, database: &str, name: &str) -> Role {
    let role = Role::named(name);
    world.cluster.create_role(&role, false).unwrap();
    let sql = format!(
        "GRANT CONNECT ON DATABASE \"{database}\" TO \"{name}\";
         GRANT USAGE ON SCHEMA public TO \"{name}\";
         GRANT SELECT ON ALL TABLES IN SCHEMA public TO \"{name}\";
         GRANT SELECT ON ALL SEQUENCES IN SCHEMA public TO \"{name}\";"
    );
    world.cluster.psql(database, &sql).unwrap();
    role
}

#[test]
fn a_role_that_may_only_read_exports_everything() {
    let berth = Berth::archive();
    let world = harbour().world();
    let database = harbour().database(&world);
    // What a database has by default for everybody is not relied on.
    let revoke = format!("REVOKE ALL ON DATABASE \"{database}\" FROM PUBLIC");
    world.cluster.psql(&database, &revoke).unwrap();
    let role = reader(&world, &database, "only_reads");
    let address = berth.folder.join("address");
    fs::write(&address, world.cluster.url(&database, &role)).unwrap();
    let said = run(&mut harbour().export_by(&address, &berth.folder, &berth.target));
    drop(world);
    assert_eq!(said.exit, Some(3), "{said:?}");
    harbour().assert_undisturbed(&berth.target, &[]);
}

#[test]
fn a_table_that_may_not_be_read_is_named_with_the_grant_it_takes() {
    let berth = Berth::archive();
    let world = harbour().world();
    let database = harbour().database(&world);
    let role = reader(&world, &database, "reads_less");
    for (revoked, names) in
        [("TABLE pushers", "pushers"), ("SEQUENCE events_stream_seq", "events_stream_seq")]
    {
        let revoke = format!("REVOKE SELECT ON {revoked} FROM reads_less");
        world.cluster.psql(&database, &revoke).unwrap();
        let address = berth.folder.join("address");
        fs::write(&address, world.cluster.url(&database, &role)).unwrap();
        let said = run(&mut harbour().export_by(&address, &berth.folder, &berth.target));
        assert_eq!(said.exit, Some(1), "{said:?}");
        assert!(said.error().contains(names), "{said:?}");
        assert!(said.error().contains("SELECT on all tables and sequences"), "{said:?}");
        let grant = format!("GRANT SELECT ON {revoked} TO reads_less");
        world.cluster.psql(&database, &grant).unwrap();
    }
    let address = berth.folder.join("address");
    let said = run(&mut harbour().export_by(&address, &berth.folder, &berth.target));
    assert_eq!(said.exit, Some(3), "{said:?}");
    harbour().assert_valid(&berth.target, &[]);
}

//! A real, seeded Synapse that stands still, with its database, for tests that only look at it.

use std::sync::LazyLock;

use lifeboat_testing::{Role, World};

/// A role that may read and nothing else. Databases made later grant it what it needs.
pub(crate) const READER: &str = "reader";

static STANDING: LazyLock<World> = LazyLock::new(|| {
    let mut world = World::small().expect("the test world starts");
    world.server.stop();
    world.cluster.create_role(&Role::named(READER), false).expect("the reader is made");
    let grants = format!(
        "GRANT SELECT ON ALL TABLES IN SCHEMA public TO {READER};
        GRANT SELECT ON ALL SEQUENCES IN SCHEMA public TO {READER}"
    );
    world.cluster.psql(world.server.database(), &grants).expect("the reader may read");
    world
});

/// The stopped Synapse with its database, which is running.
pub(crate) fn standing_synapse() -> &'static World {
    &STANDING
}

//! Where every voyage begins: a seeded homeserver that runs, what its clients saw, its package.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use lifeboat_testing::http::Request;
use lifeboat_testing::{Homeserver, World};
use serde_json::Value;

use crate::clients;
use crate::program::{DONE, GAPS, Said, import_words, lifeboat, server_words};

/// Shared by the tests of this process. The homeserver lives on after the export, so only what
/// was kept here tells of the moment of the export.
static SHARED: LazyLock<Harbour> = LazyLock::new(|| {
    let world = World::small().unwrap();
    let survivor = world.directory().join("survivor.json");
    clients::survivor("prepare", &world, &world.server, &survivor);
    Harbour::of(world)
});

/// A homeserver and its package.
pub(crate) struct Harbour {
    /// The homeserver that was exported, still running.
    pub(crate) world: World,
    /// What clients could see of it when it was exported.
    pub(crate) facts: PathBuf,
    /// The one-time keys it held then, as SQL that puts them into another database.
    pub(crate) one_time_keys: String,
    /// Its public signing key, unpadded Base64.
    pub(crate) signer: String,
    /// The package.
    pub(crate) package: PathBuf,
    /// What opens the package.
    pub(crate) identity: PathBuf,
    /// What the export said. A file of the seeded homeserver went long ago, which is a gap.
    pub(crate) exported: Said,
}

/// The harbour of this process.
pub(crate) fn harbour() -> &'static Harbour {
    &SHARED
}

impl Harbour {
    /// Looks at a running homeserver and exports it.
    pub(crate) fn of(world: World) -> Self {
        let facts = settled_facts(&world, &world.server, "source");
        let one_time_keys = one_time_keys(&world);
        let signer = signer_of(&world.server);
        let identity = world.directory().join("identity.txt");
        let recipient = keygen(&identity);
        let package = world.directory().join("server.lifeboat");
        let exported = export(&world.server, &recipient, &package);
        Self { world, facts, one_time_keys, signer, package, identity, exported }
    }

    /// Imports the package into an empty server, its signer accepted.
    pub(crate) fn import(&self, server: &Homeserver, more: &[&str]) -> Said {
        let mut words = import_words(&self.package, &self.identity, server);
        words.extend(["--accept-signer", self.signer.as_str()].map(Into::into));
        words.extend(more.iter().map(Into::into));
        lifeboat(words)
    }

    /// An empty server that the package was imported into; not started.
    pub(crate) fn landed(&self, database: &str, more: &[&str]) -> Homeserver {
        let server = self.world.empty_server(database).unwrap();
        self.import(&server, more).result(GAPS);
        server
    }

    /// The file of the device that lives through the loss, in a copy of its own.
    pub(crate) fn survivor(&self, copy: &str) -> PathBuf {
        let path = self.world.directory().join(copy);
        fs::copy(self.world.directory().join("survivor.json"), &path).unwrap();
        path
    }
}

/// What clients can see of a homeserver when it has been read before.
///
/// Synapse shows what a state event replaced only after it has served that event in a timeline,
/// so the first reading depends on its own order.
pub(crate) fn settled_facts(world: &World, server: &Homeserver, label: &str) -> PathBuf {
    world.capture(server, &format!("{label}-first")).unwrap();
    world.capture(server, label).unwrap()
}

/// Makes an identity; its recipient.
pub(crate) fn keygen(identity: &Path) -> String {
    let words = ["keygen".as_ref(), "--json".as_ref(), "-o".as_ref(), identity.as_os_str()];
    let outcome = lifeboat(words).result(DONE);
    outcome["recipient"].as_str().unwrap().to_owned()
}

/// The recipient that an identity file of ours names in a comment.
pub(crate) fn recipient(identity: &Path) -> String {
    let text = fs::read_to_string(identity).unwrap();
    let mut words = text.split_whitespace();
    words.find(|word| word.starts_with("age1")).expect("a recipient").to_owned()
}

/// Exports a running homeserver for one recipient.
pub(crate) fn export(server: &Homeserver, recipient: &str, package: &Path) -> Said {
    let mut words = vec!["export".into(), "--json".into(), "-r".into(), recipient.into()];
    words.extend(["-o".into(), package.as_os_str().to_owned()]);
    words.extend(server_words(server));
    lifeboat(words)
}

/// The signing key that a homeserver publishes.
pub(crate) fn signer_of(server: &Homeserver) -> String {
    let answer = Request::get(server.port(), "/_matrix/key/v2/server").send().unwrap();
    let keys: Value = serde_json::from_slice(&answer.body).unwrap();
    let keys = keys["verify_keys"].as_object().unwrap();
    let key = keys.values().next().unwrap();
    key["key"].as_str().unwrap().to_owned()
}

fn one_time_keys(world: &World) -> String {
    let rows = "SELECT json_agg(k) FROM e2e_one_time_keys_json k";
    let rows = world.cluster.psql(world.server.database(), rows).unwrap();
    assert!(rows.contains("signed_curve25519"), "{rows}");
    format!(
        "INSERT INTO e2e_one_time_keys_json
         SELECT * FROM json_populate_recordset(NULL::e2e_one_time_keys_json, $rows${rows}$rows$)"
    )
}

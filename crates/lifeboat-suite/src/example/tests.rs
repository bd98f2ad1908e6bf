//! Each example is taken by the reader, with the files it names made for it.

use std::fs;
use std::path::Path;

use lifeboat_config::target::Surroundings;

use super::*;
use crate::{Kind, parse};

/// What the components of the example say of themselves, by path.
const CONFIGURATIONS: &[(&str, &str)] = &[
    (
        "/etc/matrix-synapse/homeserver.yaml",
        "server_name: example.org\ndatabase: {name: psycopg2, args: {user: s, dbname: synapse}}\n",
    ),
    ("/etc/matrix-synapse/conf.d/10.yaml", "report_stats: false\n"),
    ("/etc/mas/config.yaml", "database: {uri: \"postgresql://mas@db/mas\"}\n"),
    ("/etc/sydent/sydent.conf", "[db]\ndb.file = sydent.db\n"),
    ("/etc/sliding-sync/env", "SYNCV3_DB=user=syncv3 dbname=syncv3 host=db\nSYNCV3_SECRET=x\n"),
    ("/etc/irc-bridge/config.yaml", "database: {engine: nedb, connectionString: nedb://data}\n"),
    (
        "/etc/bifrost/config.yaml",
        "datastore: {engine: postgres, connectionString: \"postgres://b@db/b\"}\n",
    ),
    (
        "/etc/mautrix-telegram/config.yaml",
        "appservice: {database: \"postgres://t@db/telegram\", as_token: a}\n",
    ),
    (
        "/etc/mautrix-whatsapp/config.yaml",
        "database: {type: sqlite3-fk-wal, uri: \"file:whatsapp.db?_txlock=immediate\"}\n",
    ),
    ("/etc/sipbridge/env", "DATABASE_URL=postgres://sip@db/sip\n"),
    ("/etc/hookshot/config.yml", "passFile: passkey.pem\n"),
];

#[test]
fn every_example_is_taken() {
    let root = tempfile::tempdir().unwrap();
    let there = root.path().display().to_string();
    for (path, text) in CONFIGURATIONS {
        let path = root.path().join(path.trim_start_matches('/'));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    let around = Surroundings { user: Some("me".to_owned()), ..Surroundings::default() };
    for name in EXAMPLES {
        let text = example(name).unwrap().replace("/etc/", &format!("{there}/etc/"));
        let found = parse(Path::new("/etc/lifeboat.yaml"), &text, &around);
        let found = found.unwrap_or_else(|error| {
            panic!("{name}: {error}: {:?}: {}", std::error::Error::source(&error), error.remedy())
        });
        if name == "standalone" {
            for kind in Kind::ALL {
                assert_eq!(found.of_kind(kind).count(), 1, "{kind}");
            }
        }
    }
    assert!(example("other").is_none());
}

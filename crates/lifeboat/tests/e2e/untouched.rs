//! An export leaves its source as it is: rows, sequences, tables, files.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use lifeboat_testing::Homeserver;

use crate::harbour::{Harbour, harbour, recipient};
use crate::program::{DONE, GAPS, lifeboat, server_words};

/// For every table its rows' number and sum, for every sequence its position, one a line.
const SUMS: &str = "
    SELECT string_agg(line, E'\\n' ORDER BY line) FROM (
        SELECT c.oid::regclass || ' ' || query_to_xml(format(
            CASE c.relkind
                WHEN 'r' THEN 'SELECT count(*), md5(string_agg(md5(t::text), '''' ORDER BY t::text))
                               FROM ONLY %s t'
                ELSE 'SELECT last_value, is_called FROM %s'
            END, c.oid::regclass), true, true, '')::text AS line
        FROM pg_class c
        WHERE c.relkind IN ('r', 'S') AND c.relnamespace = 'public'::regnamespace
    ) lines";

/// What a file is, whether or not somebody only looked at it.
type Files = BTreeMap<PathBuf, (u32, i64, i64, Vec<u8>)>;

fn files(folder: &Path, found: &mut Files) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, found);
            continue;
        }
        let meta = fs::symlink_metadata(&path).unwrap();
        let bytes = fs::read(&path).unwrap();
        found.insert(path, (meta.mode(), meta.mtime(), meta.mtime_nsec(), bytes));
    }
}

/// Everything that an export could have changed.
fn state(harbour: &Harbour, server: &Homeserver) -> (Vec<String>, Files) {
    let sums = harbour.world.cluster.psql(server.database(), SUMS).unwrap();
    let mut found = Files::new();
    files(server.directory(), &mut found);
    (sums.lines().map(str::to_owned).collect(), found)
}

#[test]
fn source_is_what_it_was_after_every_kind_of_export() {
    let harbour = harbour();
    let server = harbour.landed("still", &[]);
    let before = state(harbour, &server);
    assert!(before.0.len() > 200 && before.1.len() > 20, "{} {}", before.0.len(), before.1.len());
    let recipient = recipient(&harbour.identity);
    let room = harbour.world.cluster.psql("still", "SELECT min(room_id) FROM rooms").unwrap();
    let kinds: [(&str, &[&str]); 5] = [
        ("whole", &[]),
        ("room", &["--room", room.trim()]),
        ("user", &["--profile", "access", "--user", "@bob:lifeboat.test"]),
        ("planned", &["--dry-run"]),
        ("estimated", &["--estimate"]),
    ];
    for (kind, more) in kinds {
        let package = harbour.world.directory().join(format!("still-{kind}.lifeboat"));
        let mut words =
            vec!["export".into(), "--json".into(), "-r".into(), recipient.clone().into()];
        words.extend(["-o".into(), package.into_os_string()]);
        words.extend(more.iter().map(Into::into));
        words.extend(server_words(&server));
        let said = lifeboat(words);
        assert!([DONE, GAPS].contains(&said.exit), "{kind}: {said:?}");
        let after = state(harbour, &server);
        let changed: Vec<_> = before.0.iter().filter(|line| !after.0.contains(line)).collect();
        assert_eq!(changed, Vec::<&String>::new(), "{kind}");
        assert_eq!(before.0.len(), after.0.len(), "{kind}");
        assert!(before.1 == after.1, "{kind}: {:?} became {:?}", before.1.keys(), after.1.keys());
    }
}

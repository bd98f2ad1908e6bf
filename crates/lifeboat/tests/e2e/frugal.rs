//! The cost of a part follows what was chosen: no query for it reads a large table from end to end.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use lifeboat_testing::{Cluster, Homeserver};

use crate::harbour::{Harbour, harbour, recipient};
use crate::program::{DONE, GAPS, lifeboat, server_words};

/// Bytes of a table that may be read from end to end.
const SMALL: u64 = 128 << 10;

/// A homeserver's schema, filled as a server of some years is; not running.
fn wide_server(harbour: &Harbour) -> Homeserver {
    let mut server = harbour.world.empty_server("wide").unwrap();
    server.make_signing_key().unwrap();
    server.start().unwrap();
    server.stop();
    let cluster = &harbour.world.cluster;
    let benches = concat!(env!("CARGO_MANIFEST_DIR"), "/../../benches");
    let output = Command::new(cluster.programs().join("psql"))
        .args(["-X", "-q", "-U", "postgres", "-d", server.database()])
        .args(["-v", "events=9000", "-v", "rooms=90", "-v", "users=300"])
        .arg("-h")
        .arg(cluster.socket_directory())
        .args(["-p", &cluster.port().to_string()])
        .args(["-f", &format!("{benches}/rooms.sql"), "-f", &format!("{benches}/accounts.sql")])
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    cluster.psql(server.database(), "VACUUM ANALYZE").unwrap();
    server
}

/// What PostgreSQL logged since the last call: `auto_explain` logs the plan of every query.
struct Log {
    path: String,
    read: usize,
}

impl Log {
    fn of(cluster: &Cluster, database: &str) -> Self {
        for setting in [
            "session_preload_libraries = 'auto_explain'",
            "auto_explain.log_min_duration = 0",
            "auto_explain.log_nested_statements = on",
        ] {
            let sql = format!("ALTER DATABASE \"{database}\" SET {setting}");
            cluster.psql("postgres", &sql).unwrap();
        }
        let files = cluster.psql("postgres", "SHOW data_directory").unwrap();
        let path = files.replace("/pgdata", "/postgres.log");
        let read = fs::read(&path).unwrap().len();
        Self { path, read }
    }

    fn news(&mut self) -> String {
        let text = fs::read(&self.path).unwrap();
        let news = String::from_utf8_lossy(&text[self.read..]).into_owned();
        self.read = text.len();
        news
    }
}

/// The tables that a log's plans read from end to end.
fn scanned(log: &str) -> BTreeSet<String> {
    let after = log.split("Seq Scan on ").skip(1);
    let names = after.filter_map(|rest| rest.split_whitespace().next());
    names.filter(|name| !name.starts_with("pg_")).map(str::to_owned).collect()
}

#[test]
fn no_query_for_a_part_reads_a_large_table_from_end_to_end() {
    let harbour = harbour();
    let server = wide_server(harbour);
    let (cluster, database) = (&harbour.world.cluster, server.database());
    let room = "SELECT room_id FROM events GROUP BY 1 ORDER BY abs(count(*) - 90) LIMIT 1";
    let room = cluster.psql(database, room).unwrap();
    let dates = format!(
        "SELECT to_char(to_timestamp(percentile_disc(0.5) WITHIN GROUP (ORDER BY origin_server_ts)
                / 1000.0) AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS') FROM events
         WHERE room_id = '{room}'"
    );
    let middle = cluster.psql(database, &dates).unwrap();
    let large = format!(
        "SELECT relname FROM pg_class WHERE relkind = 'r' AND pg_relation_size(oid) > {SMALL}"
    );
    let large = cluster.psql(database, &large).unwrap();
    let large: BTreeSet<String> = large.lines().map(str::to_owned).collect();
    assert!(large.contains("events") && large.contains("state_groups_state"), "{large:?}");
    let mut log = Log::of(cluster, database);
    let recipient = recipient(&harbour.identity);
    for (name, wish) in [
        ("whole", vec!["--room", room.as_str()]),
        ("slice", vec!["--room", &room, "--since", &middle]),
        ("account", vec!["--user", "@user2:bench.test"]),
        ("texts", vec!["--room", &room, "--type", "m.room.mess*", "--media", "none"]),
    ] {
        let package = harbour.world.directory().join(format!("wide-{name}.lifeboat"));
        let mut words = vec!["export".into(), "--json".into(), "-r".into(), (&recipient).into()];
        words.extend(["-o".into(), package.into_os_string()]);
        words.extend(server_words(&server));
        words.extend(wish.iter().map(Into::into));
        let said = lifeboat(words);
        assert!([DONE, GAPS].contains(&said.exit), "{said:?}");
        let news = log.news();
        assert!(news.contains("COPY (SELECT"), "no plans were logged: {news}");
        let scanned: BTreeSet<String> = scanned(&news).intersection(&large).cloned().collect();
        assert!(scanned.is_empty(), "{name}: {scanned:?}\n{news}");
    }
}

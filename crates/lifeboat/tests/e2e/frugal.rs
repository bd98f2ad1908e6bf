//! The cost of a part follows what was chosen: no query for it reads a large table from end to end,
//! and what was kept in a bucket is read where the part lies, and hardly elsewhere.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use lifeboat_testing::seaweed::Seaweed;
use lifeboat_testing::{Cluster, Homeserver, world};

use crate::counted::Counted;
use crate::harbour::{Harbour, harbour, recipient};
use crate::program::{DONE, GAPS, lifeboat, program, server_words};

/// Bytes of a table that may be read from end to end.
const SMALL: u64 = 128 << 10;

/// Media files of a server, so many that they are several ranges, and bytes of each.
const MEDIA_FILES: u32 = 1800;
const MEDIA_BYTES: usize = 12_000;

/// A homeserver's schema, filled as a server of some years is; not running.
fn wide_server(harbour: &Harbour, database: &str) -> Homeserver {
    let mut server = harbour.world.empty_server(database).unwrap();
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
    let server = wide_server(harbour, "wide");
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

/// Gives a server media that no room names.
fn add_media(cluster: &Cluster, server: &Homeserver) {
    for number in 0..MEDIA_FILES {
        let folder = format!("local_content/{:02}/{:02}", number / 100, number % 100);
        let folder = server.media_store().join(folder);
        fs::create_dir_all(&folder).unwrap();
        let mut content = vec![b'x'; MEDIA_BYTES];
        content[..4].copy_from_slice(&number.to_le_bytes());
        fs::write(folder.join("rest"), content).unwrap();
    }
    let rows = format!(
        "INSERT INTO local_media_repository
             (media_id, media_type, media_length, created_ts, user_id, last_access_ts)
         SELECT to_char(n, 'FM0000') || 'rest', 'image/png', {MEDIA_BYTES}, 1700000000000,
                '@user2:bench.test', 1700000000000 FROM generate_series(0, {MEDIA_FILES} - 1) n"
    );
    cluster.psql(server.database(), &rows).unwrap();
}

#[test]
fn one_room_out_of_a_bucket_costs_little_of_the_bucket() {
    let harbour = harbour();
    let server = wide_server(harbour, "bucket");
    let (cluster, database) = (&harbour.world.cluster, server.database());
    add_media(cluster, &server);
    let room = "SELECT room_id FROM events GROUP BY 1 ORDER BY abs(count(*) - 90) LIMIT 1";
    let room = cluster.psql(database, room).unwrap();
    let store = Seaweed::start(harbour.world.tools(), &world::say_on_stderr).unwrap();
    store.make_bucket("rooms").unwrap();
    let counted = Counted::before(store.port());
    let variables = counted.variables(store.writer());
    let run = |words: &[&str], more: Vec<std::ffi::OsString>| {
        let mut command = program();
        command.args(words).args(more).envs(variables.iter().cloned());
        let output = command.output().unwrap();
        assert!([Some(DONE), Some(GAPS)].contains(&output.status.code()), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let (recipient, package) = (recipient(&harbour.identity), "s3://rooms/wide");
    let journal = harbour.world.directory().join("bucket.journal");
    let mut words = vec!["--journal".into(), journal.into_os_string()];
    words.extend(server_words(&server));
    let export = ["export", "--json", "-r", &recipient, "-o", package, "--volume-size", "1MiB"];
    run(&export, words);
    let identity = harbour.identity.to_str().unwrap();
    run(&["verify", "--json", package, "-i", identity], Vec::new());
    let whole = counted.sent();
    let folder = harbour.world.directory().join("one-room");
    let folder = folder.to_str().unwrap();
    run(&["unpack", "--json", package, "-i", identity, "-d", folder, "--room", &room], Vec::new());
    let part = counted.sent();
    let events = fs::read_to_string(format!("{folder}/rooms/events.jsonl")).unwrap();
    assert!(events.lines().count() > 50 && events.contains(&room));
    let listed = run(&["inspect", "--json", package, "-i", identity, "--room", &room], Vec::new());
    assert!(listed.contains(&room));
    let looked = counted.sent();
    assert!(part * 3 < whole, "{part} of {whole} bytes");
    assert!(looked * 4 < whole, "{looked} of {whole} bytes");
}

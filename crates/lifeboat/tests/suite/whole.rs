//! A whole suite: Synapse and MAS cut as one while both are written to, bridges and bots beside
//! them; everything put back beside what runs, and compared.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};

use lifeboat_testing::World;
use serde_json::Value;

use crate::harbour::{Suite, suite, world};

pub(crate) const SCHEMAS: &str = include_str!("schemas.sql");

/// Makes the databases of the suite, and adds their components to `lifeboat.yaml`.
pub(crate) fn equip(world: &World, suite: &Suite) -> Vec<String> {
    let role = world.server.role();
    let mut names = Vec::new();
    for part in SCHEMAS.split("-- database ").skip(1) {
        let (name, sql) = part.split_once('\n').unwrap();
        world.cluster.create_database(name, role).unwrap();
        let sql = format!("SET ROLE \"{}\"; {sql}", role.name);
        world.cluster.psql(name, &sql).unwrap();
        names.push(name.to_owned());
    }
    let url = |name: &str| world.cluster.url(name, role);
    let write = |name: &str, text: String| fs::write(suite.folder.join(name), text).unwrap();
    let mas_key = "07".repeat(32);
    write(
        "mas.yaml",
        format!(
            "database: {{uri: '{}'}}\n\
             secrets: {{encryption: '{mas_key}', keys: [{{key: inline}}]}}\n\
             matrix: {{secret: shared}}\n",
            url("mas")
        ),
    );
    write("sync.env", format!("SYNCV3_DB={}\nSYNCV3_SECRET=of the proxy\n", url("syncv3")));
    let bridge = |engine: &str, name: &str| {
        format!("{engine}: {{engine: postgres, connectionString: '{}'}}\n", url(name))
    };
    write("irc.yaml", bridge("database", "irc"));
    write("xmpp.yaml", bridge("datastore", "xmpp"));
    let whatsapp = url("whatsapp");
    write(
        "whatsapp.yaml",
        format!("appservice: {{as_token: a}}\ndatabase: {{type: postgres, uri: '{whatsapp}'}}\n"),
    );
    let mut yaml = fs::read_to_string(&suite.yaml).unwrap();
    let folder = suite.folder.display();
    writeln!(yaml, "  - {{kind: mas, config: {folder}/mas.yaml}}").unwrap();
    writeln!(yaml, "  - {{kind: sliding_sync, env_file: {folder}/sync.env}}").unwrap();
    for name in ["irc", "xmpp", "whatsapp"] {
        let config = format!("{folder}/{name}.yaml");
        writeln!(yaml, "  - {{kind: bridge, bridge: {name}, name: {name}, config: {config}}}")
            .unwrap();
    }
    fs::write(&suite.yaml, yaml).unwrap();
    names
}

/// MAS knows everybody whom Synapse knows, with one session for each device.
pub(crate) fn introduce(world: &World) {
    let ask = |sql: &str| world.cluster.psql(world.server.database(), sql).unwrap();
    let people = "u.is_guest = 0 AND u.appservice_id IS NULL AND u.deactivated = 0";
    let users = ask(&format!(
        "SELECT string_agg(split_part(substr(name, 2), ':', 1), ' ') FROM users u WHERE {people}"
    ));
    let devices = ask(&format!(
        "SELECT string_agg(split_part(substr(user_id, 2), ':', 1) || '=' || device_id, ' ')
         FROM devices d JOIN users u ON u.name = d.user_id WHERE {people} AND NOT d.hidden
           AND device_id NOT IN (SELECT device_id FROM dehydrated_devices)"
    ));
    let mut sql = format!("SET ROLE \"{}\";", world.server.role().name);
    for user in users.split_whitespace() {
        write!(sql, "INSERT INTO users VALUES (gen_random_uuid(), '{user}');").unwrap();
    }
    for (user, device) in devices.split_whitespace().filter_map(|pair| pair.split_once('=')) {
        write!(
            sql,
            "INSERT INTO compat_sessions (compat_session_id, user_id, device_id)
             SELECT gen_random_uuid(), user_id, '{device}' FROM users WHERE username = '{user}';"
        )
        .unwrap();
    }
    world.cluster.psql("mas", &sql).unwrap();
}

/// Rows of every table and their sum.
pub(crate) fn rows(world: &World, database: &str) -> BTreeMap<String, String> {
    let sums = "SELECT c.oid::regclass || ' ' || query_to_xml(format(
            'SELECT count(*), md5(string_agg(md5(t::text), '''' ORDER BY t::text)) FROM ONLY %s t',
            c.oid::regclass), true, true, '')::text
        FROM pg_class c WHERE c.relkind = 'r' AND c.relnamespace = 'public'::regnamespace";
    let said = world.cluster.psql(database, sums).unwrap();
    let mut found = BTreeMap::new();
    for line in said.lines().filter(|line| line.contains("<row")) {
        let (table, sum) = line.split_once(' ').unwrap();
        found.insert(table.to_owned(), sum.to_owned());
    }
    found
}

/// What came of a step of a restore.
pub(crate) fn step<'a>(outcome: &'a Value, name: &str) -> &'a Value {
    let steps = outcome["steps"].as_array().unwrap();
    let found = steps.iter().find(|step| step[0]["name"] == name);
    &found.unwrap_or_else(|| panic!("no step {name} in {outcome}"))[1]
}

#[test]
fn suite_under_load_is_cut_as_one_put_back_beside_itself_and_compared() {
    let (world, suite) = (world(), suite("whole"));
    let databases = equip(world, &suite);
    introduce(world);
    let told = "ALTER DATABASE irc SET default_statistics_target = 77";
    world.cluster.psql("irc", told).unwrap();
    let over = AtomicBool::new(false);
    let backup = std::thread::scope(|scope| {
        // Writers that hold MAS's tables for as long as a statement takes, all the time.
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                let job = "INSERT INTO queue_jobs (queue_job_id, status, queue_name)
                     SELECT gen_random_uuid(), 'completed', 'load' FROM generate_series(1, 20)";
                world.cluster.psql("mas", job).unwrap();
            }
        });
        let backup = suite.back_up();
        over.store(true, Ordering::Relaxed);
        backup
    });
    let group = &backup["groups"][0];
    assert_eq!(group["method"], "snapshot-equality", "{group}");
    assert_eq!(group["members"].as_array().unwrap().len(), 2, "{group}");
    assert_eq!(group["members"][0]["snapshot"], group["members"][1]["snapshot"], "{group}");
    suite.lifeboat_opened(&["backup", "verify"]).result(0);

    let root = suite.folder.join("root");
    let words = ["restore", "run", "--beside", "_whole", "--no-start", "--root"];
    let words: Vec<&str> = words.into_iter().chain([root.to_str().unwrap()]).collect();
    let outcome = suite.lifeboat_opened(&words).result(3);
    for database in databases.iter().filter(|name| *name != "mas") {
        let (was, is) = (rows(world, database), rows(world, &format!("{database}_whole")));
        assert!(!was.is_empty(), "{database}");
        assert_eq!(was, is, "{database}");
    }
    let told = world.cluster.psql("irc_whole", "SHOW default_statistics_target").unwrap();
    assert_eq!(told.trim(), "77");
    let compared = step(&outcome, "compare");
    assert_eq!(compared["gaps"], serde_json::json!([]), "{compared}");
    assert!(compared["lines"][0].as_str().unwrap().contains(" devices are on both"), "{compared}");
    let reviewed = step(&outcome, "rules/mas");
    assert!(reviewed["gaps"].to_string().contains("deactivate-user"), "{reviewed}");
    let workers = world.cluster.psql("mas_whole", "SELECT count(*) FROM queue_workers").unwrap();
    assert_eq!(workers.trim(), "1", "only the worker that a finished job names");

    // What a sync would destroy is told, by name.
    let lost = "DELETE FROM compat_sessions WHERE device_id = (SELECT min(device_id)
                FROM compat_sessions)";
    world.cluster.psql("mas_whole", lost).unwrap();
    let only: Vec<&str> = words.iter().copied().chain(["--only", "compare"]).collect();
    let outcome = suite.lifeboat_opened(&only).result(3);
    let told = step(&outcome, "compare")["gaps"].to_string();
    assert!(told.contains("1 devices that MAS does not know"), "{told}");
}

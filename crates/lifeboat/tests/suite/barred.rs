//! Runs that are killed while they hold back the writers of MAS, to cut it and Synapse as one.

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::process::{Child, Command, Stdio};

use lifeboat_testing::Cluster;

use crate::faults::{begin_of, end};
use crate::harbour::{Suite, suite, world};
use crate::whole::SCHEMAS;

/// What is cut as one.
const BOTH: &[&str] = &["--component", "synapse", "--component", "mas"];
/// How often a run is killed.
const KILLS: usize = 5;

/// SQL: whether somebody holds writers back.
const HELD: &str = "EXISTS (SELECT FROM pg_locks WHERE mode = 'ShareLock' AND granted
    AND database = (SELECT oid FROM pg_database WHERE datname = 'mas'))";

/// MAS on a database server of its own, so that only the barrier can cut both as one.
fn with_mas(suite: &Suite) -> Cluster {
    let cluster = Cluster::start(&suite.folder.join("other")).unwrap();
    let role = world().server.role();
    cluster.create_role(role, false).unwrap();
    cluster.create_database("mas", role).unwrap();
    let schema = SCHEMAS.split("-- database ").find_map(|part| part.strip_prefix("mas\n"));
    cluster.psql("mas", &format!("SET ROLE \"{}\"; {}", role.name, schema.unwrap())).unwrap();
    let config = suite.folder.join("mas.yaml");
    let (url, key) = (cluster.url("mas", role), "07".repeat(32));
    let text = format!(
        "database: {{uri: '{url}'}}\nsecrets: {{encryption: '{key}', keys: [{{key: inline}}]}}\n\
         matrix: {{secret: shared}}\n"
    );
    fs::write(&config, text).unwrap();
    let mut yaml = fs::read_to_string(&suite.yaml).unwrap();
    writeln!(yaml, "  - {{kind: mas, config: {}}}", config.display()).unwrap();
    fs::write(&suite.yaml, yaml).unwrap();
    cluster
}

/// A program that writes to the last table that a barrier locks, and does not commit: the barrier
/// has all other tables while it waits for this one.
struct Writer(Child);

impl Writer {
    fn begin(cluster: &Cluster) -> Self {
        let mut psql = Command::new(cluster.programs().join("psql"));
        psql.args(["-X", "-q", "-U", "postgres", "-d", "mas", "-h"])
            .arg(cluster.socket_directory());
        psql.arg("-p").arg(cluster.port().to_string()).stdin(Stdio::piped());
        let mut child = psql.spawn().unwrap();
        let sql = "BEGIN;
            SELECT format('LOCK TABLE %s IN ROW EXCLUSIVE MODE', oid::regclass) FROM pg_class
            WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace
            ORDER BY oid DESC LIMIT 1 \\gexec\n";
        child.stdin.as_mut().unwrap().write_all(sql.as_bytes()).unwrap();
        let writes = "EXISTS (SELECT FROM pg_locks WHERE mode = 'RowExclusiveLock' AND granted
            AND database = (SELECT oid FROM pg_database WHERE datname = 'mas'))";
        until(cluster, writes);
        Self(child)
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

/// Waits inside of the server, which sees a barrier of a few milliseconds.
fn until(cluster: &Cluster, condition: &str) {
    let wait = format!(
        "SET statement_timeout = '60s';
         DO $$ BEGIN WHILE NOT {condition} LOOP END LOOP; END $$"
    );
    cluster.psql("postgres", &wait).unwrap();
}

#[test]
fn barrier_of_a_run_that_is_killed_is_gone_and_the_next_run_goes_on() {
    let suite = suite("barred");
    let cluster = with_mas(&suite);
    let first = end(begin_of(&suite, BOTH));
    let proof = first.last_json().to_string();
    assert!(proof.contains("barrier"), "{first:?}");
    let mut held = 0;
    for _ in 0..KILLS {
        let writer = Writer::begin(&cluster);
        let mut run = begin_of(&suite, BOTH);
        until(&cluster, HELD);
        run.kill().unwrap();
        run.wait().unwrap();
        // Its session outlives it by the limit of the lock that it waits for.
        held += usize::from(cluster.psql("postgres", &format!("SELECT {HELD}")).unwrap() == "t");
        until(&cluster, &format!("NOT {HELD}"));
        let write = "SET lock_timeout = '1s'; LOCK TABLE users IN ROW EXCLUSIVE MODE";
        cluster.psql("mas", &format!("BEGIN; {write}; COMMIT")).unwrap();
        drop(writer);
        let said = suite.lifeboat_opened(&["backup", "verify", "--all"]);
        assert_eq!(said.exit, 0, "{said:?}");
    }
    assert!(held > 0, "no run was killed while it held anybody back");
    let again = end(begin_of(&suite, BOTH));
    assert_eq!(again.exit, first.exit, "{again:?}");
    let said = suite.lifeboat_opened(&["backup", "verify", "--all"]);
    assert_eq!(said.exit, 0, "{said:?}");
}

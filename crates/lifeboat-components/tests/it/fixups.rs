//! A copied database of a real Synapse is made safe, and the real Synapse works on it.

use std::collections::BTreeMap;
use std::process::{Command, Stdio};
use std::sync::{LazyLock, Mutex};
use std::time::Duration;

use lifeboat_components::synapse::fixups::{
    self, DelayedEvents, Done, FixupFacts, FixupLine, ForeignKey, RemoteFile, RemoteMedia, Rule,
};
use lifeboat_components::synapse::schema::{self, SequenceState};
use lifeboat_components::synapse::sequences::{self, MARGIN, SequenceLine};
use lifeboat_testing::http::Request;
use lifeboat_testing::synapse::APPSERVICE_TOKEN;
use lifeboat_testing::{Cluster, Homeserver, Role, wait};
use tokio_postgres::{Client, NoTls};

use crate::standing_synapse::standing_synapse;

const OWNER: &str = "synapse";
const MODEL: &str = "fixups_model";

/// 2026-01-01, in milliseconds.
const NOW: i64 = 1_767_225_600_000;

/// A copy of the standing server's database that nobody ever connects to, to be copied from.
static COPYING: LazyLock<Mutex<()>> = LazyLock::new(|| {
    let world = standing_synapse();
    cluster().create_database(MODEL, &Role::named(OWNER)).expect("the model is new");
    let mut dump = program("pg_dump")
        .arg(world.server.database())
        .stdout(Stdio::piped())
        .spawn()
        .expect("pg_dump runs");
    let output = dump.stdout.take().expect("its output is piped");
    let load = ["-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", MODEL];
    let loaded = program("psql").args(load).stdin(output).stdout(Stdio::null()).status();
    assert!(loaded.expect("psql runs").success(), "the dump is loaded");
    assert!(dump.wait().expect("pg_dump ends").success(), "the dump is whole");
    Mutex::new(())
});

fn cluster() -> &'static Cluster {
    &standing_synapse().cluster
}

fn program(name: &str) -> Command {
    let mut command = Command::new(cluster().programs().join(name));
    command.args(["--username=postgres", "--host"]).arg(cluster().socket_directory());
    command.arg(format!("--port={}", cluster().port()));
    command
}

/// A database of the standing server's data, its own to change.
fn copied(name: &str) {
    let _turn = COPYING.lock().expect("no other copy failed");
    let sql = format!("CREATE DATABASE \"{name}\" TEMPLATE {MODEL} OWNER {OWNER}");
    cluster().psql("postgres", &sql).expect("the model is copied");
}

async fn connect(database: &str) -> Client {
    let url = cluster().url(database, &Role::named(OWNER));
    let (client, connection) = tokio_postgres::connect(&url, NoTls).await.expect("connects");
    tokio::spawn(async move { connection.await.expect("the connection lasts") });
    client
}

/// A copied database and a session in it.
async fn copy(name: &str) -> Client {
    copied(name);
    connect(name).await
}

async fn number(client: &Client, query: &str) -> i64 {
    client.query_one(&format!("SELECT ({query})::bigint"), &[]).await.expect(query).get(0)
}

async fn saved(client: &Client) -> Vec<SequenceState> {
    schema::read_sequences(client).await.expect("the sequences can be read")
}

/// Where each sequence stands: the number it gives next.
async fn next(client: &Client) -> BTreeMap<String, i64> {
    let states = saved(client).await;
    states.into_iter().map(|s| (s.name, s.last_value + i64::from(s.is_called))).collect()
}

/// Puts all sequences back to where a new one is.
async fn forget_sequences(client: &Client) {
    let sql = "SELECT setval(sequencename::regclass, 1, false) FROM pg_sequences
        WHERE schemaname = 'public'";
    client.query(sql, &[]).await.expect("the sequences are set back");
}

async fn apply(client: &Client, facts: &FixupFacts) -> Vec<FixupLine> {
    let lines = fixups::apply(client, facts).await.expect("the fix-ups succeed");
    for line in &lines {
        let width = line.to_string().chars().count();
        assert!(width <= 110, "{width} characters: {line}");
    }
    lines
}

fn facts() -> FixupFacts {
    FixupFacts { now_ms: NOW, delayed_events: DelayedEvents::Keep, remote_media: RemoteMedia::All }
}

/// The lines of a rule, without the rule.
fn of(lines: &[FixupLine], rule: Rule) -> Vec<(Done, u64, &str)> {
    let lines = lines.iter().filter(|line| line.rule == rule);
    lines.map(|line| (line.done, line.rows, line.detail.as_str())).collect()
}

fn line<'a>(lines: &'a [SequenceLine], sequence: &str) -> &'a SequenceLine {
    lines.iter().find(|line| line.sequence == sequence).expect(sequence)
}

#[tokio::test]
async fn every_sequence_of_synapse_is_known_and_goes_on_past_all_that_is_in_use() {
    let client = copy("fixups_sequences").await;
    let package = saved(&client).await;
    let before = next(&client).await;
    forget_sequences(&client).await;
    let lines = sequences::restore(&client, &package, MARGIN).await.expect("restores");
    let after = next(&client).await;
    assert_eq!(lines.len(), before.len());
    for line in &lines {
        assert!(!line.why.contains("unknown"), "{line}");
        assert!(line.to_string().chars().count() <= 110, "{line}");
        let (before, after) = (before[&line.sequence], after[&line.sequence]);
        assert!(after >= before, "{line}");
        assert_eq!(after, (line.now + 1).max(1), "{line}");
    }
    let margin = i64::try_from(MARGIN).unwrap();
    for raised in ["events_stream_seq", "device_inbox_sequence", "events_backfill_stream_seq"] {
        assert_eq!(after[raised], before[raised] + margin, "{raised}");
    }
    for inner in ["state_group_id_seq", "event_auth_chain_id", "instance_map_instance_id_seq"] {
        assert_eq!(after[inner], before[inner], "{inner}");
    }
    assert_eq!(sequences::restore(&client, &package, MARGIN).await.unwrap(), lines, "once more");
    assert_eq!(next(&client).await, after);
}

#[tokio::test]
async fn rows_and_positions_count_where_the_saved_sequences_are_behind() {
    let client = copy("fixups_behind").await;
    client
        .batch_execute(
            "UPDATE stream_positions SET stream_id = 777000 WHERE stream_name = 'receipts';
             INSERT INTO stream_positions VALUES ('backfill', 'master', -4000);
             INSERT INTO device_inbox VALUES ('@a:b', 'C', 888000, '{}');
             INSERT INTO sliding_sync_connections (connection_key, user_id, effective_device_id,
               conn_id, created_ts) OVERRIDING SYSTEM VALUE VALUES (9000, '@a:b', 'C', '', 0);
             INSERT INTO ex_outlier_stream VALUES (-3000, '$e', 1, 'master')",
        )
        .await
        .expect("rows are added");
    forget_sequences(&client).await;
    let lines = sequences::restore(&client, &[], 10).await.expect("restores");
    let now = |sequence| line(&lines, sequence).now;
    assert_eq!(now("receipts_sequence"), 777_010);
    assert_eq!(now("events_backfill_stream_seq"), 4010);
    assert_eq!(now("device_inbox_sequence"), 888_010);
    assert_eq!(now("sliding_sync_connections_connection_key_seq"), 9000);
    let key = "INSERT INTO sliding_sync_connections (user_id, effective_device_id, conn_id,
        created_ts) VALUES ('@b:b', 'C', '', 0) RETURNING connection_key";
    let key: i64 = client.query_one(key, &[]).await.expect("the number is new").get(0);
    assert_eq!(key, 9001);
}

#[tokio::test]
async fn sequence_of_a_32_bit_column_stays_below_its_end() {
    let client = copy("fixups_narrow").await;
    let mut package = saved(&client).await;
    let end = i64::from(i32::MAX);
    for state in &mut package {
        state.last_value = end - 20_000_000;
        state.is_called = true;
    }
    let lines = sequences::restore(&client, &package, 10_000_000).await.expect("restores");
    let narrow =
        ["sticky_events_sequence", "thread_subscriptions_sequence", "quarantined_media_id_seq"];
    for sequence in narrow {
        let line = line(&lines, sequence);
        assert!(line.used < line.now && line.now < end - 10_000_000, "{line}");
        assert!(line.why.contains("32-bit"), "{line}");
    }
    assert_eq!(line(&lines, "events_stream_seq").now, end - 10_000_000);
}

#[tokio::test]
async fn unknown_sequences_are_raised_and_those_the_schema_lacks_are_named() {
    let client = copy("fixups_unknown").await;
    let sql = "CREATE TABLE plugin (id serial, note text);
        INSERT INTO plugin (id) VALUES (30);
        CREATE SEQUENCE \"Odd one\" INCREMENT BY -2";
    client.batch_execute(sql).await.expect("a module adds its own");
    let gone = SequenceState { name: "gone".to_owned(), last_value: 3, is_called: true };
    let lines = sequences::restore(&client, &[gone], 10).await.expect("restores");
    assert_eq!(line(&lines, "plugin_id_seq").now, 40);
    assert_eq!(line(&lines, "Odd one").done, Done::Decide);
    assert!(line(&lines, "gone").why.contains("does not"));
    assert_eq!(next(&client).await["plugin_id_seq"], 41);
}

#[tokio::test]
async fn only_the_current_schema_is_touched() {
    let client = copy("fixups_staging").await;
    let before = next(&client).await;
    client
        .batch_execute(
            "CREATE SCHEMA \"Staging\"; SET search_path = \"Staging\";
             CREATE TABLE e2e_one_time_keys_json (id bigint GENERATED ALWAYS AS IDENTITY);
             INSERT INTO e2e_one_time_keys_json DEFAULT VALUES;
             CREATE SEQUENCE events_stream_seq",
        )
        .await
        .expect("a staging schema is made");
    let lines = sequences::restore(&client, &[], 10).await.expect("restores");
    assert_eq!(lines.len(), 2);
    let lines = apply(&client, &facts()).await;
    let emptied = (Done::Applied, 1, "1 row of e2e_one_time_keys_json removed");
    assert_eq!(of(&lines, Rule::OneTimeKeys), [emptied]);
    let skipped = (Done::Nothing, 0, "no table scheduled_tasks in this schema: skipped");
    assert_eq!(of(&lines, Rule::ScheduledTasks), [skipped]);
    assert!(lines.iter().all(|line| line.done != Done::Decide), "{lines:?}");
    client.batch_execute("SET search_path = public").await.expect("goes back");
    assert_eq!(next(&client).await, before);
    assert!(number(&client, "SELECT count(*) FROM e2e_one_time_keys_json").await > 1);
}

/// Everything a server may have been in the middle of when it was exported.
const LEFTOVERS: &str = "
    DELETE FROM scheduled_tasks; DELETE FROM delayed_events; DELETE FROM users_pending_deactivation;
    DELETE FROM event_expiry; DELETE FROM application_services_txns;
    DELETE FROM remote_media_cache; DELETE FROM remote_media_cache_thumbnails;
    INSERT INTO scheduled_tasks (id, action, status, timestamp, resource_id) VALUES
      ('t1', 'purge_room', 'active', 1, '!room:lifeboat.test'),
      ('t2', 'shutdown_and_purge_room', 'scheduled', 2, NULL),
      ('t3', 'purge_history', 'complete', 3, '!room:lifeboat.test');
    INSERT INTO delayed_events
      (delay_id, user_localpart, delay, send_ts, room_id, event_type, content) VALUES
      ('d1', 'nobody', 1, 1767225599999, '!room:lifeboat.test', 'm.room.message', '{}'),
      ('d2', 'nobody', 1, 4102444800000, '!room:lifeboat.test', 'm.room.message', '{}');
    INSERT INTO users_pending_deactivation VALUES ('@leaving:lifeboat.test');
    INSERT INTO event_expiry VALUES ('$old', 1), ('$young', 4102444800000);
    INSERT INTO application_services_txns VALUES ('importer', 7, '[]');
    INSERT INTO worker_locks VALUES ('name', 'key', 'master', 'token', 1);
    INSERT INTO worker_read_write_locks VALUES ('name', 'key', 'master', true, 'token', 1);
    INSERT INTO remote_media_cache (media_origin, media_id, filesystem_id, quarantined_by) VALUES
      ('far.test', 'here', 'f1', NULL), ('far.test', 'gone', 'f2', NULL),
      ('far.test', 'bad', 'f3', '@admin:lifeboat.test');
    INSERT INTO remote_media_cache_thumbnails (media_origin, media_id, filesystem_id) VALUES
      ('far.test', 'here', 'f1'), ('far.test', 'gone', 'f2');
    INSERT INTO e2e_one_time_keys_json VALUES ('@a:lifeboat.test', 'D', 'alg', 'k', 1, '{}')";

#[tokio::test]
async fn what_would_go_on_by_itself_is_stopped_or_listed() {
    let client = copy("fixups_leftovers").await;
    client.batch_execute(LEFTOVERS).await.expect("leftovers are added");
    let lines = apply(&client, &facts()).await;
    let cancelled = [
        (Done::Applied, 1, "cancelled purge_room of !room:lifeboat.test"),
        (Done::Applied, 1, "cancelled shutdown_and_purge_room of -"),
    ];
    assert_eq!(of(&lines, Rule::ScheduledTasks), cancelled);
    let open = "SELECT count(*) FROM scheduled_tasks WHERE status <> 'cancelled'";
    assert_eq!(number(&client, open).await, 1, "the finished task stays finished");
    let kept = (Done::Decide, 2, "2 events kept; 1 overdue, sent when Synapse starts");
    assert_eq!(of(&lines, Rule::DelayedEvents), [kept]);
    let leaving = [
        (Done::Decide, 1, "1 user is deactivated when Synapse starts"),
        (Done::Decide, 1, "@leaving:lifeboat.test"),
    ];
    assert_eq!(of(&lines, Rule::Deactivations), leaving);
    let expired = (Done::Decide, 1, "1 event expires when Synapse starts");
    assert_eq!(of(&lines, Rule::EventExpiry), [expired]);
    assert_eq!(of(&lines, Rule::ApplicationServices)[1], (Done::Decide, 1, "importer 7"));
    assert_eq!(of(&lines, Rule::RemoteMedia)[0].0, Done::Nothing);
    assert_eq!(of(&lines, Rule::OneTimeKeys)[0].0, Done::Applied);
    let locks: Vec<Done> = of(&lines, Rule::Locks).iter().map(|line| line.0).collect();
    assert_eq!(locks, [Done::Applied; 3]);
    for empty in ["e2e_one_time_keys_json", "worker_locks", "worker_read_write_locks_mode"] {
        assert_eq!(number(&client, &format!("SELECT count(*) FROM {empty}")).await, 0, "{empty}");
    }
    let fallback = number(&client, "SELECT count(*) FROM e2e_fallback_keys_json").await;
    assert!(fallback > 0, "the seeded devices have fallback keys");
    assert_eq!(of(&lines, Rule::FallbackKeys)[0].1, fallback.unsigned_abs());
    let again = apply(&client, &facts()).await;
    assert!(again.iter().all(|line| line.done != Done::Applied), "{again:?}");
}

#[tokio::test]
async fn delayed_events_can_be_dropped_for_good() {
    let client = copy("fixups_delayed").await;
    client.batch_execute(LEFTOVERS).await.expect("leftovers are added");
    let facts = FixupFacts { delayed_events: DelayedEvents::Drop, ..facts() };
    let lines = apply(&client, &facts).await;
    let dropped = (Done::Applied, 2, "2 events removed, never to be sent; 1 were overdue");
    assert_eq!(of(&lines, Rule::DelayedEvents), [dropped]);
    assert_eq!(number(&client, "SELECT count(*) FROM delayed_events").await, 0);
}

#[tokio::test]
async fn rows_of_missing_remote_media_go_and_quarantined_ones_stay() {
    let client = copy("fixups_remote").await;
    client.batch_execute(LEFTOVERS).await.expect("leftovers are added");
    let file = |id: &str| RemoteFile { origin: "far.test".into(), media_id: id.into() };
    let missing = RemoteMedia::Missing(vec![file("gone"), file("bad"), file("never heard of")]);
    let lines = apply(&client, &FixupFacts { remote_media: missing, ..facts() }).await;
    assert_eq!(of(&lines, Rule::RemoteMedia)[0].1, 1);
    let rows = "SELECT string_agg(media_id, ' ' ORDER BY media_id) FROM remote_media_cache";
    let left: String = client.query_one(rows, &[]).await.unwrap().get(0);
    assert_eq!(left, "bad here");
    let thumbnails = "SELECT count(*) FROM remote_media_cache_thumbnails";
    assert_eq!(number(&client, thumbnails).await, 1);
    let none = FixupFacts { remote_media: RemoteMedia::NoneRestored, ..facts() };
    apply(&client, &none).await;
    let left: String = client.query_one(rows, &[]).await.unwrap().get(0);
    assert_eq!(left, "bad");
    assert_eq!(number(&client, thumbnails).await, 0);
}

#[tokio::test]
async fn position_past_its_sequence_is_named() {
    let client = copy("fixups_positions").await;
    let lines = apply(&client, &facts()).await;
    let positions = of(&lines, Rule::Positions);
    assert_eq!(positions.len(), 1, "{positions:?}");
    assert!(positions[0].1 > 15, "{positions:?}");
    let ahead = "UPDATE appservice_stream_position SET stream_ordering = 99999999";
    client.batch_execute(ahead).await.expect("moves");
    let lines = apply(&client, &facts()).await;
    let (done, _, detail) = of(&lines, Rule::Positions)[0];
    assert_eq!(done, Done::Decide);
    assert!(detail.starts_with("appservice_stream_position 99999999 is past"), "{detail}");
}

#[tokio::test]
async fn rows_that_point_nowhere_are_dropped_and_the_key_is_made() {
    let client = copy("fixups_dangling").await;
    client
        .batch_execute(
            "ALTER TABLE event_txn_id_device_id
               DROP CONSTRAINT event_txn_id_device_id_user_id_device_id_fkey;
             DELETE FROM event_txn_id_device_id;
             INSERT INTO event_txn_id_device_id
               SELECT e.event_id, e.room_id, d.user_id, d.device_id || x.suffix, 'T' || x.suffix, 0
               FROM (VALUES (1, ''), (2, '?')) x (number, suffix)
               JOIN (SELECT *, row_number() OVER () AS number FROM events) e USING (number)
               CROSS JOIN (SELECT * FROM devices LIMIT 1) d;
             ALTER TABLE refresh_tokens DROP CONSTRAINT refresh_tokens_next_token_id_fkey;
             INSERT INTO refresh_tokens (id, user_id, device_id, token, next_token_id)
               VALUES (901, '', '', 'a', 902), (902, '', '', 'b', 903), (903, '', '', 'c', 904),
                 (905, '', '', 'e', NULL)",
        )
        .await
        .expect("rows are added");
    let add = "ALTER TABLE ONLY public.event_txn_id_device_id
        ADD CONSTRAINT event_txn_id_device_id_user_id_device_id_fkey
        FOREIGN KEY (user_id, device_id) REFERENCES devices(user_id, device_id) ON DELETE CASCADE";
    let refused = client.batch_execute(add).await.expect_err("a row points nowhere");
    assert_eq!(refused.code().map(tokio_postgres::error::SqlState::code), Some("23503"));
    let (table, name) = ("event_txn_id_device_id", "event_txn_id_device_id_user_id_device_id_fkey");
    let dropped = fixups::mend_foreign_key(&client, table, name, add).await.expect("mends");
    assert_eq!(dropped, 1);
    let valid =
        format!("SELECT count(*) FROM pg_constraint WHERE conname = '{name}' AND convalidated");
    assert_eq!(number(&client, &valid).await, 1);
    let chain = ForeignKey {
        table: "refresh_tokens".to_owned(),
        columns: vec!["next_token_id".to_owned()],
        referenced: "refresh_tokens".to_owned(),
        referenced_columns: vec!["id".to_owned()],
    };
    assert_eq!(fixups::drop_dangling(&client, &chain).await.expect("drops"), 3);
    assert_eq!(number(&client, "SELECT count(*) FROM refresh_tokens WHERE id > 900").await, 1);
}

/// Tables with one row, and the row that each has on a healthy server that stands still.
const SINGLETONS: [&str; 10] = [
    "appservice_stream_position",
    "delayed_events_stream_pos",
    "device_lists_changes_converted_stream_position",
    "device_lists_changes_in_room_max_pruned_stream_id",
    "event_push_summary_last_receipt_stream_id",
    "event_push_summary_stream_ordering",
    "federation_stream_position",
    "room_forgetter_stream_pos",
    "stats_incremental_position",
    "user_directory_stream_pos",
];

#[tokio::test]
async fn synapse_works_on_a_database_whose_single_rows_were_put_back() {
    let world = standing_synapse();
    let mut server = world.empty_server("fixups_started").expect("a server is prepared");
    cluster().drop_database(server.database()).expect("its database makes room");
    let client = copy(server.database()).await;
    let package = saved(&client).await;
    for table in SINGLETONS {
        client.execute(&format!("DELETE FROM {table}"), &[]).await.expect("loses its row");
    }
    sequences::restore(&client, &package, MARGIN).await.expect("restores");
    let lines = apply(&client, &facts()).await;
    let put_back = of(&lines, Rule::Singletons);
    let applied = put_back.iter().filter(|line| line.0 == Done::Applied).count();
    assert_eq!(applied, SINGLETONS.len() + 1, "{put_back:?}");
    assert_eq!(number(&client, "SELECT count(*) FROM federation_stream_position").await, 2);
    server.start().expect("Synapse starts");
    loops_keep_up(&server, &client).await;
    server.stop();
    assert_eq!(server.errors_in_log().expect("has a log"), Vec::<String>::new());
}

/// Makes events, and waits until the background loops have seen them.
async fn loops_keep_up(server: &Homeserver, client: &Client) {
    let request = Request {
        port: server.port(),
        method: "POST",
        path: "/_matrix/client/v3/createRoom",
        token: Some(APPSERVICE_TOKEN),
        json: Some(r#"{"preset": "public_chat"}"#),
    };
    let answer = request.send().expect("Synapse answers");
    assert_eq!(answer.status, 200, "{}", answer.text());
    let newest = number(client, "SELECT max(stream_ordering) FROM events").await;
    assert!(newest.unsigned_abs() > MARGIN, "the new events are past the margin");
    let slowest = "SELECT least(
        (SELECT stream_id FROM stats_incremental_position),
        (SELECT stream_id FROM user_directory_stream_pos),
        (SELECT stream_id FROM room_forgetter_stream_pos),
        (SELECT stream_id FROM federation_stream_position WHERE type = 'events'),
        (SELECT stream_ordering FROM appservice_stream_position))";
    let database = server.database();
    let reached = wait::until(Duration::from_mins(1), || {
        let at = cluster().psql(database, slowest)?;
        Ok(at.parse::<i64>().is_ok_and(|at| at >= newest))
    });
    assert!(reached.expect("the database answers"), "a loop does not keep up with {newest}");
}

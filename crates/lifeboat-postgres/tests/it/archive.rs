//! What is read of a database that lives on.

use lifeboat_postgres::Client;
use lifeboat_postgres::PostgresError;
use lifeboat_postgres::archive::{
    DatabaseFacts, LocaleProvider, Segments, TableShape, facts, sequences, tables,
};
use lifeboat_postgres::connect::Connector;
use lifeboat_postgres::cut::Cut;

use crate::standing::{OWNER, newer, one};

async fn filled(rows: u32) -> (Connector, Client) {
    let source = one().fresh("log");
    let client = source.connect().await.unwrap();
    let make = format!(
        "CREATE TABLE entries (id bigint PRIMARY KEY, said text) WITH (fillfactor = 90);
         INSERT INTO entries SELECT n, repeat(md5(n::text), 30) FROM generate_series(1, {rows}) n"
    );
    client.batch_execute(&make).await.unwrap();
    (source, client)
}

async fn read(source: &Connector) -> Vec<Vec<u8>> {
    let cut = Cut::open(source).await.unwrap();
    let shapes = tables(&cut).await.unwrap();
    let lane = cut.lane().await.unwrap();
    let mut segments = Segments::start(&lane, &shapes[0]).await.unwrap();
    let mut copies = Vec::new();
    while let Some(segment) = segments.next().await.unwrap() {
        copies.push(segment.copy);
    }
    copies
}

#[tokio::test]
async fn rows_added_and_changed_leave_most_segments_of_a_table_as_they_were() {
    let (source, client) = filled(24_000).await;
    let before = read(&source).await;
    assert_eq!(before, read(&source).await);
    assert!(before.len() >= 8, "{}", before.len());
    let change = "UPDATE entries SET said = 'changed' WHERE id IN (9000, 9001);
        INSERT INTO entries SELECT n, 'more' FROM generate_series(90000, 90400) n";
    client.batch_execute(change).await.unwrap();
    let after = read(&source).await;
    let known = after.iter().filter(|segment| before.contains(segment)).count();
    // The segment of the changed rows, one where their new versions lie, and the open end.
    assert!(known + 4 >= after.len(), "{known} of {} are known", after.len());
    assert!(known < after.len());
}

#[tokio::test]
async fn table_that_is_not_any_more_what_the_snapshot_shows_asks_for_another_cut() {
    for change in [
        "TRUNCATE entries",
        "ALTER TABLE entries ADD COLUMN more text",
        "ALTER TABLE entries ALTER COLUMN id TYPE numeric",
        "DROP TABLE entries",
    ] {
        let (source, client) = filled(10).await;
        let cut = Cut::open(&source).await.unwrap();
        client.batch_execute(change).await.unwrap();
        let moved = tables(&cut).await.unwrap_err();
        assert!(matches!(&moved, PostgresError::Moved { table } if table == "public.entries"));
        assert!(moved.is_transient(), "{change}: {moved}");
    }
    let (source, client) = filled(10).await;
    let cut = Cut::open(&source).await.unwrap();
    // Rows and tables of later are not of this cut, and do it no harm.
    client.batch_execute("DELETE FROM entries; CREATE TABLE later (x int)").await.unwrap();
    let shapes = tables(&cut).await.unwrap();
    let labels: Vec<String> = shapes.iter().map(TableShape::label).collect();
    assert_eq!(labels, ["public.entries"]);
    let lane = cut.lane().await.unwrap();
    let mut segments = Segments::start(&lane, &shapes[0]).await.unwrap();
    assert_eq!(segments.next().await.unwrap().unwrap().rows, 10);
    let drop = "SET lock_timeout = '50ms'; DROP TABLE entries";
    assert!(client.batch_execute(drop).await.is_err(), "it is held");
}

#[tokio::test]
async fn table_that_another_session_has_locked_is_named() {
    let (source, client) = filled(1).await;
    let cut = Cut::open(&source).await.unwrap();
    client.batch_execute("BEGIN; LOCK TABLE entries IN ACCESS EXCLUSIVE MODE").await.unwrap();
    let busy = tables(&cut).await.unwrap_err();
    assert!(matches!(&busy, PostgresError::Busy { table } if table == "public.entries"), "{busy}");
}

#[tokio::test]
async fn facts_of_a_database_tell_what_it_takes_to_make_one_like_it() {
    let (source, client) = filled(1).await;
    let name = source.database();
    one().cluster.create_role(&lifeboat_testing::Role::named("lookout"), false).unwrap();
    let set = format!(
        "CREATE EXTENSION pg_trgm; ALTER DATABASE {name} SET search_path = public, extra;
         GRANT SELECT ON entries TO lookout; SELECT lo_create(0); CREATE PUBLICATION wire"
    );
    client.batch_execute(&set).await.unwrap();
    let cut = Cut::open(&source).await.unwrap();
    let known = facts(&cut).await.unwrap();
    let text = serde_json::to_string(&known).unwrap();
    assert_eq!(serde_json::from_str::<DatabaseFacts>(&text).unwrap(), known);
    assert_eq!(known.name, name);
    assert!((140_000..1_000_000).contains(&known.server_version), "{}", known.server_version);
    assert!(known.server_text.starts_with("PostgreSQL "), "{}", known.server_text);
    assert_eq!((known.encoding.as_str(), known.collate.as_str()), ("UTF8", "C"));
    assert_eq!((known.ctype.as_str(), known.locale_provider), ("C", LocaleProvider::Libc));
    assert_eq!(known.owner, OWNER);
    assert_eq!(known.roles, [OWNER, "lookout"]);
    let extensions: Vec<&str> = known.extensions.iter().map(|e| e.name.as_str()).collect();
    assert_eq!(extensions, ["pg_trgm", "plpgsql"]);
    assert_eq!(known.settings, ["search_path=public, extra"]);
    assert_eq!(known.large_objects, 1);
    assert_eq!(known.replication, ["publication wire"]);
    assert!(known.size_bytes > 1_000_000);
    // The columns are others in newer versions.
    let modern = Cut::open(&newer().fresh("facts")).await.unwrap();
    assert_eq!(facts(&modern).await.unwrap().locale_provider, LocaleProvider::Libc);
}

#[tokio::test]
async fn sequence_read_after_the_cut_is_past_every_row_of_it() {
    let source = one().fresh("counted");
    let client = source.connect().await.unwrap();
    let make = "CREATE TABLE entries (id bigserial, x int); CREATE SEQUENCE never START 9";
    client.batch_execute(make).await.unwrap();
    client.batch_execute("INSERT INTO entries (x) SELECT generate_series(1, 5)").await.unwrap();
    let _cut = Cut::open(&source).await.unwrap();
    client.batch_execute("INSERT INTO entries (x) VALUES (6)").await.unwrap();
    let values = sequences(&source.connect().await.unwrap()).await.unwrap();
    let told: Vec<(&str, i64, bool)> =
        values.iter().map(|s| (s.name.as_str(), s.value, s.is_called)).collect();
    assert_eq!(told, [("entries_id_seq", 6, true), ("never", 9, false)]);
}

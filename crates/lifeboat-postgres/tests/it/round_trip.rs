//! A database with everything that is hard, out and back, into the same and a newer version.

use bytes::Bytes;
use lifeboat_postgres::Client;
use lifeboat_postgres::archive::{
    DatabaseFacts, Segments, SequenceValue, TableShape, facts, sequences, tables,
};
use lifeboat_postgres::connect::Connector;
use lifeboat_postgres::cut::Cut;
use lifeboat_postgres::restore::{self, Board, Filling, RestoreError, Wanted};
use lifeboat_postgres::schema_text::{PgDump, SchemaText, SearchPlaces, schema_text};

use crate::standing::{OWNER, Standing, newer, one};

/// What a plain owner can make that is hard to carry.
const HARD: &str = include_str!("hard.sql");

struct Kept {
    facts: DatabaseFacts,
    schema: SchemaText,
    tables: Vec<(TableShape, Vec<Bytes>)>,
    sequences: Vec<SequenceValue>,
}

async fn keep(connector: &Connector, places: &SearchPlaces) -> Kept {
    let cut = Cut::open(connector).await.unwrap();
    let shapes = tables(&cut).await.unwrap();
    let facts = facts(&cut).await.unwrap();
    let program = PgDump::find(facts.server_version, places).await.unwrap();
    let schema = schema_text(&cut, &program).await.unwrap();
    let lane = cut.lane().await.unwrap();
    let mut kept = Vec::new();
    for shape in shapes {
        let mut segments = Segments::start(&lane, &shape).await.unwrap();
        let mut copies = Vec::new();
        while let Some(segment) = segments.next().await.unwrap() {
            copies.push(Bytes::from(segment.copy));
        }
        kept.push((shape, copies));
    }
    let sequences = sequences(&connector.connect().await.unwrap()).await.unwrap();
    Kept { facts, schema, tables: kept, sequences }
}

async fn bring(kept: &Kept, standing: &Standing, name: &str) -> Connector {
    let administration = standing.connector("postgres");
    restore::create_database(&administration, name, &kept.facts, None).await.unwrap();
    let connector = administration.to_database(name);
    let lane = restore::lane(&connector).await.unwrap();
    assert!(restore::is_empty(&lane).await.unwrap());
    let skipped = restore::run_schema(&lane, &kept.schema.before).await.unwrap();
    assert_eq!(skipped, []);
    assert!(!restore::is_empty(&lane).await.unwrap());
    restore::set_sequences(&lane, &kept.sequences).await.unwrap();
    let wanted = kept.tables.iter().map(|(shape, copies)| Wanted {
        shape,
        bytes: copies.iter().map(|copy| copy.len() as u64).sum(),
        load: true,
        analyze: true,
    });
    let wanted: Vec<Wanted<'_>> = wanted.collect();
    let board = Board::new(&wanted, (&kept.schema.after, kept.facts.search_path()));
    let rows = async |lane: &Client, table: usize| {
        let (shape, copies) = &kept.tables[table];
        let filling = restore::begin_table(lane, (shape, &kept.facts)).await?;
        for copy in copies {
            filling.load(shape, copy.clone()).await?;
        }
        Ok(filling.finish().await?)
    };
    let skipped = restore::work_off::<RestoreError>((&connector, 2), &board, rows, |e| e);
    assert_eq!(skipped.await.unwrap(), []);
    connector
}

/// Indexes, constraints, triggers, policies and comments.
const CATALOGUE: &str = r"
    WITH ours AS (SELECT oid FROM pg_namespace WHERE nspname IN ('public', 'deep', 'Odd; name'))
    SELECT string_agg(line, E'\n' ORDER BY line) FROM (
        SELECT pg_get_indexdef(indexrelid) AS line FROM pg_index
        JOIN pg_class ON pg_class.oid = indexrelid WHERE relnamespace IN (TABLE ours)
        UNION ALL
        SELECT conname || ' ' || pg_get_constraintdef(oid) FROM pg_constraint
        WHERE connamespace IN (TABLE ours) AND contype <> 'n'
        UNION ALL
        SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal
        UNION ALL
        SELECT policyname || coalesce(qual, '') FROM pg_policies
        UNION ALL
        SELECT obj_description(oid) FROM pg_class
        WHERE relnamespace IN (TABLE ours) AND obj_description(oid) IS NOT NULL
    ) AS lines";

/// Everything in a database, as text that does not depend on where it is.
async fn look(client: &Client, kept: &Kept) -> Vec<String> {
    let mut seen = Vec::new();
    for (shape, _) in &kept.tables {
        let question = format!(
            "SELECT coalesce(string_agg(left(line, 2000) || md5(line), E'\\n' ORDER BY line), '')
             FROM (SELECT the_row::text AS line FROM ONLY {} the_row) AS lines",
            shape.qualified()
        );
        let row = client.query_one(question.as_str(), &[]).await.unwrap();
        seen.push(format!("{}:\n{}", shape.label(), row.get::<_, String>(0)));
    }
    let row = client.query_one(CATALOGUE, &[]).await.unwrap();
    seen.push(row.get(0));
    seen.extend(sequences(client).await.unwrap().iter().map(|s| format!("{s:?}")));
    seen
}

async fn there_and_back(target: &Standing, name: &str) {
    let source = one().fresh("hard");
    let client = restore::lane(&source).await.unwrap();
    client.batch_execute(HARD).await.unwrap();
    let kept = keep(&source, &SearchPlaces::default()).await;
    let labels: Vec<String> = kept.tables.iter().map(|(shape, _)| shape.label()).collect();
    assert!(labels.contains(&"deep.days_2026".to_owned()), "{labels:?}");
    assert!(!labels.contains(&"deep.days".to_owned()), "a partitioned table has no rows");
    let before = look(&restore::lane(&source).await.unwrap(), &kept).await;
    let restored = bring(&kept, target, name).await;
    let target = restore::lane(&restored).await.unwrap();
    let after = look(&target, &kept).await;
    for telling in ["'bee'::", "{integer,deep.mood}", "-177999999 years", "back\\\\slash"] {
        assert!(before.iter().any(|text| text.contains(telling)), "{telling}");
    }
    for (before, after) in before.iter().zip(&after) {
        assert_eq!(before, after);
    }
    assert_eq!(before.len(), after.len());
}

#[tokio::test]
async fn database_with_hard_types_comes_back_as_it_was() {
    there_and_back(one(), "hard_back").await;
}

#[tokio::test]
async fn database_with_hard_types_comes_back_in_a_newer_version() {
    there_and_back(newer(), "hard_newer").await;
}

/// An extension with a table of its own, one with rows of ours beside its own, and a sequence of
/// each kind.
const EXTENSION: &str = "
    CREATE TABLE tides (at int);
    INSERT INTO tides VALUES (1);
    CREATE SEQUENCE of_its_own;
    CREATE TABLE ports (name text, is_given boolean);
    INSERT INTO ports VALUES ('given', true);
    CREATE SEQUENCE of_ours;
    SELECT pg_catalog.pg_extension_config_dump('ports', 'WHERE NOT is_given');
    SELECT pg_catalog.pg_extension_config_dump('of_ours', '');
";

#[tokio::test]
async fn tables_of_an_extension_are_left_to_it_and_rows_of_ours_in_them_are_kept() {
    let cluster = &newer().cluster;
    let places = SearchPlaces { folder: Some(cluster.programs().to_owned()), path: None };
    let folder = cluster.programs().join("../share/extension");
    let control = "default_version = '1'\ntrusted = true\nrelocatable = false\n";
    std::fs::write(folder.join("pilot.control"), control).unwrap();
    std::fs::write(folder.join("pilot--1.sql"), EXTENSION).unwrap();
    let source = newer().fresh("piloted");
    let client = source.connect().await.unwrap();
    client.batch_execute("CREATE EXTENSION pilot").await.unwrap();
    let fill = format!(
        "GRANT ALL ON ports, tides, of_ours, of_its_own TO {0}; SET ROLE {0};
         INSERT INTO ports VALUES ('ours', false); SELECT setval('of_ours', 9)",
        crate::standing::OWNER
    );
    cluster.psql(&source.database(), &fill).unwrap();
    let kept = keep(&source, &places).await;
    let labels: Vec<String> = kept.tables.iter().map(|(shape, _)| shape.label()).collect();
    assert_eq!(labels, ["public.ports"]);
    let names: Vec<&str> = kept.sequences.iter().map(|s| s.name.as_str()).collect();
    assert_eq!(names, ["of_ours"]);
    let restored = newer().fresh("piloted_back");
    let owner = restore::lane(&restored).await.unwrap();
    restore::run_schema(&owner, &kept.schema.before).await.unwrap();
    let (shape, copies) = &kept.tables[0];
    // The extension's things belong to a superuser, who alone could let others write there.
    let refused = Filling::of(&owner).load(shape, copies[0].clone()).await.unwrap_err();
    assert_eq!(refused.code(), Some("42501"));
    let client = newer().beside_as("postgres", &restored.database()).connect().await.unwrap();
    let filling = restore::begin_table(&client, (shape, &kept.facts)).await.unwrap();
    filling.load(shape, copies[0].clone()).await.unwrap();
    filling.finish().await.unwrap();
    restore::set_sequences(&client, &kept.sequences).await.unwrap();
    let rows = client.query("SELECT name FROM ports ORDER BY name", &[]).await.unwrap();
    let names: Vec<&str> = rows.iter().map(|row| row.get(0)).collect();
    assert_eq!(names, ["given", "ours"]);
}

#[tokio::test]
async fn text_of_a_database_without_an_encoding_comes_back_byte_by_byte() {
    let make = format!(
        "CREATE DATABASE bytes ENCODING 'SQL_ASCII' LOCALE 'C' TEMPLATE template0 OWNER {OWNER}"
    );
    one().cluster.psql("postgres", &make).unwrap();
    let source = one().connector("bytes");
    let client = restore::lane(&source).await.unwrap();
    // Latin-1, and what is no encoding's: a column of each form in which rows travel.
    let fill = "CREATE TYPE public.pair AS (a text, b int);
        CREATE TABLE public.words (plain text, pair public.pair);
        INSERT INTO public.words VALUES (E'caf\\xe9', ROW (E'\\xff\\xfe', 1));";
    client.batch_execute(fill).await.unwrap();
    let kept = keep(&source, &SearchPlaces::default()).await;
    let target = restore::lane(&bring(&kept, one(), "bytes_too").await).await.unwrap();
    let ask = "SELECT encode(plain::bytea || (pair).a::bytea, 'hex') FROM public.words";
    let row = target.query_one(ask, &[]).await.unwrap();
    assert_eq!(row.get::<_, String>(0), "636166e9fffe");
}

/// Rows that lie where a number says which each database gives out anew.
const SPREAD: &str = "
    CREATE TYPE wind AS ENUM ('calm', 'breeze', 'gale', 'storm', 'hurricane');
    CREATE TABLE logged (wind wind, winds wind[], day int) PARTITION BY LIST (day);
    CREATE TABLE first PARTITION OF logged FOR VALUES IN (1) PARTITION BY HASH (wind);
    CREATE TABLE first_0 PARTITION OF first FOR VALUES WITH (MODULUS 3, REMAINDER 0);
    CREATE TABLE first_1 PARTITION OF first FOR VALUES WITH (MODULUS 3, REMAINDER 1);
    CREATE TABLE first_2 PARTITION OF first FOR VALUES WITH (MODULUS 3, REMAINDER 2);
    CREATE TABLE other PARTITION OF logged DEFAULT;
    INSERT INTO logged SELECT w, ARRAY[w, NULL], day
        FROM unnest(enum_range(NULL::wind)) w, generate_series(1, 2) day, generate_series(1, 9);
";

#[tokio::test]
async fn rows_spread_by_a_hash_of_an_enum_come_back_wherever_they_lie_now() {
    const COUNTED: &str = "SELECT string_agg(line, ' ' ORDER BY line) FROM
        (SELECT format('%s %s', logged, count(*)) AS line FROM logged GROUP BY logged) lines";
    let source = one().fresh("spread");
    let client = source.connect().await.unwrap();
    client.batch_execute(SPREAD).await.unwrap();
    let counted: String = client.query_one(COUNTED, &[]).await.unwrap().get(0);
    let kept = keep(&source, &SearchPlaces::default()).await;
    for (shape, _) in &kept.tables {
        let root = restore::spread_by(&client, shape).await.unwrap();
        let is_spread = shape.name.starts_with("first_");
        assert_eq!(root.as_deref(), is_spread.then_some("public.logged"), "{}", shape.name);
    }
    for turn in 0..3 {
        let restored = bring(&kept, one(), &format!("spread_back_{turn}")).await;
        let client = restored.connect().await.unwrap();
        let found: String = client.query_one(COUNTED, &[]).await.unwrap().get(0);
        assert_eq!(found, counted);
    }
}

/// A function that finds another one only where the database looks for names.
const SEARCHING: &str = "
    CREATE SCHEMA charts;
    CREATE FUNCTION charts.floor_at() RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT 3';
    CREATE FUNCTION charts.is_deep(x int) RETURNS boolean LANGUAGE plpgsql IMMUTABLE
        AS 'BEGIN RETURN x > floor_at(); END';
    CREATE DOMAIN charts.deep AS int CHECK (charts.is_deep(VALUE));
    CREATE TABLE checked (x int CHECK (charts.is_deep(x)));
    CREATE TABLE domained (x charts.deep);
    CREATE TABLE computed (x int, y boolean GENERATED ALWAYS AS (charts.is_deep(x)) STORED);
    CREATE TABLE indexed (x int);
    CREATE INDEX ON indexed (charts.is_deep(x));
    CREATE MATERIALIZED VIEW seen AS SELECT x FROM indexed WHERE charts.is_deep(x);
    INSERT INTO checked VALUES (4);
    INSERT INTO domained VALUES (5);
    INSERT INTO computed VALUES (6);
    INSERT INTO indexed VALUES (7);
    REFRESH MATERIALIZED VIEW seen;
";

#[tokio::test]
async fn functions_that_look_where_the_database_did_check_rows_and_make_indexes() {
    let source = one().fresh("searching");
    let name = source.database();
    let client = source.connect().await.unwrap();
    let told = format!("ALTER DATABASE {name} SET search_path = 'a b', charts, public");
    client.batch_execute(&told).await.unwrap();
    client.batch_execute("SET search_path = public, charts").await.unwrap();
    client.batch_execute(SEARCHING).await.unwrap();
    let kept = keep(&source, &SearchPlaces::default()).await;
    assert_eq!(kept.facts.search_path(), "\"a b\", charts, public");
    let restored = bring(&kept, one(), "searching_back").await;
    let client = restored.connect().await.unwrap();
    let all = "SELECT string_agg(x::text, ' ' ORDER BY x) FROM (SELECT x FROM public.checked UNION
        SELECT x FROM public.domained UNION SELECT x FROM public.computed UNION
        SELECT x FROM public.seen) found";
    assert_eq!(client.query_one(all, &[]).await.unwrap().get::<_, String>(0), "4 5 6 7");
}

#[tokio::test]
async fn what_takes_a_superuser_is_told_where_nothing_needs_it_and_else_is_an_error_that_says_so() {
    let target = one().fresh("plain");
    let owner = restore::lane(&target).await.unwrap();
    let schema = "CREATE FUNCTION public.f() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END';
        CREATE EVENT TRIGGER watch ON ddl_command_end\n         WHEN TAG IN ('CREATE TABLE')
        EXECUTE FUNCTION public.f();
        CREATE CAST (character varying AS uuid) WITH INOUT;";
    let skipped = restore::run_schema(&owner, schema).await.unwrap();
    let statements: Vec<&str> = skipped.iter().map(|s| s.statement.as_str()).collect();
    let whole = "CREATE EVENT TRIGGER watch ON ddl_command_end WHEN TAG IN ('CREATE TABLE') \
                 EXECUTE FUNCTION public.f();";
    assert_eq!(statements, [whole, "CREATE CAST (character varying AS uuid) WITH INOUT;"]);
    let refused = restore::run_schema(&owner, "CREATE FOREIGN DATA WRAPPER bare;").await;
    let RestoreError::Statement { source, .. } = refused.unwrap_err() else { panic!() };
    assert!(source.to_string().contains("this takes a superuser"), "{source}");
}

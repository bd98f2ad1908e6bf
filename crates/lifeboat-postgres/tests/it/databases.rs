//! Databases made, filled, and put aside.

use std::error::Error;
use std::time::Duration;

use bytes::Bytes;
use lifeboat_postgres::PostgresError;
use lifeboat_postgres::archive::{
    DatabaseFacts, LocaleProvider, TableShape, facts, tables, text_order,
};
use lifeboat_postgres::cut::Cut;
use lifeboat_postgres::restore::{self, Filling, RestoreError};

use crate::standing::{newer, one};

#[tokio::test]
async fn database_put_aside_keeps_its_rows_under_another_name_and_lets_people_in() {
    let source = one().fresh("harbour_log");
    let client = source.connect().await.unwrap();
    client.batch_execute("CREATE TABLE entries AS SELECT 7 AS x").await.unwrap();
    let aside = restore::name_before(&source.database(), "20260301T120000Z");
    let administration = one().connector("postgres");
    restore::rename_database(&administration, &source.database(), &aside).await.unwrap();
    assert!(client.query("SELECT 1", &[]).await.is_err(), "its sessions were ended");
    assert!(source.connect().await.is_err(), "the name is free");
    let moved = source.to_database(&aside).connect().await.unwrap();
    let row = moved.query_one("SELECT x FROM entries", &[]).await.unwrap();
    assert_eq!(row.get::<_, i32>(0), 7);
    // A name that is taken leaves everything as it was.
    let taken = restore::rename_database(&administration, &aside, "postgres").await;
    assert!(taken.unwrap_err().to_string().contains("already exists"));
    source.to_database(&aside).connect().await.unwrap();
}

#[tokio::test]
async fn answer_of_another_kind_is_not_told_as_a_lost_connection() {
    let client = one().connector("postgres").connect().await.unwrap();
    let row = client.query_one("SELECT NULL::text, 7", &[]).await.unwrap();
    for (column, cause) in [(0, "NULL"), (1, "cannot convert")] {
        let odd = row.try_get::<_, String>(column).unwrap_err();
        let error = PostgresError::sorted("asked", odd);
        assert!(!error.is_transient() && error.to_string().contains("not understood"), "{error}");
        let cause_of = |error: &dyn Error| error.source().map(ToString::to_string);
        let root = error.source().and_then(cause_of).unwrap_or_default();
        assert!(root.contains(cause), "{root}");
    }
    client.batch_execute("SELECT pg_terminate_backend(pg_backend_pid())").await.unwrap_err();
    let lost = PostgresError::sorted("asked", client.query("SELECT 1", &[]).await.unwrap_err());
    assert!(lost.is_transient(), "{lost}");
}

#[tokio::test]
async fn name_that_is_no_text_is_an_error_with_its_cause() {
    let server = one();
    let make = "CREATE DATABASE no_text TEMPLATE template0 ENCODING 'SQL_ASCII' LC_COLLATE 'C'
        LC_CTYPE 'C' OWNER harbour";
    server.cluster.psql("postgres", make).unwrap();
    let connector = server.connector("no_text");
    let table = "DO $$ BEGIN EXECUTE 'CREATE TABLE \"caf' || chr(233) || '\" (x int)'; END $$";
    connector.connect().await.unwrap().batch_execute(table).await.unwrap();
    let cut = Cut::open(&connector).await.unwrap();
    let error = tables(&cut).await.unwrap_err();
    let cause = error.source().and_then(Error::source).unwrap().to_string();
    assert!(cause.contains("utf-8"), "{error}: {cause}");
}

#[tokio::test]
async fn database_is_made_with_the_order_of_text_of_the_one_it_comes_from() {
    let source = newer();
    let make = "CREATE DATABASE sorted TEMPLATE template0 LOCALE_PROVIDER builtin
        BUILTIN_LOCALE 'C.UTF-8' OWNER harbour";
    source.cluster.psql("postgres", make).unwrap();
    let known = facts(&Cut::open(&source.connector("sorted")).await.unwrap()).await.unwrap();
    let administration = source.connector("postgres");
    restore::create_database(&administration, "sorted_too", &known, None).await.unwrap();
    let too = facts(&Cut::open(&source.connector("sorted_too")).await.unwrap()).await.unwrap();
    assert_eq!((too.locale_provider, &too.locale), (known.locale_provider, &known.locale));
    assert_eq!((too.collate, too.ctype), (known.collate.clone(), known.ctype.clone()));
    let older = one().connector("postgres");
    let refused = restore::create_database(&older, "sorted_old", &known, None).await.unwrap_err();
    assert!(refused.to_string().contains("restore into PostgreSQL 17 or newer"), "{refused}");
}

#[tokio::test]
async fn database_ordered_by_icu_is_made_again_and_a_server_that_cannot_is_refused() {
    let administration = one().connector("postgres");
    for (number, clause) in ["'de-x-icu'", "'und' LC_CTYPE 'C.UTF-8'"].iter().enumerate() {
        let (name, too) = (format!("sorted_icu_{number}"), format!("sorted_icu_{number}_too"));
        let make = format!(
            "CREATE DATABASE {name} TEMPLATE template0 LC_COLLATE 'C' LOCALE_PROVIDER icu
             ICU_LOCALE {clause} OWNER harbour"
        );
        one().cluster.psql("postgres", &make).unwrap();
        let known = facts(&Cut::open(&one().connector(&name)).await.unwrap()).await.unwrap();
        assert_eq!(known.locale_provider, LocaleProvider::Icu);
        assert!(known.collation_version.is_some(), "{known:?}");
        restore::create_database(&administration, &too, &known, None).await.unwrap();
        let session = one().connector(&too).connect().await.unwrap();
        assert_eq!(text_order(&session).await.unwrap(), known.text_order());
        let sorted = "SELECT string_agg(x, '' ORDER BY x) FROM unnest('{b,B,a,A}'::text[]) x";
        let row = session.query_one(sorted, &[]).await.unwrap();
        assert_eq!(row.get::<_, &str>(0), "aAbB", "as ICU has it");
        // This build of PostgreSQL has no ICU.
        let without = newer().connector("postgres");
        let refused = restore::create_database(&without, &too, &known, None).await.unwrap_err();
        assert!(refused.to_string().contains("PostgreSQL that was built with it"), "{refused}");
        let older = restore::creation(&too, (&known, None), 140_000).unwrap_err().to_string();
        assert!(older.contains("restore into PostgreSQL 15 or newer"), "{older}");
        let ruled = DatabaseFacts { icu_rules: Some("&a < b".to_owned()), ..known };
        let older = restore::creation(&too, (&ruled, None), 150_000).unwrap_err().to_string();
        assert!(older.contains("restore into PostgreSQL 16 or newer"), "{older}");
        let statement = restore::creation(&too, (&ruled, Some("it")), 160_000).unwrap();
        assert!(statement.ends_with("ICU_RULES '&a < b' OWNER \"it\""), "{statement}");
    }
}

#[tokio::test]
async fn settings_of_a_database_are_set_again_and_those_of_a_superuser_are_told() {
    let (source, target) = (one().fresh("told"), one().fresh("told_too"));
    let name = source.database();
    let settings = format!(
        "ALTER DATABASE {name} SET search_path = public, \"Odd, name\", \"$user\";
         ALTER DATABASE {name} SET work_mem = '5MB';
         ALTER DATABASE {name} SET log_statement = 'none'"
    );
    one().cluster.psql("postgres", &settings).unwrap();
    let mut known = facts(&Cut::open(&source).await.unwrap()).await.unwrap();
    let client = target.connect().await.unwrap();
    let skipped = restore::apply_settings(&client, &known).await.unwrap();
    let skipped: Vec<&str> = skipped.iter().map(|s| s.statement.as_str()).collect();
    assert_eq!(skipped, ["SET log_statement"]);
    known.settings.retain(|setting| !setting.starts_with("log_statement"));
    let too = facts(&Cut::open(&target).await.unwrap()).await.unwrap();
    assert_eq!(too.settings, known.settings);
}

#[tokio::test]
async fn what_a_superuser_makes_for_an_owner_belongs_to_the_owner() {
    let cluster = &one().cluster;
    let odd = lifeboat_testing::Role::named("odd \\ owner");
    cluster.create_role(&odd, false).unwrap();
    let target = one().fresh("owned");
    let superuser = one().beside_as("postgres", &target.database());
    for owner in [one().owner.name.as_str(), odd.name.as_str()] {
        let grant = format!("GRANT CREATE ON SCHEMA public TO \"{owner}\"");
        cluster.psql(&target.database(), &grant).unwrap();
        let client = restore::lane(&superuser.acting_as(owner)).await.unwrap();
        let make = "CREATE TABLE public.a (x int);";
        cluster.psql(&target.database(), "DROP TABLE IF EXISTS public.a").unwrap();
        restore::run_schema(&client, make).await.unwrap();
        let question = "SELECT pg_get_userbyid(relowner)::text FROM pg_class WHERE relname = 'a'";
        let row = client.query_one(question, &[]).await.unwrap();
        assert_eq!(row.get::<_, &str>(0), owner);
    }
}

#[tokio::test]
async fn things_that_somebody_made_are_found_and_extensions_are_not_counted() {
    let target = one().fresh("occupied");
    let client = target.connect().await.unwrap();
    client.batch_execute("CREATE EXTENSION pg_trgm").await.unwrap();
    assert!(restore::is_empty(&client).await.unwrap());
    for (make, name, remove) in [
        ("CREATE TABLE a (x int)", "public.a", "DROP TABLE a"),
        ("CREATE TYPE t AS ENUM ()", "public.t", "DROP TYPE t"),
        ("CREATE SCHEMA s", "schema s", "DROP SCHEMA s"),
        ("CREATE FUNCTION f() RETURNS int LANGUAGE sql RETURN 1", "public.f()", "DROP FUNCTION f"),
        ("SELECT lo_create(77)", "large object 77", "SELECT lo_unlink(77)"),
    ] {
        client.batch_execute(make).await.unwrap();
        assert_eq!(restore::things_in(&client, 5).await.unwrap(), [name]);
        client.batch_execute(remove).await.unwrap();
        assert!(restore::is_empty(&client).await.unwrap(), "{remove}");
    }
}

#[tokio::test]
async fn extension_that_only_a_superuser_may_make_is_named() {
    let target = one().fresh("extended");
    let client = restore::lane(&target).await.unwrap();
    for (statement, name) in [
        ("CREATE EXTENSION IF NOT EXISTS file_fdw WITH SCHEMA public;", "file_fdw"),
        ("CREATE EXTENSION IF NOT EXISTS \"no-such\" WITH SCHEMA public;", "\"no-such\""),
    ] {
        let refused = restore::run_schema(&client, statement).await.unwrap_err();
        let RestoreError::Extension { name: told, .. } = &refused else { panic!("{refused}") };
        assert_eq!(told, name);
        assert!(refused.to_string().contains("superuser"), "{refused}");
    }
    let comment = "COMMENT ON EXTENSION plpgsql IS 'not ours'; CREATE TABLE public.a (x int);";
    let skipped = restore::run_schema(&client, comment).await.unwrap();
    assert_eq!(skipped.len(), 1);
    assert!(skipped[0].reason.contains("must be owner"), "{}", skipped[0].reason);
    let again = "CREATE TABLE public.a (x int DEFAULT length('secret'));";
    let refused = restore::run_schema(&client, again).await.unwrap_err().to_string();
    assert!(refused.contains("CREATE TABLE public.a (x int"), "{refused}");
    assert!(!refused.contains("secret"), "{refused}");
}

#[tokio::test]
async fn damaged_segment_is_refused_whole() {
    let target = one().fresh("damaged");
    let client = restore::lane(&target).await.unwrap();
    client.batch_execute("CREATE TABLE public.a (x integer)").await.unwrap();
    let shape = r#"{"schema":"public","name":"a","columns":[{"name":"x","type":"integer"}]}"#;
    let shape: TableShape = serde_json::from_str(shape).unwrap();
    let mut copy = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0".to_vec();
    copy.extend(b"\0\x01\0\0\0\x04\0\0\0\x07");
    let mut whole = copy.clone();
    whole.extend(b"\xff\xff");
    copy.extend(b"\0\x02\0\0");
    assert!(Filling::of(&client).load(&shape, Bytes::from(copy)).await.is_err());
    assert_eq!(Filling::of(&client).load(&shape, Bytes::from(whole)).await.unwrap(), 1);
    let row = client.query_one("SELECT array_agg(x) FROM public.a", &[]).await.unwrap();
    assert_eq!(row.get::<_, Vec<i32>>(0), [7]);
}

#[tokio::test]
async fn settings_of_a_database_do_not_bind_the_session_that_sets_them() {
    let (source, target) = (one().fresh("bound"), one().fresh("bound_too"));
    let name = source.database();
    let settings = format!(
        "ALTER DATABASE {name} SET default_transaction_read_only = on;
         ALTER DATABASE {name} SET search_path = nowhere"
    );
    one().cluster.psql("postgres", &settings).unwrap();
    let known = facts(&Cut::open(&source).await.unwrap()).await.unwrap();
    let lane = restore::lane(&target).await.unwrap();
    assert_eq!(restore::apply_settings(&lane, &known).await.unwrap(), []);
    restore::mark(&lane, "a backup").await.unwrap();
    // Nor the one that comes to clear what broke off.
    let again = restore::lane(&target).await.unwrap();
    restore::clear(&again).await.unwrap();
    restore::unmark(&again).await.unwrap();
    let too = facts(&Cut::open(&target).await.unwrap()).await.unwrap();
    assert_eq!(too.settings, known.settings);
}

#[tokio::test]
async fn large_objects_of_a_restore_that_broke_off_are_cleared() {
    let target = one().fresh("broken_off");
    let lane = restore::lane(&target).await.unwrap();
    restore::mark(&lane, "a backup").await.unwrap();
    lane.batch_execute("CREATE TABLE public.a (x int); SELECT lo_create(77)").await.unwrap();
    restore::clear(&lane).await.unwrap();
    assert!(restore::is_empty(&lane).await.unwrap());
}

#[tokio::test]
async fn role_that_may_not_rename_is_told_what_it_needs() {
    let source = one().fresh("kept_name");
    let name = source.database();
    let plain = format!(
        "CREATE ROLE renames_nothing LOGIN NOCREATEDB;
         ALTER DATABASE {name} OWNER TO renames_nothing"
    );
    one().cluster.psql("postgres", &plain).unwrap();
    let administration = one().beside_as("renames_nothing", "postgres");
    let refused = restore::rename_database(&administration, &name, "another").await.unwrap_err();
    assert!(refused.to_string().contains("CREATEDB"), "{refused}");
    source.connect().await.unwrap();
}

#[tokio::test]
async fn database_and_role_that_are_not_there_do_not_come_by_waiting() {
    for connector in [one().connector("nowhere"), one().beside_as("nobody", "postgres")] {
        let Err(refused) = connector.connect().await else { panic!("there is none") };
        assert!(!refused.is_transient(), "{refused}");
    }
}

#[tokio::test]
async fn database_is_filled_by_one_at_a_time_until_its_session_ends() {
    let target = one().fresh("claimed");
    let (first, second) = (target.connect().await.unwrap(), target.connect().await.unwrap());
    let claim = async |client| restore::claim(client, Duration::from_millis(100)).await.unwrap();
    assert!(claim(&first).await);
    assert!(!claim(&second).await);
    let end = "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity
        WHERE datname = current_database() AND pid <> pg_backend_pid()";
    second.batch_execute(end).await.unwrap();
    assert!(claim(&second).await);
}

//! What others on the machine can see of a running `pg_dump`, and how it fails.

use std::fs;
use std::time::{Duration, Instant};

use lifeboat_postgres::cut::Cut;
use lifeboat_postgres::restore;
use lifeboat_postgres::schema_text::{PgDump, SchemaTextError, SearchPlaces, schema_text};

use crate::standing::{newer, one};

/// Process ids of our children whose program is `pg_dump` and reads this database.
fn dumps(database: &str) -> Vec<String> {
    let processes = fs::read_dir("/proc").unwrap().flatten();
    let ours = format!("{}", std::process::id());
    processes
        .filter(|process| {
            let status = fs::read_to_string(process.path().join("stat")).unwrap_or_default();
            let mut words = status.rsplit_once(')').map_or("", |(_, rest)| rest).split_whitespace();
            let environment = fs::read(process.path().join("environ")).unwrap_or_default();
            let reads = String::from_utf8_lossy(&environment).contains(database);
            status.contains("(pg_dump)") && words.nth(1) == Some(ours.as_str()) && reads
        })
        .map(|process| process.file_name().to_string_lossy().into_owned())
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn password_is_not_seen_in_arguments_environment_or_files_of_the_dumping_program() {
    let source = one().fresh("secretive");
    let client = source.connect().await.unwrap();
    client.batch_execute("CREATE TABLE chest (x int)").await.unwrap();
    let cut = Cut::open(&source).await.unwrap();
    let program = PgDump::find(150_000, &SearchPlaces::default()).await.unwrap();
    // It waits for this lock, so that we can look at it.
    client.batch_execute("BEGIN; LOCK TABLE chest IN ACCESS EXCLUSIVE MODE").await.unwrap();
    let dumping = tokio::spawn(async move { schema_text(&cut, &program).await });
    let waits = "SELECT count(*) > 1 FROM pg_locks l JOIN pg_database d ON d.oid = l.database
        WHERE d.datname = current_database() AND NOT granted";
    let begun = Instant::now();
    while !client.query_one(waits, &[]).await.unwrap().get::<_, bool>(0) {
        assert!(begun.elapsed() < Duration::from_secs(30), "pg_dump did not get as far");
    }
    let pids = dumps(&format!("PGDATABASE={}\0", source.database()));
    assert_eq!(pids.len(), 2, "{pids:?}");
    let password = one().owner.password.as_bytes();
    let has = |bytes: &[u8]| bytes.windows(password.len()).any(|window| window == password);
    for pid in pids {
        for seen in ["cmdline", "environ"] {
            let bytes = fs::read(format!("/proc/{pid}/{seen}")).unwrap();
            assert!(bytes.len() > 20 && !has(&bytes), "{seen}");
        }
        let input = format!("/proc/{pid}/fd/0");
        let link = fs::read_link(&input).unwrap();
        assert!(link.to_string_lossy().starts_with("/memfd:"), "{}", link.display());
        assert!(has(&fs::read(&input).unwrap()), "the password is where we say");
        let mode = std::os::unix::fs::MetadataExt::mode(&fs::metadata(&input).unwrap());
        assert_eq!(mode & 0o777, 0o600);
    }
    client.batch_execute("COMMIT").await.unwrap();
    let text = dumping.await.unwrap().unwrap();
    assert!(text.before.contains("CREATE TABLE public.chest"), "{}", text.before);
    assert!(!text.before.contains("restrict"), "{}", text.before);
}

#[tokio::test]
async fn older_program_than_the_server_is_refused_and_a_newer_one_is_found_by_its_folder() {
    let source = newer().fresh("modern");
    let client = source.connect().await.unwrap();
    client.batch_execute("CREATE TABLE chest (x int)").await.unwrap();
    let folder = newer().cluster.programs().to_owned();
    let places = SearchPlaces { folder: Some(folder.clone()), path: None };
    let program = PgDump::find(180_000, &places).await.unwrap();
    assert_eq!(program.path(), folder.join("pg_dump"));
    let cut = Cut::open(&source).await.unwrap();
    let text = schema_text(&cut, &program).await.unwrap();
    assert!(text.written_by.contains("18"), "{}", text.written_by);
    // What a newer program wrote is run by an older server, its new settings left out.
    let older = restore::lane(&one().fresh("old_fashioned")).await.unwrap();
    assert_eq!(restore::run_schema(&older, &text.before).await.unwrap(), []);
    older.query("SELECT x FROM public.chest", &[]).await.unwrap();
    let refused = PgDump::find(990_000, &places).await.unwrap_err().to_string();
    assert!(refused.contains("install the package postgresql-client-99"), "{refused}");
}

#[tokio::test]
async fn dumping_program_is_killed_when_nobody_waits_for_it_any_more() {
    let source = one().fresh("impatient");
    let client = source.connect().await.unwrap();
    client.batch_execute("CREATE TABLE chest (x int)").await.unwrap();
    let cut = Cut::open(&source).await.unwrap();
    let program = PgDump::find(150_000, &SearchPlaces::default()).await.unwrap();
    client.batch_execute("BEGIN; LOCK TABLE chest IN ACCESS EXCLUSIVE MODE").await.unwrap();
    let reads = format!("PGDATABASE={}\0", source.database());
    let until = async |wanted: usize| {
        let begun = Instant::now();
        while dumps(&reads).len() != wanted {
            assert!(begun.elapsed() < Duration::from_secs(30), "not {wanted}");
            tokio::task::yield_now().await;
        }
    };
    let dumping = tokio::spawn(async move { schema_text(&cut, &program).await.is_ok() });
    until(2).await;
    dumping.abort();
    until(0).await;
}

#[tokio::test]
async fn complaint_of_the_dumping_program_is_told() {
    let source = one().fresh("gone");
    let mut cut = Cut::open(&source).await.unwrap();
    cut.snapshot = "00000000-0000-0000".to_owned();
    let program = PgDump::find(150_000, &SearchPlaces::default()).await.unwrap();
    let failed = schema_text(&cut, &program).await.unwrap_err();
    assert!(matches!(failed, SchemaTextError::Failed { .. }), "{failed}");
    let told = failed.to_string();
    assert!(told.contains("exit status: 1") && told.contains("snapshot"), "{told}");
}

//! Databases of a real PostgreSQL: rights, collations, passwords.

use std::fs;

use lifeboat_testing::{Cluster, Part, Pooler, Role, Scratch, Tools};

use super::*;

/// A cluster with a database of this name and owner.
fn cluster(scratch: &Scratch, database: &str) -> (Cluster, Role) {
    let cluster = Cluster::start(scratch.path()).unwrap();
    let owner = Role::named("owner");
    cluster.create_role(&owner, false).unwrap();
    cluster.create_database(database, &owner).unwrap();
    (cluster, owner)
}

/// An installation of one database, whose address with password is in a file.
fn of(folder: &Path, url: &str) -> Installation {
    fs::create_dir_all(folder.join("vault")).unwrap();
    fs::write(folder.join("url"), url).unwrap();
    installation(folder, "example.org", "  - {kind: database, database_url_file: url}\n")
}

#[tokio::test]
async fn database_that_can_be_read_is_fine() {
    let scratch = Scratch::new("doctor").unwrap();
    let (cluster, owner) = cluster(&scratch, "other");
    cluster.psql("other", "SET ROLE owner; CREATE TABLE t (a serial)").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let findings = examined(&of(folder.path(), &cluster.url("other", &owner))).await;
    assert_eq!(findings.count(Severity::Failure), 0, "{:?}", problems(&findings));
    finding(&findings, "database", "database other: PostgreSQL");
    finding(&findings, "database", "pg_dump (PostgreSQL)");
    finding(&findings, "database", "all its tables and sequences can be read");
}

#[tokio::test]
async fn table_or_rows_that_cannot_be_read_would_fail() {
    let scratch = Scratch::new("doctor").unwrap();
    let (cluster, _) = cluster(&scratch, "other");
    let reader = Role::named("reader");
    cluster.create_role(&reader, false).unwrap();
    let url = cluster.url("other", &reader);
    let folder = tempfile::tempdir().unwrap();
    let told = async |sql: &str| {
        cluster.psql("other", sql).unwrap();
        examined(&of(folder.path(), &url)).await
    };
    let make = "CREATE TABLE open (a int); CREATE TABLE closed (a int);
                GRANT SELECT ON open TO reader";
    let findings = told(make).await;
    let found = finding(&findings, "database", "1 tables or sequences");
    assert_eq!(found.severity, Severity::Failure);
    assert!(found.what.contains("public.closed first"), "{}", found.what);
    assert!(found.remedy.starts_with("grant the role SELECT"), "{}", found.remedy);
    let findings = told("GRANT SELECT ON closed TO reader").await;
    finding(&findings, "database", "all its tables and sequences can be read");
    let findings = told("ALTER TABLE open ENABLE ROW LEVEL SECURITY").await;
    let found = finding(&findings, "database", "1 tables");
    assert!(found.what.contains("public.open first"), "{}", found.what);
    assert!(found.remedy.contains("ALTER ROLE … BYPASSRLS"), "{}", found.remedy);
    let findings = told(
        "ALTER TABLE open DISABLE ROW LEVEL SECURITY;
         CREATE SCHEMA hidden; CREATE TABLE hidden.t (a int); GRANT SELECT ON hidden.t TO reader",
    )
    .await;
    assert!(finding(&findings, "database", "1 tables").what.contains("hidden.t first"));
}

#[tokio::test]
async fn pooler_that_shares_sessions_out_by_transaction_would_fail_and_one_by_session_not() {
    Tools::ready(&[Part::Pooler], &|line| println!("{line}")).unwrap();
    let scratch = Scratch::new("doctor").unwrap();
    let (cluster, owner) = cluster(&scratch, "other");
    let folder = tempfile::tempdir().unwrap();
    for (mode, failures) in [("transaction", 1), ("session", 0)] {
        let pooler = Pooler::start(&cluster, &owner, mode).unwrap();
        let findings = examined(&of(folder.path(), &pooler.url("other", &owner))).await;
        let found = problems(&findings);
        assert_eq!(findings.count(Severity::Failure), failures, "{mode}: {found:?}");
        let told = found.iter().filter(|what| what.contains("is behind a pooler"));
        assert_eq!(told.count(), failures, "{mode}: {found:?}");
    }
}

#[tokio::test]
async fn wrong_password_would_fail_without_being_told() {
    let scratch = Scratch::new("doctor").unwrap();
    let (cluster, owner) = cluster(&scratch, "other");
    let url = cluster.url("other", &owner).replace(&owner.password, "hunter2");
    let folder = tempfile::tempdir().unwrap();
    let findings = examined(&of(folder.path(), &url)).await;
    let found = finding(&findings, "database", "cannot connect to database other");
    assert_eq!(found.severity, Severity::Failure);
    assert!(found.remedy.contains(".pgpass"), "{}", found.remedy);
    assert!(!format!("{findings:?}").contains("hunter2"), "{findings:?}");
}

#[tokio::test]
async fn synapse_outside_of_c_and_utf8_is_a_warning() {
    let scratch = Scratch::new("doctor").unwrap();
    let (cluster, owner) = cluster(&scratch, "good");
    let make = |name: &str, encoding: &str, collation: &str| {
        let sql = format!(
            "CREATE DATABASE {name} OWNER owner TEMPLATE template0
             ENCODING '{encoding}' LC_COLLATE '{collation}' LC_CTYPE '{collation}'"
        );
        cluster.psql("postgres", &sql).unwrap();
    };
    make("latin", "LATIN1", "C");
    make("utf", "UTF8", "C.UTF-8");
    let folder = tempfile::tempdir().unwrap();
    for (name, says) in [("latin", "is in LATIN1"), ("utf", "has collation C.UTF-8")] {
        fs::write(folder.path().join("signing.key"), "ed25519 a_x AAAA").unwrap();
        fs::create_dir_all(folder.path().join("vault")).unwrap();
        let config = format!(
            "server_name: example.org\nsigning_key_path: signing.key\n\
             database: {{name: psycopg2, args: {{dsn: \"{}\"}}}}\n",
            cluster.url(name, &owner)
        );
        fs::write(folder.path().join("homeserver.yaml"), config).unwrap();
        let component = "  - {kind: synapse, config: homeserver.yaml}\n";
        let findings = examined(&installation(folder.path(), "example.org", component)).await;
        let found = finding(&findings, "synapse", says);
        assert_eq!(found.severity, Severity::Warning);
    }
}

#[tokio::test]
async fn server_that_ends_idle_sessions_is_a_warning() {
    let scratch = Scratch::new("doctor").unwrap();
    let (cluster, owner) = cluster(&scratch, "other");
    cluster.psql("other", "ALTER ROLE owner SET idle_session_timeout = '1min'").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let findings = examined(&of(folder.path(), &cluster.url("other", &owner))).await;
    let found = finding(&findings, "database", "ends sessions that are idle");
    assert_eq!(found.severity, Severity::Warning);
}

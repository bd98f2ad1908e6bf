//! Who owns what and who may do what, out and back.

use std::process::Command;

use bytes::Bytes;
use lifeboat_postgres::Client;
use lifeboat_postgres::archive::{Segments, facts, tables};
use lifeboat_postgres::connect::Connector;
use lifeboat_postgres::cut::Cut;
use lifeboat_postgres::restore::{self, Board, RestoreError};
use lifeboat_postgres::rights::{give, merged};
use lifeboat_postgres::schema_text::{PgDump, SchemaText, SearchPlaces, schema_text};
use lifeboat_testing::Role;

use crate::standing::{OWNER, Standing, one, other};

const MAKE: &str = include_str!("rights.sql");
const ODD: &str = "Odd \"role; TO x";
const QUOTED_ODD: &str = "\"Odd \"\"role; TO x\"";

/// Roles that the rights are of; one has a name that is hard to quote.
fn roles(standing: &Standing) {
    let make = format!(
        "DO $$ BEGIN
         IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'metrics') THEN
             CREATE ROLE metrics LOGIN; CREATE ROLE keeper; CREATE ROLE {QUOTED_ODD};
         END IF; END $$"
    );
    standing.cluster.psql("postgres", &make).unwrap();
}

/// A database with rights of every kind, and a way to it as a superuser.
fn guarded(label: &str) -> Connector {
    roles(one());
    let name = one().fresh(label).database();
    one().cluster.psql(&name, MAKE).unwrap();
    let of_database = format!(
        "REVOKE CONNECT, TEMPORARY ON DATABASE {name} FROM PUBLIC;
         GRANT CONNECT ON DATABASE {name} TO metrics;
         ALTER ROLE metrics IN DATABASE {name} SET statement_timeout = '5s';
         ALTER DATABASE {name} CONNECTION LIMIT 17;
         COMMENT ON DATABASE {name} IS 'the log; of it'"
    );
    one().cluster.psql(&name, &of_database).unwrap();
    one().beside_as("postgres", &name)
}

/// The text of a database, and its rows of `public.a`.
async fn keep(source: &Connector) -> (SchemaText, Vec<Bytes>) {
    let cut = Cut::open(source).await.unwrap();
    let version = facts(&cut).await.unwrap().server_version;
    let program = PgDump::find(version, &SearchPlaces::default()).await.unwrap();
    let text = schema_text(&cut, &program).await.unwrap();
    let shapes = tables(&cut).await.unwrap();
    let shape = shapes.iter().find(|shape| shape.label() == "public.a").unwrap();
    let lane = cut.lane().await.unwrap();
    let mut segments = Segments::start(&lane, shape).await.unwrap();
    let mut rows = Vec::new();
    while let Some(segment) = segments.next().await.unwrap() {
        rows.push(Bytes::from(segment.copy));
    }
    (text, rows)
}

/// Makes the schema; what was left out of it.
async fn make(text: &SchemaText, target: &Connector) -> Vec<String> {
    let lane = restore::lane(target).await.unwrap();
    let mut skipped = restore::run_schema(&lane, &text.before).await.unwrap();
    let board = Board::new(&[], (&text.after, ""));
    let no_rows = async |_: &Client, _: usize| Ok(());
    let after = restore::work_off::<RestoreError>((target, 2), &board, no_rows, |e| e);
    skipped.extend(after.await.unwrap());
    skipped.into_iter().map(|skipped| skipped.statement).collect()
}

/// What `pg_dump` says of a database, with all rights, but for its name.
fn dumped(standing: &Standing, database: &str) -> String {
    let output = Command::new(standing.cluster.programs().join("pg_dump"))
        .args(["--schema-only", "--create", "-U", "postgres", "-d", database, "-h"])
        .arg(standing.cluster.socket_directory())
        .args(["-p", &standing.cluster.port().to_string()])
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    let lines = text.lines().filter(|line| !line.starts_with("\\restrict"));
    let lines = lines.filter(|line| !line.starts_with("\\unrestrict"));
    lines.collect::<Vec<_>>().join("\n").replace(database, "the_database")
}

/// Two texts are one; else the lines that only one of them has are shown.
fn assert_same(before: &str, after: &str) {
    let only = |one: &str, other: &str| -> Vec<String> {
        let of_one = one.lines().filter(|line| !other.lines().any(|there| there == *line));
        of_one.map(str::to_owned).collect()
    };
    assert!(before == after, "{:#?}\n{:#?}", only(before, after), only(after, before));
}

#[tokio::test]
async fn rights_of_every_kind_come_back_as_pg_dump_says_them() {
    let source = guarded("guarded");
    let (text, _) = keep(&source).await;
    let target = one().beside_as("postgres", &one().fresh("guarded_back").database());
    let skipped = make(&text, &target).await;
    assert!(skipped.is_empty(), "{skipped:?}");
    let came = give(&target, &text.rights, OWNER).await.unwrap();
    assert!(came.missing.is_empty() && came.refused.is_empty(), "{came:?}");
    assert_same(&dumped(one(), &source.database()), &dumped(one(), &target.database()));
    // Again is no error, and changes nothing.
    let again = give(&target, &text.rights, OWNER).await.unwrap();
    assert_eq!(again, came);
    assert_same(&dumped(one(), &source.database()), &dumped(one(), &target.database()));
}

#[tokio::test]
async fn database_that_was_cleared_gets_the_same_rights_as_a_new_one() {
    let source = guarded("guarded_clear");
    let (text, _) = keep(&source).await;
    let target = one().fresh("cleared");
    let lane = restore::lane(&target).await.unwrap();
    lane.batch_execute("CREATE TABLE public.half (x int)").await.unwrap();
    restore::clear(&lane).await.unwrap();
    let target = one().beside_as("postgres", &target.database());
    make(&text, &target).await;
    give(&target, &text.rights, OWNER).await.unwrap();
    let comment = "COMMENT ON SCHEMA public IS 'standard public schema'";
    one().cluster.psql(&target.database(), comment).unwrap();
    assert_same(&dumped(one(), &source.database()), &dumped(one(), &target.database()));
}

#[tokio::test]
async fn what_names_a_role_that_is_not_there_is_told_and_can_be_given_later() {
    let source = guarded("guarded_away");
    let (text, _) = keep(&source).await;
    let target = other().beside_as("postgres", &other().fresh("away").database());
    let skipped = make(&text, &target).await;
    assert_eq!(skipped.len(), 2, "the policy and its comment: {skipped:?}");
    let came = give(&target, &text.rights, OWNER).await.unwrap();
    let missing: Vec<&str> = came.missing.keys().map(String::as_str).collect();
    assert_eq!(missing, [ODD, "keeper", "metrics"]);
    let metrics = merged(&came.missing["metrics"]).join("\n");
    for telling in [
        "deep.\"Odd; name\", deep.counted, deep.seen, pg_catalog.pg_locks, public.b TO metrics;",
        "GRANT SELECT ON TABLE public.a TO metrics WITH GRANT OPTION;",
        "ALTER DEFAULT PRIVILEGES FOR ROLE harbour IN SCHEMA deep GRANT SELECT ON TABLES  TO",
    ] {
        assert!(metrics.contains(telling), "{telling}: {metrics}");
    }
    let keeper = came.missing["keeper"].join("\n");
    assert!(keeper.contains("ALTER TABLE deep.kept OWNER TO keeper;"), "{keeper}");
    // What is about nobody in particular is done all the same.
    let may = "SELECT has_function_privilege('public', 'deep.secret()', 'EXECUTE')";
    assert_eq!(other().cluster.psql(&target.database(), may).unwrap(), "f");
    roles(other());
    let later = give(&target, &text.rights, OWNER).await.unwrap();
    assert!(later.missing.is_empty() && later.refused.is_empty(), "{later:?}");
    assert_same(&dumped(one(), &source.database()), &dumped(other(), &target.database()));
}

#[tokio::test]
async fn what_a_plain_owner_may_not_give_is_told_and_the_rest_is_given() {
    let source = guarded("guarded_plain");
    let (text, _) = keep(&source).await;
    let target = one().fresh("plain");
    let skipped = make(&text, &target).await;
    assert!(skipped.iter().all(|s| s.starts_with("COMMENT ON EXTENSION")), "{skipped:?}");
    let came = give(&target, &text.rights, OWNER).await.unwrap();
    assert!(came.missing.is_empty(), "{came:?}");
    let refused: Vec<&String> = came.refused.values().flatten().collect();
    let told = |words: &str| refused.iter().any(|statement| statement.contains(words));
    for telling in [
        "ALTER TABLE deep.kept OWNER TO keeper;",
        "SET SESSION AUTHORIZATION \"metrics\"; GRANT SELECT ON TABLE public.a TO keeper;",
        "GRANT ALL ON FUNCTION pg_catalog.pg_ls_dir(text) TO metrics;",
        // The server only warns of this one: who may read it is asked nothing else.
        "GRANT SELECT ON TABLE pg_catalog.pg_locks TO metrics;",
    ] {
        assert!(told(telling), "{telling}: {refused:?}");
    }
    // Run by a superuser, what was told makes it whole.
    for statement in &refused {
        one().cluster.psql(&target.database(), statement).unwrap();
    }
    let same = |database: &str| {
        let text = dumped(one(), database);
        let lines = text.lines().filter(|line| !line.starts_with("COMMENT ON EXTENSION"));
        lines.collect::<Vec<_>>().join("\n")
    };
    assert_same(&same(&source.database()), &same(&target.database()));
}

#[tokio::test]
async fn what_the_lost_owner_of_the_database_had_belongs_to_who_restores_in_its_place() {
    let source = one().fresh("moved");
    one().cluster.psql(&source.database(), "SET ROLE harbour; CREATE TABLE a (x int)").unwrap();
    let (cut, places) = (Cut::open(&source).await.unwrap(), SearchPlaces::default());
    let program = PgDump::find(150_000, &places).await.unwrap();
    let text = schema_text(&cut, &program).await.unwrap();
    let text = SchemaText { rights: text.rights.replace(OWNER, "gone"), ..text };
    let target = other().fresh("moved_back");
    make(&text, &target).await;
    let came = give(&target, &text.rights, "gone").await.unwrap();
    assert_eq!((came.taken_over, came.role.as_str()), (2, OWNER), "the database and the table");
    assert!(came.missing.is_empty() && came.refused.is_empty(), "{came:?}");
}

#[tokio::test]
async fn owner_of_a_table_gets_it_also_where_the_right_that_takes_comes_later() {
    let source = one().fresh("lodger");
    let flat = "DO $$ BEGIN IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'lodger') THEN
                    CREATE ROLE lodger; GRANT lodger TO harbour; END IF; END $$;
                SET ROLE harbour; CREATE SCHEMA flat; GRANT USAGE, CREATE ON SCHEMA flat TO lodger;
                CREATE TABLE flat.chairs (x int); ALTER TABLE flat.chairs OWNER TO lodger;
                CREATE TABLE flat.walls (x int)";
    one().cluster.psql(&source.database(), flat).unwrap();
    let (text, places) = (Cut::open(&source).await.unwrap(), SearchPlaces::default());
    let program = PgDump::find(150_000, &places).await.unwrap();
    let text = schema_text(&text, &program).await.unwrap();
    let target = one().fresh("lodger_back");
    make(&text, &target).await;
    let came = give(&target, &text.rights, OWNER).await.unwrap();
    assert!(came.refused.is_empty() && came.of_owner.is_empty(), "{came:?}");
    let owner = "SELECT relowner::regrole FROM pg_class WHERE relname = 'chairs'";
    assert_eq!(one().cluster.psql(&target.database(), owner).unwrap(), "lodger");
    // Restored by another role, which is the one of the program from now on.
    let rights = text.rights.replace("OWNER TO harbour", "OWNER TO postgres");
    let came = give(&target, &rights, "postgres").await.unwrap();
    assert!(came.refused.is_empty(), "{came:?}");
    let told = came.of_owner.join("\n");
    assert!(told.contains("ALTER TABLE flat.walls OWNER TO postgres;"), "{told}");
}

#[tokio::test]
async fn role_from_which_policies_hide_rows_is_refused_and_told_why() {
    let source = guarded("guarded_rows");
    let (_, rows) = keep(&source).await;
    assert_eq!(rows.len(), 1);
    let reader = Role::named("reader_of_rows");
    one().cluster.create_role(&reader, false).unwrap();
    let grant = format!(
        "GRANT CONNECT ON DATABASE {} TO {1}; GRANT USAGE ON SCHEMA public, deep TO {1};
         GRANT SELECT ON ALL TABLES IN SCHEMA public, deep TO {1};
         GRANT SELECT ON ALL SEQUENCES IN SCHEMA public, deep TO {1}",
        source.database(),
        reader.name
    );
    one().cluster.psql(&source.database(), &grant).unwrap();
    // A reader with every grant, and the owner, whom FORCE makes subject to policies too.
    for role in [reader.name.as_str(), OWNER] {
        let cut = Cut::open(&one().beside_as(role, &source.database())).await.unwrap();
        let shapes = tables(&cut).await.unwrap();
        let shape = shapes.iter().find(|shape| shape.label() == "public.a").unwrap();
        let lane = cut.lane().await.unwrap();
        let refused = match Segments::start(&lane, shape).await {
            Ok(mut segments) => segments.next().await.err(),
            Err(refused) => Some(refused),
        };
        let refused = refused.expect(role).to_string();
        assert!(refused.contains("BYPASSRLS"), "{role}: {refused}");
    }
    let bypass = format!("ALTER ROLE {} BYPASSRLS", reader.name);
    one().cluster.psql("postgres", &bypass).unwrap();
    let (_, seen) = keep(&one().beside_as(&reader.name, &source.database())).await;
    assert_eq!(seen, rows);
}

#[tokio::test]
async fn label_of_a_module_that_is_not_there_is_left_out_and_told() {
    let target = one().fresh("labelled");
    let client = restore::lane(&target).await.unwrap();
    let label = "CREATE TABLE public.a (x int); \
        SECURITY LABEL FOR selinux ON TABLE public.a IS 'system_u';";
    let skipped = restore::run_schema(&client, label).await.unwrap();
    assert_eq!(skipped.len(), 1);
    assert!(skipped[0].reason.contains("selinux"), "{}", skipped[0].reason);
}

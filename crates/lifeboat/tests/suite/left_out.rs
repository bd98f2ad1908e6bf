//! What a backup does not have, and says.

use std::fs;
use std::path::Path;

use crate::harbour::{suite, world};

pub(crate) fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}

#[test]
fn upload_without_its_file_is_a_gap_and_a_file_of_another_server_is_told() {
    let (world, suite) = (world(), suite("media"));
    let media = suite.folder.join("media");
    copy(&world.server.media_store(), &media);
    let text = fs::read_to_string(&suite.yaml).unwrap();
    let text = text.replace(
        "  - kind: synapse\n",
        &format!("  - kind: synapse\n    media_store: {}\n", media.display()),
    );
    fs::write(&suite.yaml, text).unwrap();
    suite.back_up();
    let ask = "SELECT media_id FROM local_media_repository
               WHERE media_length IS NOT NULL AND url_cache IS NULL LIMIT 1";
    let id = world.cluster.psql(world.server.database(), ask).unwrap().trim().to_owned();
    let file = format!("local_content/{}/{}/{}", &id[..2], &id[2..4], &id[4..]);
    fs::remove_file(media.join(&file)).unwrap();
    let said = suite.lifeboat(&["backup", "run", "--component", "synapse"]);
    let outcome = said.result(3);
    let told = "remote-media-missing: files of other servers that are not in the media store: 1";
    assert!(said.stdout.contains(told), "{said:?}");
    assert_eq!(outcome["gaps"]["total"], 1, "{outcome}");
    let gap = &outcome["gaps"]["first"][0];
    assert_eq!(gap["kind"], "media-missing");
    assert!(gap["object"].as_str().unwrap().ends_with(&file), "{gap}");
    suite.lifeboat_opened(&["backup", "verify"]).result(0);
}

#[test]
fn large_objects_and_replication_are_gaps_and_an_odd_schema_is_kept_whole() {
    let (world, suite) = (world(), suite("odd"));
    let odd = "
        SELECT lo_from_bytea(0, 'large');
        CREATE PUBLICATION everything FOR ALL TABLES;
        CREATE DOMAIN short AS text CHECK (length(VALUE) < 9);
        CREATE TABLE parted (id int GENERATED ALWAYS AS IDENTITY, at date, name short,
            double int GENERATED ALWAYS AS (length(name) * 2) STORED) PARTITION BY RANGE (at);
        CREATE TABLE early PARTITION OF parted FOR VALUES FROM (MINVALUE) TO ('2026-01-01');
        CREATE TABLE late PARTITION OF parted FOR VALUES FROM ('2026-01-01') TO (MAXVALUE);
        INSERT INTO parted (at, name) VALUES ('2025-05-05', 'a'), ('2026-06-06', 'bb');
        CREATE VIEW names AS SELECT name FROM parted;
        CREATE MATERIALIZED VIEW doubles AS SELECT double FROM parted;
        CREATE FUNCTION plus(a int) RETURNS int LANGUAGE sql AS 'SELECT a + 1';
        CREATE UNLOGGED TABLE nothing ();";
    world.cluster.psql(&suite.accounts, odd).unwrap();
    // What a superuser made stays the superuser's; it is read all the same.
    let grants = format!(
        "GRANT SELECT ON ALL TABLES IN SCHEMA public TO {0};
         GRANT SELECT ON ALL SEQUENCES IN SCHEMA public TO {0}",
        world.server.role().name
    );
    world.cluster.psql(&suite.accounts, &grants).unwrap();
    let outcome = suite.lifeboat(&["backup", "run", "--component", "accounts"]).result(3);
    let kinds = &outcome["gaps"]["kinds"];
    assert_eq!(kinds["large-objects"], 1, "{outcome}");
    assert_eq!(kinds["replication"], 1, "{outcome}");
    let tables = &outcome["components"][0]["databases"][0];
    assert_eq!((&tables["tables"], &tables["rows"]), (&4.into(), &5002.into()), "{outcome}");
    suite.lifeboat_opened(&["backup", "verify"]).result(0);
    let plan = suite.lifeboat_opened(&["restore", "plan", "--component", "accounts"]).result(0);
    let missing = plan["missing"].to_string();
    for told in ["large-objects accounts/main", "replication accounts/main: publication"] {
        assert!(missing.contains(told), "{plan}");
    }
    let drop = format!("DROP DATABASE {} WITH (FORCE)", suite.accounts);
    world.cluster.psql("postgres", &drop).unwrap();
    world.cluster.create_database(&suite.accounts, world.server.role()).unwrap();
    let root = suite.folder.join("root").display().to_string();
    let words = ["restore", "run", "--component", "accounts", "--no-start", "--root", &root];
    let outcome = suite.lifeboat_opened(&words).result(3).to_string();
    assert!(outcome.contains("logical replication was not kept"), "{outcome}");
}

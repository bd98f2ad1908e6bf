//! What a backup and a restore are not sure of is said; and a restore that is done once more does
//! no harm to what was given out since.

use std::fs;

use serde_json::Value;

use crate::harbour::{Suite, suite, world};

const STAND: &str = "SELECT last_value FROM events_stream_seq";

/// Restores the homeserver beside the one that runs; the outcome.
fn restore(suite: &Suite, more: &[&str]) -> Value {
    let root = suite.folder.join("root").display().to_string();
    let words = ["restore", "run", "--component", "synapse", "--no-start", "--root", &root];
    let said = suite.lifeboat_opened(&[&words[..], more].concat());
    assert!([0, 3].contains(&said.exit), "{said:?}");
    said.result(said.exit)
}

#[test]
fn restore_that_is_done_once_more_gives_out_nothing_that_the_first_one_gave() {
    let (world, suite) = (world(), suite("once_more"));
    suite.lifeboat(&["backup", "run", "--component", "synapse"]).result(0);
    let beside = ["--beside", "_again"];
    let database = format!("{}_again", world.server.database());
    restore(&suite, &beside);
    let stand = || -> i64 { world.cluster.psql(&database, STAND).unwrap().trim().parse().unwrap() };
    let first = stand();
    // What ran since gave out more than any margin.
    let later: i64 = 9_000_000_000;
    let given = format!("SELECT setval('events_stream_seq', {later})");
    world.cluster.psql(&database, &given).unwrap();
    let outcome = restore(&suite, &[&beside[..], &["--replace"]].concat());
    let second = stand();
    assert!(outcome["next"].to_string().contains("do not start it"), "{outcome}");
    assert!(first < later && second >= later + 1_000_000, "{first} {second}");

    // The rules alone, once more: what is safe stays as it is, or it would not start.
    let outcome = restore(&suite, &[&beside[..], &["--only", "rules/synapse"]].concat());
    assert_eq!(stand(), second);
    assert!(outcome.to_string().contains("it is left as it is"), "{outcome}");
    assert!(outcome["next"].to_string().contains("without --only"), "{outcome}");

    // One that cannot be asked is told of.
    let shut = "SELECT format('ALTER DATABASE %I ALLOW_CONNECTIONS false', datname)
        FROM pg_database WHERE datname LIKE '%_again_before_%'";
    let shut = world.cluster.psql("postgres", shut).unwrap().trim().to_owned();
    world.cluster.psql("postgres", &shut).unwrap();
    let outcome = restore(&suite, &[&beside[..], &["--replace"]].concat());
    assert!(outcome.to_string().contains("cannot be asked what it gave out"), "{outcome}");
    assert!(
        stand() > second,
        "that a rule was applied to the one before is no reason to leave it out"
    );
    assert!(!outcome.to_string().contains("schema_version"), "{outcome}");
}

#[test]
fn databases_that_were_cut_apart_are_told_by_backup_and_plan() {
    let (world, suite) = (world(), suite("skewed"));
    let url = world.cluster.url(&suite.accounts, world.server.role());
    let mas = suite.folder.join("mas.yaml");
    let secrets = "secrets: {encryption: '00', keys: []}";
    fs::write(&mas, format!("database: {{uri: '{url}'}}\n{secrets}\n")).unwrap();
    let yaml = fs::read_to_string(&suite.yaml).unwrap();
    let yaml = format!("{yaml}  - {{kind: mas, config: {}}}\n", mas.display());
    fs::write(&suite.yaml, yaml).unwrap();
    let both = ["backup", "run", "--component", "synapse", "--component", "mas"];
    let hurried = [&both[..], &["--cut-budget", "0"]].concat();
    let said = suite.lifeboat(&hurried);
    assert_eq!(said.exit, 1, "{said:?}");
    let outcome = suite.lifeboat(&[&hurried[..], &["--allow-skew"]].concat()).result(3);
    let gap = &outcome["gaps"]["first"][0];
    assert_eq!((&gap["kind"], &gap["object"]), (&"skew".into(), &"synapse/main + mas/main".into()));
    let plan = suite.lifeboat_opened(&["restore", "plan"]).result(0);
    let missing = plan["missing"].to_string();
    assert!(missing.contains("skew synapse/main + mas/main: they were cut"), "{plan}");
    // In time they are cut as one.
    let outcome = suite.lifeboat(&both).result(0);
    assert_eq!(outcome["gaps"]["total"], 0, "{outcome}");
}

#[test]
fn signing_key_that_the_events_do_not_carry_is_told_by_backup_and_drill() {
    let (world, suite) = (world(), suite("key"));
    let key = suite.folder.join("fresh.key");
    fs::write(&key, "ed25519 a_Fresh AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8\n").unwrap();
    let config = suite.folder.join("key.yaml");
    fs::write(&config, format!("signing_key_path: {}\n", key.display())).unwrap();
    let yaml = fs::read_to_string(&suite.yaml).unwrap();
    let last = world.server.config_paths().last().unwrap().display().to_string();
    let more = format!("{last}, {}]", config.display());
    fs::write(&suite.yaml, yaml.replace(&format!("{last}]"), &more)).unwrap();
    let run = ["backup", "run", "--component", "synapse"];
    let outcome = suite.lifeboat(&run).result(3);
    assert_eq!(outcome["gaps"]["first"][0]["kind"], "signing-key", "{outcome}");
    let said = suite.lifeboat_opened(&["drill"]);
    assert_eq!(said.exit, 1, "{said:?}");
    assert!(said.stdout.contains("its signing key is not the one"), "{said:?}");
}

//! How a database orders text, before and after a restore.

use serde_json::Value;

use crate::harbour::{Suite, suite, world};

/// Makes the accounts anew, ordered by ICU, and says by an older version of it than this one.
fn order_by_icu(suite: &Suite) {
    let (cluster, role) = (&world().cluster, &world().server.role().name);
    cluster.drop_database(&suite.accounts).unwrap();
    let make = format!(
        "CREATE DATABASE {} OWNER {role} TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C'
         LOCALE_PROVIDER icu ICU_LOCALE 'de-x-icu'",
        suite.accounts
    );
    cluster.psql("postgres", &make).unwrap();
    let fill = format!(
        "SET ROLE {role}; CREATE TABLE names (name text PRIMARY KEY);
         INSERT INTO names VALUES ('b'), ('B'), ('a'), ('A')"
    );
    cluster.psql(&suite.accounts, &fill).unwrap();
    let older = format!(
        "UPDATE pg_database SET datcollversion = '1.2' WHERE datname = '{}'",
        suite.accounts
    );
    cluster.psql("postgres", &older).unwrap();
}

fn restore(suite: &Suite, exit: i32) -> Value {
    let root = suite.folder.join("root");
    let words = ["restore", "run", "--component", "accounts", "--no-start", "--beside", "_again"];
    let words: Vec<&str> = words.into_iter().chain(["--root", root.to_str().unwrap()]).collect();
    let outcome = suite.lifeboat_opened(&words).result(exit);
    let steps = outcome["steps"].as_array().unwrap().iter();
    let mut steps = steps.filter(|step| step[0]["name"] == "database/accounts/main");
    steps.next().unwrap()[1].clone()
}

#[test]
fn database_ordered_by_icu_is_made_again_and_another_version_of_its_rules_is_told() {
    let suite = suite("icu");
    order_by_icu(&suite);
    suite.lifeboat(&["backup", "run", "--component", "accounts"]).result(0);
    let done = restore(&suite, 0);
    assert!(done["lines"].to_string().contains("by version 1.2 of the rules"), "{done}");
    assert!(done["lines"].to_string().contains("nothing to REINDEX"), "{done}");
    let beside = format!("{}_again", suite.accounts);
    let sorted = "SELECT string_agg(name, '' ORDER BY name) FROM names";
    assert_eq!(world().cluster.psql(&beside, sorted).unwrap(), "aAbB");
}

#[test]
fn empty_database_that_orders_text_otherwise_is_a_gap_with_the_statement() {
    let (world, suite) = (world(), suite("unordered"));
    order_by_icu(&suite);
    suite.lifeboat(&["backup", "run", "--component", "accounts"]).result(0);
    let beside = format!("{}_again", suite.accounts);
    world.cluster.create_database(&beside, world.server.role()).unwrap();
    let gaps = restore(&suite, 3)["gaps"].to_string();
    let statement = format!(
        "CREATE DATABASE \\\"{beside}\\\" TEMPLATE template0 ENCODING 'UTF8' LC_COLLATE 'C' \
         LC_CTYPE 'C' LOCALE_PROVIDER icu ICU_LOCALE 'de-x-icu' OWNER"
    );
    assert!(gaps.contains("text is ordered otherwise") && gaps.contains(&statement), "{gaps}");
}

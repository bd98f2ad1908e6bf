//! Roles of others in a database, before and after a restore.

use std::fs;

use lifeboat_testing::Role;
use serde_json::Value;

use crate::harbour::{Suite, suite, world};

/// Lets a role of the suite's own read the accounts, and hides some from it.
fn let_in(suite: &Suite) -> String {
    let role = format!("monitor_{}", suite.accounts);
    let rights = format!(
        "CREATE ROLE {role} LOGIN; GRANT SELECT ON sessions TO {role};
         ALTER TABLE sessions ENABLE ROW LEVEL SECURITY;
         CREATE POLICY few ON sessions TO {role} USING (id <= 10);
         REVOKE CONNECT ON DATABASE {0} FROM PUBLIC; GRANT CONNECT ON DATABASE {0} TO {role}",
        suite.accounts
    );
    world().cluster.psql(&suite.accounts, &rights).unwrap();
    role
}

/// Restores the accounts beside those in use, and gives the outcome.
fn restore(suite: &Suite, suffix: &str, more: &[&str], exit: i32) -> Value {
    let root = suite.folder.join("root");
    let words = ["restore", "run", "--component", "accounts", "--no-start", "--beside", suffix];
    let words: Vec<&str> =
        words.into_iter().chain(["--root", root.to_str().unwrap()]).chain(more.to_vec()).collect();
    suite.lifeboat_opened(&words).result(exit)
}

/// The gaps of the step that gives rights.
fn gaps(outcome: &Value) -> Vec<String> {
    let steps = outcome["steps"].as_array().unwrap();
    let rights = steps.iter().find(|step| step[0]["name"] == "rights/accounts").unwrap();
    let gaps = rights[1]["gaps"].as_array().unwrap();
    gaps.iter().map(|gap| gap.as_str().unwrap().to_owned()).collect()
}

#[test]
fn monitoring_that_could_read_a_lost_database_can_read_the_one_that_was_put_back() {
    let (world, suite) = (world(), suite("watched"));
    let role = let_in(&suite);
    suite.lifeboat(&["backup", "run", "--component", "accounts"]).result(0);
    let outcome = restore(&suite, "_again", &[], 0);
    assert!(gaps(&outcome).is_empty(), "{outcome}");
    let beside = format!("{}_again", suite.accounts);
    let see = format!("SET ROLE {role}; SELECT count(*) FROM sessions");
    assert_eq!(world.cluster.psql(&beside, &see).unwrap(), "10");
    let closed = format!(
        "CREATE ROLE stranger_{0}; SELECT has_database_privilege('stranger_{0}', '{beside}',
         'CONNECT'), has_database_privilege('{role}', '{beside}', 'CONNECT')",
        suite.accounts
    );
    assert_eq!(world.cluster.psql("postgres", &closed).unwrap(), "f|t");
}

#[test]
fn rows_that_policies_hide_from_who_restores_are_a_gap_and_stop_nothing() {
    let (world, suite) = (world(), suite("hidden"));
    let owner = Role::named("owner_of_hidden");
    world.cluster.create_role(&owner, true).unwrap();
    let hide = format!(
        "ALTER ROLE {0} BYPASSRLS; ALTER DATABASE {1} OWNER TO {0};
         ALTER TABLE sessions OWNER TO {0}; ALTER TABLE sessions ENABLE ROW LEVEL SECURITY;
         ALTER TABLE sessions FORCE ROW LEVEL SECURITY;
         CREATE POLICY few ON sessions USING (id <= 10)",
        owner.name, suite.accounts
    );
    world.cluster.psql(&suite.accounts, &hide).unwrap();
    let url = world.cluster.url(&suite.accounts, &owner);
    fs::write(suite.folder.join("accounts.url"), url).unwrap();
    suite.lifeboat(&["backup", "run", "--component", "accounts"]).result(0);
    world.cluster.psql("postgres", &format!("ALTER ROLE {} NOBYPASSRLS", owner.name)).unwrap();
    let outcome = restore(&suite, "_again", &[], 3).to_string();
    assert!(outcome.contains("public.sessions: rows cannot be counted"), "{outcome}");
    let beside = format!("{}_again", suite.accounts);
    let all = world.cluster.psql(&beside, "SELECT count(*) FROM sessions").unwrap();
    assert_eq!(all, "5000");
}

#[test]
fn role_that_is_not_there_is_a_gap_and_gets_its_rights_when_it_is() {
    let (world, suite) = (world(), suite("unwatched"));
    let role = let_in(&suite);
    suite.lifeboat(&["backup", "run", "--component", "accounts"]).result(0);
    let forget = format!("DROP OWNED BY {role}; DROP ROLE {role}");
    world.cluster.psql(&suite.accounts, &forget).unwrap();
    let outcome = restore(&suite, "_away", &[], 3);
    let [gap] = gaps(&outcome).try_into().unwrap_or_else(|gaps| panic!("{gaps:?}"));
    for telling in [
        format!("there is no role {role}"),
        format!("CREATE ROLE \"{role}\" LOGIN"),
        format!("GRANT SELECT ON TABLE public.sessions TO {role};"),
        format!("CREATE POLICY few ON public.sessions TO {role} USING ((id <= 10));"),
        "--only rights/accounts".to_owned(),
    ] {
        assert!(gap.contains(&telling), "{telling}: {gap}");
    }
    world.cluster.psql("postgres", &format!("CREATE ROLE {role} LOGIN")).unwrap();
    let outcome = restore(&suite, "_away", &["--only", "rights/accounts"], 0);
    assert!(gaps(&outcome).is_empty(), "{outcome}");
    let left = std::fs::read_dir(suite.folder.join("state")).unwrap();
    let mut left = left.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    assert!(left.all(|name| !name.starts_with("restore-")), "no restore is under way");
    let see = format!("SET ROLE {role}; SELECT count(*) FROM sessions");
    let beside = format!("{}_away", suite.accounts);
    assert_eq!(world.cluster.psql(&beside, &see).unwrap(), "10");
}

#[test]
fn drill_lets_nobody_in_and_has_no_gap_for_that() {
    let (world, suite) = (world(), suite("unlit"));
    let role = let_in(&suite);
    suite.lifeboat(&["backup", "run", "--component", "accounts"]).result(0);
    suite.lifeboat_opened(&["drill", "--keep"]).result(0);
    let drill = format!("{}_drill", suite.accounts);
    let may = format!("SELECT has_table_privilege('{role}', 'sessions', 'SELECT')");
    assert_eq!(world.cluster.psql(&drill, &may).unwrap(), "f");
    // Also where the policy's role is not there.
    let forget = format!("DROP OWNED BY {role}");
    world.cluster.psql(&suite.accounts, &forget).unwrap();
    world.cluster.psql(&drill, &forget).unwrap();
    world.cluster.psql("postgres", &format!("DROP ROLE {role}")).unwrap();
    let outcome = suite.lifeboat_opened(&["drill"]).result(0);
    assert_eq!(outcome["gaps"], 0, "{outcome}");
}

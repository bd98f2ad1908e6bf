//! What is written down: the report of a restore, and the plan for the worst day.

use std::fs;

use serde_json::Value;

use crate::harbour::{Suite, suite};
use crate::program::lifeboat;

#[test]
fn restore_writes_what_it_did_and_checked_as_json_and_as_text() {
    let suite = suite("written");
    suite.back_up();
    let root = suite.folder.join("root");
    let restore = |beside: &str, report: &std::path::Path| {
        let words = ["restore", "run", "--component", "accounts", "--no-start", "--root"];
        let mut words = words.to_vec();
        words.extend([root.to_str().unwrap(), "--beside", beside]);
        words.extend(["--report", report.to_str().unwrap()]);
        suite.lifeboat_opened(&words)
    };
    let file = suite.folder.join("restored.json");
    restore("_wa", &file).result(0);
    let report: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    let checks = report["checks"].to_string();
    assert!(checks.contains("_wa: 5000 rows in 1 tables"), "{report}");
    assert!((0..120).contains(&report["lost_window_seconds"].as_i64().unwrap()), "{report}");
    let names = report["steps"].as_array().unwrap().iter().map(|step| step["name"].clone());
    let names: Vec<Value> = names.collect();
    assert!(names.contains(&"database/accounts/main".into()), "{names:?}");
    assert_eq!(report["gaps"], Value::Array(Vec::new()));
    let file = suite.folder.join("restored.txt");
    restore("_wb", &file).result(0);
    let text = fs::read_to_string(&file).unwrap();
    for words in ["recovery point  20", "lost window     ", "_wb: 5000 rows", "Gaps\n  none"] {
        assert!(text.contains(words), "{words}: {text}");
    }
    let nowhere = suite.folder.join("no folder/x.json");
    let said = restore("_wc", &nowhere);
    assert_eq!(said.exit, 1, "seen before anything is done: {said:?}");
    assert!(!said.stdout.contains("step 1"), "{said:?}");
}

/// Commands of the plan, as a shell would split them: nothing here needs more than quotes.
fn commands(page: &str) -> Vec<Vec<String>> {
    let lines = page.lines().filter(|line| line.starts_with("lifeboat "));
    let words = |line: &str| line.split(' ').skip(1).map(|w| w.replace('\'', "")).collect();
    lines.map(words).collect()
}

fn plan(suite: &Suite, name: &str) -> String {
    let file = suite.folder.join(name);
    suite.lifeboat_opened(&["report", "-o", file.to_str().unwrap()]).result(0);
    fs::read_to_string(&file).unwrap()
}

#[test]
fn plan_for_the_worst_day_tells_what_was_seen_and_commands_that_the_program_takes() {
    let suite = suite("worst");
    suite.lifeboat(&["backup", "run", "--component", "accounts"]).result(0);
    suite.lifeboat_opened(&["backup", "verify"]).result(0);
    suite.lifeboat_opened(&["drill"]).result(0);
    let before = plan(&suite, "before.md");
    assert!(before.contains("(RPO): not known"), "one of some components is none: {before}");
    let row = |name: &str| before.lines().find(|l| l.starts_with(&format!("| {name} |"))).unwrap();
    assert_eq!(row("accounts").matches("| 20").count(), 3, "backup, verify, drill: {before}");
    assert_eq!(row("synapse").matches("| never").count(), 3, "{before}");
    suite.back_up();
    suite.lifeboat_opened(&["backup", "verify"]).result(0);
    let page = plan(&suite, "plan.md");
    assert!(page.contains("(RPO): what was written in the last "), "{page}");
    assert!(page.contains(" in the drill of 20"), "{page}");
    assert!(page.contains("no errors when read and restored | none found"), "{page}");
    assert!(page.contains("--only files/synapse"), "media are a volume too: {page}");
    let commands = commands(&page);
    assert!(commands.len() > 15, "{page}");
    for words in commands {
        let said = lifeboat(words.iter().map(String::as_str).chain(["--help"]));
        assert_eq!(said.exit, 0, "{words:?}: {said:?}");
    }
    // Each backup has its own, for the day on which nothing else is left.
    let out = suite.folder.join("out");
    let words = ["backup", "unpack", "--file", "*/plan.md", "-d", out.to_str().unwrap()];
    suite.lifeboat_opened(&words).result(0);
    let kept = out.join("lifeboat/files").join(suite.folder.strip_prefix("/").unwrap());
    let kept = fs::read_to_string(kept.join("state/plan.md")).unwrap();
    assert!(kept.contains("--only files/synapse") && kept.contains("| accounts |"), "{kept}");
    let html = plan(&suite, "plan.html");
    assert!(html.starts_with("<!DOCTYPE html>") && html.contains("<svg "), "{html}");
    assert!(!html.contains("<script") && html.contains("default-src 'none'"), "{html}");
    // Without an identity, or without the vault, less is known: and that is what it says.
    let blind = suite.lifeboat(&["report"]).result(0)["text"].as_str().unwrap().to_owned();
    assert!(blind.contains("not known: give an identity"), "{blind}");
    fs::rename(&suite.vault, suite.folder.join("gone")).unwrap();
    let lost = suite.lifeboat(&["report"]).result(3)["text"].as_str().unwrap().to_owned();
    assert!(lost.contains("THE VAULT COULD NOT BE READ"), "{lost}");
}

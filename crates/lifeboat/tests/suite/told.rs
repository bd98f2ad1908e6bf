//! What a restore says before it begins and after it ended, also when it failed.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::harbour::{Suite, suite};
use crate::program::program;

/// Backs up the components that are quick.
fn back_up_small(suite: &Suite) {
    let words = ["backup", "run", "--component", "accounts", "--component", "bot"];
    suite.lifeboat(&words).result(0);
}

/// Restores and writes the report; the exit code.
fn restore(suite: &Suite, report: &Path, more: &[&str]) -> i32 {
    let words = ["restore", "run", "--no-start", "--report", report.to_str().unwrap()];
    suite.lifeboat_opened(&words.iter().chain(more).copied().collect::<Vec<_>>()).exit
}

#[test]
fn report_of_a_restore_that_failed_says_what_was_done_what_failed_and_what_is_next() {
    let suite = suite("failed");
    back_up_small(&suite);
    let json = suite.folder.join("report.json");
    assert_eq!(restore(&suite, &json, &[]), 1);
    let report: Value = serde_json::from_slice(&fs::read(&json).unwrap()).unwrap();
    assert_eq!(report["failed"]["step"], "database/accounts/main", "{report}");
    let why = report["failed"]["why"][0].as_str().unwrap();
    assert!(why.contains("database accounts_failed is not empty"), "{why}");
    let steps: Vec<&str> =
        report["steps"].as_array().unwrap().iter().map(|s| s["name"].as_str().unwrap()).collect();
    assert_eq!(
        steps,
        [
            "fence",
            "configuration/lifeboat",
            "configuration/accounts",
            "configuration/bot",
            "secrets"
        ]
    );
    let not_done = report["failed"]["not_done"].as_array().unwrap();
    assert!(not_done.contains(&Value::from("files/bot")) && not_done.contains(&"check".into()));
    let next = report["next"].to_string();
    assert!(next.contains("--replace") && next.contains("goes on with step 6"), "{next}");

    assert_eq!(restore(&suite, &json, &["--replace"]), 0);
    let report: Value = serde_json::from_slice(&fs::read(&json).unwrap()).unwrap();
    assert!(report["failed"].is_null(), "{report}");
    assert_eq!(report["steps"][1]["done_before"], true, "{report}");
}

#[test]
fn report_as_html_has_no_scripts_and_escapes_what_others_wrote() {
    let suite = suite("html");
    let hostile = suite.bot.join("<script>alert(1)<img src=x onerror=alert(2)>");
    fs::write(&hostile, "x").unwrap();
    back_up_small(&suite);
    fs::write(&hostile, "y").unwrap();
    let html = suite.folder.join("report.HTML");
    assert_eq!(restore(&suite, &html, &["--component", "bot"]), 1);
    let page = fs::read_to_string(&html).unwrap();
    assert!(page.starts_with("<!DOCTYPE html>") && page.ends_with("</html>\n"), "{page}");
    assert!(page.contains("default-src 'none'") && page.contains("@media print"), "{page}");
    assert!(page.contains("FAILED at step files/bot"), "{page}");
    assert!(page.contains("&lt;script&gt;alert(1)"), "{page}");
    for markup in ["<script", "<img", "javascript:", "http"] {
        assert!(!page.to_lowercase().replace("http-equiv", "").contains(markup), "{markup}");
    }
    let text = suite.folder.join("report.txt");
    assert_eq!(restore(&suite, &text, &["--component", "bot", "--replace"]), 0);
    let text = fs::read_to_string(text).unwrap();
    assert!(text.contains("result          done\n") && text.contains("moved aside: "), "{text}");
}

#[test]
fn plan_tells_the_time_by_the_last_drill_and_asks_for_one_when_there_is_none() {
    let suite = suite("time");
    back_up_small(&suite);
    let shown = || {
        let mut command = program();
        command.args(["restore", "plan", "-c"]).arg(&suite.yaml).arg("-i").arg(&suite.identity);
        String::from_utf8(command.output().unwrap().stdout).unwrap()
    };
    assert!(shown().contains("no drill yet: lifeboat drill"), "{}", shown());
    let drill = suite.lifeboat_opened(&["drill"]).result(0);
    let plan = suite.lifeboat_opened(&["restore", "plan"]).result(0);
    assert_eq!(plan["time"]["drilled_at"], drill["drilled_at"], "{plan}");
    let not_drilled = plan["time"]["not_drilled"].as_array().unwrap();
    assert_eq!(not_drilled, &["rights/accounts", "start/accounts", "start/bot"], "{plan}");
    let steps = plan["steps"].as_array().unwrap();
    let step = steps.iter().find(|step| step["name"] == "database/accounts/main").unwrap();
    let steps = drill["steps"].as_array().unwrap();
    let drilled = steps.iter().find(|step| step["step"] == "database/accounts/main").unwrap();
    assert_eq!(step["drilled_seconds"], drilled["seconds"]);
    let line = format!("by the drill of {}, without rights", drill["drilled_at"].as_str().unwrap());
    assert!(shown().contains(&line), "{}", shown());
}

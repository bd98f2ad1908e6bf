//! The verification report: silent about a good import, and outspoken about each kind of damage.

use std::fs;

use lifeboat_components::matrix::{PublicKeys, verify_json};
use lifeboat_components::synapse::check::run::Run;
use lifeboat_engine::import::ImportReport;
use lifeboat_engine::import::report::CheckResult;
use serde_json::Value;

use crate::imported::{imported, largest_file, server_request};

fn result(report: &ImportReport, name: &str) -> CheckResult {
    let check = report.checks.iter().find(|check| check.name == name);
    check.expect("the check is in the report").result
}

/// The report is not valid, these checks are wrong and no other, and a problem says this.
fn assert_found(report: &ImportReport, checks: &[&str], words: &[&str]) {
    let text = report.lines().join("\n");
    assert!(!report.valid, "{text}");
    let wrong = report.checks.iter().filter(|check| check.result == CheckResult::Wrong);
    let wrong: Vec<&str> = wrong.map(|check| check.name).collect();
    assert_eq!(wrong, checks, "{text}");
    let is_named = report.problems().iter().any(|p| words.iter().all(|word| p.contains(word)));
    assert!(is_named, "{words:?} in {text}");
}

#[test]
fn good_import_is_valid_before_the_first_start() {
    let copy = imported().copy("report_good");
    let report = imported().verify(&copy);
    let text = report.lines().join("\n");
    assert!(report.valid && report.problems().is_empty(), "{text}");
    assert_eq!(report.run, Run::BeforeFirstStart, "{text}");
    for check in &report.checks {
        let expected = match check.name {
            "client access" => CheckResult::NotChecked,
            // The target has files of its own; a picture of another server has no file.
            "configuration" | "tables" => CheckResult::Noted,
            _ => CheckResult::Ok,
        };
        assert_eq!(check.result, expected, "{}: {text}", check.name);
    }
    let events: u64 =
        imported().sql(&copy, "SELECT count(*) FROM event_json").parse().expect("a count");
    let found = report.checks.iter().find(|check| check.name == "events").expect("is there");
    assert_eq!(found.findings.checked, events, "{text}");
    assert!(text.contains("verdict   valid: "), "{text}");
    assert!(text.contains("unchecked client access: not tried: Synapse does not run"), "{text}");
}

#[test]
fn good_import_stays_valid_when_synapse_runs_and_has_run() {
    let mut target = imported().world.empty_server("report_started").expect("is prepared");
    imported().import_into(&target);
    target.start().expect("Synapse starts on the imported server");
    let running = imported().verify_at(server_request(&target)).expect("can be verified");
    let text = running.lines().join("\n");
    assert!(running.valid && running.run == Run::AfterFirstStart, "{text}");
    assert!(text.contains("ok        client access: 10 users asked on port"), "{text}");
    target.stop();
    let stopped = imported().verify_at(server_request(&target)).expect("can be verified");
    let text = stopped.lines().join("\n");
    assert!(stopped.valid && stopped.run == Run::AfterFirstStart, "{text}");
    let lose = "DELETE FROM redactions WHERE event_id = (SELECT min(event_id) FROM redactions)";
    imported().world.cluster.psql(target.database(), lose).expect(lose);
    let report = imported().verify_at(server_request(&target)).expect("can be verified");
    assert_found(&report, &["tables"], &["redactions", "but by a purge"]);
}

#[test]
fn report_is_signed_with_the_servers_key() {
    let copy = imported().copy("report_signed");
    let report = imported().verify(&copy);
    let opened = server_request(&imported().target).open().expect("the target is readable");
    let mut keys = PublicKeys::new();
    for key in opened.config.signing_keys().expect("it has a key") {
        keys.insert_own(&report.server_name, &key);
    }
    let json = serde_json::to_string(&report).expect("the report is JSON");
    let Ok(Value::Object(mut object)) = serde_json::from_str(&json) else { panic!("{json}") };
    assert_eq!(object["type"], "org.lifeboat.import-report");
    let signed = verify_json(&object, &report.server_name, &keys).expect("the signature fits");
    assert_eq!(report.signed_by, Some(signed));
    object.insert("valid".to_owned(), Value::Bool(false));
    verify_json(&object, &report.server_name, &keys).expect_err("a changed report is refused");
}

const SOME_MESSAGE: &str = "(SELECT event_id FROM events WHERE type = 'm.room.message'
    ORDER BY stream_ordering LIMIT 1)";

#[test]
fn changed_content_of_one_event_is_named() {
    let copy = imported().copy("report_content");
    let id = imported().sql(&copy, &format!("SELECT {SOME_MESSAGE}"));
    let change = format!(
        "UPDATE event_json SET json = jsonb_set(json::jsonb, '{{content,body}}', '\"forged\"')::text
         WHERE event_id = {SOME_MESSAGE}"
    );
    imported().sql(&copy, &change);
    let report = imported().verify(&copy);
    assert_found(&report, &["events"], &["events: ", &id, "its content was changed"]);
    assert_eq!(report.checks[3].findings.wrong, 1);
}

#[test]
fn event_under_the_id_of_another_is_named() {
    let copy = imported().copy("report_event_id");
    let id = imported().sql(&copy, &format!("SELECT {SOME_MESSAGE}"));
    let change = format!(
        "UPDATE event_json SET json = jsonb_set(json::jsonb, '{{origin_server_ts}}', '1')::text
         WHERE event_id = {SOME_MESSAGE}"
    );
    imported().sql(&copy, &change);
    assert_found(&imported().verify(&copy), &["events"], &[&id, "its content has the id $"]);
}

#[test]
fn wrong_signature_is_named() {
    let copy = imported().copy("report_signature");
    // The id does not cover signatures. All of them, for only a sample is looked at on a large
    // server.
    let change = "UPDATE event_json SET json = replace(json, '\"signatures\":{\"lifeboat.test\"',
        '\"signatures\":{\"elsewhere.test\"')";
    imported().sql(&copy, change);
    let report = imported().verify(&copy);
    assert_found(&report, &["signatures"], &["signatures: $", "lifeboat.test"]);
}

#[test]
fn missing_rows_are_named_with_their_table_and_room() {
    let copy = imported().copy("report_rows");
    imported().sql(&copy, "DELETE FROM push_rules WHERE id = (SELECT min(id) FROM push_rules)");
    assert_found(
        &imported().verify(&copy),
        &["tables"],
        &["push_rules: rows: ", "in the package: "],
    );
    let room = "SELECT room_id FROM current_state_events ORDER BY room_id LIMIT 1";
    let room = imported().sql(&copy, room);
    let change = format!(
        "DELETE FROM current_state_events WHERE event_id =
           (SELECT event_id FROM current_state_events WHERE room_id = '{room}'
            AND type = 'm.room.power_levels')"
    );
    imported().sql(&copy, &change);
    let report = imported().verify(&copy);
    assert_found(&report, &["tables", "rooms"], &["rooms: ", &room, "entries of current state"]);
}

#[test]
fn changed_and_missing_media_are_named() {
    let copy = imported().copy("report_media");
    let upload = largest_file(&copy.media_store.join("local_content"));
    let mut bytes = fs::read(&upload).expect("the file is readable");
    bytes[0] ^= 1;
    fs::write(&upload, &bytes).expect("the file is writable");
    let name = upload.strip_prefix(&copy.media_store).expect("is below").display().to_string();
    let report = imported().verify(&copy);
    assert_found(&report, &["media"], &[&name, "its SHA-256 is another", "mxc://lifeboat.test/"]);
    bytes.pop();
    fs::write(&upload, &bytes).expect("the file is writable");
    assert_found(&imported().verify(&copy), &["media"], &[&name, "bytes, the package has"]);
    fs::remove_file(&upload).expect("the file is removed");
    assert_found(&imported().verify(&copy), &["media"], &[&name, "missing (mxc://"]);
}

#[test]
fn lowered_sequences_are_named_and_a_small_margin_is_noted() {
    let copy = imported().copy("report_sequences");
    let lower = "SELECT setval('receipts_sequence', 1)";
    imported().sql(&copy, lower);
    let report = imported().verify(&copy);
    assert_found(&report, &["sequences"], &["receipts_sequence", "rows and positions are at"]);
    let stream = "SELECT setval('receipts_sequence', last_value - 999990) FROM events_stream_seq";
    imported().sql(&copy, "SELECT setval('receipts_sequence', 1999999)");
    imported().sql(&copy, &stream.replace("receipts_sequence", "events_stream_seq"));
    let report = imported().verify(&copy);
    let text = report.lines().join("\n");
    assert!(report.valid, "{text}");
    assert_eq!(result(&report, "sequences"), CheckResult::Noted, "{text}");
    assert!(text.contains("events_stream_seq: raised by 10 only"), "{text}");
}

#[test]
fn missing_single_rows_and_restored_one_time_keys_are_named() {
    let copy = imported().copy("report_positions");
    imported().sql(&copy, "DELETE FROM stats_incremental_position");
    let report = imported().verify(&copy);
    let words = ["positions: stats_incremental_position", "0 rows"];
    assert_found(&report, &["tables", "positions"], &words);
    imported().sql(
        &copy,
        "INSERT INTO stats_incremental_position (stream_id) VALUES (1);
         INSERT INTO e2e_one_time_keys_json
           (user_id, device_id, algorithm, key_id, ts_added_ms, key_json)
         VALUES ('@alice:lifeboat.test', 'D', 'signed_curve25519', 'A', 1, '{}')",
    );
    let report = imported().verify(&copy);
    assert_found(&report, &["tables"], &["e2e_one_time_keys_json", "it must be empty"]);
}

#[test]
fn user_whom_the_state_does_not_let_in_is_named() {
    let copy = imported().copy("report_access");
    let change = "UPDATE current_state_events SET membership = 'leave'
        WHERE type = 'm.room.member' AND membership = 'join' AND state_key =
          (SELECT name FROM users WHERE deactivated = 0 AND name IN
             (SELECT user_id FROM local_current_membership WHERE membership = 'join')
           ORDER BY name LIMIT 1)
        RETURNING state_key";
    let out = imported().sql(&copy, change);
    let user = out.lines().next().expect("a user is in a room");
    let report = imported().verify(&copy);
    let words = [user, "joined, but the room's state says leave"];
    assert_found(&report, &["rooms", "access"], &words);
    let list = "UPDATE local_current_membership SET membership = 'leave'
        WHERE membership = 'join' AND user_id = (SELECT user_id FROM local_current_membership
          WHERE membership = 'join' AND user_id <> '{user}' ORDER BY user_id LIMIT 1)
        RETURNING user_id";
    let out = imported().sql(&copy, &list.replace("{user}", user));
    let other = out.lines().next().expect("another user is in a room");
    let words = [other, "leave, but the room's state says join"];
    assert_found(&imported().verify(&copy), &["rooms", "access"], &words);
}

#[test]
fn check_that_cannot_be_made_is_no_success() {
    let copy = imported().copy("report_failed");
    imported().sql(&copy, "ALTER TABLE local_current_membership RENAME COLUMN room_id TO room");
    let report = imported().verify(&copy);
    assert!(!report.valid);
    assert_eq!(result(&report, "access"), CheckResult::Failed);
    let problems = report.problems();
    let problem = problems.iter().find(|problem| problem.starts_with("access: "));
    assert!(problem.is_some_and(|p| p.contains("not checked")), "{problems:?}");
}

#[test]
fn database_without_a_finished_import_is_refused() {
    let cluster = &imported().world.cluster;
    cluster.create_database("report_empty", imported().target.role()).expect("is made");
    let verify = |database: &str| {
        let mut server = server_request(&imported().target);
        server.database_url = Some(cluster.url(database, imported().target.role()));
        imported().verify_at(server).expect_err("must be refused").to_string()
    };
    assert!(verify("report_empty").contains("is empty"));
    assert!(verify("report_absent").contains("is not there"));
    let copy = imported().copy("report_half");
    imported().sql(&copy, "UPDATE lifeboat.import SET package = 'another'");
    assert!(verify("report_half").contains("of package another"));
    imported().sql(&copy, "UPDATE lifeboat.import SET finished = false; DROP TABLE schema_version");
    assert!(verify("report_half").contains("cut short"));
}

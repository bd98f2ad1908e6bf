//! Rooms that were purged by mistake, out of the backup of last night, while the server lives on.

use std::fs;
use std::path::PathBuf;

use serde_json::Value;

use crate::person::lose_upload;
use crate::port::Port;
use crate::program::{DONE, GAPS, lifeboat};
use crate::report;

const PURGED: [&str; 3] = ["lobby", "encrypted", "twelve"];

/// See the same list in [`crate::purged`].
const MAY_DIFFER: [&str; 3] = ["to-device/@alice:*", "unread/*", "search/boat"];

/// Describes the server in a `lifeboat.yaml`, and backs it up.
fn back_up(port: &Port) -> PathBuf {
    let folder = port.world.directory();
    let configs = port.world.server.config_paths();
    let configs: Vec<String> = configs.iter().map(|path| path.display().to_string()).collect();
    let yaml = folder.join("lifeboat.yaml");
    let text = format!(
        "server_name: {server}\nvault: {folder}/vault\nrecipients: [{recipient}]\n\
         state: {folder}/state\ncomponents:\n  - kind: synapse\n    config: [{configs}]\n",
        server = port.world.server.server_name(),
        folder = folder.display(),
        recipient = port.recipient,
        configs = configs.join(", "),
    );
    fs::write(&yaml, text).unwrap();
    let role = port.world.server.role().name.as_str();
    port.world.cluster.psql("postgres", &format!("ALTER ROLE {role} CREATEDB")).unwrap();
    lifeboat(["backup", "run", "--json", "-c", yaml.to_str().unwrap()]).result(DONE);
    yaml
}

/// Takes rooms out of the newest backup.
fn taken_out(
    port: &Port,
    yaml: &std::path::Path,
    (rooms, more): (&[String], &[&str]),
) -> (PathBuf, Value) {
    let package = port.world.directory().join(format!("rooms{}.lifeboat", more.len()));
    let mut words = vec!["backup", "export", "--json", "-c", yaml.to_str().unwrap()];
    words.extend(["-i", port.identity.to_str().unwrap(), "-o", package.to_str().unwrap()]);
    words.extend(rooms.iter().flat_map(|room| ["--room", room.as_str()]));
    words.extend(more);
    let said = lifeboat(words);
    assert!([DONE, GAPS].contains(&said.exit), "{said:?}");
    (package, said.result(said.exit))
}

#[test]
fn purged_rooms_and_a_lost_upload_come_back_out_of_a_backup_into_the_living_server() {
    let mut port = Port::open();
    let before = port.facts(&port.world.server, "before");
    let yaml = back_up(&port);
    let rooms: Vec<String> = PURGED.iter().map(|name| port.room(name)).collect();
    let (path, bytes) = lose_upload(&port, &rooms[0]);
    for room in &rooms {
        port.purge(room);
    }

    let (_, outcome) = taken_out(&port, &yaml, (&rooms, &[]));
    let gaps = outcome["gaps"].to_string();
    assert!(gaps.contains("2 of its keys lie in key backups"), "a purge deleted them: {gaps}");
    let everybody = ["--user", "@*:lifeboat.test"];
    let (package, outcome) = taken_out(&port, &yaml, (&rooms, &everybody));
    assert_eq!(outcome["rooms"], 3, "{outcome}");
    assert!(outcome["recovery_point"].as_str().unwrap().starts_with("20"), "{outcome}");
    assert_eq!(outcome["left"], serde_json::json!([]), "{outcome}");
    let gaps = outcome["gaps"].to_string();
    assert!(!gaps.contains("media-missing") && !gaps.contains("keys"), "{gaps}");
    let names = port.world.cluster.psql("postgres", "SELECT datname FROM pg_database").unwrap();
    assert!(!names.contains("_export"), "{names}");
    assert!(!port.world.directory().join("state/export").exists());

    let picks: Vec<&str> = rooms.iter().flat_map(|room| ["--room", room]).collect();
    let outcome = port.import(&port.world.server, &package, &picks).result(DONE);
    report::demand(&outcome, &[("client access", "not-checked")]);
    assert_eq!(fs::read(path).unwrap(), bytes);
    port.world.server.stop();
    port.world.server.start().unwrap();
    let after = port.facts(&port.world.server, "after");
    let report = port.world.compare(&before, &after, &MAY_DIFFER).unwrap_or_else(|e| panic!("{e}"));
    assert!(report.contains(" 0 different"), "{report}");
    assert_eq!(port.world.server.errors_in_log().unwrap(), Vec::<String>::new());
}

//! What is missing or damaged at the source: carried on, named, and never called complete.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use lifeboat_testing::World;
use serde_json::Value;

use crate::conversation::{Said, run};
use crate::harbour::harbour;
use crate::moments::Berth;

/// Media files of the seeded server, named by rows, to harm.
fn local_media(world: &World, count: usize) -> Vec<PathBuf> {
    let sql = "SELECT media_id FROM local_media_repository
               WHERE media_length > 100 AND url_cache IS NULL AND sha256 IS NOT NULL
               ORDER BY media_length, media_id";
    let ids = world.cluster.psql(world.server.database(), sql).unwrap();
    let path = |id: &str| {
        let (first, rest) = id.split_at(2);
        let (second, rest) = rest.split_at(2);
        PathBuf::from("local_content").join(first).join(second).join(rest)
    };
    let found: Vec<PathBuf> = ids.lines().take(count).map(path).collect();
    assert_eq!(found.len(), count, "{ids}");
    found
}

/// A copy of the media store; links, so that it costs nothing.
fn copy_of_media(folder: &Path) -> PathBuf {
    let copy = folder.join("media");
    let copied = Command::new("cp").arg("-al").arg(harbour().media_store()).arg(&copy).status();
    assert!(copied.unwrap().success());
    copy
}

/// Writes a new file in the place of a link.
fn replace(path: &Path, bytes: &[u8]) {
    fs::remove_file(path).unwrap();
    fs::write(path, bytes).unwrap();
}

/// The gap of an object.
fn gap<'a>(said: &'a Said, object: &str) -> &'a Value {
    let gaps = said.outcome()["gaps"]["first"].as_array().unwrap();
    let found = gaps.iter().find(|gap| gap["object"].as_str().unwrap().contains(object));
    found.unwrap_or_else(|| panic!("no gap for {object}: {gaps:?}"))
}

#[test]
fn media_that_is_missing_cut_off_or_changed_is_named() {
    let berth = Berth::archive();
    let world = harbour().world();
    let store = copy_of_media(&berth.folder);
    let harmed = local_media(&world, 4);
    fs::remove_file(store.join(&harmed[0])).unwrap();
    let whole = fs::read(store.join(&harmed[1])).unwrap();
    replace(&store.join(&harmed[1]), &whole[..whole.len() - 1]);
    let mut whole = fs::read(store.join(&harmed[2])).unwrap();
    whole[50] ^= 1;
    replace(&store.join(&harmed[2]), &whole);
    fs::remove_file(store.join(&harmed[3])).unwrap();
    fs::create_dir(store.join(&harmed[3])).unwrap();
    let mut command = berth.export(&world);
    let said = run(command.arg("--media-store").arg(&store));
    assert_eq!(said.exit, Some(3), "{said:?}");
    let kinds = ["media-missing", "media-damaged", "media-damaged", "media-missing"];
    for (path, kind) in harmed.iter().zip(kinds) {
        let gap = gap(&said, &path.display().to_string());
        assert_eq!(gap["kind"], kind, "{gap}");
        assert!(gap["detail"].as_str().unwrap().contains("mxc://lifeboat.test/"), "{gap}");
        assert!(!gap["remedy"].as_str().unwrap().is_empty(), "{gap}");
    }
    verify_names_gaps(&berth, said.outcome()["gaps"]["total"].as_u64().unwrap());
}

/// The package is valid, its gaps are told, and people are not told that all is there.
fn verify_names_gaps(berth: &Berth, total: u64) {
    let said = run(&mut harbour().about("verify", &berth.target));
    assert_eq!(said.exit, Some(0), "{said:?}");
    assert_eq!(said.outcome()["gaps"], total);
    let mut command = Command::new(env!("CARGO_BIN_EXE_lifeboat"));
    command.arg("verify").arg(&berth.target).arg("-i").arg(&harbour().identity);
    let output = command.output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains(&format!("{total} gap")), "{text}");
}

#[test]
fn an_export_with_gaps_is_never_called_complete() {
    let berth = Berth::archive();
    let world = harbour().world();
    let command = berth.export(&world);
    let plain: Vec<_> =
        command.get_args().filter(|word| *word != "--json").map(ToOwned::to_owned).collect();
    let output = Command::new(env!("CARGO_BIN_EXE_lifeboat")).args(plain).output().unwrap();
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8(text).unwrap();
    assert!(text.contains("media-missing"), "{text}");
    assert!(text.contains("help: "), "{text}");
    assert!(!text.to_lowercase().contains("complete"), "{text}");
}

#[test]
fn configuration_that_cannot_be_read_is_named() {
    let berth = Berth::archive();
    let world = harbour().world();
    let more = berth.folder.join("more.yaml");
    let (folder, gone) = (berth.folder.join("a-folder.yaml"), berth.folder.join("gone.yaml"));
    fs::create_dir(&folder).unwrap();
    let text =
        format!("app_service_config_files:\n  - {}\n  - {}\n", folder.display(), gone.display());
    fs::write(&more, text).unwrap();
    let said = run(berth.export(&world).arg("--synapse").arg(&more).args(["--media", "none"]));
    assert_eq!(said.exit, Some(3), "{said:?}");
    for object in [&folder, &gone] {
        let gap = gap(&said, &object.display().to_string());
        assert!(!gap["remedy"].as_str().unwrap().is_empty(), "{gap}");
    }
    verify_names_gaps(&berth, said.outcome()["gaps"]["total"].as_u64().unwrap());
}

#[test]
fn a_table_and_a_column_that_nobody_knows_are_exported_and_named() {
    let berth = Berth::archive();
    let world = harbour().world();
    let database = harbour().database(&world);
    let sql = "CREATE TABLE captains_log (entry text);
               INSERT INTO captains_log VALUES ('all is well');
               ALTER TABLE captains_log OWNER TO synapse;
               ALTER TABLE users ADD COLUMN favourite_knot text DEFAULT 'bowline';";
    world.cluster.psql(&database, sql).unwrap();
    let mut command = harbour().export_of(&world, &database, &berth.folder, &berth.target);
    let said = run(command.args(["--media", "none"]));
    assert_eq!(said.exit, Some(3), "{said:?}");
    for object in ["captains_log", "favourite_knot"] {
        assert!(!gap(&said, object)["remedy"].as_str().unwrap().is_empty());
    }
    verify_names_gaps(&berth, said.outcome()["gaps"]["total"].as_u64().unwrap());
    let content = harbour().content(&berth.target, &[]);
    let holds = |text: &[u8]| {
        content.iter().any(|(_, bytes)| bytes.windows(text.len()).any(|part| part == text))
    };
    assert!(holds(b"all is well") && holds(b"bowline"));
}

#[test]
fn rows_that_no_room_reaches_are_exported_once() {
    let berth = Berth::archive();
    let world = harbour().world();
    let database = harbour().database(&world);
    let sql = "INSERT INTO event_auth (event_id, auth_id, room_id)
               VALUES ('$adrift', '$anchor', '!adrift:lifeboat.test');
               INSERT INTO state_groups_state (state_group, room_id, type, state_key, event_id)
               VALUES (999999999, '!adrift:lifeboat.test', 'm.room.flotsam', '', '$adrift');";
    world.cluster.psql(&database, sql).unwrap();
    let mut command = harbour().export_of(&world, &database, &berth.folder, &berth.target);
    let said = run(command.args(["--media", "none"]));
    assert!(matches!(said.exit, Some(0 | 3)), "{said:?}");
    harbour().assert_valid(&berth.target, &[]);
    let content = harbour().content(&berth.target, &[]);
    for table in ["event_auth", "state_groups_state"] {
        let of_table = |name: &str| name.ends_with(&format!("rooms/{table}.jsonl"));
        let (_, lines) = content.iter().find(|(name, _)| of_table(name)).unwrap();
        let lines = String::from_utf8_lossy(lines);
        assert_eq!(lines.lines().filter(|line| line.contains("$adrift")).count(), 1, "{table}");
    }
}

//! A kept world starts as it was, and a change to it is seen.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use lifeboat_testing::World;
use lifeboat_testing::http::Request;

#[test]
fn a_kept_world_starts_with_the_same_facts_each_time() {
    let first = World::small().unwrap();
    let second = World::small().unwrap();
    let left = first.capture(&first.server, "left").unwrap();
    let right = second.capture(&second.server, "right").unwrap();
    let report = first.compare(&left, &right, &[]).unwrap();
    assert!(fact_count(&report) >= 3000, "{report}");
    assert_eq!(first.server.errors_in_log().unwrap(), Vec::<String>::new());
}

#[test]
fn each_kind_of_damage_to_a_world_is_a_different_fact() {
    let mut world = World::small().unwrap();
    let before = world.capture(&world.server, "before").unwrap();
    world.server.stop();
    for damage in [
        "UPDATE profiles SET displayname = 'Nobody' WHERE user_id = 'grace'",
        "UPDATE event_json SET json = replace(json, 'nul \\u0000 inside', 'nul inside')",
        "DELETE FROM e2e_room_keys WHERE user_id LIKE '@bob:%'",
        "DELETE FROM receipts_linearized WHERE user_id LIKE '@erin:%'",
        "DELETE FROM access_tokens WHERE user_id LIKE '@asker:%'",
    ] {
        world.cluster.psql("synapse", damage).unwrap();
    }
    let upload = largest_file(&world.server.media_store().join("local_content")).unwrap();
    flip_first_bit(&upload).unwrap();
    world.server.start().unwrap();
    let after = world.capture(&world.server, "after").unwrap();
    let difference = world.compare(&before, &after, &[]).unwrap_err().to_string();
    for name in [
        "profile/@grace:lifeboat.test",
        "probe/nul",
        "backed-up key/@bob:lifeboat.test",
        "receipt/@alice:lifeboat.test",
        "token/@asker:lifeboat.test",
        "media/mxc://lifeboat.test/",
    ] {
        assert!(difference.contains(&format!("differs: {name}")), "{name} in {difference}");
    }
    world.compare(&before, &after, &["*"]).unwrap();
}

#[test]
fn a_second_homeserver_of_the_same_name_starts_on_an_empty_database() {
    let world = World::small().unwrap();
    let mut empty = world.empty_server("second").unwrap();
    assert!(!empty.signing_key().exists());
    empty.make_signing_key().unwrap();
    empty.start().unwrap();
    assert!(empty.is_running());
    assert_eq!(empty.server_name(), world.server.server_name());
    assert_ne!(empty.port(), world.server.port());
    assert_eq!(world.cluster.psql("second", "SELECT count(*) FROM users").unwrap(), "0");
    let answer = Request::get(empty.port(), "/_matrix/client/versions").send().unwrap();
    assert_eq!(answer.status, 200, "{}", answer.text());
    empty.kill();
    assert!(!empty.is_running());
}

#[test]
fn a_database_server_that_was_killed_comes_up_again_on_its_port() {
    let mut world = World::small().unwrap();
    let port = world.cluster.port();
    let count = |world: &World| world.cluster.psql("synapse", "SELECT count(*) FROM events");
    let before = count(&world).unwrap();
    world.cluster.crash().unwrap();
    assert_eq!(count(&world).unwrap(), before);
    world.cluster.restart().unwrap();
    assert_eq!(count(&world).unwrap(), before);
    assert_eq!(world.cluster.port(), port);
}

fn fact_count(report: &str) -> usize {
    let last = report.lines().last().and_then(|line| line.split(' ').next());
    last.and_then(|count| count.parse().ok()).expect("a report ends with its counts")
}

fn largest_file(folder: &Path) -> io::Result<PathBuf> {
    let mut largest = (0, PathBuf::new());
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                folders.push(entry.path());
            } else {
                largest = largest.max((entry.metadata()?.len(), entry.path()));
            }
        }
    }
    Ok(largest.1)
}

fn flip_first_bit(path: &Path) -> io::Result<()> {
    let mut bytes = fs::read(path)?;
    bytes[0] ^= 1;
    fs::write(path, bytes)
}

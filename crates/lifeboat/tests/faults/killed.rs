//! `kill -9`, at many moments, and the same command again.

use std::fs;
use std::path::Path;
use std::process::Command;

use rustix::process::Signal;
use serde_json::Value;

use crate::conversation::{Running, Said, lifeboat, run};
use crate::harbour::harbour;
use crate::moments::{Berth, Noted, assert_private, named, noted, volumes_so_far};

/// Lines it has told when it is killed: before the journal, and soon after.
const EARLY: [usize; 2] = [1, 2];
/// Volumes before the end of an export; nearer to it a kill might come too late.
const END: usize = 10;

/// Runs an export until it has told so many lines, and kills it.
fn kill_after_lines(berth: &Berth, command: &mut Command, lines: usize) {
    let mut running = Running::start(command);
    running.hear(lines);
    running.signal(Signal::KILL);
    let said = running.end();
    assert_eq!(said.exit, None, "{said:?}");
    assert_private(&berth.journal());
}

/// Runs an export until its journal notes so many volumes, and kills it; the end of one that was
/// faster.
fn kill_at_volume(berth: &Berth, command: &mut Command, volumes: usize) -> Option<Said> {
    let mut running = Running::start(command);
    if !running.watch(|| volumes_so_far(&berth.journal()) >= volumes) {
        return Some(running.end());
    }
    assert_private(&berth.journal());
    running.signal(Signal::KILL);
    let said = running.end();
    // The kill may have come after the last line.
    said.exit.map(|_| said)
}

/// The volumes of a package, as its manifest names them.
fn volumes_of(package: &str, environment: &[(String, String)]) -> Vec<(String, String)> {
    let opened = harbour().folder();
    let mut command = harbour().about("unpack", package);
    let said = run(command.arg("-d").arg(&opened).envs(environment.iter().cloned()));
    assert_eq!(said.exit, Some(3), "{said:?}");
    let manifest: Value =
        serde_json::from_slice(&fs::read(opened.join("manifest.json")).unwrap()).unwrap();
    fs::remove_dir_all(&opened).unwrap();
    manifest["volumes"].as_array().unwrap().iter().map(named).collect()
}

/// Kills exports to one target, each with `step` volumes more than the one before, until one is
/// let to its end; the number of kills.
fn killed_again_and_again(berth: &Berth, early: &[usize], step: usize) -> usize {
    harbour().undisturbed();
    let world = harbour().world();
    let mut kills = 0;
    for lines in early {
        kill_after_lines(berth, &mut berth.export(&world), *lines);
        kills += 1;
    }
    let mut before = Noted::default();
    let enough = harbour().undisturbed().outcome["volumes"].as_u64().unwrap();
    let enough = usize::try_from(enough).unwrap() - END;
    while before.volumes.len() + step <= enough {
        let goal = before.volumes.len() + step;
        let ended = kill_at_volume(berth, &mut berth.export(&world), goal);
        assert!(ended.is_none(), "{ended:?}");
        kills += 1;
        let now = noted(&berth.journal());
        assert!(now.volumes.starts_with(&before.volumes), "a finished volume was made again");
        assert!(now.volumes.len() > before.volumes.len());
        before = now;
    }
    let said = run(&mut berth.export(&world));
    drop(world);
    assert_eq!(said.exit, Some(3), "{said:?}");
    assert!(said.notes().contains("going on"), "{said:?}");
    assert_eq!(said.outcome()["volumes_resumed"], before.volumes.len());
    berth.assert_only_package();
    let volumes = volumes_of(&berth.target, &berth.environment);
    assert!(volumes.starts_with(&before.volumes), "a finished volume was made again");
    harbour().assert_undisturbed(&berth.target, &berth.environment);
    assert_little_was_done_twice(&said, kills);
    kills
}

/// What each kill cost: at most a volume a lane.
fn assert_little_was_done_twice(said: &Said, kills: usize) {
    let size = |outcome: &Value| outcome["size_bytes"].as_u64().unwrap();
    let (found, calm) = (size(said.outcome()), size(&harbour().undisturbed().outcome));
    // A volume takes 1 MiB, or what is in it: a piece of the large blob, once.
    let bound = calm + u64::try_from(kills).unwrap() * 2 * (1 << 20) + (16 << 20);
    assert!(found <= bound, "{found} bytes, {calm} without a kill, {kills} kills");
}

#[test]
fn an_archive_that_is_killed_at_ten_moments_is_whole_in_the_end() {
    // How many kills one export takes depends on how fast it is between two looks.
    let mut kills = 0;
    while kills < 10 {
        kills += killed_again_and_again(&Berth::archive(), &EARLY, 1);
    }
}

#[test]
fn a_folder_that_is_killed_several_times_is_whole_in_the_end() {
    killed_again_and_again(&Berth::folder(), &EARLY, 8);
}

#[test]
fn a_bucket_that_is_killed_several_times_is_whole_in_the_end() {
    killed_again_and_again(&Berth::bucket(), &EARLY[1..], 12);
}

/// A small export that ended, and the journal it had when it was almost done.
fn ended_with_journal(berth: &Berth) -> (Vec<u8>, Said) {
    let world = harbour().world();
    let journal = berth.journal();
    let mut newest = Vec::new();
    let mut running = Running::start(berth.export(&world).args(["--media", "none"]));
    running.watch(|| {
        let found = fs::read(&journal).unwrap_or_default();
        if found.len() > newest.len() {
            newest = found;
        }
        false
    });
    (newest, running.end())
}

fn again(berth: &Berth) -> Said {
    run(berth.export(&harbour().world()).args(["--media", "none"]))
}

#[test]
fn a_kill_between_the_commit_and_the_end_leaves_a_package_and_the_next_run_says_so() {
    for berth in [Berth::archive(), Berth::folder()] {
        let (journal, said) = ended_with_journal(&berth);
        assert_eq!(said.exit, Some(0), "{said:?}");
        fs::write(berth.journal(), &journal).unwrap();
        let archive = Path::new(&berth.target);
        if archive.is_file() {
            // Between the two names of the finished file.
            fs::hard_link(archive, format!("{}.partial", berth.target)).unwrap();
        }
        let again = again(&berth);
        assert_eq!(again.exit, Some(0), "{again:?}");
        assert_eq!(again.outcome()["package"], said.outcome()["package"]);
        assert_eq!(again.outcome()["rows"], said.outcome()["rows"]);
        berth.assert_only_package();
        harbour().assert_valid(&berth.target, &[]);
    }
}

#[test]
fn a_kill_between_manifest_and_seal_costs_neither_volumes_nor_validity() {
    let berth = Berth::folder();
    let (journal, said) = ended_with_journal(&berth);
    assert_eq!(said.exit, Some(0), "{said:?}");
    fs::write(berth.journal(), &journal).unwrap();
    fs::remove_file(Path::new(&berth.target).join("seal.json")).unwrap();
    let again = again(&berth);
    assert_eq!(again.exit, Some(0), "{again:?}");
    assert!(again.outcome()["volumes_resumed"].as_u64().unwrap() > 0, "{again:?}");
    berth.assert_only_package();
    harbour().assert_valid(&berth.target, &[]);
}

#[test]
fn a_journal_that_is_cut_off_anywhere_is_gone_on_from_or_begun_anew() {
    let berth = Berth::archive();
    let partial = format!("{}.partial", berth.target);
    let world = harbour().world();
    let mut command = berth.export(&world);
    let ended = kill_at_volume(&berth, &mut command, 3);
    assert!(ended.is_none(), "{ended:?}");
    drop(world);
    let journal = fs::read(berth.journal()).unwrap();
    let unfinished = fs::read(&partial).unwrap();
    let ends: Vec<usize> =
        journal.iter().enumerate().filter(|(_, b)| **b == b'\n').map(|(at, _)| at + 1).collect();
    // Within the first line, within the cut, within a volume.
    let third = ends[2];
    for (kept, notes) in
        [(0, false), (ends[0] / 2, false), (ends[1] - 9, false), (third + 40, true)]
    {
        fs::write(berth.journal(), &journal[..kept]).unwrap();
        fs::write(&partial, &unfinished).unwrap();
        let said = run(berth.export(&harbour().world()).args(["--media", "all"]));
        assert_eq!(said.exit, Some(3), "{kept}: {said:?}");
        assert_eq!(said.notes().contains("going on"), notes, "{kept}: {said:?}");
        harbour().assert_valid(&berth.target, &[]);
        berth.assert_only_package();
        fs::remove_file(&berth.target).unwrap();
    }
}

#[test]
fn another_selection_or_recipient_does_not_go_on_with_an_unfinished_package() {
    let berth = Berth::archive();
    let world = harbour().world();
    let ended = kill_at_volume(&berth, &mut berth.export(&world), 2);
    assert!(ended.is_none(), "{ended:?}");
    let before = (fs::read(berth.journal()).unwrap(), berth.left());
    let said = run(berth.export(&world).args(["--media", "none"]));
    assert_eq!(said.exit, Some(2), "{said:?}");
    assert!(said.error().contains("another selection"), "{said:?}");
    let other = berth.folder.join("other.txt");
    let made = run(lifeboat().arg("keygen").arg("-o").arg(&other));
    assert_eq!(made.exit, Some(0), "{made:?}");
    let text = fs::read_to_string(&other).unwrap();
    let public = text.lines().find_map(|line| line.strip_prefix("# public key: ")).unwrap();
    let said = run(berth.export(&world).args(["-r", public]));
    assert_eq!(said.exit, Some(2), "{said:?}");
    assert!(said.error().contains("recipients"), "{said:?}");
    assert_eq!((fs::read(berth.journal()).unwrap(), berth.left()), before);
}

#[test]
fn a_second_run_at_the_same_time_is_refused() {
    let berth = Berth::archive();
    let world = harbour().world();
    let mut running = Running::start(&mut berth.export(&world));
    assert!(running.watch(|| volumes_so_far(&berth.journal()) >= 1));
    let said = run(&mut berth.export(&world));
    assert_eq!(said.exit, Some(1), "{said:?}");
    assert!(said.error().contains("another run"), "{said:?}");
    assert_eq!(running.end().exit, Some(3));
    harbour().assert_valid(&berth.target, &[]);
}

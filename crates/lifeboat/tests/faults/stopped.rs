//! Ctrl-C, which leaves nothing, and SIGTERM, which leaves what the same command goes on from.

use rustix::process::Signal;

use crate::conversation::{Running, Said, run};
use crate::harbour::harbour;
use crate::moments::{Berth, noted, volumes_so_far};

/// A moment of a run: after so many lines, or with so many finished volumes.
#[derive(Debug, Clone, Copy)]
enum Moment {
    Lines(usize),
    Volumes(usize),
}

/// Runs an export up to a moment and asks it to stop.
fn stopped_at(berth: &Berth, moment: Moment, signal: Signal) -> Said {
    let world = harbour().world();
    let mut running = Running::start(&mut berth.export(&world));
    match moment {
        Moment::Lines(lines) => running.hear(lines),
        Moment::Volumes(volumes) => {
            let reached = running.watch(|| volumes_so_far(&berth.journal()) >= volumes);
            assert!(reached, "it was faster: {:?}", running.end());
        }
    }
    running.signal(signal);
    running.end()
}

/// Nothing is left of a cancelled export, whenever that was.
fn cancelled_leaves_nothing(berth: &Berth, moments: &[Moment]) {
    for moment in moments {
        let said = stopped_at(berth, *moment, Signal::INT);
        assert_eq!(said.exit, Some(130), "{moment:?}: {said:?}");
        assert_eq!(berth.left(), Vec::<String>::new(), "{moment:?}: {said:?}");
        assert_eq!(berth.unfinished_uploads(), 0, "{moment:?}");
    }
}

const MOMENTS: [Moment; 8] = [
    Moment::Lines(1),
    Moment::Lines(2),
    Moment::Volumes(1),
    Moment::Volumes(2),
    Moment::Volumes(5),
    Moment::Volumes(9),
    Moment::Volumes(14),
    Moment::Volumes(20),
];

#[test]
fn a_cancelled_archive_leaves_nothing() {
    cancelled_leaves_nothing(&Berth::archive(), &MOMENTS);
}

#[test]
fn a_cancelled_folder_leaves_nothing() {
    cancelled_leaves_nothing(&Berth::folder(), &MOMENTS);
}

#[test]
fn a_cancelled_upload_to_a_bucket_leaves_nothing() {
    cancelled_leaves_nothing(&Berth::bucket(), &MOMENTS[3..6]);
}

#[test]
fn cancelling_a_resumed_export_removes_what_the_earlier_run_left() {
    for berth in [Berth::archive(), Berth::folder()] {
        let said = stopped_at(&berth, Moment::Volumes(6), Signal::KILL);
        assert_eq!(said.exit, None, "{said:?}");
        assert!(!berth.left().is_empty());
        // While it still reads what is there: before the second line.
        let said = stopped_at(&berth, Moment::Lines(2), Signal::INT);
        assert_eq!(said.exit, Some(130), "{said:?}");
        assert_eq!(berth.left(), Vec::<String>::new(), "{said:?}");
    }
}

#[test]
fn a_terminated_export_goes_on_and_is_whole() {
    for berth in [Berth::archive(), Berth::folder(), Berth::bucket()] {
        let said = stopped_at(&berth, Moment::Volumes(5), Signal::TERM);
        assert_eq!(said.exit, Some(130), "{said:?}");
        assert!(said.error().contains("run the same command again"), "{said:?}");
        let before = noted(&berth.journal());
        assert!(before.volumes.len() >= 5);
        let said = run(&mut berth.export(&harbour().world()));
        assert_eq!(said.exit, Some(3), "{said:?}");
        assert_eq!(said.outcome()["volumes_resumed"], before.volumes.len());
        berth.assert_only_package();
        harbour().assert_valid(&berth.target, &berth.environment);
    }
}

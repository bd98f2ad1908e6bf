//! What is due, by what was run.

use super::*;

/// 2026-01-10 12:00 UTC.
const NOON: i64 = 1_768_046_400;

#[test]
fn task_is_due_until_it_was_run() {
    let schedule = Schedule {
        backup: Some("15 3 * * *".parse().unwrap()),
        verify: None,
        drill: Some("0 6 1 * *".parse().unwrap()),
        time_zone: Zone::utc(),
    };
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state");
    let is_due = || {
        let lines = due(&schedule, &Runs::read(&state), NOON);
        lines.into_iter().map(|line| line.is_due).collect::<Vec<_>>()
    };
    assert_eq!(is_due(), [true, false, true], "nothing ever ran");
    record(&state, Task::Drill, NOON - 3_600).unwrap();
    record(&state, Task::Backup, NOON - 86_400).unwrap();
    assert_eq!(is_due(), [true, false, false]);
    record(&state, Task::Backup, NOON - 60).unwrap();
    assert_eq!(is_due(), [false, false, false]);
    let lines = due(&schedule, &Runs::read(&state), NOON);
    assert_eq!(lines[0].next, Some(NOON + 15 * 3_600 + 15 * 60));
    assert_eq!(lines[1].next, None, "it runs by hand");
}

#[test]
fn strange_file_makes_everything_due() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join(FILE), "{").unwrap();
    assert_eq!(Runs::read(folder.path()), Runs::default());
}

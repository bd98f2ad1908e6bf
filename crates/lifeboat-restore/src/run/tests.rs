//! Tests of what a plan says of time.

use lifeboat_vault::drills::DrilledStep;

use super::*;

fn planned(number: u32, what: What, done: bool) -> PlannedStep {
    let step = Step { number, name: what.name(), what };
    PlannedStep { words: String::new(), target: None, done, drilled_seconds: None, step }
}

fn drill(ok: bool, steps: &[(&str, i64)]) -> DrillRecord {
    let step =
        |(name, seconds): &(&str, i64)| DrilledStep { step: (*name).to_owned(), seconds: *seconds };
    let drilled_at = if ok { "right" } else { "wrong" }.to_owned();
    DrillRecord { ok, drilled_at, steps: steps.iter().map(step).collect(), ..Default::default() }
}

#[test]
fn plan_takes_its_time_from_the_last_drill_that_passed_and_names_what_that_did_not_do() {
    let start = What::Start { component: "synapse".to_owned() };
    let mut plan = RestorePlan {
        backup: String::new(),
        server_name: String::new(),
        recovery_point: String::new(),
        steps: vec![
            planned(1, What::Fence, true),
            planned(2, What::Secrets, false),
            planned(3, What::Check, false),
            planned(4, start, false),
        ],
        missing: Vec::new(),
        losses: Vec::new(),
        obstacles: Vec::new(),
        time: None,
    };
    let failed = drill(false, &[("secrets", 900)]);
    plan.time_by(std::slice::from_ref(&failed));
    assert_eq!(plan.time, None);
    let passed = drill(true, &[("fence", 5), ("secrets", 7), ("check", 30), ("gone", 99)]);
    plan.time_by(&[drill(true, &[("check", 1)]), passed, failed]);
    let time = plan.time.clone().unwrap();
    assert_eq!((time.drilled_at.as_str(), time.seconds), ("right", 37));
    assert_eq!(time.not_drilled, ["start/synapse"]);
    let seconds: Vec<Option<i64>> = plan.steps.iter().map(|step| step.drilled_seconds).collect();
    assert_eq!(seconds, [Some(5), Some(7), Some(30), None]);
}

#[test]
fn second_restore_with_a_state_folder_is_refused_until_the_first_has_ended() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state");
    let first = alone(&state).unwrap();
    let refused = alone(&state).unwrap_err();
    assert!(refused.what.starts_with("another restore is under way"), "{refused}");
    drop(first);
    alone(&state).unwrap();
}

//! Tests of what a drill makes of what its steps found.

use super::{Step, StepDone, What, different};

fn step(number: u32, what: What, gaps: &[&str]) -> (Step, StepDone) {
    let gaps = gaps.iter().map(|gap| (*gap).to_owned()).collect();
    let step = Step { number, name: what.name(), what };
    (step, StepDone { gaps, ..StepDone::default() })
}

#[test]
fn difference_that_the_check_finds_fails_a_drill_and_a_decision_left_open_does_not() {
    let rules = || step(1, What::Rules { component: "synapse".to_owned() }, &["decide: pushers"]);
    assert_eq!(different(&[rules(), step(2, What::Check, &[])]), None);
    let found = different(&[rules(), step(2, What::Check, &["events: 9 rows, not 10"])]);
    assert_eq!(found, Some(("check".to_owned(), vec!["events: 9 rows, not 10".to_owned()])));
}

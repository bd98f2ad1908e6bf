//! What is skipped is told when somebody could take it for being there.

use lifeboat_rules::conflict::{PlaceFacts, media};
use lifeboat_rules::plan::Line;

use super::*;
use crate::merge::report::wanted;

#[test]
fn media_without_its_file_is_a_gap_and_never_claimed_to_be_there() {
    let mut plan = Plan::new("0123", "s.test");
    plan.media.push(Line::new("lacking", None, media(PlaceFacts::Lacking)));
    plan.media.push(Line::new("there", None, media(PlaceFacts::Same)));
    let mut unwanted = Line::new("unwanted", None, media(PlaceFacts::Free));
    unwanted.action = Action::Skip;
    plan.media.push(unwanted);
    let mut outcome = MergeOutcome::default();
    left_out(&plan, &mut outcome);
    assert_eq!(outcome.gaps, 1);
    let told = "media lacking was skipped: the package has its row and not the file";
    assert_eq!(outcome.warnings, [told]);
    assert_eq!(wanted(&plan.media), ["there"]);
    assert!(!nothing_done(&outcome, "nothing was changed").contains("wanted is there"));
    assert_eq!(Plan::ids(&plan.media, Action::Add), [""; 0]);
}

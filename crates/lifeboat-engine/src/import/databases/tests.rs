//! Which half of an import that was cut short may be cleared.

use lifeboat_components::synapse::write::target::State;

use super::one_of_two_activated;

const RUN: &str = "a run";

fn half_filled(run: Option<&str>) -> State {
    State::HalfFilled { package: "p".to_owned(), run: run.map(str::to_owned) }
}

fn imported(run: Option<&str>) -> State {
    State::Imported { package: "p".to_owned(), run: run.map(str::to_owned) }
}

fn beside(main: &State, mut state: State) -> State {
    one_of_two_activated(main, &mut state);
    state
}

#[test]
fn state_store_of_an_import_whose_main_half_is_unfinished_is_unfinished_too() {
    let main = half_filled(Some(RUN));
    assert_eq!(beside(&main, imported(Some(RUN))), half_filled(Some(RUN)));
}

#[test]
fn state_store_of_another_import_is_never_ours_to_clear() {
    let main = half_filled(Some(RUN));
    assert_eq!(beside(&main, imported(Some("another"))), imported(Some("another")));
    assert_eq!(beside(&main, imported(None)), imported(None));
    assert_eq!(beside(&half_filled(None), imported(None)), imported(None));
    for main in [State::Empty, imported(Some(RUN)), State::Foreign(vec!["t".to_owned()])] {
        assert_eq!(beside(&main, imported(Some(RUN))), imported(Some(RUN)));
    }
}

//! Verdicts about every kind of room, in a table.

use super::*;

fn decided(facts: RoomFacts) -> (State, Action) {
    let verdict = room(facts);
    assert!(verdict.allowed.contains(&verdict.action), "{verdict:?}");
    (verdict.state, verdict.action)
}

const NOTHING: RoomFacts = RoomFacts {
    presence: Presence::Absent,
    joining: false,
    cut: false,
    remote_members: 0,
    missing: 0,
    older: 0,
};

#[test]
fn rooms_that_are_not_there_are_added() {
    assert_eq!(decided(NOTHING), (State::Absent, Action::Add));
    let purged = RoomFacts { presence: Presence::Gone, ..NOTHING };
    assert_eq!(decided(purged), (State::Purged, Action::Add));
    let cut = RoomFacts { cut: true, ..NOTHING };
    assert_eq!(decided(cut), (State::Absent, Action::Add));
}

#[test]
fn room_that_other_servers_saw_purged_is_left_to_a_new_join() {
    let purged = RoomFacts { presence: Presence::Gone, remote_members: 2, ..NOTHING };
    assert_eq!(decided(purged), (State::Purged, Action::Skip));
    let elsewhere = RoomFacts { remote_members: 2, ..NOTHING };
    assert_eq!(decided(elsewhere), (State::Absent, Action::Add));
}

#[test]
fn blocked_room_is_skipped_and_can_be_added() {
    let blocked = RoomFacts { presence: Presence::Blocked, ..NOTHING };
    assert_eq!(decided(blocked), (State::Blocked, Action::Skip));
    assert!(room(blocked).allowed.contains(&Action::Add));
}

#[test]
fn room_with_a_join_in_progress_cannot_be_added_at_all() {
    for presence in [Presence::Here, Presence::Absent] {
        let joining = RoomFacts { joining: true, presence, ..NOTHING };
        assert_eq!(decided(joining), (State::Joining, Action::Skip));
        assert_eq!(room(joining).allowed, SKIP_OR_STOP);
    }
}

#[test]
fn living_room_gets_only_what_is_older_than_its_oldest() {
    let living = RoomFacts { presence: Presence::Here, ..NOTHING };
    assert_eq!(decided(living), (State::Equal, Action::Skip));
    let purged = RoomFacts { missing: 7, older: 7, ..living };
    assert_eq!(decided(purged), (State::HistoryPurged, Action::FillHistory));
    let forked = RoomFacts { missing: 7, older: 6, ..living };
    assert_eq!(decided(forked), (State::Differs, Action::Skip));
    let cut = RoomFacts { missing: 7, older: 7, cut: true, ..living };
    assert_eq!(decided(cut), (State::Differs, Action::Skip));
}

#[test]
fn what_we_recommend_never_takes_anything_away() {
    for presence in [Presence::Absent, Presence::Gone, Presence::Blocked, Presence::Here] {
        for (joining, cut) in [(false, false), (false, true), (true, false), (true, true)] {
            for (missing, older) in [(0, 0), (3, 3), (3, 1)] {
                let facts = RoomFacts { presence, joining, cut, remote_members: 0, missing, older };
                let (_, action) = decided(facts);
                assert!(matches!(action, Action::Skip | Action::Add | Action::FillHistory));
                assert!(action != Action::Add || presence != Presence::Here, "{facts:?}");
            }
        }
    }
}

#[test]
fn account_alias_and_file_that_are_there_are_left_alone() {
    for facts in [UserFacts::Same, UserFacts::Changed, UserFacts::Deactivated, UserFacts::Other] {
        assert_eq!(user(facts).action, Action::Skip);
        assert!(!user(facts).allowed.contains(&Action::Add));
    }
    for facts in [PlaceFacts::Same, PlaceFacts::Other] {
        assert_eq!((alias(facts).action, media(facts).action), (Action::Skip, Action::Skip));
    }
    assert_eq!(
        (user(UserFacts::Absent).action, alias(PlaceFacts::Free).action),
        (Action::Add, Action::Add)
    );
}

#[test]
fn only_what_can_be_brought_back_can_be_replaced() {
    assert!(user(UserFacts::Changed).allowed.contains(&Action::Replace));
    assert!(alias(PlaceFacts::Other).allowed.contains(&Action::Replace));
    assert!(media(PlaceFacts::Other).allowed.contains(&Action::Replace));
    for facts in [UserFacts::Absent, UserFacts::Same, UserFacts::Deactivated, UserFacts::Other] {
        assert!(!user(facts).allowed.contains(&Action::Replace), "{facts:?}");
    }
    let forked = RoomFacts { presence: Presence::Here, missing: 7, older: 6, ..NOTHING };
    assert!(!room(forked).allowed.contains(&Action::Replace));
    assert!(room(forked).reason.contains("cannot be replaced"));
}

#[test]
fn a_row_without_its_file_cannot_be_added() {
    let verdict = media(PlaceFacts::Lacking);
    assert_eq!((verdict.state, verdict.action), (State::Absent, Action::Skip));
    assert_eq!(verdict.allowed, [Action::Skip, Action::Stop]);
    assert!(verdict.reason.contains("not the file"), "{}", verdict.reason);
}

#[test]
fn every_account_can_be_mapped_and_no_file_and_no_room() {
    for facts in [UserFacts::Absent, UserFacts::Same, UserFacts::Changed, UserFacts::Other] {
        assert!(user(facts).allowed.contains(&Action::Map), "{facts:?}");
    }
    assert!(!media(PlaceFacts::Free).allowed.contains(&Action::Map));
    assert!(!room(NOTHING).allowed.contains(&Action::Map));
}

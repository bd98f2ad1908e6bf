//! What to do with a room, a user, an alias or a file that is to go into a living server.
//!
//! A verdict names the state on the target, the action we recommend with the reason, and every
//! action that may be chosen instead. What we recommend never takes anything away from the target.

#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

/// How the target stands to one object of the package.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It is not there.
    Absent,
    /// It was there and was taken away.
    Purged,
    /// It is there, and everything the package has of it.
    Equal,
    /// It is there without the beginning of its history.
    HistoryPurged,
    /// It is there and is another.
    Differs,
    /// An administrator keeps it out.
    Blocked,
    /// A join is in progress: the server does not know the whole state yet.
    Joining,
}

/// What is done with one object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Nothing.
    Skip,
    /// It is added whole.
    Add,
    /// The events from before the target's oldest are added.
    FillHistory,
    /// What the target has is kept aside, and what the package has comes in its place.
    Replace,
    /// It goes to another account, or under another name.
    Map,
    /// The import does not begin.
    Stop,
}

/// The outcome of a decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// The state on the target.
    pub state: State,
    /// What we recommend.
    pub action: Action,
    /// Why.
    pub reason: String,
    /// What may be chosen, the recommendation among it.
    pub allowed: &'static [Action],
}

/// Whether the target has a room.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Presence {
    /// It never had.
    #[default]
    Absent,
    /// It had.
    Gone,
    /// It has not, and keeps it out.
    Blocked,
    /// It has.
    Here,
}

impl Presence {
    /// By whether it is there, is kept out, or was there.
    pub fn of((here, blocked, was_here): (bool, bool, bool)) -> Self {
        match (here, blocked, was_here) {
            (true, _, _) => Self::Here,
            (false, true, _) => Self::Blocked,
            (false, false, true) => Self::Gone,
            (false, false, false) => Self::Absent,
        }
    }
}

/// What is known of a room.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RoomFacts {
    /// Whether the target has it.
    pub presence: Presence,
    /// A join is in progress, in the package or on the target.
    pub joining: bool,
    /// The package has only a stretch of its events.
    pub cut: bool,
    /// Members of other servers, in the package.
    pub remote_members: u64,
    /// Events of the package's timeline that the target's has not.
    pub missing: u64,
    /// Those of them from before the target's oldest.
    pub older: u64,
}

/// What is known of an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UserFacts {
    /// The target has no such account.
    Absent,
    /// The target has the same account.
    Same,
    /// The target has the same account, set up in another way.
    Changed,
    /// The target has the same account and it is deactivated there.
    Deactivated,
    /// The target has another account of this name.
    Other,
}

/// What is known of an alias or a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PlaceFacts {
    /// Its place is free.
    Free,
    /// The same is there.
    Same,
    /// Another is there.
    Other,
    /// The same is not there, and the package has only its row, not the file.
    Lacking,
}

const SKIP: &[Action] = &[Action::Skip];
const SKIP_OR_STOP: &[Action] = &[Action::Skip, Action::Stop];
const ADD: &[Action] = &[Action::Add, Action::Skip, Action::Stop];
const GIVE: &[Action] = &[Action::Add, Action::Map, Action::Skip, Action::Stop];
const SKIP_OR_MAP: &[Action] = &[Action::Skip, Action::Map];
const MAP_OR_STOP: &[Action] = &[Action::Skip, Action::Map, Action::Stop];
const REPLACE: &[Action] = &[Action::Skip, Action::Replace, Action::Stop];
const REPLACE_OR_MAP: &[Action] = &[Action::Skip, Action::Replace, Action::Map, Action::Stop];
const FILL: &[Action] = &[Action::FillHistory, Action::Skip, Action::Stop];

/// Decides about a room.
pub fn room(facts: RoomFacts) -> Verdict {
    let say = |state, action, reason: &str, allowed| Verdict {
        state,
        action,
        reason: reason.to_owned(),
        allowed,
    };
    if facts.joining {
        let why = "a join is in progress, its state is not whole";
        return say(State::Joining, Action::Skip, why, SKIP_OR_STOP);
    }
    match (facts.presence, facts.remote_members) {
        (Presence::Here, _) => living(facts),
        (Presence::Blocked, _) => {
            let why = "an administrator blocked it; add lifts the block";
            say(State::Blocked, Action::Skip, why, ADD)
        }
        (Presence::Gone, 1..) => say(
            State::Purged,
            Action::Skip,
            "other servers saw everybody leave when it was purged; join it again from here",
            ADD,
        ),
        (Presence::Gone, 0) => say(State::Purged, Action::Add, "it was purged here", ADD),
        (Presence::Absent, _) => say(State::Absent, Action::Add, "it is not there", ADD),
    }
}

fn living(facts: RoomFacts) -> Verdict {
    let RoomFacts { missing, older, cut, .. } = facts;
    let say = |state, action, reason, allowed| Verdict { state, action, reason, allowed };
    if missing == 0 {
        let why = "every event of the package is there".to_owned();
        return say(State::Equal, Action::Skip, why, SKIP);
    }
    if cut {
        let why = format!("it is there without {missing} events, and the package has only a part");
        return say(State::Differs, Action::Skip, why, SKIP_OR_STOP);
    }
    if older == missing {
        let why = format!("{missing} events from before its oldest are missing");
        return say(State::HistoryPurged, Action::FillHistory, why, FILL);
    }
    let why = format!(
        "{missing} events are missing, {older} of them from before its oldest: it went another \
         way, and cannot be replaced without losing that"
    );
    let allowed = SKIP_OR_STOP;
    say(State::Differs, Action::Skip, why, allowed)
}

/// Decides about an account.
pub fn user(facts: UserFacts) -> Verdict {
    let (state, action, reason, allowed) = match facts {
        UserFacts::Absent => (State::Absent, Action::Add, "there is no such account", GIVE),
        UserFacts::Same => (State::Equal, Action::Skip, "the account is there", SKIP_OR_MAP),
        UserFacts::Changed => (
            State::Differs,
            Action::Skip,
            "the account is there with another profile, account data or push rules; replace takes \
             the package's, devices, keys and logins stay as they are",
            REPLACE_OR_MAP,
        ),
        UserFacts::Deactivated => (
            State::Differs,
            Action::Skip,
            "the account was deactivated there, and stays so",
            MAP_OR_STOP,
        ),
        UserFacts::Other => (
            State::Differs,
            Action::Skip,
            "another account has this name; what belongs to its namesake is not put in its place",
            MAP_OR_STOP,
        ),
    };
    Verdict { state, action, reason: reason.to_owned(), allowed }
}

/// Decides about an alias.
pub fn alias(facts: PlaceFacts) -> Verdict {
    let why = [
        "its name is free",
        "it leads to the same room",
        "it leads to another room there",
        "the package does not say where it leads",
    ];
    place(facts, why, (GIVE, REPLACE_OR_MAP))
}

/// Decides about a file of the media store.
pub fn media(facts: PlaceFacts) -> Verdict {
    let why = [
        "its place is free",
        "the file is there",
        "another file is in its place",
        "the package has its row and not the file",
    ];
    place(facts, why, (ADD, REPLACE))
}

fn place(
    facts: PlaceFacts,
    [free, same, other, lacking]: [&str; 4],
    (to_free, to_other): (&'static [Action], &'static [Action]),
) -> Verdict {
    let (state, action, reason, allowed) = match facts {
        PlaceFacts::Free => (State::Absent, Action::Add, free, to_free),
        PlaceFacts::Same => (State::Equal, Action::Skip, same, SKIP),
        PlaceFacts::Other => (State::Differs, Action::Skip, other, to_other),
        PlaceFacts::Lacking => (State::Absent, Action::Skip, lacking, SKIP_OR_STOP),
    };
    Verdict { state, action, reason: reason.to_owned(), allowed }
}

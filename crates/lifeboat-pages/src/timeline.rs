//! What belongs to what: which events of a room are seen, with which edits, answers, threads,
//! reactions and votes, and which are gone.

mod poll;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use serde_json::{Map, Value};

pub use self::poll::{Answer, Poll};
use crate::event::{self, Event, MediaWish, Seal};
use crate::people::{Member, People};
use crate::words;

/// What the timeline is made with, besides events.
#[derive(Debug, Default)]
pub struct Known {
    /// Names of users, from their profiles.
    pub profiles: HashMap<String, String>,
    /// Users whose messages are to be forgotten.
    pub erased: HashSet<String>,
}

/// Why a content is not shown any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gone {
    /// The name of who took it back; nobody, when the account was erased.
    pub by: Option<Arc<str>>,
    /// Why, in their words.
    pub reason: String,
    /// When, in milliseconds since 1970.
    pub sent: i64,
}

/// A reaction and the names of those who gave it.
pub type Reactions = BTreeMap<String, Vec<Arc<str>>>;

/// A room's events in order.
#[derive(Debug, Default)]
pub struct Timeline {
    events: Vec<Event>,
    at: HashMap<String, usize>,
    gone: HashMap<usize, Gone>,
    edits: HashMap<usize, usize>,
    reactions: HashMap<usize, Reactions>,
    threads: HashMap<usize, Vec<usize>>,
    votes: HashMap<usize, Vec<usize>>,
    /// Events that are told with another one.
    within: HashSet<usize>,
    names: Vec<Arc<str>>,
    words: HashMap<usize, String>,
    members: Vec<Member>,
}

impl Timeline {
    /// Orders the events of a room and sees what belongs to what.
    pub fn new(mut events: Vec<Event>, known: &Known) -> Self {
        events.sort_by(|a, b| (a.order, &a.id).cmp(&(b.order, &b.id)));
        events.dedup_by(|a, b| a.id == b.id);
        let at = events.iter().enumerate().map(|(index, event)| (event.id.clone(), index));
        let at: HashMap<String, usize> = at.collect();
        let mut timeline = Self { events, at, ..Self::default() };
        timeline.forget(known);
        timeline.walk(known);
        for index in 0..timeline.events.len() {
            if !timeline.gone.contains_key(&index) {
                timeline.relate(index);
            }
        }
        timeline
    }

    /// Takes the content away that was taken back, before anything looks at it.
    fn forget(&mut self, known: &Known) {
        let redactions = self.events.iter().filter_map(|event| self.taken_back(event));
        let mut targets: Vec<usize> = redactions.collect();
        let erased = self.events.iter().enumerate();
        targets.extend(erased.filter(|(_, e)| is_erased(e, known)).map(|(index, _)| index));
        for index in targets {
            if let Some(event) = self.events.get_mut(index) {
                let kept = kept_keys(event);
                event.content.retain(|key, _| kept.contains(&key.as_str()));
            }
        }
    }

    /// The event that this one takes back.
    fn taken_back(&self, event: &Event) -> Option<usize> {
        let index = *self.at.get(event.redacts.as_ref()?)?;
        let target = self.events.get(index)?;
        let server = |user: &str| user.split_once(':').map(|(_, server)| server.to_owned());
        (!event.is_doubtful || server(&event.sender) == server(&target.sender)).then_some(index)
    }

    /// Follows the state of the room: names, what changes in words, who took what back.
    fn walk(&mut self, known: &Known) {
        let mut people = People::new(&known.profiles);
        let mut state: HashMap<(&str, &str), &Event> = HashMap::new();
        for (index, event) in self.events.iter().enumerate() {
            if let Some(key) = event.state_key.as_ref().filter(|_| event.is_readable()) {
                let before = state.insert((&event.kind, key), event);
                let before = before.map(|event| &event.content);
                people.learn(event);
                self.words.insert(index, words::state(event, before, &people));
            }
            self.names.push(people.name(&event.sender));
            if is_erased(event, known) {
                let erased = Gone { by: None, reason: String::new(), sent: event.sent };
                self.gone.insert(index, erased);
            }
            if let Some(target) = self.taken_back(event) {
                let reason = event.text("reason").unwrap_or_default().to_owned();
                let by = Some(people.name(&event.sender));
                let gone = Gone { by, reason, sent: event.sent };
                self.gone.entry(target).or_insert(gone);
                self.within.insert(index);
            }
        }
        let power = state.get(&("m.room.power_levels", "")).map(|event| &event.content);
        self.members = people.members(power);
    }

    /// Notes with which other event this one is told.
    fn relate(&mut self, index: usize) {
        let Some(event) = self.events.get(index) else { return };
        let target = |way| event.related(way).and_then(|id| self.at.get(id)).copied();
        if let Some(target) = target("m.replace") {
            if self.may_edit(event, target) {
                self.edits.insert(target, index);
            }
            self.within.insert(index);
        } else if event.kind == "m.reaction"
            && let Some(target) = target("m.annotation")
        {
            let key = event.relation().and_then(|relation| relation.get("key")?.as_str());
            let key = crate::tame::line(key.unwrap_or("?"));
            let names = self.reactions.entry(target).or_default().entry(key).or_default();
            names.extend(self.names.get(index).cloned());
            self.within.insert(index);
        } else if let Some(target) = target("m.reference").filter(|_| poll::is_vote(event)) {
            self.votes.entry(target).or_default().push(index);
            self.within.insert(index);
        } else if let Some(root) = target("m.thread") {
            self.threads.entry(root).or_default().push(index);
        }
    }

    /// Only the author edits, only what has content, and never state.
    fn may_edit(&self, edit: &Event, target: usize) -> bool {
        let original = self.events.get(target);
        original.is_some_and(|original| {
            original.sender == edit.sender
                && original.kind == edit.kind
                && !original.is_state()
                && edit.content.get("m.new_content").is_some_and(Value::is_object)
                && !self.gone.contains_key(&target)
        })
    }

    /// The events that stand on pages of their own right, in order.
    pub fn shown(&self) -> impl Iterator<Item = usize> {
        let shown = |index: &usize| {
            let event = self.events.get(*index);
            event.is_some_and(|event| event.shown) && !self.within.contains(index)
        };
        (0..self.events.len()).filter(shown)
    }

    /// An event.
    pub fn event(&self, index: usize) -> Option<&Event> {
        self.events.get(index)
    }

    /// Where an event is.
    pub fn find(&self, event_id: &str) -> Option<usize> {
        self.at.get(event_id).copied()
    }

    /// Its content as it reads now, after edits.
    pub fn content(&self, index: usize) -> Option<&Map<String, Value>> {
        let edit = self.edits.get(&index).and_then(|edit| self.events.get(*edit));
        let edited = edit.and_then(|edit| edit.content.get("m.new_content")?.as_object());
        let event = self.events.get(index)?;
        // An edit of an event that is not here is all there is of it.
        let lone = || event.related("m.replace").and(event.content.get("m.new_content"));
        edited.or_else(|| lone()?.as_object()).or(Some(&event.content))
    }

    /// The last edit.
    pub fn edit(&self, index: usize) -> Option<&Event> {
        self.edits.get(&index).and_then(|edit| self.events.get(*edit))
    }

    /// Why it is gone.
    pub fn gone(&self, index: usize) -> Option<&Gone> {
        self.gone.get(&index)
    }

    /// The reactions to it.
    pub fn reactions(&self, index: usize) -> Option<&Reactions> {
        self.reactions.get(&index)
    }

    /// The answers in the thread that begins with it.
    pub fn thread(&self, index: usize) -> &[usize] {
        self.threads.get(&index).map_or(&[], Vec::as_slice)
    }

    /// The poll it starts, with what was voted.
    pub fn poll(&self, index: usize) -> Option<Poll> {
        let event = self.events.get(index).filter(|event| event.is_poll())?;
        let votes = self.votes.get(&index).map_or(&[][..], Vec::as_slice);
        let votes = votes.iter().filter_map(|vote| self.events.get(*vote));
        Poll::count(self.content(index)?, &event.sender, votes)
    }

    /// What the sender was called then.
    pub fn sender_name(&self, index: usize) -> &str {
        self.names.get(index).map_or("", |name| name)
    }

    /// What a state event changed, in words, beginning with who did it.
    pub fn words(&self, index: usize) -> Option<&str> {
        self.words.get(&index).map(String::as_str)
    }

    /// Everybody who is or was a member.
    pub fn members(&self) -> &[Member] {
        &self.members
    }

    /// The files that shown events name.
    pub fn media(&self) -> Vec<MediaWish> {
        let alive = self.shown().filter(|index| !self.gone.contains_key(index));
        let named = |index: usize| {
            let event = self.events.get(index)?;
            let shows = matches!(event.kind.as_str(), "m.room.message" | "m.sticker");
            event::media(self.content(index)?).filter(|_| shows)
        };
        alive.filter_map(named).collect()
    }

    /// Events that were decrypted, among those shown.
    pub fn opened(&self) -> usize {
        let is_opened =
            |index: &usize| self.events.get(*index).is_some_and(|event| event.seal == Seal::Opened);
        self.shown().filter(is_opened).count()
    }

    /// Events that nobody can read, among those shown.
    pub fn unreadable(&self) -> usize {
        let is_unreadable = |index: &usize| {
            let event = self.events.get(*index);
            event.is_some_and(|event| !event.is_readable()) && !self.gone.contains_key(index)
        };
        self.shown().filter(is_unreadable).count()
    }

    /// Events that nobody could decrypt, among those shown.
    pub fn sealed(&self) -> usize {
        let is_sealed = |index: &usize| {
            let event = self.events.get(*index);
            event.is_some_and(Event::is_sealed) && !self.gone.contains_key(index)
        };
        self.shown().filter(is_sealed).count()
    }
}

fn is_erased(event: &Event, known: &Known) -> bool {
    !event.is_state() && known.erased.contains(&event.sender)
}

/// What a redaction leaves of a state event, as far as it is told in words; of others nothing.
fn kept_keys(event: &Event) -> &'static [&'static str] {
    match event.kind.as_str() {
        _ if !event.is_state() => &[],
        "m.room.member" => &["membership"],
        "m.room.join_rules" => &["join_rule"],
        "m.room.history_visibility" => &["history_visibility"],
        "m.room.power_levels" => &["users", "users_default"],
        _ => &[],
    }
}

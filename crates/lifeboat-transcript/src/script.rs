//! A room's script: for each event of the past the calls that tell it again, in order.
//!
//! The script knows how the new room stands, and so what must come before: somebody who speaks has
//! to be in the room first, also where the past does not say how they came in.

use std::collections::{BTreeSet, HashMap, HashSet};

use lifeboat_package::digest::Digest;
use serde_json::{Map, Value, json};

use crate::content::{relate, rewrite};
use crate::event::{Loss, ORIGINAL, PastEvent};
use crate::ids::Ids;
use crate::members::{Entrance, Members, Standing};
use crate::state::{Makers, beginning, promote, state};

/// The type of the event that says what everybody may.
pub const POWER: &str = "m.room.power_levels";

/// Characters of a digest that make a transaction id.
const TRANSACTION: usize = 32;

/// Members of a membership's content that come along.
const MEMBERSHIP: &[&str] =
    &["membership", "displayname", "avatar_url", "reason", "org.matrix.msc4293.redact_events"];

/// What somebody is called in a room.
const NAME: &str = "displayname";

/// Types of which an event without content was redacted.
const SAY_SOMETHING: &[&str] =
    &["m.room.message", "m.room.encrypted", "m.sticker", "m.reaction", "m.poll.start"];

/// What the new rooms have in common.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cast {
    /// The user id of the application service itself, which makes the rooms.
    pub bot: String,
    /// Whether rooms that were open are open again.
    pub is_public: bool,
    /// The version of the new rooms.
    pub room_version: String,
}

/// What is done.
#[derive(Debug, Clone, PartialEq)]
pub enum Act {
    /// `PUT …/send/{kind}/{transaction}`.
    Send {
        /// Type.
        kind: String,
        /// Content.
        content: Map<String, Value>,
    },
    /// `PUT …/state/{kind}/{key}`.
    State {
        /// Type.
        kind: String,
        /// State key.
        key: String,
        /// Content.
        content: Map<String, Value>,
    },
    /// `PUT …/redact/{target}/{transaction}`, which has no date.
    Redact {
        /// The event to redact, as it is now.
        target: String,
        /// Content.
        content: Map<String, Value>,
    },
}

/// A call in the name of somebody.
#[derive(Debug, Clone, PartialEq)]
pub struct Call {
    /// In whose name.
    pub sender: String,
    /// Milliseconds since 1970.
    pub sent: i64,
    /// The same for the same event of the past, whenever it is sent.
    pub transaction: String,
    /// What.
    pub act: Act,
    /// Whether the application service may do it where the sender may not.
    pub may_stand_in: bool,
}

/// The script of one room.
#[derive(Debug)]
pub struct Script<'a> {
    cast: &'a Cast,
    makers: Makers,
    members: Members,
    /// What was redacted, and whether the redaction itself is told.
    redacted: HashMap<String, bool>,
    erased: &'a HashSet<String>,
    /// What people were called when they came.
    names: HashMap<String, String>,
}

impl Cast {
    fn version_is_before(&self, version: u32) -> bool {
        // A version that is no number is newer than those that are.
        self.room_version.parse().is_ok_and(|this: u32| this < version)
    }

    /// Whether whoever made a room has a power level, and not power without a bound.
    pub(crate) fn lists_creators(&self) -> bool {
        self.version_is_before(12)
    }

    /// Whether a redaction can be sent like any event, and so with its date.
    fn dates_redactions(&self) -> bool {
        !self.version_is_before(11)
    }
}

/// Everybody who speaks or is spoken of in the memberships of a room.
pub fn people(events: &[PastEvent]) -> BTreeSet<String> {
    let spoken_of = |event: &PastEvent| {
        let is_member = event.kind == "m.room.member";
        event.state_key.clone().filter(|key| is_member && key.starts_with('@'))
    };
    let speakers = events.iter().map(|event| event.sender.clone());
    speakers.chain(events.iter().filter_map(spoken_of)).collect()
}

/// The body of `createRoom` for a room of which only the beginning is known.
pub fn creation(
    room: &str,
    create: Option<&PastEvent>,
    ids: &Ids,
    cast: &Cast,
) -> Map<String, Value> {
    beginning(room, create, ids, cast)
}

impl Call {
    /// Gives somebody power, where these levels do not.
    pub fn promotion(
        cast: &Cast,
        levels: &Map<String, Value>,
        user: &str,
        now: i64,
    ) -> Option<Self> {
        let content = promote(levels, user)?;
        let act = Act::State { kind: POWER.to_owned(), key: String::new(), content };
        let (sender, transaction) = (cast.bot.clone(), String::new());
        Some(Self { sender, sent: now, transaction, act, may_stand_in: false })
    }

    /// Lets the application service do it, where that may be; whether it may, and did not before.
    pub fn stand_in(&mut self, cast: &Cast) -> bool {
        let changes = self.may_stand_in && self.sender != cast.bot;
        if changes {
            self.sender.clone_from(&cast.bot);
        }
        changes
    }

    /// Leaves out what the event was, so that it takes less room; whether there was something.
    pub fn forget_original(&mut self) -> bool {
        let (Act::Send { content, .. } | Act::State { content, .. } | Act::Redact { content, .. }) =
            &mut self.act;
        content.remove(ORIGINAL).is_some()
    }
}

impl<'a> Script<'a> {
    /// The script of a room with these events.
    pub fn new(cast: &'a Cast, events: &[PastEvent], erased: &'a HashSet<String>) -> Self {
        let create = events.iter().find(|event| event.kind == "m.room.create");
        let by_id: HashMap<&str, &PastEvent> =
            events.iter().map(|event| (event.id.as_str(), event)).collect();
        let mut redacted: HashMap<String, bool> = HashMap::new();
        for event in events {
            let Some(target) = &event.redacts else { continue };
            if counts(event, by_id.get(target.as_str()).copied()) {
                *redacted.entry(target.clone()).or_default() |= event.is_wanted;
            }
        }
        let (members, names) = (Members::default(), names(events));
        Self { cast, makers: Makers::of(create), members, redacted, erased, names }
    }

    /// Takes in how somebody stands to the room already; `word` is a membership.
    pub fn stands(&mut self, user: &str, word: &str) {
        if let Some(standing) = Standing::parse(word) {
            self.members.set(user, standing);
        }
    }

    /// Whether somebody neither is in the room nor is asked in.
    pub fn is_outside(&self, user: &str) -> bool {
        self.members.of(user) == Standing::Out
    }

    /// Whether an event is taken back later: what it says is not told.
    pub fn is_redacted(&self, event: &PastEvent) -> bool {
        self.redacted.contains_key(&event.id)
    }

    /// Takes in an event that was told before.
    pub fn was_told(&mut self, event: &PastEvent, ids: &Ids) {
        if event.kind == "m.room.join_rules"
            && let Ok((_, content)) = state(event, ids, self.cast, &self.makers)
        {
            self.rule(&content);
        }
    }

    /// Takes in that a call was done.
    pub fn happened(&mut self, call: &Call) {
        let Act::State { kind, key, content } = &call.act else { return };
        match kind.as_str() {
            "m.room.member" => {
                let word = content.get("membership").and_then(Value::as_str);
                self.stands(key, word.unwrap_or_default());
            }
            "m.room.join_rules" => self.rule(content),
            _ => {}
        }
    }

    fn rule(&mut self, content: &Map<String, Value>) {
        let rule = content.get("join_rule").and_then(Value::as_str);
        self.members.is_open = rule == Some("public");
        self.members.knocks = rule == Some("knock");
    }

    /// The calls that tell an event again; the last one is the event itself.
    ///
    /// # Errors
    /// Why it is not told.
    pub fn calls(&self, event: &PastEvent, ids: &Ids) -> Result<Vec<Call>, Loss> {
        let sender = ids.person(&event.sender).ok_or(Loss::Refused)?;
        if event.state_key.is_none() && !event.is_wanted {
            return Err(Loss::Unwanted);
        }
        if event.kind == "m.room.member"
            && let Some(person) = &event.state_key
        {
            return self.membership(event, &sender, person, ids);
        }
        let act = match &event.state_key {
            Some(_) => self.state(event, ids)?,
            None if event.redacts.is_some() => self.redaction(event, ids)?,
            None => self.message(event, ids)?,
        };
        let may_stand_in = event.state_key.is_some() || event.redacts.is_some();
        let steps = match self.members.to_speak(&sender) {
            Err(_) if may_stand_in => {
                return Ok(vec![call(event, self.cast.bot.clone(), act, may_stand_in)]);
            }
            steps => steps?,
        };
        let mut calls = self.entrance(&steps, (&sender, &event.sender), event);
        calls.push(call(event, sender, act, may_stand_in));
        Ok(calls)
    }

    fn membership(
        &self,
        event: &PastEvent,
        sender: &str,
        person: &str,
        ids: &Ids,
    ) -> Result<Vec<Call>, Loss> {
        let key = ids.person(person).ok_or(Loss::Refused)?;
        let word = event.text("membership").unwrap_or_default();
        let new = Standing::parse(word).ok_or(Loss::Refused)?;
        let by_itself = key == sender;
        self.members.check(&key, by_itself, new)?;
        let steps = match new {
            Standing::Join => self.members.to_join(&key),
            _ if by_itself => Vec::new(),
            _ => self.members.to_speak(sender)?,
        };
        let mut content = rewrite(&event.content, ids);
        let is_redacted = self.redacted.contains_key(&event.id);
        content.retain(|name, _| {
            name == "membership" || (!is_redacted && MEMBERSHIP.contains(&name.as_str()))
        });
        if matches!(new, Standing::Join | Standing::Invite | Standing::Knock) {
            // Else the server puts the ghost's own name there.
            content.entry(NAME).or_insert_with(|| self.name(person).into());
        }
        content.insert(ORIGINAL.to_owned(), event.original());
        let mut calls = self.entrance(&steps, (sender, &event.sender), event);
        let act = Act::State { kind: event.kind.clone(), key, content };
        calls.push(call(event, sender.to_owned(), act, !by_itself));
        Ok(calls)
    }

    fn state(&self, event: &PastEvent, ids: &Ids) -> Result<Act, Loss> {
        let (key, mut content) = state(event, ids, self.cast, &self.makers)?;
        let mut original = event.original();
        match event.kind.as_str() {
            "m.room.join_rules" | "m.room.history_visibility" | "m.room.guest_access" => {
                original["content"] = event.content.clone().into();
            }
            "m.room.power_levels" | "m.room.server_acl" => {}
            kind if self.redacted.contains_key(&event.id) => content = emptied(kind),
            _ => {}
        }
        content.insert(ORIGINAL.to_owned(), original);
        Ok(Act::State { kind: event.kind.clone(), key, content })
    }

    fn redaction(&self, event: &PastEvent, ids: &Ids) -> Result<Act, Loss> {
        let old = event.redacts.as_deref().unwrap_or_default();
        if !self.redacted.contains_key(old) {
            return Err(Loss::Idle);
        }
        // What is not here needs not be taken back.
        let target = ids.event(old).ok_or(Loss::Redacted)?.to_owned();
        let mut original = event.original();
        original["redacts"] = old.into();
        let mut content = rewrite(&event.content, ids);
        content.remove("redacts");
        content.insert(ORIGINAL.to_owned(), original);
        if !self.cast.dates_redactions() {
            return Ok(Act::Redact { target, content });
        }
        content.insert("redacts".to_owned(), target.into());
        Ok(Act::Send { kind: event.kind.clone(), content })
    }

    fn message(&self, event: &PastEvent, ids: &Ids) -> Result<Act, Loss> {
        let mut content = match self.redacted.get(&event.id) {
            Some(true) => emptied(&event.kind),
            Some(false) => return Err(Loss::Redacted),
            None if self.erased.contains(&event.sender) => return Err(Loss::Erased),
            None if event.content.is_empty() && SAY_SOMETHING.contains(&event.kind.as_str()) => {
                return Err(Loss::Redacted);
            }
            None if event.kind == "m.room.encrypted" => return Err(Loss::Sealed),
            None => {
                let mut content = event.content.clone();
                relate(&mut content, ids)?;
                rewrite(&content, ids)
            }
        };
        content.insert(ORIGINAL.to_owned(), event.original());
        Ok(Act::Send { kind: event.kind.clone(), content })
    }

    /// What a person is called; who has no name is called by the user id of the past.
    fn name<'b>(&'b self, person: &'b str) -> &'b str {
        self.names.get(person).map_or(person, String::as_str)
    }

    /// The calls that let a ghost in, at the time of the event that needs it.
    fn entrance(
        &self,
        steps: &[Entrance],
        (ghost, person): (&str, &str),
        event: &PastEvent,
    ) -> Vec<Call> {
        let step = |step: &Entrance| {
            let (sender, membership) = match step {
                Entrance::Invite => (self.cast.bot.as_str(), "invite"),
                Entrance::Join => (ghost, "join"),
            };
            let named = [("membership", membership), (NAME, self.name(person))];
            let content = named.map(|(key, text)| (key.to_owned(), text.into()));
            let content = Map::from_iter(content);
            let kind = "m.room.member".to_owned();
            let act = Act::State { kind, key: ghost.to_owned(), content };
            call(event, sender.to_owned(), act, false)
        };
        steps.iter().map(step).collect()
    }
}

/// What people were called first, by their user ids.
fn names(events: &[PastEvent]) -> HashMap<String, String> {
    let mut names = HashMap::new();
    for event in events.iter().filter(|event| event.kind == "m.room.member") {
        if let (Some(person), Some(name)) = (&event.state_key, event.text(NAME)) {
            names.entry(person.clone()).or_insert_with(|| name.to_owned());
        }
    }
    names
}

/// Whether a redaction takes its target back.
fn counts(redaction: &PastEvent, target: Option<&PastEvent>) -> bool {
    let server = |user: &str| user.split_once(':').map(|(_, server)| server.to_owned());
    let Some(target) = target else { return true };
    !redaction.is_doubtful || server(&redaction.sender) == server(&target.sender)
}

fn call(event: &PastEvent, sender: String, act: Act, may_stand_in: bool) -> Call {
    let mut transaction = Digest::of(event.id.as_bytes()).to_string();
    transaction.truncate(TRANSACTION);
    Call { sender, sent: event.sent, transaction, act, may_stand_in }
}

/// The content of what is taken back soon: as little as a server lets in.
fn emptied(kind: &str) -> Map<String, Value> {
    let content = match kind {
        "m.room.message" => json!({"msgtype": "m.notice", "body": "[redacted]"}),
        "m.room.name" => json!({"name": ""}),
        "m.room.topic" => json!({"topic": ""}),
        _ => json!({}),
    };
    content.as_object().cloned().unwrap_or_default()
}

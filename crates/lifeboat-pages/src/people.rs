//! What members of a room are called at a moment, and in the end.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use serde_json::{Map, Value};

use crate::event::Event;
use crate::tame;

/// A member of the room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// User id.
    pub user: String,
    /// Name.
    pub name: String,
    /// Membership: `join`, `leave`, `invite`, `ban`, `knock`.
    pub membership: String,
    /// Power level, where it is a number.
    pub level: i64,
}

/// Names of users; grows with the state of the room.
#[derive(Debug, Default)]
pub struct People {
    names: HashMap<String, Arc<str>>,
    /// How many users have a name now: a name alone tells who it is only when it is one.
    holders: HashMap<Arc<str>, usize>,
    memberships: BTreeMap<String, String>,
}

impl People {
    /// People whose names are known from profiles.
    pub fn new(profiles: &HashMap<String, String>) -> Self {
        let mut people = Self::default();
        for (user, name) in profiles {
            people.call(user, name);
        }
        people
    }

    /// Takes a state event in.
    pub fn learn(&mut self, event: &Event) {
        let Some(user) = event.state_key.as_deref().filter(|_| event.kind == "m.room.member")
        else {
            return;
        };
        let membership = event.text("membership").unwrap_or("leave").to_owned();
        // Who leaves keeps the name; an invitation says what the inviter's server believes.
        if let Some(name) = event.text("displayname").filter(|_| membership != "leave") {
            self.call(user, name);
        }
        self.memberships.insert(user.to_owned(), membership);
    }

    fn call(&mut self, user: &str, name: &str) {
        let name: Arc<str> = tame::tame(&tame::line(name)).into();
        if name.is_empty() {
            return;
        }
        if let Some(before) = self.names.insert(user.to_owned(), Arc::clone(&name))
            && let Some(count) = self.holders.get_mut(&before)
        {
            *count -= 1;
        }
        *self.holders.entry(name).or_default() += 1;
    }

    /// What a user is called now. Who shares a name, or has somebody's user id for one, is told
    /// apart by the user id.
    pub fn name(&self, user: &str) -> Arc<str> {
        let Some(name) = self.names.get(user) else {
            return local_part(user).into();
        };
        let shared = self.holders.get(name).is_some_and(|count| *count > 1);
        if shared || (name.starts_with('@') && **name != *user) {
            return format!("{name} ({})", tame::tame(user)).into();
        }
        Arc::clone(name)
    }

    /// Everybody who is or was a member, by name; `power` is the content of the power levels.
    pub fn members(&self, power: Option<&Map<String, Value>>) -> Vec<Member> {
        let level = |user: &str| {
            let level = power.and_then(|power| power.get("users")?.get(user)?.as_i64());
            let usual = || power.and_then(|power| power.get("users_default")?.as_i64());
            level.or_else(usual).unwrap_or_default()
        };
        let each = self.memberships.iter().map(|(user, membership)| Member {
            user: user.clone(),
            name: self.name(user).to_string(),
            membership: membership.clone(),
            level: level(user),
        });
        let mut members: Vec<Member> = each.collect();
        members.sort_by_cached_key(|member| (member.name.to_lowercase(), member.user.clone()));
        members
    }
}

/// `alice` of `@alice:example.org`.
pub fn local_part(user: &str) -> String {
    let local = user.strip_prefix('@').unwrap_or(user).split(':').next().unwrap_or_default();
    tame::tame(local)
}

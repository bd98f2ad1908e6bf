//! State changes in words.

use std::fmt::Write;

use serde_json::{Map, Value};

use crate::event::Event;
use crate::people::People;
use crate::tame;

type Content = Map<String, Value>;

/// Names in a list before it says how many more there are.
const LISTED: usize = 5;

/// What the event changes, beginning with who does it; `before` is what it replaces, and `people`
/// know the event already.
pub fn state(event: &Event, before: Option<&Content>, people: &People) -> String {
    let who = people.name(&event.sender);
    let key = event.state_key.as_deref().unwrap_or_default();
    if event.content.is_empty() && before.is_some() && event.kind != "m.room.member" {
        return format!("{who} removed {}", thing(&event.kind, key, people));
    }
    match event.kind.as_str() {
        "m.room.member" => member(event, key, before, people),
        "m.room.create" => format!("{who} created the room"),
        "m.room.name" => named(&who, "the name of the room", event.text("name")),
        "m.room.topic" => named(&who, "the topic", event.text("topic")),
        "m.room.canonical_alias" => named(&who, "the main address", event.text("alias")),
        "m.room.avatar" => format!("{who} changed the picture of the room"),
        "m.room.encryption" => format!("{who} turned encryption on"),
        "m.room.join_rules" => {
            format!("{who} decided that {}", join_rule(event.text("join_rule")))
        }
        "m.room.history_visibility" => {
            let rule = history(event.text("history_visibility"));
            format!("{who} decided that {rule}")
        }
        "m.room.guest_access" => {
            let may = event.text("guest_access") == Some("can_join");
            format!("{who} decided that guests {} join", if may { "may" } else { "may not" })
        }
        "m.room.power_levels" => power(&who, &event.content, before, people),
        "m.room.pinned_events" => pinned(&who, &event.content, before),
        "m.room.server_acl" => format!("{who} changed which servers may take part"),
        "m.room.tombstone" => {
            let reason = event.text("body").map(tame::line).unwrap_or_default();
            let next = event.text("replacement_room").unwrap_or("another room");
            let said = if reason.is_empty() { reason } else { format!(" “{reason}”") };
            format!("{who} closed this room; it goes on in {next}.{said}")
        }
        "m.space.child" => format!("{who} put the room {key} into this space"),
        "m.space.parent" => format!("{who} put this room into the space {key}"),
        _ => format!("{who} changed {}", thing(&event.kind, key, people)),
    }
}

fn thing(kind: &str, key: &str, people: &People) -> String {
    let known = match kind {
        "m.room.name" => "the name of the room",
        "m.room.topic" => "the topic",
        "m.room.canonical_alias" => "the main address",
        "m.room.avatar" => "the picture of the room",
        "m.room.pinned_events" => "all pins",
        "m.space.child" => return format!("the room {key} from this space"),
        "m.space.parent" => return format!("this room from the space {key}"),
        "m.room.retention" => "how long messages are kept",
        "m.room.third_party_invite" => "an invitation by e-mail",
        "im.vector.modular.widgets" | "m.widget" => "a widget",
        "m.call.member" | "org.matrix.msc3401.call.member" => "their part in a call",
        _ if key.starts_with('@') => return format!("“{kind}” of {}", people.name(key)),
        _ if key.is_empty() => return format!("“{kind}”"),
        _ => return format!("“{kind}” ({key})"),
    };
    known.to_owned()
}

fn named(who: &str, what: &str, value: Option<&str>) -> String {
    match value.map(tame::line).filter(|value| !value.is_empty()) {
        Some(value) => format!("{who} changed {what} to “{value}”"),
        None => format!("{who} removed {what}"),
    }
}

fn member(event: &Event, user: &str, before: Option<&Content>, people: &People) -> String {
    let was = |key: &str| before.and_then(|before| before.get(key)?.as_str());
    let (who, whom) = (people.name(&event.sender), people.name(user));
    let own = event.sender == user;
    let mut words = match (was("membership"), event.text("membership")) {
        (Some("join"), Some("join")) => return profile(event, &was, &whom),
        (_, Some("join")) => format!("{whom} joined"),
        (_, Some("invite")) => format!("{who} invited {whom}"),
        (_, Some("knock")) => format!("{whom} asked to be let in"),
        (_, Some("ban")) => format!("{who} banned {whom}"),
        (Some("ban"), _) => format!("{who} lifted the ban of {whom}"),
        (Some("invite"), _) if own => format!("{whom} declined the invitation"),
        (Some("invite"), _) => format!("{who} withdrew the invitation of {whom}"),
        (Some("knock"), _) if !own => format!("{who} did not let {whom} in"),
        _ if own => format!("{whom} left"),
        _ => format!("{who} removed {whom}"),
    };
    if let Some(reason) = event.text("reason").map(tame::line).filter(|r| !r.is_empty()) {
        // Writing to a string does not fail.
        write!(words, ": “{reason}”").ok();
    }
    words
}

fn profile<'a>(event: &Event, was: &dyn Fn(&str) -> Option<&'a str>, whom: &str) -> String {
    let renamed = was("displayname") != event.text("displayname");
    let pictured = was("avatar_url") != event.text("avatar_url");
    let before = was("displayname").map(tame::line);
    match (renamed, pictured, before) {
        (true, _, Some(before)) => format!("{before} is now called {whom}"),
        (true, _, None) => format!("{whom} took this name"),
        (false, true, _) => format!("{whom} changed their picture"),
        (false, false, _) => format!("{whom} joined again"),
    }
}

fn join_rule(rule: Option<&str>) -> &'static str {
    match rule {
        Some("public") => "anybody may join",
        Some("knock" | "knock_restricted") => "anybody may ask to be let in",
        Some("restricted") => "members of certain rooms may join",
        _ => "only those who are invited may join",
    }
}

fn history(rule: Option<&str>) -> &'static str {
    match rule {
        Some("world_readable") => "anybody may read",
        Some("invited") => "members may read from when they were invited",
        Some("joined") => "members may read from when they joined",
        _ => "members may read everything",
    }
}

fn power(who: &str, now: &Content, before: Option<&Content>, people: &People) -> String {
    let level = |content: Option<&Content>, user: &str| {
        content.and_then(|content| content.get("users")?.get(user)?.as_i64())
    };
    let users = |content: Option<&Content>| {
        let users = content.and_then(|content| content.get("users")?.as_object());
        users.map(|users| users.keys().cloned().collect::<Vec<_>>()).unwrap_or_default()
    };
    let mut all = users(Some(now));
    all.extend(users(before));
    all.sort();
    all.dedup();
    let mut changes = Vec::new();
    for user in all {
        let (was, is) = (level(before, &user), level(Some(now), &user));
        if was != is {
            let role = is.map_or_else(|| "an ordinary member".to_owned(), role);
            changes.push(format!("{} is now {role}", people.name(&user)));
        }
    }
    if before.is_none() || changes.is_empty() {
        return format!("{who} set who may do what");
    }
    let more = changes.len().saturating_sub(LISTED);
    changes.truncate(LISTED);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("{who} changed who may do what: {}{more}", changes.join(", "))
}

/// A power level in words.
pub fn role(level: i64) -> String {
    match level {
        100.. => format!("an administrator ({level})"),
        50..=99 => format!("a moderator ({level})"),
        0 => "an ordinary member".to_owned(),
        _ => format!("a member of level {level}"),
    }
}

fn pinned(who: &str, now: &Content, before: Option<&Content>) -> String {
    let count = |content: Option<&Content>| {
        content.and_then(|content| content.get("pinned")?.as_array()).map_or(0, Vec::len)
    };
    match (count(before), count(Some(now))) {
        (was, is) if is > was => format!("{who} pinned a message"),
        (was, is) if is < was => format!("{who} unpinned a message"),
        _ => format!("{who} changed the pinned messages"),
    }
}

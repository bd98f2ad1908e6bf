//! State of a room, as it may be in the new room.
//!
//! What protects is never weaker than before: a room that was open is closed unless the caller
//! wants it open, and nobody from elsewhere keeps power in it.

use serde_json::{Map, Value, json};

use crate::content::rewrite;
use crate::event::{Loss, ORIGINAL, PastEvent};
use crate::ids::Ids;
use crate::script::Cast;

/// A level above all that people give each other.
const TOP: i64 = 1_000_000;
/// The level of whoever made a room, where nothing else is said.
const ADMIN: i64 = 100;

/// Members of a content of power levels that are levels themselves.
const LEVELS: &[&str] =
    &["ban", "events_default", "invite", "kick", "redact", "state_default", "users_default"];

/// Who made the room of the past.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Makers {
    pub(crate) people: Vec<String>,
    /// Whether their power had no bound (room version 12 and later).
    pub(crate) unbounded: bool,
}

impl Makers {
    pub(crate) fn of(create: Option<&PastEvent>) -> Self {
        let Some(create) = create else { return Self::default() };
        let more = create.content.get("additional_creators").and_then(Value::as_array);
        let more = more.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned);
        let version = create.text("room_version").unwrap_or("1");
        let unbounded = version.parse().is_ok_and(|version: u32| version >= 12);
        let people = std::iter::once(create.sender.clone()).chain(more).collect();
        Self { people, unbounded }
    }
}

/// What the new room is made of: the body of `createRoom`.
pub(crate) fn beginning(
    room: &str,
    create: Option<&PastEvent>,
    ids: &Ids,
    cast: &Cast,
) -> Map<String, Value> {
    let mut original = create.map_or_else(|| json!({}), PastEvent::original);
    original["room_id"] = room.into();
    let mut creation = json!({ORIGINAL: original});
    let kept = |key: &str| create.and_then(|create| create.content.get(key));
    if let Some(kind) = kept("type").filter(|kind| kind.is_string()) {
        creation["type"] = kind.clone();
    }
    if kept("m.federate") == Some(&Value::Bool(false)) {
        creation["m.federate"] = false.into();
    }
    let levels = levels(&Map::new(), ids, cast, &Makers::of(create));
    let users = levels.get("users").cloned().unwrap_or_default();
    let closed = |kind: &str, content: Value| json!({"type": kind, "content": content});
    let body = json!({
        "preset": "private_chat",
        "visibility": "private",
        "creation_content": creation,
        // No level of a kind of event by which the first levels of the past would be refused.
        "power_level_content_override": {"users": users, "events": {}},
        "initial_state": [closed("m.room.guest_access", json!({"guest_access": "forbidden"}))],
    });
    match body {
        Value::Object(body) => body,
        _ => Map::new(),
    }
}

/// Key and content of a state event that is no membership.
///
/// # Errors
/// Why it is not brought along.
pub(crate) fn state(
    event: &PastEvent,
    ids: &Ids,
    cast: &Cast,
    makers: &Makers,
) -> Result<(String, Map<String, Value>), Loss> {
    let key = event.state_key.as_deref().unwrap_or_default();
    let mut content = rewrite(&event.content, ids);
    let mut key = ids.whole(key).unwrap_or_else(|| key.to_owned());
    let mut put = |name: &str, value: Value| drop(content.insert(name.to_owned(), value));
    match event.kind.as_str() {
        "m.room.create" => return Err(Loss::Beginning),
        "m.room.encryption" => return Err(Loss::Encryption),
        "m.room.canonical_alias" | "m.room.aliases" => return Err(Loss::Alias),
        "m.room.third_party_invite" => return Err(Loss::Signature),
        "m.room.retention" => return Err(Loss::Retention),
        "m.room.join_rules" => {
            let rule = join_rule(event.text("join_rule").unwrap_or_default(), cast);
            content = Map::from_iter([("join_rule".to_owned(), rule.into())]);
        }
        "m.room.history_visibility" => {
            let seen = visibility(event.text("history_visibility").unwrap_or_default(), cast);
            put("history_visibility", seen.into());
        }
        "m.room.guest_access" if !cast.is_public => put("guest_access", "forbidden".into()),
        "m.room.power_levels" => content = levels(&event.content, ids, cast, makers),
        "m.room.pinned_events" => put("pinned", pinned(&event.content, ids)),
        "m.room.server_acl" => put("allow", allowed(&event.content, ids)),
        "m.room.tombstone" => {
            let room = event.text("replacement_room").and_then(|room| ids.room(room));
            put("replacement_room", room.ok_or(Loss::Elsewhere)?.into());
        }
        "m.space.child" | "m.space.parent" => {
            let old = event.state_key.as_deref().unwrap_or_default();
            ids.room(old).ok_or(Loss::Elsewhere)?.clone_into(&mut key);
            if event.content.contains_key("via") {
                put("via", json!([ids.server()]));
            }
        }
        _ => {}
    }
    Ok((key, content))
}

/// Who may come in: those who are invited, unless the room was open and may be so again.
fn join_rule(rule: &str, cast: &Cast) -> &'static str {
    match rule {
        "public" if cast.is_public => "public",
        "knock" | "knock_restricted" => "knock",
        _ => "invite",
    }
}

/// Who is let in reads everything: ghosts were there, and nobody else was.
fn visibility(seen: &str, cast: &Cast) -> &'static str {
    match seen {
        "world_readable" if cast.is_public => "world_readable",
        _ => "shared",
    }
}

fn pinned(content: &Map<String, Value>, ids: &Ids) -> Value {
    let pinned = content.get("pinned").and_then(Value::as_array).into_iter().flatten();
    pinned.filter_map(|id| ids.event(id.as_str()?)).map(Value::from).collect()
}

/// Servers that may take part; the new one is among them.
fn allowed(content: &Map<String, Value>, ids: &Ids) -> Value {
    let list = content.get("allow").and_then(Value::as_array).into_iter().flatten();
    let mut allowed: Vec<Value> = list.cloned().collect();
    if !allowed.iter().any(|entry| *entry == "*" || *entry == ids.server()) {
        allowed.push(ids.server().into());
    }
    allowed.into()
}

/// The power levels with those of somebody who is to have power; nothing where they have it.
pub(crate) fn promote(levels: &Map<String, Value>, user: &str) -> Option<Map<String, Value>> {
    let mut levels = levels.clone();
    let users = levels.entry("users").or_insert_with(|| json!({})).as_object_mut()?;
    if users.get(user).and_then(level).is_some_and(|level| level >= ADMIN) {
        return None;
    }
    users.insert(user.to_owned(), ADMIN.into());
    levels.remove(ORIGINAL);
    Some(levels)
}

/// Power levels: those of ghosts as they were, and of the application service; of nobody else.
fn levels(
    content: &Map<String, Value>,
    ids: &Ids,
    cast: &Cast,
    makers: &Makers,
) -> Map<String, Value> {
    let mut written = Map::new();
    for key in LEVELS {
        if let Some(level) = content.get(*key).and_then(level) {
            written.insert((*key).to_owned(), level.into());
        }
    }
    for key in ["events", "notifications"] {
        let of_kind = content.get(key).and_then(Value::as_object).into_iter().flatten();
        let of_kind =
            of_kind.filter_map(|(kind, value)| Some((kind.clone(), level(value)?.into())));
        let of_kind: Map<String, Value> = of_kind.collect();
        if content.contains_key(key) {
            written.insert(key.to_owned(), of_kind.into());
        }
    }
    let of_people = content.get("users").and_then(Value::as_object);
    let past = of_people.into_iter().flatten();
    let past = past.filter_map(|(user, value)| Some((ids.person(user)?, level(value)?.into())));
    let mut users: Map<String, Value> = past.collect();
    for maker in makers.people.iter().filter_map(|maker| ids.person(maker)) {
        if makers.unbounded {
            users.insert(maker, TOP.into());
        } else if of_people.is_none() {
            users.insert(maker, ADMIN.into());
        }
    }
    if cast.lists_creators() {
        users.insert(cast.bot.clone(), TOP.into());
    }
    written.insert("users".to_owned(), users.into());
    written
}

/// A level, which old rooms may have as text.
fn level(value: &Value) -> Option<i64> {
    value.as_i64().or_else(|| value.as_str()?.trim().parse().ok())
}

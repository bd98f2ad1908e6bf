//! Contents with the ids of now instead of those of then.

use serde_json::{Map, Value};

use crate::event::Loss;
use crate::files::is_sealed_file;
use crate::ids::Ids;
use crate::links;

/// How deep contents are rewritten; an event that nests deeper keeps what lies there.
const DEPTH: usize = 64;

/// What somebody wrote, in which an id is only a word.
const WORDS: &[&str] = &["body", "m.text", "org.matrix.msc1767.text", "key", "displayname", "name"];

/// What of an encrypted file a decrypted one has no more.
const SEAL: &[&str] = &["key", "iv", "hashes", "v"];

/// A content in which every known id is the new one.
pub fn rewrite(content: &Map<String, Value>, ids: &Ids) -> Map<String, Value> {
    object(content, ids, DEPTH)
}

/// Takes from a content the relations to what is not here.
///
/// # Errors
/// [`Loss::Target`] where it means nothing without.
pub fn relate(content: &mut Map<String, Value>, ids: &Ids) -> Result<(), Loss> {
    let Some(relation) = content.get_mut("m.relates_to").and_then(Value::as_object_mut) else {
        return Ok(());
    };
    let is_known = |value: Option<&Value>| {
        value.and_then(Value::as_str).is_some_and(|id| ids.event(id).is_some())
    };
    let way = relation.get("rel_type").and_then(Value::as_str).unwrap_or_default().to_owned();
    if !way.is_empty() && !is_known(relation.get("event_id")) {
        if matches!(way.as_str(), "m.replace" | "m.annotation" | "m.reference") {
            return Err(Loss::Target);
        }
        for key in ["rel_type", "event_id", "is_falling_back"] {
            relation.remove(key);
        }
    }
    if let Some(answered) = relation.get("m.in_reply_to")
        && !is_known(answered.get("event_id"))
    {
        relation.remove("m.in_reply_to");
    }
    if relation.is_empty() {
        content.remove("m.relates_to");
    }
    Ok(())
}

fn object(value: &Map<String, Value>, ids: &Ids, depth: usize) -> Map<String, Value> {
    let Some(depth) = depth.checked_sub(1) else { return value.clone() };
    let mut written = Map::new();
    for (key, inside) in value {
        if let Some((name, address)) = opened(key, inside, ids) {
            written.insert(name, address);
            continue;
        }
        let name = ids.whole(key).unwrap_or_else(|| key.clone());
        let new = match inside {
            Value::String(text) if key == "formatted_body" => links::rewrite(text, ids).into(),
            Value::String(_) if WORDS.contains(&key.as_str()) => inside.clone(),
            _ => any(inside, ids, depth),
        };
        written.entry(name).or_insert(new);
    }
    written
}

/// What stands for an encrypted file that was decrypted: its address, under the name that clients
/// look for.
fn opened(key: &str, value: &Value, ids: &Ids) -> Option<(String, Value)> {
    let file = value.as_object().filter(|file| is_sealed_file(file))?;
    let address = ids.file(file.get("url")?.as_str()?, true)?;
    match key {
        "file" => Some(("url".to_owned(), address.into())),
        "thumbnail_file" => Some(("thumbnail_url".to_owned(), address.into())),
        _ => {
            let mut plain = file.clone();
            for part in SEAL {
                plain.remove(*part);
            }
            plain.insert("url".to_owned(), address.into());
            Some((key.to_owned(), plain.into()))
        }
    }
}

fn any(value: &Value, ids: &Ids, depth: usize) -> Value {
    match value {
        Value::String(text) => ids.whole(text).map_or_else(|| value.clone(), Value::String),
        Value::Array(list) => match depth.checked_sub(1) {
            Some(depth) => list.iter().map(|inside| any(inside, ids, depth)).collect(),
            None => value.clone(),
        },
        Value::Object(inside) => object(inside, ids, depth).into(),
        _ => value.clone(),
    }
}

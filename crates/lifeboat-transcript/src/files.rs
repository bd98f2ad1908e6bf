//! Files of the media store that a content names.

use serde_json::{Map, Value};

use crate::links;

/// How deep contents are looked into.
const DEPTH: usize = 32;

/// A file that must be there before an event that names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileWish {
    /// `mxc://…`
    pub mxc: String,
    /// The name that the sender gave it.
    pub name: Option<String>,
    /// What the sender says it is, for example `image/png`.
    pub media_type: Option<String>,
    /// Key and hashes of an encrypted file, as the event has them.
    pub sealed: Option<Value>,
}

/// All files that a content names, each once.
pub fn files(content: &Map<String, Value>) -> Vec<FileWish> {
    let mut found = Vec::new();
    let about = |key: &str| content.get(key).and_then(Value::as_str).map(str::to_owned);
    let name = about("filename").or_else(|| about("body")).filter(|name| name.len() <= 255);
    object(content, &mut found, DEPTH);
    for wish in &mut found {
        // Thumbnails have no name of their own; the file they belong to is what it is for.
        wish.name.clone_from(&name);
    }
    let mut each: Vec<FileWish> = Vec::new();
    for wish in found {
        let same = |known: &FileWish| {
            known.mxc == wish.mxc && known.sealed.is_some() == wish.sealed.is_some()
        };
        if !each.iter().any(same) {
            each.push(wish);
        }
    }
    each
}

/// Whether an object is what encrypted rooms say instead of an address.
pub(crate) fn is_sealed_file(value: &Map<String, Value>) -> bool {
    let is_address = value.get("url").and_then(Value::as_str).is_some_and(is_address);
    is_address && value.get("key").is_some_and(Value::is_object) && value.contains_key("iv")
}

fn is_address(text: &str) -> bool {
    text.strip_prefix("mxc://").is_some_and(|rest| {
        rest.split_once('/').is_some_and(|(server, id)| !server.is_empty() && !id.is_empty())
    })
}

fn object(value: &Map<String, Value>, found: &mut Vec<FileWish>, depth: usize) {
    let Some(depth) = depth.checked_sub(1) else { return };
    let kind = |key: &str| value.get(key)?.get("mimetype")?.as_str().map(str::to_owned);
    let media_type = kind("info").or_else(|| value.get("mimetype")?.as_str().map(str::to_owned));
    let of_thumbnail = || kind("thumbnail_info");
    for (key, inside) in value {
        let media_type = || match key.as_str() {
            "thumbnail_url" | "thumbnail_file" => of_thumbnail(),
            _ => media_type.clone(),
        };
        match inside {
            Value::Object(file) if is_sealed_file(file) => {
                let mxc = file.get("url").and_then(Value::as_str).unwrap_or_default().to_owned();
                let sealed = Some(inside.clone());
                found.push(FileWish { mxc, name: None, media_type: media_type(), sealed });
            }
            Value::String(text) if is_address(text) => {
                let (mxc, media_type) = (text.clone(), media_type());
                found.push(FileWish { mxc, name: None, media_type, sealed: None });
            }
            Value::String(text) if key == "formatted_body" => {
                let wish = |mxc| FileWish { mxc, name: None, media_type: None, sealed: None };
                found.extend(links::pictures(text).filter(|mxc| is_address(mxc)).map(wish));
            }
            Value::String(_) | Value::Null | Value::Bool(_) | Value::Number(_) => {}
            Value::Object(inside) => object(inside, found, depth),
            Value::Array(list) => {
                for inside in list.iter().filter_map(Value::as_object) {
                    object(inside, found, depth);
                }
            }
        }
    }
}

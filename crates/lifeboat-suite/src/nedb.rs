//! What a `NeDB` database of the IRC bridge has stored: a text of documents, one a line, to which
//! each change of a document adds a line.

use std::collections::BTreeMap;
use std::io::{self, BufRead, Read};

use serde::Deserialize;

/// The database of the bridge's users in its folder.
pub const USERS: &str = "users.db";
/// Bytes of one document; real ones have some hundreds.
const LINE_BYTES: u64 = 1 << 20;
/// Documents that are kept in mind: the newest will do, and only later lines take them back.
const REMEMBERED: usize = 256;

#[derive(Deserialize)]
struct Line {
    #[serde(rename = "_id")]
    id: String,
    /// A deletion is a document of its own kind, which has no data.
    data: Option<User>,
}

#[derive(Deserialize)]
struct User {
    client_config: Option<BTreeMap<String, Network>>,
}

#[derive(Deserialize)]
struct Network {
    password: Option<String>,
}

/// The encrypted password that was stored last and is still there, if there is one. Lines that are
/// no documents of users are passed over, as are such as are too long.
///
/// # Errors
/// When `text` cannot be read.
pub fn stored_password(mut text: impl BufRead) -> io::Result<Option<String>> {
    let mut newest: BTreeMap<u64, (String, String)> = BTreeMap::new();
    let mut line = Vec::new();
    for number in 0.. {
        line.clear();
        if (&mut text).take(LINE_BYTES).read_until(b'\n', &mut line)? == 0 {
            break;
        }
        let Ok(Line { id, data }) = serde_json::from_slice(&line) else { continue };
        newest.retain(|_, (of, _)| *of != id);
        let networks = data.and_then(|user| user.client_config).unwrap_or_default();
        let mut passwords = networks.into_values().filter_map(|network| network.password);
        if let Some(password) = passwords.next() {
            newest.insert(number, (id, password));
        }
        if newest.len() > REMEMBERED {
            newest.pop_first();
        }
    }
    Ok(newest.pop_last().map(|(_, (_, password))| password))
}

#[cfg(test)]
mod tests;

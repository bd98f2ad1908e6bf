//! What became of what: the map of ids, in memory and as lines of a file.

use std::collections::{HashMap, HashSet};

use serde::{Deserialize, Serialize};

use crate::ghost;

/// Bytes of a line of the file of ids.
pub const LINE_BYTES: usize = 4 << 10;

/// The map of ids of one transcript.
#[derive(Debug, Default)]
pub struct Ids {
    server: String,
    people: HashSet<String>,
    rooms: HashMap<String, String>,
    events: HashMap<String, String>,
    /// By address, and whether the file was decrypted.
    files: HashMap<(String, bool), String>,
}

/// A line of the file of ids.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum IdLine {
    /// The first line: from which server to which.
    Transcript {
        /// The name of the server of the past.
        from: String,
        /// The name of the server it is told on.
        to: String,
    },
    /// A person and the ghost.
    User {
        /// Before.
        old: String,
        /// Now.
        new: String,
    },
    /// A room.
    Room {
        /// Before.
        old: String,
        /// Now.
        new: String,
    },
    /// An event.
    Event {
        /// Before.
        old: String,
        /// Now.
        new: String,
    },
    /// A file of the media store.
    Media {
        /// Before.
        old: String,
        /// Now.
        new: String,
        /// Whether it was decrypted on the way.
        #[serde(default)]
        opened: bool,
    },
}

impl Ids {
    /// An empty map to a server.
    pub fn new(server: &str) -> Self {
        Self { server: server.to_owned(), ..Self::default() }
    }

    /// Takes a line in.
    pub fn learn(&mut self, line: IdLine) {
        match line {
            IdLine::Transcript { .. } => {}
            IdLine::User { old, .. } => drop(self.people.insert(old)),
            IdLine::Room { old, new } => drop(self.rooms.insert(old, new)),
            IdLine::Event { old, new } => drop(self.events.insert(old, new)),
            IdLine::Media { old, new, opened } => drop(self.files.insert((old, opened), new)),
        }
    }

    /// The server's name.
    pub fn server(&self) -> &str {
        &self.server
    }

    /// The ghost of a person, if there is one.
    pub fn person(&self, old: &str) -> Option<String> {
        self.people.contains(old).then(|| ghost::user_id(old, &self.server))
    }

    /// The room that a room became.
    pub fn room(&self, old: &str) -> Option<&str> {
        self.rooms.get(old).map(String::as_str)
    }

    /// The event that an event became.
    pub fn event(&self, old: &str) -> Option<&str> {
        self.events.get(old).map(String::as_str)
    }

    /// The address of a file, as it was or decrypted.
    pub fn file(&self, old: &str, opened: bool) -> Option<&str> {
        self.files.get(&(old.to_owned(), opened)).map(String::as_str)
    }

    /// What a text became that is nothing but an id.
    pub fn whole(&self, text: &str) -> Option<String> {
        match text.as_bytes().first()? {
            b'$' => self.event(text).map(str::to_owned),
            b'@' => self.person(text),
            b'!' => self.room(text).map(str::to_owned),
            b'm' => self.file(text, false).map(str::to_owned),
            _ => None,
        }
    }
}

//! A seeded homeserver with its package, and what is done to it and asked of it.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use lifeboat_testing::http::{Answer, Request};
use lifeboat_testing::{Homeserver, World, wait};
use serde_json::{Value, json};

use crate::program::{DONE, GAPS, Said, import_words, lifeboat, server_words};

/// A homeserver that runs, and a package of it.
pub(crate) struct Port {
    pub(crate) world: World,
    /// What the seeding wrote.
    pub(crate) state: Value,
    /// What opens packages.
    pub(crate) identity: PathBuf,
    pub(crate) recipient: String,
}

/// Who has not read how much in a room, and who said it; users by their place in the seeding.
#[derive(Debug)]
pub(crate) struct Unread {
    pub(crate) reader: usize,
    pub(crate) speaker: usize,
    pub(crate) room: &'static str,
    pub(crate) messages: u64,
}

impl Port {
    pub(crate) fn open() -> Self {
        Self::of(World::small().unwrap())
    }

    /// Of a homeserver that was seeded.
    pub(crate) fn of(world: World) -> Self {
        let state = fs::read_to_string(world.state()).unwrap();
        let identity = world.directory().join("identity.txt");
        let words = ["keygen".as_ref(), "--json".as_ref(), "-o".as_ref(), identity.as_os_str()];
        let recipient = lifeboat(words).result(DONE)["recipient"].as_str().unwrap().to_owned();
        Self { world, state: serde_json::from_str(&state).unwrap(), identity, recipient }
    }

    /// What clients can see, when it has been read before.
    pub(crate) fn facts(&self, server: &Homeserver, label: &str) -> PathBuf {
        self.world.capture(server, &format!("{label}-first")).unwrap();
        self.world.capture(server, label).unwrap()
    }

    /// What clients can see when what is unread is summed up, and not remembered from before.
    pub(crate) fn settled_facts(&mut self) -> PathBuf {
        self.settle(&self.world.server);
        self.world.server.stop();
        self.world.server.start().unwrap();
        self.facts(&self.world.server, "before")
    }

    /// Exports the homeserver.
    pub(crate) fn export(&self, name: &str, more: &[&str]) -> PathBuf {
        let package = self.world.directory().join(name);
        let mut words: Vec<OsString> =
            ["export", "--json", "-r", &self.recipient].map(Into::into).to_vec();
        words.extend(["-o".into(), package.clone().into_os_string()]);
        words.extend(more.iter().map(Into::into));
        words.extend(server_words(&self.world.server));
        let said = lifeboat(words);
        assert!([DONE, GAPS].contains(&said.exit), "{said:?}");
        package
    }

    /// Imports a package.
    pub(crate) fn import(&self, server: &Homeserver, package: &Path, more: &[&str]) -> Said {
        quiet(lifeboat(self.import_words(server, package, more)))
    }

    /// The words of an import.
    pub(crate) fn import_words(
        &self,
        server: &Homeserver,
        package: &Path,
        more: &[&str],
    ) -> Vec<OsString> {
        let mut words = import_words(package, &self.identity, server);
        words.extend(more.iter().map(Into::into));
        words
    }

    /// The id of a seeded room.
    pub(crate) fn room(&self, name: &str) -> String {
        self.state["rooms"][name].as_str().unwrap_or_else(|| panic!("no room {name}")).to_owned()
    }

    /// A seeded user's token.
    pub(crate) fn token(&self, at: usize) -> &str {
        self.state["people"][at]["access_token"].as_str().unwrap()
    }

    /// Purges a room as an administrator does, and waits for the end of it.
    pub(crate) fn purge(&self, room: &str) {
        self.purge_of(&self.world.server, room);
    }

    /// Purges a room of any homeserver.
    pub(crate) fn purge_of(&self, server: &Homeserver, room: &str) {
        let path = format!("/_synapse/admin/v2/rooms/{}", escaped(room));
        let body = json!({"purge": true, "block": false}).to_string();
        let answer = self.ask(server, ("DELETE", &path), Some(&body));
        let id = answer["delete_id"].as_str().unwrap().to_owned();
        let path = format!("/_synapse/admin/v2/rooms/delete_status/{id}");
        let gone = wait::until(Duration::from_mins(1), || {
            Ok(self.ask(server, ("GET", &path), None)["status"] == "complete")
        });
        assert!(gone.unwrap(), "{room} is still being purged");
    }

    /// Asks as the administrator.
    pub(crate) fn ask(
        &self,
        server: &Homeserver,
        (method, path): (&str, &str),
        body: Option<&str>,
    ) -> Value {
        let answer = call(server, (method, path), Some(self.token(0)), body);
        assert_eq!(answer.status, 200, "{method} {path}: {}", answer.text());
        serde_json::from_slice(&answer.body).unwrap()
    }

    /// One answer of `/sync`, from a token or from nothing.
    pub(crate) fn sync(&self, server: &Homeserver, at: usize, since: Option<&str>) -> Value {
        let since = since.map_or_else(String::new, |since| format!("&since={since}"));
        let path = format!("/_matrix/client/v3/sync?timeout=0{since}");
        let answer = call(server, ("GET", &path), Some(self.token(at)), None);
        assert_eq!(answer.status, 200, "{}", answer.text());
        serde_json::from_slice(&answer.body).unwrap()
    }

    /// Sends a message; its event id.
    pub(crate) fn say(&self, server: &Homeserver, (at, room): (usize, &str), text: &str) -> String {
        let path = format!(
            "/_matrix/client/v3/rooms/{}/send/m.room.message/{}",
            escaped(room),
            escaped(text)
        );
        let body = json!({"msgtype": "m.text", "body": text}).to_string();
        let answer = call(server, ("PUT", &path), Some(self.token(at)), Some(&body));
        assert_eq!(answer.status, 200, "{}", answer.text());
        let answer: Value = serde_json::from_slice(&answer.body).unwrap();
        answer["event_id"].as_str().unwrap().to_owned()
    }

    /// One user reads all of a room, then another says something in it so many times.
    pub(crate) fn unread(&self, server: &Homeserver, unread: &Unread) {
        let Unread { reader, speaker, room, messages } = *unread;
        let room = self.room(room);
        let last = self.say(server, (speaker, &room), "the last that is read");
        let path = format!("/_matrix/client/v3/rooms/{}/receipt/m.read/", escaped(&room));
        let path = path + &escaped(&last);
        let answer = call(server, ("POST", &path), Some(self.token(reader)), Some("{}"));
        assert_eq!(answer.status, 200, "{}", answer.text());
        for number in 0..messages {
            self.say(server, (speaker, &room), &format!("unread {number}"));
        }
    }

    /// How much a user has not read in a room.
    pub(crate) fn unread_of(&self, server: &Homeserver, at: usize, room: &str) -> u64 {
        let seen = self.sync(server, at, None);
        let counts = &seen["rooms"]["join"][room]["unread_notifications"];
        counts["notification_count"].as_u64().unwrap_or_else(|| panic!("{seen}"))
    }

    /// Runs SQL on a homeserver's database.
    pub(crate) fn sql(&self, server: &Homeserver, sql: &str) -> String {
        self.world.cluster.psql(server.database(), sql).unwrap()
    }

    /// A homeserver begun anew, with a key of its own, that has counted its rooms and is stopped.
    pub(crate) fn fresh(&self, database: &str) -> Homeserver {
        let mut fresh = self.world.empty_server(database).unwrap();
        fresh.make_signing_key().unwrap();
        fresh.start().unwrap();
        self.until(&fresh, "SELECT count(*) = 0 FROM background_updates");
        fresh.stop();
        fresh
    }

    /// Waits until Synapse has summed up what is unread, which it does every half minute.
    pub(crate) fn settle(&self, server: &Homeserver) {
        self.world.settle(server).unwrap();
    }

    fn until(&self, server: &Homeserver, question: &str) {
        let answer = wait::until(Duration::from_mins(3), || {
            Ok(self.world.cluster.psql(server.database(), question)? == "t")
        });
        assert!(answer.unwrap(), "not in time: {question}");
    }

    /// The content of every table by its hash, our own schema left out.
    pub(crate) fn content(&self, server: &Homeserver) -> String {
        self.sql(
            server,
            "SELECT string_agg(relname || ' ' || (xpath('/row/c/text()', query_to_xml(
                 format('SELECT md5(coalesce(string_agg(t::text, chr(10) ORDER BY t::text), ''''))
                         AS c FROM %I t', relname), false, true, '')))[1]::text, E'\\n'
                 ORDER BY relname)
             FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'",
        )
    }

    /// Rows of every table, our own schema left out.
    pub(crate) fn rows(&self, server: &Homeserver) -> String {
        self.sql(
            server,
            "SELECT string_agg(relname || ' ' || (xpath('/row/c/text()', query_to_xml(
                 format('SELECT count(*) AS c FROM %I', relname), false, true, '')))[1]::text,
                 E'\\n' ORDER BY relname)
             FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'",
        )
    }
}

/// Nothing is told beside what machines read.
pub(crate) fn quiet(said: Said) -> Said {
    assert_eq!(said.stderr, "", "{said:?}");
    said
}

/// Takes an import back.
pub(crate) fn undo(server: &Homeserver, id: &str) -> Said {
    let mut words: Vec<OsString> = ["import", "undo", id, "--json"].map(Into::into).to_vec();
    words.extend(server_words(server));
    quiet(lifeboat(words))
}

/// One call.
pub(crate) fn call(
    server: &Homeserver,
    (method, path): (&str, &str),
    token: Option<&str>,
    json: Option<&str>,
) -> Answer {
    Request { port: server.port(), method, path, token, json }.send().unwrap()
}

/// The signing key that a homeserver publishes.
pub(crate) fn signer(server: &Homeserver) -> String {
    let answer = Request::get(server.port(), "/_matrix/key/v2/server").send().unwrap();
    let keys: Value = serde_json::from_slice(&answer.body).unwrap();
    let key = keys["verify_keys"].as_object().unwrap().values().next().unwrap();
    key["key"].as_str().unwrap().to_owned()
}

/// Text in a path.
pub(crate) fn escaped(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                char::from(byte).to_string()
            }
            _ => format!("%{byte:02X}"),
        })
        .collect()
}

//! Which records of a package a selection takes: what [`super::choose`] is to a server.
//!
//! A filter learns as it goes: which events it took says which relations, which media and whose
//! profiles belong to them. So records must come in the order of [`RecordFilter::rank`].

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashSet};

use lifeboat_package::id::Section;
use lifeboat_package::index::RoomSpan;
use lifeboat_package::selection::{Clock, MediaScope, Scope, Selection};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::catalogue::{Catalogue, Path};

/// A file may be uploaded so long before its event is sent, by clocks that differ.
const LEAD_MS: i64 = 3_600_000;

/// Tables whose rows tell which rooms a user is or was in.
pub const MEMBERSHIPS: [&str; 2] = ["room_memberships", "local_current_membership"];

/// The table of aliases.
pub const ALIASES: &str = "room_aliases";

/// The table of the rooms' state as it is.
pub const CURRENT_STATE: &str = "current_state_events";

/// Tables with one row a file, or a thumbnail.
const MEDIA_ROWS: [&str; 4] = [
    "local_media_repository",
    "local_media_repository_thumbnails",
    "remote_media_cache",
    "remote_media_cache_thumbnails",
];

/// Takes the records that were selected and leaves the others.
pub struct RecordFilter {
    selection: Selection,
    /// The rooms; every room where there is no list.
    rooms: Option<BTreeSet<String>>,
    /// The server whose accounts and media are local.
    server: String,
    events: HashSet<String>,
    groups: HashSet<i64>,
    aliases: HashSet<String>,
    /// Senders of events, and whom member events are about.
    people: BTreeSet<String>,
    /// `mxc://` addresses that events and profiles name.
    named: BTreeSet<String>,
    /// Addresses that passed the media filter.
    media: BTreeSet<String>,
    /// First and last date of the encrypted events.
    encrypted: Option<(i64, i64)>,
}

/// A record's members, unparsed.
type Members<'a> = BTreeMap<Cow<'a, str>, &'a RawValue>;

impl RecordFilter {
    /// A filter for these rooms (all, where there is no list) of a package of `server`.
    pub fn new(selection: Selection, rooms: Option<BTreeSet<String>>, server: &str) -> Self {
        Self {
            selection,
            rooms,
            server: server.to_owned(),
            events: HashSet::new(),
            groups: HashSet::new(),
            aliases: HashSet::new(),
            people: BTreeSet::new(),
            named: BTreeSet::new(),
            media: BTreeSet::new(),
            encrypted: None,
        }
    }

    /// The order in which sections and names must come: smaller first.
    pub fn rank(section: Section, name: &str) -> u8 {
        match (section, name) {
            (Section::Rooms, "events") => 0,
            (Section::Rooms, "state_groups" | "room_aliases") => 1,
            (Section::Rooms, _) => 2,
            (Section::Users, _) => 3,
            (Section::Media, "local_media_repository" | "remote_media_cache") => 4,
            (Section::Media, "index") => 6,
            (Section::Media, _) => 5,
            (Section::Config | Section::Server | Section::Backup, _) => 7,
        }
    }

    /// Whether a range of room ids, half-open and open where there is no end, can hold a room that
    /// was selected.
    pub fn may_lie_in(&self, from: Option<&str>, to: Option<&str>) -> bool {
        let Some(rooms) = &self.rooms else { return !self.selection.rooms.is_none() };
        let fits = |room: &&String| {
            from.is_none_or(|from| from <= room.as_str()) && to.is_none_or(|to| room.as_str() < to)
        };
        rooms.iter().any(|room| fits(&room))
    }

    /// Whether records of a name can be among those that were selected at all.
    pub fn may_take(&self, section: Section, name: &str) -> bool {
        if !self.selection.is_partial() {
            return section != Section::Config || self.selection.config;
        }
        let path = Catalogue::known().get(name).map(|known| known.path);
        match section {
            Section::Config => self.selection.config,
            Section::Server | Section::Backup => false,
            Section::Rooms => {
                name == "summary"
                    || path.is_some_and(|path| {
                        use Path::{Alias, Event, RoomId, StateGroup};
                        matches!(path, RoomId | Event | StateGroup | Alias)
                    })
            }
            Section::Users => {
                // Who was erased is looked up for what they said in the rooms that were selected.
                matches!(name, "profiles" | "readme" | "erased_users")
                    || self.selection.users != Scope::None
            }
            Section::Media => self.selection.media != MediaScope::None,
        }
    }

    /// Whether an entry with records of these rooms can hold one of a room that was selected.
    pub fn may_hold(&self, span: &RoomSpan) -> bool {
        self.rooms.as_ref().is_none_or(|rooms| rooms.iter().any(|room| span.may_hold(room)))
    }

    /// The lines of a frame that were selected.
    ///
    /// # Errors
    /// When a record is not a JSON object.
    pub fn lines(
        &mut self,
        section: Section,
        name: &str,
        lines: &[u8],
    ) -> Result<Vec<u8>, serde_json::Error> {
        let mut taken = Vec::new();
        for line in lines.split_inclusive(|byte| *byte == b'\n').filter(|line| line.len() > 1) {
            if self.takes(section, name, line)? {
                taken.extend_from_slice(line);
            }
        }
        Ok(taken)
    }

    /// Whether a record was selected.
    ///
    /// # Errors
    /// When it is not a JSON object.
    pub fn takes(
        &mut self,
        section: Section,
        name: &str,
        line: &[u8],
    ) -> Result<bool, serde_json::Error> {
        let partial = self.selection.is_partial();
        match section {
            Section::Config => return Ok(self.selection.config),
            Section::Server | Section::Backup => return Ok(!partial),
            Section::Rooms | Section::Users if !partial => return Ok(true),
            Section::Media if !partial && self.takes_all_media() => return Ok(true),
            Section::Rooms | Section::Users | Section::Media => {}
        }
        if section == Section::Rooms && name == "events" {
            return self.takes_event(line);
        }
        let members: Members<'_> = serde_json::from_slice(line)?;
        Ok(match section {
            Section::Rooms => self.takes_row_of_room(name, &members),
            Section::Users => self.takes_row_of_user(name, &members, line),
            _ if name == "index" => self.takes_file(&members),
            _ => self.takes_row_of_media(name, &members),
        })
    }

    fn holds(&self, room: Option<Cow<'_, str>>) -> bool {
        let listed = |room: Cow<'_, str>| {
            self.rooms.as_ref().is_none_or(|rooms| rooms.contains(room.as_ref()))
        };
        !self.selection.rooms.is_none() && room.is_some_and(listed)
    }

    fn takes_event(&mut self, line: &[u8]) -> Result<bool, serde_json::Error> {
        let event: EventRecord<'_> = serde_json::from_slice(line)?;
        if !self.holds(Some(event.room_id)) {
            return Ok(false);
        }
        let row = event.events.unwrap_or_default();
        let (kind, sender) = (row.kind.unwrap_or_default(), row.sender.unwrap_or_default());
        let sent = row.origin_server_ts.unwrap_or_default();
        let moment = match self.selection.range.by {
            Clock::Sent => sent,
            Clock::Received => row.received_ts.unwrap_or(sent),
        };
        if self.selection.is_cut() && !self.selection.includes_message(&kind, &sender, moment) {
            return Ok(false);
        }
        if kind == "m.room.encrypted" {
            let (first, last) = self.encrypted.unwrap_or((sent, sent));
            self.encrypted = Some((first.min(sent), last.max(sent)));
        }
        if let (true, Some(member)) = (kind == "m.room.member", row.state_key) {
            self.people.insert(member.into_owned());
        }
        self.people.insert(sender.into_owned());
        self.events.insert(event.event_id.into_owned());
        addresses(line, &mut self.named);
        Ok(true)
    }

    fn takes_row_of_room(&mut self, name: &str, row: &Members<'_>) -> bool {
        let cut = self.selection.is_cut();
        let event = || text(row, "event_id").is_some_and(|id| self.events.contains(id.as_ref()));
        if name == "summary" {
            return self.holds(text(row, "room_id"));
        }
        let Some(known) = Catalogue::known().get(name) else { return false };
        let takes = match known.path {
            Path::RoomId if cut && row.contains_key("event_id") => {
                self.holds(text(row, "room_id")) && event()
            }
            Path::RoomId => self.holds(text(row, "room_id")),
            Path::Event => event(),
            Path::StateGroup => {
                number(row, "state_group").is_some_and(|g| self.groups.contains(&g))
            }
            Path::Alias => {
                text(row, "room_alias").is_some_and(|alias| self.aliases.contains(alias.as_ref()))
            }
            Path::Chain | Path::Media | Path::User(_) | Path::Whole => false,
        };
        if takes && name == "state_groups" {
            self.groups.extend(number(row, "id"));
        }
        if takes && name == "room_aliases" {
            self.aliases.extend(text(row, "room_alias").map(Cow::into_owned));
        }
        takes
    }

    fn takes_row_of_user(&mut self, name: &str, row: &Members<'_>, line: &[u8]) -> bool {
        if name == "readme" {
            return true;
        }
        let Some(Path::User(column)) = Catalogue::known().get(name).map(|known| known.path) else {
            return false;
        };
        let Some(user) = text(row, column) else { return false };
        let takes =
            self.is_picked(&user) || (name == "profiles" && self.people.contains(user.as_ref()));
        if takes && name == "profiles" {
            addresses(line, &mut self.named);
        }
        takes
    }

    fn is_picked(&self, user: &str) -> bool {
        match &self.selection.users {
            Scope::All => true,
            Scope::None => false,
            Scope::Only(picks) => picks.iter().any(|pick| pick.fits(user)),
        }
    }

    fn takes_row_of_media(&mut self, name: &str, row: &Members<'_>) -> bool {
        if !MEDIA_ROWS.contains(&name) {
            return !self.selection.is_partial();
        }
        let id = text(row, "media_id").unwrap_or_default();
        let origin = text(row, "media_origin");
        let address = match &origin {
            Some(origin) => format!("mxc://{origin}/{id}"),
            None => format!("mxc://{}/{id}", self.server),
        };
        if name.ends_with("_thumbnails") {
            return self.selection.media_filter.thumbnails && self.media.contains(&address);
        }
        let in_scope = match self.selection.media {
            MediaScope::All => true,
            MediaScope::Local => origin.is_none(),
            MediaScope::None => false,
        };
        let uploader = text(row, "user_id").unwrap_or_default();
        let belongs = !self.selection.is_partial()
            || self.named.contains(&address)
            || (self.selection.users != Scope::All && self.is_picked(&uploader))
            || self.may_be_encrypted(&uploader, number(row, "created_ts"));
        let filter = &self.selection.media_filter;
        let kind = text(row, "media_type").unwrap_or_default();
        let length = number(row, "media_length").unwrap_or_default().unsigned_abs();
        let fits = filter.max_bytes.is_none_or(|max| length <= max)
            && (filter.types.is_empty() || filter.types.iter().any(|p| p.fits(&kind)))
            && (filter.uploaders.is_empty() || filter.uploaders.iter().any(|p| p.fits(&uploader)));
        let takes = in_scope && belongs && fits;
        if takes {
            self.media.insert(address);
        }
        takes
    }

    /// Whether files were taken whose key (a local media id, or `server/id`) passes.
    pub fn may_take_files(&self, fits: impl Fn(&str) -> bool) -> bool {
        if !self.selection.is_partial() && self.takes_all_media() {
            return true;
        }
        self.media.iter().filter_map(|address| address.strip_prefix("mxc://")).any(|key| {
            let local = key.strip_prefix(&self.server).and_then(|rest| rest.strip_prefix('/'));
            fits(local.unwrap_or(key))
        })
    }

    /// Whether anything that was taken names media, or may do so in secret.
    pub fn may_take_media(&self) -> bool {
        let of_accounts = !matches!(self.selection.users, Scope::All | Scope::None);
        !self.selection.is_partial()
            || of_accounts
            || self.encrypted.is_some()
            || !self.named.is_empty()
    }

    fn takes_all_media(&self) -> bool {
        self.selection.media == MediaScope::All && self.selection.media_filter.is_open()
    }

    /// Whether an upload may belong to an encrypted event: those name their files in secret.
    fn may_be_encrypted(&self, uploader: &str, created: Option<i64>) -> bool {
        let (Some((first, last)), Some(created)) = (self.encrypted, created) else { return false };
        let near =
            first.saturating_sub(LEAD_MS) <= created && created <= last.saturating_add(LEAD_MS);
        near && self.people.contains(uploader)
    }

    fn takes_file(&self, row: &Members<'_>) -> bool {
        let kind = text(row, "kind").unwrap_or_default();
        let address = text(row, "mxc").unwrap_or_default();
        let thumbnails = self.selection.media_filter.thumbnails || !kind.ends_with("thumbnail");
        thumbnails && self.media.contains(address.as_ref())
    }
}

/// The members of an event record that say whether it is asked for.
#[derive(Deserialize)]
struct EventRecord<'a> {
    #[serde(borrow)]
    event_id: Cow<'a, str>,
    #[serde(borrow)]
    room_id: Cow<'a, str>,
    #[serde(borrow)]
    events: Option<EventRow<'a>>,
}

#[derive(Default, Deserialize)]
struct EventRow<'a> {
    #[serde(borrow, rename = "type")]
    kind: Option<Cow<'a, str>>,
    #[serde(borrow)]
    sender: Option<Cow<'a, str>>,
    #[serde(borrow)]
    state_key: Option<Cow<'a, str>>,
    origin_server_ts: Option<i64>,
    received_ts: Option<i64>,
}

fn text<'a>(row: &Members<'a>, key: &str) -> Option<Cow<'a, str>> {
    serde_json::from_str(row.get(key)?.get()).ok()
}

fn number(row: &Members<'_>, key: &str) -> Option<i64> {
    serde_json::from_str(row.get(key)?.get()).ok()
}

/// Collects the `mxc://` addresses that occur anywhere in a text.
fn addresses(text: &[u8], found: &mut BTreeSet<String>) {
    let text = String::from_utf8_lossy(text);
    for (at, scheme) in text.match_indices("mxc://") {
        let rest = text.get(at + scheme.len()..).unwrap_or_default();
        let is_part = |c: char| c.is_ascii_alphanumeric() || ".:-_=/".contains(c);
        let end = rest.find(|c| !is_part(c)).unwrap_or(rest.len());
        let address = rest.get(..end).unwrap_or_default();
        if address.matches('/').count() == 1 {
            found.insert(format!("mxc://{address}"));
        }
    }
}

#[cfg(test)]
mod tests;

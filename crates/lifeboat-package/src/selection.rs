//! What an export, an import or a reader was asked to take. Parsed once; written into the manifest
//! in normal form, so that two wishes that mean the same are equal.

mod pattern;
mod pick;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

pub use self::pattern::Pattern;
pub use self::pick::{RoomPick, Scope, UserPick};

/// Why a selection is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SelectionError {
    /// Not a way to name rooms.
    #[error(
        "{0:?} names no rooms: use !id, #alias:server, @user:server (all rooms of a user), \
         space:!id or space:#alias:server, or name:PATTERN"
    )]
    Room(String),
    /// Not a user id or pattern.
    #[error("{0:?} names no users: use @user:server, with * and ? as you need")]
    User(String),
    /// Not a pattern.
    #[error("{0:?} is not a pattern: 1 to 512 bytes without control characters are needed")]
    Pattern(String),
    /// A profile without the one person it is about.
    #[error("a profile is about one person: name exactly one user, without * and ?")]
    Profile,
    /// A range that ends before it begins.
    #[error("the range of dates ends before it begins")]
    Range,
}

/// What to take.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Selection {
    /// Which rooms.
    #[serde(skip_serializing_if = "Scope::is_all")]
    pub rooms: Scope<RoomPick>,
    /// Which accounts of this server.
    #[serde(skip_serializing_if = "Scope::is_all")]
    pub users: Scope<UserPick>,
    /// Which of the rooms' messages, by date.
    #[serde(skip_serializing_if = "DateRange::is_open")]
    pub range: DateRange,
    /// Types of events; every type when empty.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub event_types: Vec<Pattern>,
    /// Senders of events; everybody when empty.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub senders: Vec<UserPick>,
    /// Which media.
    pub media: MediaScope,
    /// Which of those media.
    #[serde(skip_serializing_if = "MediaFilter::is_open")]
    pub media_filter: MediaFilter,
    /// Whether configuration and secrets.
    pub config: bool,
    /// What a part of a server may carry out of it.
    #[serde(skip_serializing_if = "Leave::is_default")]
    pub leave: Leave,
    /// The right of a person that the package answers to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub profile: Option<Profile>,
}

/// Rights of a person to their data (General Data Protection Regulation of the European Union).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Profile {
    /// Article 20: what the person provided. Their account, what they sent and uploaded.
    Portability,
    /// Article 15: everything held about the person. Their account with addresses and traces, and
    /// of their rooms what they could see.
    Access,
}

impl Default for Selection {
    fn default() -> Self {
        Self::EVERYTHING
    }
}

/// Which media files to take.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MediaScope {
    /// What users of this server uploaded, and what was fetched from others.
    #[default]
    All,
    /// Only what users of this server uploaded.
    Local,
    /// None.
    None,
}

/// From `since` (inclusive) to `until` (exclusive), in milliseconds since 1970 (UTC).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct DateRange {
    /// First millisecond, or open.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<i64>,
    /// Millisecond after the last, or open.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<i64>,
    /// Whose clock.
    #[serde(skip_serializing_if = "Clock::is_sent")]
    pub by: Clock,
}

impl DateRange {
    /// Everything.
    pub const OPEN: Self = Self { since: None, until: None, by: Clock::Sent };

    /// Whether it has no ends.
    pub fn is_open(&self) -> bool {
        self.since.is_none() && self.until.is_none()
    }

    /// Whether the moment lies in it.
    pub fn includes(&self, ms: i64) -> bool {
        self.since.is_none_or(|since| since <= ms) && self.until.is_none_or(|until| ms < until)
    }
}

/// Which date of an event counts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Clock {
    /// `origin_server_ts`: what the sender's server claims.
    #[default]
    Sent,
    /// When this server received it.
    Received,
}

impl Clock {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands a reference")]
    fn is_sent(&self) -> bool {
        *self == Self::Sent
    }
}

/// Which of the media in scope.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct MediaFilter {
    /// Bytes of the largest file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_bytes: Option<u64>,
    /// Media types such as `image/*`; every type when empty.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub types: Vec<Pattern>,
    /// Whether thumbnails.
    pub thumbnails: bool,
    /// Who uploaded them; everybody when empty.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub uploaders: Vec<UserPick>,
}

impl MediaFilter {
    /// No filter.
    pub const OPEN: Self =
        Self { max_bytes: None, types: Vec::new(), thumbnails: true, uploaders: Vec::new() };

    /// Whether it leaves nothing out.
    pub fn is_open(&self) -> bool {
        *self == Self::OPEN
    }
}

impl Default for MediaFilter {
    fn default() -> Self {
        Self::OPEN
    }
}

/// What a part of a server may carry out of it. A whole server always carries everything.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Leave {
    /// The text of redacted events, as long as the server still has it.
    pub redacted: bool,
    /// Tokens, password hashes, addresses, pushers.
    pub secrets: bool,
    /// Media in quarantine.
    pub quarantined: bool,
}

impl Leave {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands a reference")]
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

impl Selection {
    /// Everything there is.
    pub const EVERYTHING: Self = Self {
        rooms: Scope::All,
        users: Scope::All,
        range: DateRange::OPEN,
        event_types: Vec::new(),
        senders: Vec::new(),
        media: MediaScope::All,
        media_filter: MediaFilter::OPEN,
        config: true,
        leave: Leave { redacted: false, secrets: false, quarantined: false },
        profile: None,
    };

    /// Brings the lists to normal form: sorted, each entry once.
    ///
    /// # Errors
    /// [`SelectionError::Range`] when the dates end before they begin.
    pub fn normal(mut self) -> Result<Self, SelectionError> {
        if let (Some(since), Some(until)) = (self.range.since, self.range.until)
            && until < since
        {
            return Err(SelectionError::Range);
        }
        if let Some(profile) = self.profile {
            self.narrow(profile)?;
        }
        if self.range.is_open() {
            self.range = DateRange::OPEN;
        }
        // The configuration is the server's, and full of secrets.
        self.config &= !self.is_partial() || self.leave.secrets;
        sort(&mut self.event_types);
        sort(&mut self.senders);
        sort(&mut self.media_filter.types);
        sort(&mut self.media_filter.uploaders);
        Ok(self)
    }

    /// Narrows to what a profile means.
    fn narrow(&mut self, profile: Profile) -> Result<(), SelectionError> {
        let person = self.person().ok_or(SelectionError::Profile)?.to_owned();
        let user: UserPick = person.parse()?;
        if self.rooms.picks().is_empty() {
            self.rooms = Scope::Only(vec![RoomPick::Of(person)]);
        }
        if profile == Profile::Portability {
            self.senders = vec![user.clone()];
            self.media_filter.uploaders = vec![user];
        }
        Ok(())
    }

    /// The person a profile is about: the one user that is named.
    pub fn person(&self) -> Option<&str> {
        match self.users.picks() {
            [user] => user.pattern().plain(),
            _ => None,
        }
    }

    /// Whether nothing is left out.
    pub fn is_everything(&self) -> bool {
        *self == Self::EVERYTHING
    }

    /// Whether rooms, accounts or events are left out, so that what is taken is no whole server.
    pub fn is_partial(&self) -> bool {
        !self.rooms.is_all() || !self.users.is_all() || self.is_cut()
    }

    /// Whether events within a room are left out.
    pub fn is_cut(&self) -> bool {
        !self.range.is_open()
            || !self.event_types.is_empty()
            || !self.senders.is_empty()
            || self.profile.is_some()
    }

    /// Whether an event that is no part of a room's state is asked for.
    pub fn includes_message(&self, event_type: &str, sender: &str, ms: i64) -> bool {
        self.range.includes(ms)
            && (self.event_types.is_empty() || self.event_types.iter().any(|p| p.fits(event_type)))
            && (self.senders.is_empty() || self.senders.iter().any(|p| p.fits(sender)))
    }
}

fn sort<T: Ord>(list: &mut Vec<T>) {
    list.sort();
    list.dedup();
}

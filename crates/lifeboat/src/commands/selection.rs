//! The flags that say what to take, the same for every command that takes a part.

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};
use lifeboat_engine::failure::Failure;
use lifeboat_package::selection::{
    Clock, DateRange, Leave, MediaFilter, MediaScope, Pattern, Profile, RoomPick, Scope, Selection,
    UserPick,
};

use crate::size;

/// What to take.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Selection")]
pub(crate) struct SelectionFlags {
    #[command(flatten)]
    picks: PickFlags,
    /// Which media: those of this server and of others, of this server only, or none
    #[arg(long, value_enum, default_value_t = Media::All)]
    media: Media,
    /// Only media files up to this size, such as 50MB
    #[arg(long, value_name = "SIZE", value_parser = size::parse)]
    media_max_size: Option<u64>,
    /// Only media of this type, such as 'image/*'; may be repeated
    #[arg(long, value_name = "PATTERN", value_parser = Pattern::parse)]
    media_type: Vec<Pattern>,
    /// Only media uploaded by this user; may be repeated
    #[arg(long, value_name = "USER")]
    uploaded_by: Vec<UserPick>,
    /// Leave thumbnails out
    #[arg(long)]
    no_thumbnails: bool,
    /// Leave configuration and secrets out; a part of a server never has them
    #[arg(long)]
    no_config: bool,
    #[command(flatten)]
    leave: LeaveFlags,
    /// What one person has a right to: what they provided (GDPR Art. 20), or everything held
    /// about them (Art. 15); name the person with --user
    #[arg(long, value_enum)]
    profile: Option<ProfileFlag>,
}

/// Which rooms, accounts and events.
#[derive(Debug, Default, clap::Args)]
#[command(next_help_heading = "Selection")]
pub(crate) struct PickFlags {
    /// Only these rooms: '!id', '#alias:server', '@user:server' (all rooms of a user),
    /// 'space:!id', 'name:PATTERN'; may be repeated
    #[arg(long = "room", value_name = "ROOM")]
    rooms: Vec<RoomPick>,
    /// Only these accounts: '@user:server', with * and ?; may be repeated
    #[arg(long = "user", value_name = "USER", conflicts_with = "no_users")]
    users: Vec<UserPick>,
    /// Leave all accounts out
    #[arg(long)]
    no_users: bool,
    /// Only events from then on: 2026-03-01, 2026-03-01T08:00+01:00, or with [Europe/Berlin]
    #[arg(long, value_name = "TIME", value_parser = moment)]
    since: Option<i64>,
    /// Only events before then
    #[arg(long, value_name = "TIME", value_parser = moment)]
    until: Option<i64>,
    /// Which date counts: what the sender claims, or when this server received the event
    #[arg(long, value_enum, default_value_t = By::Sent)]
    by: By,
    /// Only events of this type, such as 'm.room.message'; may be repeated
    #[arg(long = "type", value_name = "PATTERN", value_parser = Pattern::parse)]
    event_types: Vec<Pattern>,
    /// Only events of this sender; may be repeated
    #[arg(long = "sender", value_name = "USER")]
    senders: Vec<UserPick>,
}

/// What a part may carry out of the server.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Selection")]
struct LeaveFlags {
    /// Take the text of redacted events along, as long as the server still has it
    #[arg(long)]
    include_redacted: bool,
    /// Take tokens, password hashes, addresses, pushers and the configuration along with a part
    #[arg(long)]
    include_secrets: bool,
    /// Take media in quarantine along
    #[arg(long)]
    include_quarantined: bool,
}

/// `--media`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Media {
    All,
    Local,
    None,
}

/// `--profile`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum ProfileFlag {
    Portability,
    Access,
}

/// `--by`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
enum By {
    #[default]
    Sent,
    Received,
}

impl PickFlags {
    /// The selection of everything, narrowed to these rooms, accounts and events.
    ///
    /// # Errors
    /// A usage [`Failure`] when dates end before they begin.
    pub(crate) fn selection(self) -> Result<Selection, Failure> {
        let by = match self.by {
            By::Sent => Clock::Sent,
            By::Received => Clock::Received,
        };
        // Who names only rooms wants no accounts, and who names only accounts wants no rooms.
        let (any_room, any_user) = (!self.rooms.is_empty(), !self.users.is_empty());
        let rooms = if any_user { Scope::None } else { Scope::All };
        let users = if any_room || self.no_users { Scope::None } else { Scope::All };
        let selection = Selection {
            rooms: Scope::only(self.rooms, rooms),
            users: Scope::only(self.users, users),
            range: DateRange { since: self.since, until: self.until, by },
            event_types: self.event_types,
            senders: self.senders,
            ..Selection::EVERYTHING
        };
        normal(selection)
    }
}

impl SelectionFlags {
    /// The selection in normal form.
    ///
    /// # Errors
    /// A usage [`Failure`] when dates end before they begin.
    pub(crate) fn selection(self) -> Result<Selection, Failure> {
        let media = match self.media {
            Media::All => MediaScope::All,
            Media::Local => MediaScope::Local,
            Media::None => MediaScope::None,
        };
        normal(Selection {
            media,
            media_filter: MediaFilter {
                max_bytes: self.media_max_size,
                types: self.media_type,
                thumbnails: !self.no_thumbnails,
                uploaders: self.uploaded_by,
            },
            config: !self.no_config,
            leave: Leave {
                redacted: self.leave.include_redacted,
                secrets: self.leave.include_secrets,
                quarantined: self.leave.include_quarantined,
            },
            profile: self.profile.map(|profile| match profile {
                ProfileFlag::Portability => Profile::Portability,
                ProfileFlag::Access => Profile::Access,
            }),
            ..self.picks.selection()?
        })
    }
}

fn normal(selection: Selection) -> Result<Selection, Failure> {
    selection.normal().map_err(|e| Failure::usage(e.to_string(), "see --help, Selection"))
}

/// A moment in milliseconds since 1970: with an offset or a time zone's name, else in UTC; a date
/// alone is its midnight.
fn moment(text: &str) -> Result<i64, String> {
    if text.contains('[') {
        return in_zone(text);
    }
    let stamp = || text.parse::<Timestamp>().ok();
    let plain = |time: DateTime| time.to_zoned(TimeZone::UTC).ok().map(|zoned| zoned.timestamp());
    // Read as a time, a date alone is its midnight.
    let timed = || text.parse::<DateTime>().ok().and_then(plain);
    stamp().or_else(timed).map(Timestamp::as_millisecond).ok_or_else(|| NEEDED.to_owned())
}

const NEEDED: &str = "a date or time is needed, such as 2026-03-01 or 2026-03-01T08:00+01:00";

/// A moment in a named zone, which has to be known, and whose offset then has to be the one that is
/// written.
fn in_zone(text: &str) -> Result<i64, String> {
    let why = match text.parse::<Zoned>() {
        Ok(zoned) => return Ok(zoned.timestamp().as_millisecond()),
        Err(why) => why,
    };
    let name = text.split_once('[').and_then(|(_, zone)| zone.split_once(']'));
    let name = name.map_or("", |(name, _)| name.trim_start_matches('!'));
    if TimeZone::get(name).is_ok() {
        return Err(format!("this is no moment in the time zone {name}: {why}"));
    }
    Err(format!("there is no time zone “{name}”; name one such as Europe/Berlin, or UTC"))
}

#[cfg(test)]
mod tests;

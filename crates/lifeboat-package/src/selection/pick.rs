//! Which rooms and users: by id, alias, member, space or name.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{Pattern, SelectionError};

/// Bytes of a Matrix identifier (Matrix specification, appendices, 4.2 Common Identifier Format).
const IDENTIFIER_BYTES: usize = 255;

/// All, none, or those that fit one of some picks.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope<T> {
    /// Every one.
    #[default]
    All,
    /// Not one.
    None,
    /// Those that any of these names: sorted, each once, at least one.
    Only(Vec<T>),
}

impl<T: Ord> Scope<T> {
    /// Those of `picks`; `otherwise` when there is none.
    pub fn only(mut picks: Vec<T>, otherwise: Self) -> Self {
        picks.sort();
        picks.dedup();
        if picks.is_empty() { otherwise } else { Self::Only(picks) }
    }

    /// Whether nothing is left out.
    pub fn is_all(&self) -> bool {
        matches!(self, Self::All)
    }

    /// Whether everything is left out.
    pub fn is_none(&self) -> bool {
        matches!(self, Self::None)
    }

    /// The picks; none for all and none.
    pub fn picks(&self) -> &[T] {
        match self {
            Self::Only(picks) => picks,
            Self::All | Self::None => &[],
        }
    }
}

/// One way to name rooms. The text form is what the command line takes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum RoomPick {
    /// `!opaque:server`, or without server from room version 12 on.
    Id(String),
    /// `#alias:server`.
    Alias(String),
    /// `@user:server`: the rooms this user is, was, or is asked to be a member of.
    Of(String),
    /// `space:` and an id or alias: the space, and what lies in it at any depth.
    Space(String),
    /// `name:` and a pattern of the room's current name.
    Name(Pattern),
}

impl FromStr for RoomPick {
    type Err = SelectionError;

    fn from_str(text: &str) -> Result<Self, SelectionError> {
        let refused = || SelectionError::Room(text.chars().take(80).collect());
        if let Some(name) = text.strip_prefix("name:") {
            return Pattern::parse(name).map(Self::Name);
        }
        let space = text.strip_prefix("space:");
        let id = space.unwrap_or(text);
        if !is_identifier(id, id.starts_with('!')) {
            return Err(refused());
        }
        let owned = id.to_owned();
        match (space, id.chars().next()) {
            (Some(_), Some('!' | '#')) => Ok(Self::Space(owned)),
            (None, Some('!')) => Ok(Self::Id(owned)),
            (None, Some('#')) => Ok(Self::Alias(owned)),
            (None, Some('@')) => Ok(Self::Of(owned)),
            _ => Err(refused()),
        }
    }
}

impl fmt::Display for RoomPick {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Id(id) | Self::Alias(id) | Self::Of(id) => f.write_str(id),
            Self::Space(id) => write!(f, "space:{id}"),
            Self::Name(pattern) => write!(f, "name:{pattern}"),
        }
    }
}

impl TryFrom<String> for RoomPick {
    type Error = SelectionError;

    fn try_from(text: String) -> Result<Self, SelectionError> {
        text.parse()
    }
}

impl From<RoomPick> for String {
    fn from(pick: RoomPick) -> Self {
        pick.to_string()
    }
}

/// Users: one id, or a pattern of ids such as `@bot-*:example.org`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct UserPick(Pattern);

impl UserPick {
    /// Whether it names this user.
    pub fn fits(&self, user_id: &str) -> bool {
        self.0.fits(user_id)
    }

    /// The pattern of ids.
    pub fn pattern(&self) -> &Pattern {
        &self.0
    }
}

impl FromStr for UserPick {
    type Err = SelectionError;

    fn from_str(text: &str) -> Result<Self, SelectionError> {
        if !text.starts_with('@') || !is_identifier(text, false) {
            return Err(SelectionError::User(text.chars().take(80).collect()));
        }
        Pattern::parse(text).map(Self)
    }
}

impl fmt::Display for UserPick {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl TryFrom<String> for UserPick {
    type Error = SelectionError;

    fn try_from(text: String) -> Result<Self, SelectionError> {
        text.parse()
    }
}

impl From<UserPick> for String {
    fn from(pick: UserPick) -> Self {
        pick.to_string()
    }
}

/// A sigil, something, and a colon with a server name unless it may go without.
fn is_identifier(text: &str, may_lack_server: bool) -> bool {
    let plain = !text.chars().any(|c| c.is_control() || c.is_whitespace());
    let (local, server) = match text.split_once(':') {
        Some((local, server)) => (local, Some(server)),
        None => (text, None),
    };
    let has_server = server.map_or(may_lack_server, |server| !server.is_empty());
    plain && has_server && local.len() > 1 && text.len() <= IDENTIFIER_BYTES
}

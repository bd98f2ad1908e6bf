//! What is known of each kind of component, as data: what it stores, what must be of one moment,
//! in which order it comes back, what is lost without it, and what to do when somebody else gets
//! hold of its backup. The page of the guide and `lifeboat components` are written from it.

mod page;
mod rows;

use serde::Serialize;

pub use self::page::markdown;

use crate::installation::Kind;

/// What is known of one kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Row {
    /// The kind.
    #[serde(serialize_with = "label")]
    pub kind: Kind,
    /// What it is called outside.
    pub title: &'static str,
    /// What it stores, the most important first.
    pub stores: &'static [Store],
    /// With whom it must be of one moment.
    pub group: Group,
    /// Its place in a restore, from 1; those of the same place do not depend on each other.
    pub order: u8,
    /// How much harm a leak of its backup does.
    pub sensitivity: Sensitivity,
    /// What a backup of it is useless without.
    pub needs: &'static [&'static str],
    /// What to revoke or replace after somebody else got hold of a backup.
    pub revoke: &'static [&'static str],
    /// What is to be done after its data is back and before people use it.
    pub after_restore: &'static [&'static str],
}

/// One thing a component stores.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Store {
    /// What it is and where: `PostgreSQL database`.
    pub what: &'static str,
    /// What becomes of the service without it.
    pub class: Class,
    /// What is lost without it.
    pub lost: &'static str,
    /// What somebody who has it can read or do.
    pub attacker: &'static str,
}

/// What a loss does to the service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// A part of the service is gone or has to be set up again.
    Feature,
    /// There is no service without it.
    Critical,
}

/// What must be cut at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Group {
    /// The databases of Synapse and MAS: users and devices stand in both.
    Accounts,
    /// Its own life.
    Own,
}

/// How much harm a leak does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Sensitivity {
    /// As sensitive as what its operator puts there.
    Unknown,
    /// Who talks to what.
    Moderate,
    /// Messages, or access to accounts elsewhere.
    High,
    /// Access to every account, or the name of the server itself.
    Highest,
}

/// All rows, in the order of [`Kind::ALL`].
pub fn rows() -> &'static [Row] {
    rows::ROWS
}

/// What is known of a kind.
pub fn row(kind: Kind) -> &'static Row {
    rows::of(kind)
}

impl Row {
    /// The class of the kind: that of the most important thing it stores.
    pub fn class(&self) -> Class {
        self.stores.iter().map(|store| store.class).max().unwrap_or(Class::Feature)
    }
}

impl Class {
    /// As it is shown.
    pub fn word(self) -> &'static str {
        match self {
            Self::Critical => "critical",
            Self::Feature => "feature",
        }
    }
}

impl Group {
    /// As it is shown.
    pub fn word(self) -> &'static str {
        match self {
            Self::Accounts => "with accounts",
            Self::Own => "own",
        }
    }
}

impl Sensitivity {
    /// As it is shown.
    pub fn word(self) -> &'static str {
        match self {
            Self::Highest => "highest",
            Self::High => "high",
            Self::Moderate => "moderate",
            Self::Unknown => "as its content",
        }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn label<S: serde::Serializer>(kind: &Kind, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(kind.label())
}

#[cfg(test)]
mod tests;

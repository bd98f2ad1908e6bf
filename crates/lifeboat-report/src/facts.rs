//! What the plan is written from, as plain values.

use lifeboat_restore::plan::Step;
use lifeboat_suite::Kind;
use lifeboat_vault::drills::DrillRecord;
use lifeboat_vault::list::Listed;

/// Everything that is known.
pub struct Facts {
    /// The Matrix server name.
    pub server_name: String,
    /// `lifeboat.yaml`, as it is to be named in commands.
    pub config: String,
    /// The vault.
    pub vault: String,
    /// When the plan is written: seconds since 1970.
    pub now: i64,
    /// The program that writes it.
    pub generator: String,
    /// Public keys that backups are sealed for.
    pub recipients: Vec<String>,
    /// What runs when, in words.
    pub schedule: Vec<(String, String)>,
    /// What the installation consists of.
    pub components: Vec<ComponentFacts>,
    /// Why the vault could not be read, when it could not.
    pub vault_problem: Option<String>,
    /// Kept backups, oldest first.
    pub backups: Vec<Listed>,
    /// Drills, oldest first.
    pub drills: Vec<DrillRecord>,
    /// The steps of a restore of everything.
    pub order: Vec<Step>,
}

/// A component.
pub struct ComponentFacts {
    /// Its name.
    pub name: String,
    /// Its kind.
    pub kind: Kind,
    /// Its databases: their name on the server, and where they are, without passwords.
    pub databases: Vec<String>,
    /// Its configuration files.
    pub config: Vec<String>,
    /// Its other files and folders.
    pub files: Vec<String>,
    /// Secrets: their name, and the file.
    pub secrets: Vec<(String, String)>,
    /// The command that starts it.
    pub start: Option<Vec<String>>,
    /// The last backup with it.
    pub backup: Seen,
    /// The last backup with it that was verified and found right.
    pub verify: Seen,
    /// The last drill with it that went well.
    pub drill: Seen,
}

/// When something was last seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seen {
    /// Then: RFC 3339, UTC.
    At(String),
    /// Not at all.
    Never,
    /// It was not possible to look, and why.
    NotKnown(&'static str),
}

impl Seen {
    pub(crate) fn words(&self) -> String {
        match self {
            Self::At(when) => when.clone(),
            Self::Never => "never".to_owned(),
            Self::NotKnown(why) => format!("not known: {why}"),
        }
    }
}

//! What an installation is, found and resolved: every path absolute, every database located.

use std::fmt;
use std::ops::RangeInclusive;
use std::path::PathBuf;

use lifeboat_config::target::DatabaseTarget;
use lifeboat_config::{MediaSettings, ReadOptions};
use lifeboat_rules::retention::Retention;
use lifeboat_rules::schedule::{Cron, Zone};
use lifeboat_storage::LockMode;
use serde::Serialize;

/// A Matrix server with everything around it.
pub struct Installation {
    /// The file that describes it.
    pub path: PathBuf,
    /// The Matrix server name.
    pub server_name: String,
    /// Where backups go: an absolute folder, or `s3://bucket/prefix` and its kin.
    pub vault: String,
    /// Public keys that backups are sealed for, as the keyring reads them: `age1…`, `ssh-…`, or
    /// `@/path/of/a/file` with one a line.
    pub recipients: Vec<String>,
    /// Folder for caches and journals.
    pub state: PathBuf,
    /// Which backups are kept.
    pub retention: Retention,
    /// How what a run writes is locked in the vault; not at all without.
    pub object_lock: Option<ObjectLock>,
    /// What runs when.
    pub schedule: Schedule,
    /// What a drill starts.
    pub drill: Drill,
    /// What is backed up, in the order of the file.
    pub components: Vec<Component>,
}

/// What a drill starts on the copy.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Drill {
    /// A program and its arguments that run Synapse; [`CONFIG_WORD`] in them stands for its
    /// configuration.
    pub synapse: Option<Vec<String>>,
    /// The folder of PostgreSQL's Unix socket.
    pub postgres_socket: Option<PathBuf>,
}

/// What stands for the configuration's path in [`Drill::synapse`].
pub const CONFIG_WORD: &str = "{config}";

/// The name of the component that stands for the installation's own file in a backup.
pub const OWN: &str = "lifeboat";

/// For how many days may be locked.
pub const LOCK_DAYS: RangeInclusive<u32> = 1..=36_500;

/// How what a run writes is locked in an S3 bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ObjectLock {
    /// Who may shorten it.
    pub mode: LockMode,
    /// For how many days from the start of the run.
    pub days: u32,
}

/// What runs when; what has no time runs by hand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    /// `lifeboat backup run`.
    pub backup: Option<Cron>,
    /// `lifeboat backup verify`.
    pub verify: Option<Cron>,
    /// `lifeboat drill`.
    pub drill: Option<Cron>,
    /// In which the times are meant.
    pub time_zone: Zone,
}

/// One component and all it holds.
pub struct Component {
    /// Its name here, unique.
    pub name: String,
    /// What it is.
    pub kind: Kind,
    /// Its configuration files, in the order they are merged.
    pub config: Vec<PathBuf>,
    /// The folder its process runs in, from which relative paths hold.
    pub workdir: PathBuf,
    /// A folder that stands for `/`, where a copy of it may lie.
    pub root: Option<PathBuf>,
    /// Its databases.
    pub databases: Vec<Database>,
    /// Files and folders it needs or fills.
    pub files: Vec<FileTree>,
    /// What a backup of it is useless without. Those that stand in a file of their own are also
    /// among `files`.
    pub secrets: Vec<SecretFile>,
    /// The media store, for Synapse.
    pub media: Option<MediaSettings>,
    /// How it is stopped, started and asked for its health.
    pub commands: Commands,
    /// What is wrong or could not be found, each with a remedy.
    pub notes: Vec<Note>,
}

/// Something about a component that its operator should know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Note {
    /// What it is.
    pub what: String,
    /// What to do.
    pub remedy: String,
}

/// What a component is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Synapse, the homeserver.
    Synapse,
    /// Matrix Authentication Service.
    Mas,
    /// The sliding sync proxy, retired by its makers.
    SlidingSync,
    /// Sydent, the identity server.
    Sydent,
    /// The integration manager of ESS.
    Integrator,
    /// The bot that administrates rooms.
    Adminbot,
    /// The bot that records rooms.
    Auditbot,
    /// A bridge to another network.
    Bridge(Bridge),
    /// A PostgreSQL or SQLite database of anything else.
    Database,
    /// Files and folders of anything else.
    Files,
}

/// A bridge to another network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Bridge {
    /// matrix-appservice-irc.
    Irc,
    /// Bifrost.
    Xmpp,
    /// mautrix-telegram.
    Telegram,
    /// mautrix-whatsapp.
    Whatsapp,
    /// The SIP bridge of ESS.
    Sip,
    /// Hookshot: forges, webhooks, feeds.
    Hookshot,
}

impl Kind {
    /// All kinds, bridges one by one.
    pub const ALL: [Self; 15] = [
        Self::Synapse,
        Self::Mas,
        Self::SlidingSync,
        Self::Sydent,
        Self::Integrator,
        Self::Adminbot,
        Self::Auditbot,
        Self::Bridge(Bridge::Irc),
        Self::Bridge(Bridge::Xmpp),
        Self::Bridge(Bridge::Telegram),
        Self::Bridge(Bridge::Whatsapp),
        Self::Bridge(Bridge::Sip),
        Self::Bridge(Bridge::Hookshot),
        Self::Database,
        Self::Files,
    ];

    /// The value of `kind:`.
    pub fn word(self) -> &'static str {
        match self {
            Self::Synapse => "synapse",
            Self::Mas => "mas",
            Self::SlidingSync => "sliding_sync",
            Self::Sydent => "sydent",
            Self::Integrator => "integrator",
            Self::Adminbot => "adminbot",
            Self::Auditbot => "auditbot",
            Self::Bridge(_) => "bridge",
            Self::Database => "database",
            Self::Files => "files",
        }
    }

    /// One word for each kind and bridge: `mas`, `irc`; also the default name of a component.
    pub fn label(self) -> &'static str {
        match self {
            Self::Bridge(bridge) => bridge.word(),
            other => other.word(),
        }
    }

    /// Whether it is a program that has to be down while its data is put back. Whose a database or
    /// files are, only their operator knows.
    pub fn is_program(self) -> bool {
        !matches!(self, Self::Database | Self::Files)
    }

    /// The kind with this label.
    pub fn labelled(label: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.label() == label)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.label())
    }
}

impl Bridge {
    /// The value of `bridge:`.
    pub fn word(self) -> &'static str {
        match self {
            Self::Irc => "irc",
            Self::Xmpp => "xmpp",
            Self::Telegram => "telegram",
            Self::Whatsapp => "whatsapp",
            Self::Sip => "sip",
            Self::Hookshot => "hookshot",
        }
    }
}

/// One database of a component. No `Debug`: the way to it may hold a password.
#[derive(Clone, PartialEq, Eq)]
pub struct Database {
    /// Its name within the component: `main`, or Synapse's label for it.
    pub name: String,
    /// Where it is.
    pub at: At,
}

/// Where a database is.
#[derive(Clone, PartialEq, Eq)]
pub enum At {
    /// A PostgreSQL server.
    Postgres(Box<DatabaseTarget>),
    /// A SQLite file.
    Sqlite(PathBuf),
}

impl At {
    /// For people, without the password: `postgres://user@host:5432/name`, `sqlite:/path`.
    pub fn shown(&self) -> String {
        match self {
            Self::Postgres(target) => target.shown(),
            Self::Sqlite(path) => format!("sqlite:{}", path.display()),
        }
    }
}

/// A file or a folder with everything in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FileTree {
    /// What it is for.
    pub role: Role,
    /// Absolute.
    pub path: PathBuf,
}

/// What files are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Configuration.
    Config,
    /// Keys, tokens, passphrases.
    Secrets,
    /// What the component keeps of its own.
    Data,
    /// What it recorded.
    Logs,
    /// Media.
    Media,
    /// A folder of `NeDB` databases.
    Nedb,
}

impl Role {
    /// As it is shown.
    pub fn word(self) -> &'static str {
        match self {
            Self::Config => "config",
            Self::Secrets => "secrets",
            Self::Data => "data",
            Self::Logs => "logs",
            Self::Media => "media",
            Self::Nedb => "nedb",
        }
    }
}

/// A secret and where it stands; its value is never kept here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SecretFile {
    /// Its name: `signing key`.
    pub name: &'static str,
    /// The file.
    pub path: PathBuf,
    /// The setting, where the file is the configuration and holds it among others.
    pub setting: Option<String>,
    /// What is lost without it.
    pub without_it: &'static str,
}

/// How a component is stopped, started, and asked whether it is well. Programs with arguments;
/// no shell reads them.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Commands {
    /// Stops it, and returns when it has stopped.
    pub stop: Option<Vec<String>>,
    /// Starts it.
    pub start: Option<Vec<String>>,
    /// Ends with 0 when it is well.
    pub health: Option<Vec<String>>,
    /// Answers 200 when it is well.
    pub health_url: Option<String>,
}

impl Installation {
    /// The component of this name.
    pub fn component(&self, name: &str) -> Option<&Component> {
        self.components.iter().find(|component| component.name == name)
    }

    /// The components of this kind.
    pub fn of_kind(&self, kind: Kind) -> impl Iterator<Item = &Component> {
        self.components.iter().filter(move |component| component.kind == kind)
    }
}

impl Component {
    /// How Synapse's configuration is read, where it is one.
    pub fn read_options(&self) -> ReadOptions {
        ReadOptions { workdir: self.workdir.clone(), root: self.root.clone() }
    }

    /// The database of this name.
    pub fn database(&self, name: &str) -> Option<&Database> {
        self.databases.iter().find(|database| database.name == name)
    }

    /// Whether a restore can neither stop it nor see that it is down. Synapse is asked at the ports
    /// of its own configuration.
    pub fn is_blind(&self) -> bool {
        let Commands { stop, health_url, .. } = &self.commands;
        let is_asked = self.kind == Kind::Synapse || health_url.is_some();
        self.kind.is_program() && stop.is_none() && !is_asked
    }

    pub(crate) fn note(&mut self, what: impl Into<String>, remedy: impl Into<String>) {
        self.notes.push(Note { what: what.into(), remedy: remedy.into() });
    }
}

//! Every key of `lifeboat.yaml`, as data: the reader refuses what is not here, and the reference
//! page and the JSON schema are written from it.

use lifeboat_config::yaml::Mark;

use crate::error::{SuiteError, place};
use crate::view::View;

/// A mapping of the file.
pub(crate) struct Section {
    /// Where it stands: `retention`, or nothing for the top.
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    pub(crate) keys: &'static [Key],
}

/// A key in it.
pub(crate) struct Key {
    pub(crate) name: &'static str,
    pub(crate) shape: Shape,
    /// What holds when it is not set; `None` when it must be.
    pub(crate) otherwise: Option<&'static str>,
    pub(crate) about: &'static str,
}

/// What a value looks like.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    /// One text.
    Text,
    /// A path; relative ones begin at the folder of the file.
    Path,
    /// A path or a list of paths.
    Paths,
    /// A text or a list of texts.
    Texts,
    /// A whole number, 0 to 100,000.
    Count,
    /// `36h`, `2d`, `8w`.
    Span,
    /// Five fields of cron.
    Cron,
    /// A program and its arguments: a list, or a text that is divided at blanks.
    Command,
    /// Names and paths.
    NamedPaths,
    /// One of these.
    OneOf(&'static [&'static str]),
    /// A mapping of its own.
    Section,
    /// A list of mappings.
    Sections,
}

pub(crate) const TOP: Section = Section {
    name: "",
    about: "The file itself. Relative paths begin at its folder. No secret stands in it: passwords \
            are in `~/.pgpass` or in files that it names.",
    keys: &[
        required("server_name", Shape::Text, "The Matrix server name, as in `@user:NAME`."),
        required("vault", Shape::Text, "Where backups go: a folder, or `s3://`, `gs://`, `az://`."),
        optional(
            "recipients",
            Shape::Texts,
            "the file",
            "Public keys that backups are sealed for.",
        ),
        optional("recipients_file", Shape::Path, "the list", "A file with one public key a line."),
        optional("state", Shape::Path, "/var/lib/lifeboat", "Folder for caches and journals."),
        optional("retention", Shape::Section, "keeps everything", "Which backups are kept."),
        optional(
            "object_lock",
            Shape::Section,
            "no lock",
            "How long an S3 bucket may delete nothing that a run writes or needs.",
        ),
        optional("schedule", Shape::Section, "by hand", "What runs when."),
        optional("drill", Shape::Section, "starts nothing", "What a drill starts on the copy."),
        required("components", Shape::Sections, "What is backed up."),
    ],
};

pub(crate) const RETENTION: Section = Section {
    name: "retention",
    about: "A backup is kept when any line keeps it. The newest verified one, pinned ones and \
            those dated after now are kept always.",
    keys: &[
        optional("keep_last", Shape::Count, "0", "The newest, whatever their date."),
        optional("keep_hourly", Shape::Count, "0", "The newest of each hour that has one."),
        optional("keep_daily", Shape::Count, "0", "Of each day."),
        optional("keep_weekly", Shape::Count, "0", "Of each week, from Monday."),
        optional("keep_monthly", Shape::Count, "0", "Of each month."),
        optional("keep_yearly", Shape::Count, "0", "Of each year."),
        optional("keep_within", Shape::Span, "0d", "Everything that is not older."),
    ],
};

pub(crate) const OBJECT_LOCK: Section = Section {
    name: "object_lock",
    about: "Each run locks what it writes, and prolongs the lock of the volumes that it borrows. \
            The bucket must have been made with object lock.",
    keys: &[
        required("mode", Shape::OneOf(LOCK_MODES), "Who may shorten it: some, or nobody."),
        required("days", Shape::Count, "From the start of the run: 1 to 36500."),
    ],
};

pub(crate) const SCHEDULE: Section = Section {
    name: "schedule",
    about: "Five fields: minute, hour, day of the month, month, day of the week. A time that the \
            clocks skip is due when the skip ends; one that they show twice is due once.",
    keys: &[
        optional("backup", Shape::Cron, "by hand", "`lifeboat backup run`."),
        optional("verify", Shape::Cron, "by hand", "`lifeboat backup verify`."),
        optional("drill", Shape::Cron, "by hand", "`lifeboat drill`."),
        optional("time_zone", Shape::Text, "UTC", "In which times, days and weeks are meant."),
    ],
};

pub(crate) const DRILL: Section = Section {
    name: "drill",
    about: "What `lifeboat drill` starts on the copy, cut off from the network: as root, with \
            `unshare` of util-linux. Where that cannot be, it starts nothing and says so.",
    keys: &[
        optional(
            "synapse",
            Shape::Command,
            "starts nothing",
            "Runs Synapse; `{config}` in it is the homeserver.yaml of the copy.",
        ),
        optional(
            "postgres_socket",
            Shape::Path,
            "by homeserver.yaml",
            "The folder of PostgreSQL's Unix socket, where homeserver.yaml names a host.",
        ),
    ],
};

pub(crate) const COMPONENT: Section = Section {
    name: "components[]",
    about: "One component. What its own configuration says is found there, and not repeated.",
    keys: &[
        required("kind", Shape::OneOf(KINDS), "What it is."),
        optional("bridge", Shape::OneOf(BRIDGES), "-", "Which bridge; with `kind: bridge` only."),
        optional("name", Shape::Text, "the kind or bridge", "Its name, unique in the file."),
        optional("config", Shape::Paths, "-", "Its configuration; later files win."),
        optional("workdir", Shape::Path, "folder of config", "The folder its process runs in."),
        optional("env_file", Shape::Path, "-", "A file of `NAME=value` that it is started with."),
        optional("database_url", Shape::Text, "from config", "Its PostgreSQL, without password."),
        optional(
            "database_url_file",
            Shape::Path,
            "-",
            "A file whose first line is the address, with its password.",
        ),
        optional("sqlite", Shape::Paths, "from config", "Its SQLite databases."),
        optional("paths", Shape::Paths, "-", "More files and folders of it."),
        optional("logs", Shape::Paths, "-", "Files and folders of what it records."),
        optional("secrets", Shape::NamedPaths, "-", "More files of secrets, by name."),
        optional("registration", Shape::Path, "beside config", "A bridge's registration."),
        optional("media_store", Shape::Path, "from config", "Synapse's media store."),
        optional("commands", Shape::Section, "none", "How it is stopped and started."),
    ],
};

pub(crate) const COMMANDS: Section = Section {
    name: "components[].commands",
    about: "A preset fills in `stop`, `start` and `health`; each may be said itself. No shell \
            reads them; write `[sh, -c, …]` where one should.",
    keys: &[
        optional("preset", Shape::OneOf(PRESETS), "none", "Who runs the component."),
        optional("unit", Shape::Text, "the name", "systemd: the unit."),
        optional("file", Shape::Path, "compose's own", "compose: the compose file."),
        optional("service", Shape::Text, "the name", "compose: the service."),
        optional("namespace", Shape::Text, "default", "kubectl: the namespace."),
        optional("workload", Shape::OneOf(WORKLOADS), "by kind", "kubectl: what is scaled."),
        optional("selector", Shape::Text, "by kind", "kubectl: the labels of it."),
        optional("replicas", Shape::Count, "1", "kubectl: how many run."),
        optional("stop", Shape::Command, "by preset", "Stops it; ends when it has stopped."),
        optional("start", Shape::Command, "by preset", "Starts it."),
        optional("health", Shape::Command, "by preset", "Ends with 0 when it is well."),
        optional("health_url", Shape::Text, "by kind", "Answers 200 when it is well."),
    ],
};

/// All of them, in the order of the reference page.
pub(crate) const SECTIONS: [&Section; 7] =
    [&TOP, &RETENTION, &OBJECT_LOCK, &SCHEDULE, &DRILL, &COMPONENT, &COMMANDS];

pub(crate) const KINDS: &[&str] = &[
    "synapse",
    "mas",
    "sliding_sync",
    "sydent",
    "integrator",
    "adminbot",
    "auditbot",
    "bridge",
    "database",
    "files",
];
pub(crate) const BRIDGES: &[&str] = &["irc", "xmpp", "telegram", "whatsapp", "sip", "hookshot"];
pub(crate) const PRESETS: &[&str] = &["systemd", "compose", "kubectl", "none"];
pub(crate) const LOCK_MODES: &[&str] = &["governance", "compliance"];
pub(crate) const WORKLOADS: &[&str] = &["statefulset", "deployment"];

const fn required(name: &'static str, shape: Shape, about: &'static str) -> Key {
    Key { name, shape, otherwise: None, about }
}

const fn optional(
    name: &'static str,
    shape: Shape,
    otherwise: &'static str,
    about: &'static str,
) -> Key {
    Key { name, shape, otherwise: Some(otherwise), about }
}

impl Section {
    /// Refuses the first key of `view` that this section does not have.
    pub(crate) fn check(&self, view: &View<'_>) -> Result<(), SuiteError> {
        let mut strange: Vec<(&str, Mark)> = view
            .keys()
            .filter(|(key, _)| self.keys.iter().all(|known| known.name != *key))
            .collect();
        strange.sort_by_key(|(_, mark)| (mark.line, mark.column));
        let Some((key, mark)) = strange.first() else { return Ok(()) };
        let names = self.keys.iter().map(|known| known.name);
        Err(SuiteError::Unknown {
            place: place(view.path(), *mark),
            key: (*key).chars().take(60).collect(),
            section: if self.name.is_empty() {
                "lifeboat.yaml".to_owned()
            } else {
                format!("`{}`", self.name)
            },
            nearest: nearest(key, names),
        })
    }
}

/// The name that differs least from what was written, unless it differs in half of it.
pub(crate) fn nearest(
    written: &str,
    names: impl Iterator<Item = &'static str>,
) -> Option<&'static str> {
    if written.len() > 60 {
        return None;
    }
    let distances = names.map(|name| (distance(written, name), name));
    let (distance, name) = distances.min()?;
    (distance * 2 <= name.len().max(2)).then_some(name)
}

/// Letters to change, add, leave out or swap with their neighbour.
fn distance(left: &str, right: &str) -> usize {
    let (left, right): (Vec<char>, Vec<char>) = (left.chars().collect(), right.chars().collect());
    let mut rows = vec![(0..=right.len()).collect::<Vec<usize>>()];
    for (at, letter) in left.iter().enumerate() {
        let mut row = vec![at + 1];
        for (place, other) in right.iter().enumerate() {
            let changed = rows[at][place] + usize::from(letter != other);
            let mut least = changed.min(rows[at][place + 1] + 1).min(row[place] + 1);
            if at > 0 && place > 0 && *letter == right[place - 1] && left[at - 1] == *other {
                least = least.min(rows[at - 1][place - 1] + 1);
            }
            row.push(least);
        }
        rows.push(row);
    }
    rows[left.len()][right.len()]
}

#[cfg(test)]
mod tests;

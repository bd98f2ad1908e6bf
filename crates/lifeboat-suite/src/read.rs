//! From the text of `lifeboat.yaml` to an installation.

mod commands;

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use lifeboat_config::target::Surroundings;
use lifeboat_config::{absolute, copied};
use lifeboat_rules::retention::Retention;
use lifeboat_rules::schedule::{Cron, Zone};
use lifeboat_storage::LockMode;
use lifeboat_storage::location::Location;
use zeroize::Zeroizing;

use crate::error::SuiteError;
use crate::installation::{
    CONFIG_WORD, Component, Drill, Installation, Kind, LOCK_DAYS, OWN, ObjectLock, Schedule,
};
use crate::keys;
use crate::kinds::{self, Finding};
use crate::view::{Document, View, read_text};

/// Where caches and journals go when nothing is said.
pub const STATE: &str = "/var/lib/lifeboat";
/// Letters of a component's name: it is part of file names.
const NAME_LETTERS: usize = 64;

/// Reads `lifeboat.yaml` and the configuration of every component it names. Blocks on the disk;
/// connects to nothing.
///
/// # Errors
/// See [`SuiteError`]; the first mistake is told.
pub fn read(path: &Path, around: &Surroundings) -> Result<Installation, SuiteError> {
    parse(path, &own_text(path)?, around)
}

/// The text of `lifeboat.yaml`.
fn own_text(path: &Path) -> Result<Zeroizing<String>, SuiteError> {
    read_text(path).map_err(|error| match error {
        SuiteError::Read { path, source, .. } if source.kind() == ErrorKind::NotFound => {
            SuiteError::NoInstallation { path }
        }
        error => error,
    })
}

/// Where an installation keeps its backups, and what is its own on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnPlaces {
    /// The vault: a folder, or `s3://BUCKET/PREFIX`.
    pub vault: String,
    /// The folder for caches and journals.
    pub state: PathBuf,
}

impl OwnPlaces {
    /// Reads these alone: what its components are may be lost. `path` is absolute.
    ///
    /// # Errors
    /// See [`SuiteError`].
    pub fn parse(path: &Path, text: &str) -> Result<Self, SuiteError> {
        let document = Document::parse_strict(path, text)?;
        Self::of(&document.view()?, path.parent().unwrap_or(Path::new("/")))
    }

    /// The same of the file.
    ///
    /// # Errors
    /// See [`SuiteError`].
    pub fn read(path: &Path) -> Result<Self, SuiteError> {
        Self::parse(path, &own_text(path)?)
    }

    fn of(top: &View<'_>, folder: &Path) -> Result<Self, SuiteError> {
        let remedy = "write a folder, or s3://BUCKET/PREFIX";
        let vault = top.text(&["vault"])?.ok_or_else(|| top.missing(&["vault"], remedy))?;
        let state = top.text(&["state"])?.unwrap_or(STATE);
        Ok(Self { vault: self::vault(top, folder, vault)?, state: absolute(folder, state) })
    }
}

/// The same with the text of the file at hand; `path` is absolute.
///
/// # Errors
/// See [`SuiteError`].
pub fn parse(path: &Path, text: &str, around: &Surroundings) -> Result<Installation, SuiteError> {
    let document = Document::parse_strict(path, text)?;
    let top = document.view()?;
    keys::TOP.check(&top)?;
    let folder = path.parent().unwrap_or(Path::new("/"));
    let remedy = "write the name after the colon of @user:name";
    let server_name = top.text(&["server_name"])?;
    let server_name = server_name.ok_or_else(|| top.missing(&["server_name"], remedy))?;
    let OwnPlaces { vault, state } = OwnPlaces::of(&top, folder)?;
    Ok(Installation {
        path: path.to_owned(),
        server_name: server_name.to_owned(),
        vault,
        recipients: recipients(&top, folder)?,
        state,
        retention: retention(&top)?,
        object_lock: object_lock(&top)?,
        schedule: schedule(&top)?,
        drill: drill(&top, folder)?,
        components: components(&top, folder, around)?,
    })
}

fn drill(top: &View<'_>, folder: &Path) -> Result<Drill, SuiteError> {
    let Some(view) = top.mapping(&["drill"])? else { return Ok(Drill::default()) };
    keys::DRILL.check(&view)?;
    let synapse = commands::command(&view, "synapse")?;
    if synapse.as_ref().is_some_and(|words| !words.iter().any(|word| word.contains(CONFIG_WORD))) {
        let remedy = "write it as [python, -m, synapse.app.homeserver, -c, \"{config}\"]";
        return Err(view.wrong(&["synapse"], "has no place for {config}", remedy));
    }
    let postgres_socket = view.text(&["postgres_socket"])?.map(|socket| absolute(folder, socket));
    Ok(Drill { synapse, postgres_socket })
}

fn vault(top: &View<'_>, folder: &Path, written: &str) -> Result<String, SuiteError> {
    let location = Location::parse(written)
        .map_err(|error| top.wrong(&["vault"], "is no place for backups", error.to_string()))?;
    Ok(match location {
        Location::Directory(path) => absolute(folder, path).display().to_string(),
        bucket @ Location::Bucket { .. } => bucket.to_string(),
    })
}

fn recipients(top: &View<'_>, folder: &Path) -> Result<Vec<String>, SuiteError> {
    let mut all: Vec<String> = top.texts(&["recipients"])?.into_iter().map(str::to_owned).collect();
    if all.iter().any(|one| one.to_ascii_uppercase().contains("SECRET-KEY")) {
        let remedy = "take it out, make a new one with `lifeboat keygen`, and write its public \
                      key, age1…";
        return Err(top.wrong(&["recipients"], "holds a secret key", remedy));
    }
    if let Some(file) = top.text(&["recipients_file"])? {
        all.push(format!("@{}", absolute(folder, file).display()));
    }
    if all.is_empty() {
        let remedy = "make an identity with `lifeboat keygen -o identity.txt`, keep it elsewhere, \
                      and write its public key, age1…";
        return Err(top.missing(&["recipients"], remedy));
    }
    Ok(all)
}

fn retention(top: &View<'_>) -> Result<Retention, SuiteError> {
    let Some(view) = top.mapping(&["retention"])? else { return Ok(Retention::default()) };
    keys::RETENTION.check(&view)?;
    let count = |name| Ok::<_, SuiteError>(view.count(&[name])?.unwrap_or(0));
    let retention = Retention {
        last: count("keep_last")?,
        hourly: count("keep_hourly")?,
        daily: count("keep_daily")?,
        weekly: count("keep_weekly")?,
        monthly: count("keep_monthly")?,
        yearly: count("keep_yearly")?,
        within_seconds: match view.text(&["keep_within"])? {
            None => 0,
            Some(text) => span(text).ok_or_else(|| {
                view.wrong(&["keep_within"], "is no span of time", "write 36h, 2d, 8w or 1y")
            })?,
        },
    };
    if retention.is_none() {
        let remedy = "say how many, or leave `retention` out to keep all";
        return Err(top.wrong(&["retention"], "keeps nothing", remedy));
    }
    Ok(retention)
}

fn object_lock(top: &View<'_>) -> Result<Option<ObjectLock>, SuiteError> {
    let Some(view) = top.mapping(&["object_lock"])? else { return Ok(None) };
    keys::OBJECT_LOCK.check(&view)?;
    if !top.text(&["vault"])?.is_some_and(|vault| vault.starts_with("s3://")) {
        let remedy = "leave it out, or name a bucket as s3://BUCKET/PREFIX";
        return Err(top.wrong(&["object_lock"], "needs a vault in an S3 bucket", remedy));
    }
    let modes = [LockMode::Governance, LockMode::Compliance];
    let mode = match view.text(&["mode"])? {
        None => return Err(view.missing(&["mode"], "write governance or compliance")),
        Some(text) => modes
            .into_iter()
            .find(|mode| mode.word() == text)
            .ok_or_else(|| view.wrong(&["mode"], "is no mode", "write governance or compliance"))?,
    };
    let days = view.count(&["days"])?.ok_or_else(|| view.missing(&["days"], "write how many"))?;
    if !LOCK_DAYS.contains(&days) {
        return Err(view.wrong(&["days"], "is not from 1 to 36500", "write how many days"));
    }
    Ok(Some(ObjectLock { mode, days }))
}

/// Seconds of `36h`, `2d`, `8w`, `1y` (365 days).
fn span(text: &str) -> Option<u64> {
    let unit = match text.chars().last()? {
        'h' => 3_600,
        'd' => 86_400,
        'w' => 7 * 86_400,
        'y' => 365 * 86_400,
        _ => return None,
    };
    let number = &text[..text.len() - 1];
    let digits = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    let seconds = digits.then(|| number.parse::<u64>().ok()?.checked_mul(unit))??;
    // A century: what is longer is a slip of the hand.
    (seconds <= 100 * 365 * 86_400).then_some(seconds)
}

fn schedule(top: &View<'_>) -> Result<Schedule, SuiteError> {
    let Some(view) = top.mapping(&["schedule"])? else {
        let (backup, verify, drill) = (None, None, None);
        return Ok(Schedule { backup, verify, drill, time_zone: Zone::utc() });
    };
    keys::SCHEDULE.check(&view)?;
    let cron = |name| match view.text(&[name])? {
        None => Ok(None),
        Some(text) => text
            .parse::<Cron>()
            .map(Some)
            .map_err(|error| view.wrong(&[name], "is no schedule", error.to_string())),
    };
    let time_zone = match view.text(&["time_zone"])? {
        None => Zone::utc(),
        Some(name) => name
            .parse()
            .map_err(|_| view.wrong(&["time_zone"], "is unknown", "write one as Europe/Berlin"))?,
    };
    let (backup, verify, drill) = (cron("backup")?, cron("verify")?, cron("drill")?);
    Ok(Schedule { backup, verify, drill, time_zone })
}

fn components(
    top: &View<'_>,
    folder: &Path,
    around: &Surroundings,
) -> Result<Vec<Component>, SuiteError> {
    let items = top.items(&["components"])?;
    if items.is_empty() {
        return Err(top.missing(&["components"], "name at least one, beginning with `- kind:`"));
    }
    let mut names = BTreeSet::new();
    let mut components = Vec::new();
    for item in items {
        keys::COMPONENT.check(&item)?;
        let kind = kind(&item)?;
        let name = item.text(&["name"])?.unwrap_or(kind.label());
        check_name(&item, name)?;
        if !names.insert(name.to_owned()) {
            let remedy = "give each a `name` of its own";
            return Err(item.wrong(&["name"], "names two components", remedy));
        }
        // They share `server_name`, and are cut as one.
        let is_one = matches!(kind, Kind::Synapse | Kind::Mas);
        if is_one && components.iter().any(|known: &Component| known.kind == kind) {
            let remedy = "a server has one: write another lifeboat.yaml for another server";
            return Err(item.wrong(&["kind"], "is there twice", remedy));
        }
        components.push(component(&item, folder, around, (kind, name))?);
    }
    Ok(components)
}

fn check_name(item: &View<'_>, name: &str) -> Result<(), SuiteError> {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '_' | '-' | '.');
    let fits = name.len() <= NAME_LETTERS
        && name.chars().all(plain)
        && name.starts_with(|letter: char| letter.is_ascii_alphanumeric());
    // What a backup keeps of the installation itself is called that.
    if name == OWN {
        return Err(item.wrong(&["name"], "is the name of our own part", "give it another"));
    }
    let remedy = "use letters, digits, `_`, `-` and `.`, at most 64, beginning with a letter";
    if fits { Ok(()) } else { Err(item.wrong(&["name"], "cannot be a name", remedy)) }
}

fn kind(item: &View<'_>) -> Result<Kind, SuiteError> {
    let one_of = |name: &'static str, words: &'static [&'static str]| {
        let remedy = format!("write one of {}", words.join(", "));
        match item.text(&[name])? {
            None => Err(item.missing(&[name], remedy)),
            Some(word) => words.iter().copied().find(|known| *known == word).ok_or_else(|| {
                let meant = keys::nearest(word, words.iter().copied());
                let hint = meant.map_or(remedy, |meant| format!("did you mean `{meant}`?"));
                item.wrong(&[name], "is none that is known", hint)
            }),
        }
    };
    let word = one_of("kind", keys::KINDS)?;
    let label = if word == "bridge" { one_of("bridge", keys::BRIDGES)? } else { word };
    if word != "bridge" && item.has(&["bridge"]) {
        return Err(item.wrong(&["bridge"], "belongs to `kind: bridge` only", "remove it"));
    }
    let known = Kind::labelled(label);
    known.ok_or_else(|| item.wrong(&["kind"], "is none that is known", "write another"))
}

fn component(
    item: &View<'_>,
    folder: &Path,
    around: &Surroundings,
    (kind, name): (Kind, &str),
) -> Result<Component, SuiteError> {
    let paths = |key: &str| -> Result<Vec<PathBuf>, SuiteError> {
        let found = item.texts(&[key])?.into_iter();
        Ok(found.map(|path| copied(around.root.as_deref(), absolute(folder, path))).collect())
    };
    let config = paths("config")?;
    let home = config.first().map_or(folder, |first| {
        if first.is_dir() { first } else { first.parent().unwrap_or(folder) }
    });
    let workdir =
        item.text(&["workdir"])?.map_or_else(|| home.to_owned(), |dir| absolute(folder, dir));
    let component = Component {
        name: name.to_owned(),
        kind,
        config,
        workdir,
        root: around.root.clone(),
        databases: Vec::new(),
        files: Vec::new(),
        secrets: Vec::new(),
        media: None,
        commands: commands::read(item, folder, kind, name)?,
        notes: Vec::new(),
    };
    let mut finding = Finding { component, item, folder, around, is_given: false };
    let found = finding.given().and_then(|()| kinds::find(&mut finding));
    found.map_err(|error| within(error, item.path(), name))?;
    let component = finding.component;
    check_bridge_only(item, kind)?;
    if component.databases.is_empty() && component.files.is_empty() {
        return Err(item.missing(&["config"], "say what it holds: config, database_url or paths"));
    }
    Ok(component)
}

fn check_bridge_only(item: &View<'_>, kind: Kind) -> Result<(), SuiteError> {
    let is_bridge = matches!(kind, Kind::Bridge(_));
    for (key, fits) in [("registration", is_bridge), ("media_store", kind == Kind::Synapse)] {
        if item.has(&[key]) && !fits {
            let wrong = format!("does not belong to a component of kind {kind}");
            return Err(item.wrong(&[key], wrong, "remove it"));
        }
    }
    Ok(())
}

/// Says which component it was, unless the mistake is in `lifeboat.yaml` itself.
fn within(error: SuiteError, own: &Path, name: &str) -> SuiteError {
    let in_own = match &error {
        SuiteError::Unknown { .. } | SuiteError::Password { .. } => true,
        SuiteError::Setting { place, .. } | SuiteError::Missing { place, .. } => {
            place.starts_with(&format!("{}:", own.display()))
        }
        _ => false,
    };
    if in_own {
        return error;
    }
    SuiteError::Component { component: name.to_owned(), source: Box::new(error) }
}

#[cfg(test)]
mod tests;

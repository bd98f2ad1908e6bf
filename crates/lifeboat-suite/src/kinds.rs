//! What each kind of component says about itself in its own configuration.

mod bot;
mod hookshot;
mod irc;
mod mas;
mod mautrix;
mod sliding_sync;
mod sydent;
mod synapse;
mod xmpp;

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use lifeboat_config::conninfo::{self, Parameters};
use lifeboat_config::target::{DatabaseTarget, Surroundings};
use lifeboat_config::{absolute, copied};

pub(crate) use self::irc::PASSKEY;
pub(crate) use self::mas::{encryption_setting, shared_setting};
pub(crate) use self::mautrix::registration_setting;
pub(crate) use self::sliding_sync::SECRET as SYNC_SECRET;

use crate::error::SuiteError;
use crate::installation::{At, Bridge, Component, Database, FileTree, Kind, Role, SecretFile};
use crate::registration;
use crate::view::{Document, View, read_text};

/// A component under construction.
pub(crate) struct Finding<'a> {
    pub(crate) component: Component,
    /// Its entry in `lifeboat.yaml`.
    pub(crate) item: &'a View<'a>,
    /// The folder of `lifeboat.yaml`.
    pub(crate) folder: &'a Path,
    pub(crate) around: &'a Surroundings,
    /// `lifeboat.yaml` says where the database is; what the configuration says does not count.
    pub(crate) is_given: bool,
}

/// A secret that a kind knows of.
#[derive(Clone, Copy)]
pub(crate) struct Known {
    pub(crate) name: &'static str,
    pub(crate) without_it: &'static str,
}

/// The pepper of local passwords, which Synapse and MAS both have.
const PEPPER: Known =
    Known { name: "password pepper", without_it: "no local password is accepted any more" };
/// What follows where Synapse and MAS do not have the same secret.
const NOT_SHARED: &str = "Synapse and MAS do not talk, and nobody can sign in";

/// What its own configuration says, by kind.
pub(crate) fn find(at: &mut Finding<'_>) -> Result<(), SuiteError> {
    match at.component.kind {
        Kind::Synapse => synapse::find(at),
        Kind::Mas => mas::find(at),
        Kind::SlidingSync => sliding_sync::find(at),
        Kind::Sydent => sydent::find(at),
        Kind::Bridge(Bridge::Irc) => irc::find(at),
        Kind::Bridge(Bridge::Xmpp) => xmpp::find(at),
        Kind::Bridge(Bridge::Telegram | Bridge::Whatsapp) => mautrix::find(at),
        Kind::Bridge(Bridge::Hookshot) => hookshot::find(at),
        Kind::Integrator
        | Kind::Adminbot
        | Kind::Auditbot
        | Kind::Bridge(Bridge::Sip)
        | Kind::Database
        | Kind::Files => bot::find(at),
    }
}

impl Finding<'_> {
    /// What `lifeboat.yaml` itself says, whatever the kind.
    pub(crate) fn given(&mut self) -> Result<(), SuiteError> {
        self.given_database()?;
        for path in self.item.texts(&["sqlite"])? {
            self.is_given = true;
            let name = self.database_name();
            self.sqlite(&name, absolute(self.folder, path));
        }
        for (key, role) in [("paths", Role::Data), ("logs", Role::Logs)] {
            for path in self.item.texts(&[key])? {
                self.file(role, absolute(self.folder, path));
            }
        }
        if let Some(path) = self.item.text(&["env_file"])? {
            self.file(Role::Secrets, self.named(path));
        }
        if let Some(secrets) = self.item.mapping(&["secrets"])? {
            for (name, _) in secrets.keys() {
                let path = secrets.text(&[name])?;
                let path = path.ok_or_else(|| {
                    secrets.wrong(&[name], "names no file", "write the path of its file")
                })?;
                self.file(Role::Secrets, self.named(path));
            }
        }
        Ok(())
    }

    fn given_database(&mut self) -> Result<(), SuiteError> {
        let item = self.item;
        if let Some(url) = item.text(&["database_url"])? {
            let place = format!("{}: database_url", item.place_of(&["database_url"]));
            let parameters = parameters(url, &place)?;
            if parameters.contains_key("password") || parameters.contains_key("sslpassword") {
                let place = item.place_of(&["database_url"]);
                return Err(SuiteError::Password { place, setting: item.full(&["database_url"]) });
            }
            if item.has(&["database_url_file"]) {
                let remedy = "leave one of them out";
                let wrong = "is there beside database_url_file";
                return Err(item.wrong(&["database_url"], wrong, remedy));
            }
            self.is_given = true;
            self.push_postgres("main", parameters, &place)?;
        }
        if let Some(file) = item.text(&["database_url_file"])? {
            let path = self.named(file);
            let text = read_text(&path)?;
            let place = path.display().to_string();
            self.is_given = true;
            let parameters = parameters(text.lines().next().unwrap_or_default(), &place)?;
            self.push_postgres("main", parameters, &place)?;
            self.file(Role::Secrets, path);
        }
        Ok(())
    }

    /// Its configuration files, read and merged; `None` when none is named.
    pub(crate) fn document(&mut self) -> Result<Option<Document>, SuiteError> {
        let document = Document::read_merged(&self.component.config)?;
        for path in self.component.config.clone() {
            self.file(Role::Config, path);
        }
        Ok(document)
    }

    /// Its configuration, which this kind cannot do without.
    pub(crate) fn needed_document(&mut self) -> Result<Document, SuiteError> {
        let item = self.item;
        self.document()?.ok_or_else(|| item.missing(&["config"], "name its configuration file"))
    }

    /// A file that `lifeboat.yaml` names.
    pub(crate) fn named(&self, path: &str) -> PathBuf {
        copied(self.around.root.as_deref(), absolute(self.folder, path))
    }

    /// A path as the component's process sees it.
    pub(crate) fn resolve(&self, path: &str) -> PathBuf {
        copied(self.around.root.as_deref(), absolute(&self.component.workdir, path))
    }

    /// The first configuration file, for secrets that stand in it.
    pub(crate) fn config_file(&self) -> PathBuf {
        self.component.config.first().cloned().unwrap_or_default()
    }

    /// A database of PostgreSQL by its connection string; `place` is named in errors.
    pub(crate) fn postgres(&mut self, text: &str, place: &str) -> Result<(), SuiteError> {
        if self.is_given {
            return Ok(());
        }
        self.push_postgres("main", parameters(text, place)?, place)
    }

    /// The same with libpq's parameters at hand.
    pub(crate) fn postgres_of(
        &mut self,
        parameters: Parameters,
        place: &str,
    ) -> Result<(), SuiteError> {
        if self.is_given {
            return Ok(());
        }
        self.push_postgres("main", parameters, place)
    }

    fn push_postgres(
        &mut self,
        name: &str,
        parameters: Parameters,
        place: &str,
    ) -> Result<(), SuiteError> {
        let target = DatabaseTarget::from_parameters(parameters, self.around);
        let target =
            target.map_err(|source| SuiteError::Database { place: place.to_owned(), source })?;
        self.target(name, target);
        Ok(())
    }

    /// A database of PostgreSQL that was understood; its password is looked for.
    pub(crate) fn target(&mut self, name: &str, mut target: DatabaseTarget) {
        if let Some(wrong) = target.find_password(self.around) {
            self.component.note(wrong, "correct its mode");
        }
        if !target.ignored.is_empty() {
            let what = format!("database parameters not acted on: {}", target.ignored.join(", "));
            self.component.note(what, "check that the connection works without them: doctor");
        }
        let at = At::Postgres(Box::new(target));
        self.component.databases.push(Database { name: name.to_owned(), at });
    }

    pub(crate) fn sqlite(&mut self, name: &str, path: PathBuf) {
        if !path.is_file() {
            let what = format!("there is no SQLite database {}", path.display());
            self.component.note(what, "correct the path, or start the component once");
        }
        self.component.databases.push(Database { name: name.to_owned(), at: At::Sqlite(path) });
    }

    fn database_name(&self) -> String {
        match self.component.databases.len() {
            0 => "main".to_owned(),
            number => format!("main-{}", number + 1),
        }
    }

    /// A file or folder; one that is not there is noted.
    pub(crate) fn file(&mut self, role: Role, path: PathBuf) {
        if self.component.files.iter().any(|known| known.path == path) {
            return;
        }
        if let Err(error) = std::fs::metadata(&path) {
            let what = format!("cannot look at {}: {}", path.display(), said(&error));
            self.component.note(what, remedy_of(&error));
        }
        self.component.files.push(FileTree { role, path });
    }

    /// A secret in a file of its own.
    pub(crate) fn secret_file(&mut self, known: Known, path: PathBuf) {
        if std::fs::metadata(&path).is_err() {
            let what = format!("the {} {} cannot be read", known.name, path.display());
            self.component.note(what, format!("put it back: without it, {}", known.without_it));
            self.component.files.push(FileTree { role: Role::Secrets, path: path.clone() });
        } else {
            self.file(Role::Secrets, path.clone());
        }
        let Known { name, without_it } = known;
        self.component.secrets.push(SecretFile { name, path, setting: None, without_it });
    }

    /// A secret in a setting of its configuration.
    pub(crate) fn secret_setting(&mut self, known: Known, setting: impl Into<String>) {
        let (path, setting) = (self.config_file(), Some(setting.into()));
        let Known { name, without_it } = known;
        self.component.secrets.push(SecretFile { name, path, setting, without_it });
    }

    /// A secret as a setting, or as the file that a second setting names; whether there is one.
    pub(crate) fn secret_either(
        &mut self,
        view: &View<'_>,
        known: Known,
        (setting, file): (&[&str], &[&str]),
    ) -> Result<bool, SuiteError> {
        if let Some(path) = view.text(file)? {
            self.secret_file(known, self.resolve(path));
            return Ok(true);
        }
        let is_set = view.scalar(setting).is_some();
        if is_set {
            let (path, setting) = (view.file_of(setting).to_owned(), Some(view.full(setting)));
            let Known { name, without_it } = known;
            self.component.secrets.push(SecretFile { name, path, setting, without_it });
        }
        Ok(is_set)
    }

    /// The registration of a bridge: where `lifeboat.yaml` says, or one of these names, where it
    /// runs or beside its configuration.
    pub(crate) fn registration(&mut self, names: &[&str]) -> Result<(), SuiteError> {
        let known = Known {
            name: registration::NAME,
            without_it: "the homeserver and the bridge do not know each other",
        };
        if let Some(path) = self.item.text(&["registration"])? {
            self.secret_file(known, self.named(path));
            return Ok(());
        }
        let config = self.config_file();
        let beside = config.parent().unwrap_or(Path::new("/"));
        let places = names.iter().flat_map(|name| [self.resolve(name), beside.join(name)]);
        let found = places.into_iter().find(|path| path.is_file());
        match found {
            Some(path) => self.secret_file(known, path),
            None => self.component.note(
                "its registration was not found",
                "say where it is: registration: /path/of/registration.yaml",
            ),
        }
        Ok(())
    }
}

/// Reads a connection string.
fn parameters(text: &str, place: &str) -> Result<Parameters, SuiteError> {
    conninfo::parse(text)
        .map_err(|error| SuiteError::Database { place: place.to_owned(), source: error.into() })
}

fn said(error: &std::io::Error) -> String {
    match error.kind() {
        ErrorKind::NotFound => "it is not there".to_owned(),
        ErrorKind::PermissionDenied => "it may not be read".to_owned(),
        _ => error.to_string(),
    }
}

fn remedy_of(error: &std::io::Error) -> &'static str {
    match error.kind() {
        ErrorKind::NotFound => "put it back, or correct the path",
        _ => "run as root, or as the user that the component runs as",
    }
}

#[cfg(test)]
mod tests;

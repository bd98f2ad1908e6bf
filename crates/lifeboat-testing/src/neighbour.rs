//! A real server that stands beside a homeserver: an identity server, a bridge, a bot.
//!
//! Each has a folder with its configuration and everything it keeps, and ports of its own. Nothing
//! of a configuration is written a second time: a server that starts again finds what it left, or
//! what a restore has put there.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::child::{Guarded, Launch};
use crate::http::Request;
use crate::port::Port;
use crate::{Homeserver, Tools, WorldError, wait};

const START_LIMIT: Duration = Duration::from_mins(1);
/// The server name of Sydent and the domain of the bridge are those of the homeserver.
const SYDENT: &str = "sydent.conf";
const TELEGRAM: &str = "config.yaml";
const PANTALAIMON: &str = "pantalaimon.conf";

/// A server beside a homeserver: how it is started, and its process while it runs.
#[derive(Debug)]
pub struct Neighbour {
    process: Option<Guarded>,
    name: &'static str,
    directory: PathBuf,
    command: Vec<OsString>,
    /// What answers 200 when it is ready.
    ready: &'static str,
    port: Port,
    /// The port of its operators, where that is another.
    inner: Option<Port>,
}

impl Neighbour {
    /// Sydent, the identity server, with a `SQLite` database. It makes its signing key when it
    /// starts first, and writes it into `sydent.conf`.
    ///
    /// # Errors
    /// When its folder or configuration cannot be written.
    pub fn sydent(tools: &Tools, directory: &Path, server: &str) -> Result<Self, WorldError> {
        let (port, inner) = (Port::claim()?, Port::claim()?);
        let home = directory.display();
        let text = format!(
            "[general]\nserver.name = {server}\npidfile.path = {home}/sydent.pid\n\
             templates.path = {home}/templates\n[db]\ndb.file = {home}/sydent.db\n[http]\n\
             clientapi.http.bind_address = 127.0.0.1\nclientapi.http.port = {}\n\
             internalapi.http.bind_address = 127.0.0.1\ninternalapi.http.port = {}\n",
            port.number(),
            inner.number(),
        );
        write(directory, "templates/matrix-org/invite_template.eml", "Subject: come in\n")?;
        write(directory, SYDENT, &text)?;
        let setting = format!("SYDENT_CONF={home}/{SYDENT}");
        let python = tools.neighbour_python();
        let command = vec!["/usr/bin/env".into(), setting.into(), python.into()];
        Ok(Self {
            process: None,
            name: "Sydent",
            directory: directory.to_owned(),
            command: with(command, &["-m", "sydent.sydent"]),
            ready: "/_matrix/identity/versions",
            port,
            inner: Some(inner),
        })
    }

    /// The bridge to Telegram, with a `PostgreSQL` database. Its tokens are made by itself; the
    /// homeserver has to read `registration.yaml` before the bridge can start.
    ///
    /// # Errors
    /// When its configuration or registration cannot be made.
    pub fn telegram(
        tools: &Tools,
        directory: &Path,
        (server, database_url): (&Homeserver, &str),
    ) -> Result<Self, WorldError> {
        let port = Port::claim()?;
        let (number, domain) = (port.number(), server.server_name());
        let text = format!(
            "homeserver: {{address: '{address}', domain: {domain}}}\n\
             appservice:\n  address: http://127.0.0.1:{number}\n  hostname: 127.0.0.1\n  \
             port: {number}\n  database: '{database_url}'\n  bot_avatar: remove\n  \
             provisioning: {{enabled: true, prefix: /provision, shared_secret: generate}}\n\
             bridge:\n  permissions: {{'{domain}': admin}}\n\
             telegram: {{api_id: 20000, api_hash: 0123456789abcdef0123456789abcdef}}\n",
            address = server.base_url(),
        );
        write(directory, TELEGRAM, &text)?;
        let python = tools.neighbour_python();
        let words = ["-m", "mautrix_telegram", "-c", TELEGRAM];
        let output = Command::new(&python)
            .args(words)
            .arg("-g")
            .current_dir(directory)
            .output()
            .map_err(WorldError::io("make the registration of the bridge"))?;
        if !output.status.success() {
            return Err(WorldError::command("mautrix_telegram -g", &output));
        }
        Ok(Self {
            process: None,
            name: "mautrix-telegram",
            directory: directory.to_owned(),
            command: with(vec![python.into()], &words),
            ready: "/_matrix/mau/ready",
            port,
            inner: None,
        })
    }

    /// Pantalaimon: a client that keeps its keys in a `SQLite` database on a volume, as a bot does.
    /// The volume is the folder `volume` in its folder.
    ///
    /// # Errors
    /// When its folder or configuration cannot be written.
    pub fn pantalaimon(
        tools: &Tools,
        directory: &Path,
        server: &Homeserver,
    ) -> Result<Self, WorldError> {
        let port = Port::claim()?;
        let text = format!(
            "[Default]\nLogLevel = Warning\nNotifications = off\n[suite]\nHomeserver = {}\n\
             ListenAddress = 127.0.0.1\nListenPort = {}\nSSL = False\nUseKeyring = no\n\
             IgnoreVerification = True\n",
            server.base_url(),
            port.number(),
        );
        write(directory, PANTALAIMON, &text)?;
        let volume = directory.join("volume");
        fs::create_dir_all(&volume).map_err(WorldError::io("make the volume of a bot"))?;
        let home = format!("HOME={}", directory.display());
        let program = tools.neighbour_python().with_file_name("pantalaimon");
        let command = vec!["/usr/bin/env".into(), home.into(), program.into()];
        Ok(Self {
            process: None,
            name: "pantalaimon",
            directory: directory.to_owned(),
            command: with(command, &["-c", PANTALAIMON, "--data-path", "volume"]),
            ready: "/_matrix/client/versions",
            port,
            inner: None,
        })
    }

    /// Starts it without waiting, so that several can start side by side.
    ///
    /// # Errors
    /// When no process could be started.
    pub fn launch(&mut self) -> Result<(), WorldError> {
        self.process = Some(Guarded::spawn(Launch {
            name: self.name.to_owned(),
            command: self.command.clone(),
            directory: self.directory.clone(),
            log: self.directory.join("output.log"),
            stop_signal: "TERM",
            account: None,
        })?);
        Ok(())
    }

    /// Waits until it answers.
    ///
    /// # Errors
    /// When it is not running, ends, or does not answer in time; the error shows its log.
    pub fn wait_ready(&mut self) -> Result<(), WorldError> {
        let request = Request::get(self.port.number(), self.ready);
        let Some(process) = self.process.as_mut() else {
            return Err(WorldError::Missing {
                thing: format!("a running {}", self.name),
                remedy: "launch it before waiting for it".into(),
            });
        };
        let mut has_ended = false;
        let is_ready = wait::until(START_LIMIT, || {
            has_ended = process.has_ended();
            Ok(has_ended || request.send().is_ok_and(|answer| answer.status == 200))
        })?;
        if has_ended || !is_ready {
            return Err(process.not_ready(self.ready));
        }
        Ok(())
    }

    /// Kills it at once, as a power cut would.
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill();
        }
    }

    /// The port on 127.0.0.1 where it answers clients.
    pub fn port(&self) -> u16 {
        self.port.number()
    }

    /// The port where it answers its operators.
    pub fn inner_port(&self) -> u16 {
        self.inner.as_ref().map_or(self.port(), Port::number)
    }

    /// Its folder.
    pub fn directory(&self) -> &Path {
        &self.directory
    }
}

fn with(mut command: Vec<OsString>, words: &[&str]) -> Vec<OsString> {
    command.extend(words.iter().map(OsString::from));
    command
}

fn write(directory: &Path, name: &str, text: &str) -> Result<(), WorldError> {
    let path = directory.join(name);
    let doing = || format!("write {}", path.display());
    let folder = path.parent().unwrap_or(directory);
    fs::create_dir_all(folder).map_err(WorldError::io(doing()))?;
    fs::write(&path, text).map_err(WorldError::io(doing()))
}

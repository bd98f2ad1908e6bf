//! A real Synapse in a folder of its own.
//!
//! The configuration is meant to look like one that grew over years: some secrets inline, some in
//! files of their own, a second file in `conf.d`, an application service, templates outside the
//! main file. So what reads configurations meets all of these forms.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::child::{Guarded, Launch};
use crate::http::Request;
use crate::port::Port;
use crate::{Cluster, Role, Tools, WorldError, wait};

mod settings;

pub use settings::{APPSERVICE_TOKEN, REGISTRATION_SECRET};

const START_LIMIT: Duration = Duration::from_mins(2);

/// What a homeserver is to be.
#[derive(Debug, Clone)]
pub struct ServerOptions {
    /// Its name, the part after the colon in ids.
    pub server_name: String,
    /// Its database, which must exist before the start.
    pub database: String,
    /// The database of its state store, where that is one of its own.
    pub state_database: Option<String>,
    /// The role it logs in to the database as.
    pub role: Role,
}

/// A Synapse: its folder, its port, and its process while it runs.
#[derive(Debug)]
pub struct Homeserver {
    process: Option<Guarded>,
    port: Port,
    directory: PathBuf,
    options: ServerOptions,
    python: PathBuf,
}

impl Homeserver {
    /// Writes the configuration for a server in `directory` that uses a database of `cluster`.
    ///
    /// Keys, media and secrets that are already there are kept: the configuration is only made to
    /// fit the place and the ports. Nothing is started.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn prepare(
        tools: &Tools,
        directory: &Path,
        cluster: &Cluster,
        options: ServerOptions,
    ) -> Result<Self, WorldError> {
        let port = Port::claim()?;
        let place = settings::Place {
            directory,
            options: &options,
            port: port.number(),
            database_port: cluster.port(),
        };
        place.write()?;
        Ok(Self {
            process: None,
            port,
            directory: directory.to_owned(),
            options,
            python: tools.synapse_python(),
        })
    }

    /// Makes the signing key unless there is one.
    ///
    /// # Errors
    /// When Synapse's own program for it fails.
    pub fn make_signing_key(&self) -> Result<(), WorldError> {
        let path = self.signing_key();
        if path.exists() {
            return Ok(());
        }
        let output = Command::new(self.python.with_file_name("generate_signing_key"))
            .arg("-o")
            .arg(&path)
            .output()
            .map_err(WorldError::io("make a signing key"))?;
        if output.status.success() {
            return Ok(());
        }
        Err(WorldError::command("generate_signing_key", &output))
    }

    /// Starts the server and waits until it answers.
    ///
    /// # Errors
    /// When it ends early or does not answer in time; the error shows its log.
    pub fn start(&mut self) -> Result<(), WorldError> {
        self.launch()?;
        self.wait_ready(START_LIMIT)
    }

    /// Starts the server without waiting, for tests that expect it to refuse.
    ///
    /// # Errors
    /// When no process could be started.
    pub fn launch(&mut self) -> Result<(), WorldError> {
        let mut command: Vec<OsString> = vec![self.python.clone().into()];
        command.extend(["-m".into(), "synapse.app.homeserver".into()]);
        for path in self.config_paths() {
            command.extend(["-c".into(), path.into()]);
        }
        self.process = Some(Guarded::spawn(Launch {
            name: format!("Synapse {}", self.options.server_name),
            command,
            directory: self.directory.clone(),
            log: self.directory.join("output.log"),
            stop_signal: "TERM",
            account: None,
        })?);
        Ok(())
    }

    /// Waits until the server answers on its port.
    ///
    /// # Errors
    /// When it is not running, ends, or does not answer within `limit`.
    pub fn wait_ready(&mut self, limit: Duration) -> Result<(), WorldError> {
        let port = self.port();
        let Some(process) = self.process.as_mut() else {
            return Err(WorldError::Missing {
                thing: "a running Synapse".into(),
                remedy: "start it before waiting for it".into(),
            });
        };
        let mut ended = false;
        let ready = wait::until(limit, || {
            ended = process.has_ended();
            let answer = Request::get(port, "/health").send();
            Ok(ended || answer.is_ok_and(|answer| answer.status == 200))
        })?;
        if ended || !ready {
            return Err(process.not_ready("waited for /health"));
        }
        Ok(())
    }

    /// Stops the server in order.
    pub fn stop(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.stop();
        }
    }

    /// Kills the server at once.
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill();
        }
    }

    /// True while the server's process is there.
    pub fn is_running(&mut self) -> bool {
        self.process.as_mut().is_some_and(|process| !process.has_ended())
    }

    /// The name after the colon in its ids.
    pub fn server_name(&self) -> &str {
        &self.options.server_name
    }

    /// The name of its database.
    pub fn database(&self) -> &str {
        &self.options.database
    }

    /// The name of the database of its state store, where that is one of its own.
    pub fn state_database(&self) -> Option<&str> {
        self.options.state_database.as_deref()
    }

    /// The role it uses the database as.
    pub fn role(&self) -> &Role {
        &self.options.role
    }

    /// Its port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port.number()
    }

    /// Where clients reach it.
    pub fn base_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port())
    }

    /// Its folder.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// The main configuration file.
    pub fn config(&self) -> PathBuf {
        self.directory.join("homeserver.yaml")
    }

    /// All configuration paths in the order Synapse is given them: the main file, then `conf.d`.
    pub fn config_paths(&self) -> Vec<PathBuf> {
        vec![self.config(), self.directory.join("conf.d")]
    }

    /// The media store.
    pub fn media_store(&self) -> PathBuf {
        self.directory.join("media_store")
    }

    /// The file with the signing key.
    pub fn signing_key(&self) -> PathBuf {
        self.directory.join("keys/signing.key")
    }

    /// Lines of its log at level ERROR or CRITICAL, each with the lines that belong to it: what is
    /// wrong is in the last of them. That a metric is registered twice is left out: Synapse 1.163
    /// does that by itself now and then while it starts, on untouched databases too.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub fn errors_in_log(&self) -> Result<Vec<String>, WorldError> {
        let path = self.directory.join("homeserver.log");
        let log = fs::read(&path).map_err(WorldError::io(format!("read {}", path.display())))?;
        let log = String::from_utf8_lossy(&log);
        let mut found = grave(&log);
        found.retain(|line| !is_metric_twice(line));
        Ok(found)
    }
}

/// Whether an error is about a metric of Synapse's own caches that was there already.
fn is_metric_twice(error: &str) -> bool {
    let is_metric = error.contains(" - synapse.util.metrics - ") && !error.contains('\n');
    is_metric
        && error.contains("Metric named cache_lru_cache_")
        && error.contains(" already registered for server ")
}

/// What is grave in a log. A line that says no level goes with the one before.
fn grave(log: &str) -> Vec<String> {
    let levels = ["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"];
    let level = |line: &str| {
        let found = line.split(" - ").nth(3);
        levels.into_iter().find(|level| found == Some(level))
    };
    let mut found: Vec<String> = Vec::new();
    let mut is_grave = false;
    for line in log.lines() {
        if let Some(level) = level(line) {
            is_grave = level == "ERROR" || level == "CRITICAL";
            if is_grave {
                found.push(line.to_owned());
            }
        } else if is_grave && let Some(last) = found.last_mut() {
            last.push('\n');
            last.push_str(line);
        }
    }
    found
}

#[cfg(test)]
mod tests;

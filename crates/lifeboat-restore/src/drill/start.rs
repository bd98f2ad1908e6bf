//! The real Synapse, started on what a drill put back, cut off from the network, and asked.

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use lifeboat_engine::context::Context;
use lifeboat_engine::failure::Failure;
use lifeboat_live::ask::{self, Door};
use lifeboat_postgres::connect::Connector;
use lifeboat_suite::{
    CONFIG_WORD, Component as Installed, Drill, Practice, PracticeConfig, ReadOptions, key_fit,
    read_synapse,
};
use lifeboat_vault::backup::OpenBackup;

use super::cut_off::{CutOff, probe};
use crate::gate;
use crate::journal::StepDone;
use crate::report::why;
use crate::run::{self, RestoreRequest};

/// How long it may take to be well.
const START_LIMIT: Duration = Duration::from_mins(5);
/// How long to wait between two questions.
const PAUSE: Duration = Duration::from_millis(200);
/// Bytes that the path of a Unix socket may have.
const SOCKET_BYTES: usize = 107;

/// What came of a start.
pub(super) enum Came {
    /// Nothing was started, with the reason: it is not proven that it starts.
    Refused(String),
    /// It was started, and something is wrong.
    Wrong(Vec<String>),
    /// It was started and is right.
    Right(StepDone),
}

/// What is started.
pub(super) struct Start<'a> {
    pub(super) open: &'a OpenBackup,
    pub(super) restore: &'a RestoreRequest,
    pub(super) drill: &'a Drill,
    /// The folder of the drill.
    pub(super) folder: &'a Path,
    /// The component.
    pub(super) component: &'a str,
    /// Our environment.
    pub(super) environment: &'a [(String, String)],
}

/// What it is started with.
struct Prepared {
    config: PathBuf,
    socket: PathBuf,
    made: PracticeConfig,
    /// The way to the main database, as we take it.
    main: Connector,
}

impl Start<'_> {
    /// Starts Synapse on the copy, waits until it is well, asks it, and kills it.
    ///
    /// # Errors
    /// [`Failure`] when the drill was stopped.
    pub(super) async fn run(&self, cx: &Context) -> Result<Came, Failure> {
        let Some(words) = &self.drill.synapse else { return Ok(Came::Right(StepDone::default())) };
        if let Err(why) = probe(self.environment) {
            return Ok(Came::Refused(format!("egress is possible, so nothing was started: {why}")));
        }
        let prepared = match self.prepare(cx).await {
            Ok(prepared) => prepared,
            Err(refused) => return Ok(Came::Refused(refused)),
        };
        let config = prepared.config.to_string_lossy();
        let words: Vec<String> =
            words.iter().map(|word| word.replace(CONFIG_WORD, &config)).collect();
        let workdir =
            if prepared.made.workdir.is_dir() { &prepared.made.workdir } else { self.folder };
        let log = self.folder.join("synapse.log");
        let begun = (cx.now)();
        let started = CutOff::start(&words, (workdir, &log), self.environment);
        let mut started = match started {
            Ok(started) => started,
            Err(e) => return Ok(Came::Wrong(vec![format!("`{}`: {e}", words.join(" "))])),
        };
        if let Err(reasons) = well(cx, &mut started, &prepared.socket).await? {
            return Ok(Came::Wrong(reasons));
        }
        let seconds = (cx.now)() - begun;
        let mut done = StepDone { seconds, ..StepDone::default() };
        done.lines.push(format!("it was well after {seconds} s, cut off from the network"));
        if !prepared.made.left_out.is_empty() {
            let names = prepared.made.left_out.join(", ");
            done.lines.push(format!("left out of its configuration: {names}"));
        }
        let mut wrong = Vec::new();
        match keys(&prepared) {
            Ok(line) => done.lines.push(line),
            Err(reason) => wrong.push(reason),
        }
        self.clients(cx, &prepared, (&mut done, &mut wrong)).await;
        if wrong.is_empty() {
            return Ok(Came::Right(done));
        }
        Ok(Came::Wrong(wrong))
    }

    /// Asks as clients with tokens of before.
    async fn clients(
        &self,
        cx: &Context,
        prepared: &Prepared,
        (done, wrong): (&mut StepDone, &mut Vec<String>),
    ) {
        if self.open.manifest().components.iter().any(|component| component.kind == "mas") {
            // MAS knows the tokens, and is not started.
            done.gaps.push("MAS was not started, so nobody asked with an old token".to_owned());
            return;
        }
        let mut asked = StepDone::default();
        let at = Door::Socket(&prepared.socket);
        match gate::ask(cx, &prepared.main, (at, "its socket"), &mut asked).await {
            Ok(()) => {
                done.lines.extend(asked.lines);
                wrong.extend(asked.gaps);
            }
            Err(failure) => wrong.push(why(&failure).join(": ")),
        }
    }

    /// Writes the configuration; why it cannot be started where it cannot.
    async fn prepare(&self, cx: &Context) -> Result<Prepared, String> {
        let told = |failure: Failure| why(&failure).join(": ");
        let installation = run::installation(cx, self.open, self.restore).map_err(told)?;
        let installed = installation.component(self.component);
        let installed = installed.ok_or("lifeboat.yaml does not name it")?;
        let socket = self.folder.join("synapse.sock");
        if socket.as_os_str().len() > SOCKET_BYTES {
            return Err(format!(
                "{} is too long for the path of a socket: name a shorter `state:`",
                socket.display()
            ));
        }
        let made = self.configuration(installed, &socket)?;
        let copies = run::databases(cx, self.open, self.restore).map_err(told)?;
        let own = copies.into_iter().filter(|(component, _, _)| component == self.component);
        let own: Vec<_> = own.collect();
        for target in &made.databases {
            if !own.iter().any(|(_, _, connector)| connector.database() == target.dbname) {
                return Err(format!(
                    "homeserver.yaml names another database than lifeboat.yaml: {} is no copy",
                    target.dbname
                ));
            }
            let connector = target.connector().map_err(|e| e.to_string())?;
            if let Err(error) = connector.connect().await {
                let cause = std::error::Error::source(&error).map(ToString::to_string);
                return Err(format!("{error}: {}", cause.unwrap_or_default()));
            }
        }
        let main = own.into_iter().find(|(_, database, _)| database == "main");
        let (_, _, main) = main.ok_or("it has no main database of PostgreSQL")?;
        let config = self.folder.join("homeserver.yaml");
        let written = write(&config, &made.text);
        written.map_err(|e| format!("cannot write {}: {e}", config.display()))?;
        fs::create_dir_all(&made.media_store)
            .map_err(|e| format!("cannot make {}: {e}", made.media_store.display()))?;
        Ok(Prepared { config, socket, made, main })
    }

    /// The configuration of the copy, from the files that were put back.
    fn configuration(
        &self,
        installed: &Installed,
        socket: &Path,
    ) -> Result<PracticeConfig, String> {
        let targets = &self.restore.targets;
        let copies = installed.config.iter().map(|path| targets.installed(path));
        let copies: Vec<PathBuf> = copies.filter(|path| path.exists()).collect();
        let options = ReadOptions::of(&installed.workdir);
        let config = read_synapse(&copies, &options)
            .map_err(|e| format!("the homeserver.yaml that was put back: {e}"))?;
        let practice = Practice {
            root: targets.root.as_deref().unwrap_or(Path::new("/")),
            listener: socket,
            suffix: targets.suffix.as_deref().unwrap_or_default(),
            socket: self.drill.postgres_socket.as_deref(),
            around: &targets.around,
        };
        config.for_practice(&practice).map_err(|error| {
            let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}"));
            let remedy = "give drill.postgres_socket in lifeboat.yaml";
            format!("{error}{}; {remedy}", cause.unwrap_or_default())
        })
    }
}

/// Waits until it is well; what it said where it is not.
async fn well(
    cx: &Context,
    started: &mut CutOff,
    socket: &Path,
) -> Result<Result<(), Vec<String>>, Failure> {
    let begun = (cx.now)();
    let limit = i64::try_from(START_LIMIT.as_secs()).unwrap_or(i64::MAX);
    loop {
        cx.go_on()?;
        let ended = started.ended();
        let at = socket.to_owned();
        let asked = tokio::task::spawn_blocking(move || ask::is_well(Door::Socket(&at))).await;
        if asked.unwrap_or_default() {
            return Ok(Ok(()));
        }
        let what = match ended {
            Ok(Some(status)) => format!("it ended with {status}"),
            Err(e) => format!("it cannot be waited for: {e}"),
            Ok(None) if (cx.now)() - begun > limit => format!("it is not well after {limit} s"),
            Ok(None) => {
                tokio::time::sleep(PAUSE).await;
                continue;
            }
        };
        return Ok(Err([vec![what], started.said()].concat()));
    }
}

/// Whether it tells others the signing keys of the backup.
fn keys(prepared: &Prepared) -> Result<String, String> {
    let options = ReadOptions::of(&prepared.made.workdir);
    let config = read_synapse(std::slice::from_ref(&prepared.config), &options);
    let config = config.map_err(|e| format!("the configuration of the copy: {e}"))?;
    let own = config.signing_keys().map_err(|e| format!("the signing key of the backup: {e}"))?;
    let told = ask::published_keys(Door::Socket(&prepared.socket))
        .map_err(|e| format!("it does not tell its keys: {e}"))?;
    let is_told =
        |key| told.iter().any(|(id, public)| key_fit::published_key(key, id, public).is_ok());
    if own.is_empty() || !own.iter().all(is_told) {
        return Err("it tells other keys than the signing key of the backup".to_owned());
    }
    Ok("it tells others the signing key of the backup".to_owned())
}

/// A file for us alone.
fn write(path: &Path, text: &str) -> io::Result<()> {
    let mut how = fs::OpenOptions::new();
    let mut file = how.write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes())
}

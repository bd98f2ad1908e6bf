//! The fence: while data is put back nobody may reach Synapse or MAS. An answer of 401 from an
//! empty database makes clients drop their keys.

use std::io::Read;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use lifeboat_engine::context::Context;
use lifeboat_engine::failure::Failure;
use lifeboat_live::ask;
use lifeboat_live::health;
use lifeboat_suite::{Component, Kind, read_synapse};

/// How long a command may take.
const COMMAND_LIMIT: Duration = Duration::from_mins(10);
/// How long a component may take to be well after its start.
const START_LIMIT: Duration = Duration::from_mins(3);
/// How long to wait between two questions.
const PAUSE: Duration = Duration::from_millis(500);
/// Bytes of a command's complaints that are read.
const COMPLAINT_BYTES: u64 = 64 << 10;
/// Lines of a command's words that an error repeats.
const COMPLAINT_LINES: usize = 5;

/// Variables that commands of the operator get, as pairs.
pub type Passed = [(String, String)];

/// Stops a component, where it says how, and sees that it does not answer.
///
/// # Errors
/// [`Failure`] when the command fails, or the component still answers.
pub async fn down(component: &Component, passed: &Passed) -> Result<String, Failure> {
    let said = match &component.commands.stop {
        Some(words) => {
            command((component, passed), "stop", words).await?;
            format!("{} was stopped", component.name)
        }
        None => format!("{}: no command to stop it", component.name),
    };
    match answering(component).await {
        None => Ok(said),
        Some(place) => Err(Failure::failed(
            format!("{} answers at {place}", component.name),
            "stop it (and whatever starts it again), then run the same command again: clients that \
             are told 401 by a half-restored server drop their keys",
        )),
    }
}

/// Starts a component and waits until it is well.
///
/// # Errors
/// [`Failure`] when the command fails or it is not well in time.
pub async fn up(
    cx: &Context,
    component: &Component,
    passed: &Passed,
) -> Result<Option<String>, Failure> {
    let Some(words) = &component.commands.start else { return Ok(None) };
    command((component, passed), "start", words).await?;
    let limit = START_LIMIT.as_secs();
    let well = async {
        loop {
            cx.go_on()?;
            if is_well(component, passed).await {
                return Ok::<(), Failure>(());
            }
            tokio::time::sleep(PAUSE).await;
        }
    };
    match tokio::time::timeout(START_LIMIT, well).await {
        Ok(well) => well.map(|()| Some(format!("{} runs", component.name))),
        Err(_) => Err(Failure::failed(
            format!("{} was started and is not well after {limit} s", component.name),
            "look at its log, then run the same command again",
        )),
    }
}

/// Whether a component is well, as far as anybody said how to ask.
async fn is_well(component: &Component, passed: &Passed) -> bool {
    if let Some(url) = &component.commands.health_url {
        return health::is_well(url).await;
    }
    if let Some(words) = &component.commands.health {
        return command((component, passed), "health", words).await.is_ok();
    }
    match component.kind {
        Kind::Synapse => answering(component).await.is_some(),
        _ => true,
    }
}

/// Where a component answers, if it does.
pub async fn answering(component: &Component) -> Option<String> {
    // One that is not well may answer all the same, so this is not the last word on a Synapse.
    if let Some(url) = &component.commands.health_url
        && health::is_well(url).await
    {
        return Some(url.clone());
    }
    if component.kind != Kind::Synapse {
        return None;
    }
    let port = synapse_port(component).await?;
    Some(format!("port {port}"))
}

/// The port on this machine at which the component's Synapse answers.
pub async fn synapse_port(component: &Component) -> Option<u16> {
    let (paths, options) = (component.config.clone(), component.read_options());
    let asking = move || {
        let config = read_synapse(&paths, &options).ok()?;
        let listeners = config.kept.settings.get("listeners")?.as_array()?.clone();
        let ports = listeners.iter().filter_map(|listener| listener.get("port")?.as_u64());
        let mut ports = ports.filter_map(|port| u16::try_from(port).ok());
        ports.find(|port| ask::answers(*port))
    };
    tokio::task::spawn_blocking(asking).await.ok().flatten()
}

/// Runs a command of the operator. It gets nothing of our environment but `passed`: the rest may
/// hold the keys of a bucket.
async fn command(
    (component, passed): (&Component, &Passed),
    word: &str,
    words: &[String],
) -> Result<(), Failure> {
    let shown = words.join(" ");
    let failed = |why: String| {
        Failure::failed(
            format!("cannot {word} {}: `{shown}` {why}", component.name),
            "correct `commands:` in lifeboat.yaml, or do it by hand and leave them out",
        )
    };
    let Some((program, rest)) = words.split_first() else { return Ok(()) };
    let mut command = Command::new(program);
    command
        .args(rest)
        .env_clear()
        .envs(passed.iter().cloned())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    let child = command.spawn().map_err(|e| failed("could not be run".to_owned()).because(e))?;
    let ended = tokio::time::timeout(COMMAND_LIMIT, ended(Running(child))).await;
    let ended = ended.map_err(|_| failed("took too long".to_owned()))?;
    let (status, said) =
        ended.map_err(|e| failed("could not be waited for".to_owned()).because(e))?;
    if status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&said);
    let lines: Vec<&str> = said.lines().rev().take(COMPLAINT_LINES).collect();
    let said: Vec<&str> = lines.into_iter().rev().collect();
    Err(failed(format!("ended with {status}: {}", said.join("; "))))
}

/// Ends the program when nobody waits for it any more.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // Both fail only when it has ended and was waited for.
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

/// How a program ended, and the first of what it complained.
async fn ended(mut running: Running) -> std::io::Result<(ExitStatus, Vec<u8>)> {
    let complaints = running.0.stderr.take();
    let reading = tokio::task::spawn_blocking(move || {
        let mut said = Vec::new();
        if let Some(pipe) = complaints {
            pipe.take(COMPLAINT_BYTES).read_to_end(&mut said).ok();
        }
        said
    });
    loop {
        if let Some(status) = running.0.try_wait()? {
            // What it started and left behind may hold the pipe open: it is not waited for.
            let said = tokio::time::timeout(PAUSE, reading).await;
            return Ok((status, said.ok().and_then(Result::ok).unwrap_or_default()));
        }
        tokio::time::sleep(PAUSE / 10).await;
    }
}

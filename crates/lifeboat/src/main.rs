//! The `lifeboat` command: reads the command line, asks the engine, shows what came of it.
//!
//! Time, chance, the environment and signals enter here and travel on as values. Nothing is decided
//! here: every verb is the engine's.

mod commands;
mod screen;
mod secrets;
mod signals;
mod size;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::SystemTime;

use clap::Parser;
use lifeboat_engine::context::{Context, Stop};
use lifeboat_engine::failure::Failure;
use rustix::process::{Resource, Rlimit, setrlimit};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::watch;

use commands::{Command, CommandLine, Ended, Session};
use screen::Screen;

fn main() -> ExitCode {
    refuse_core_dumps();
    let line = match CommandLine::try_parse() {
        Ok(line) => line,
        Err(refusal) => return screen::show_usage(&refusal, std::env::args_os().skip(1)),
    };
    let screen = Arc::new(Screen::new(line.look));
    match run(line.command, &screen) {
        Ok(ended) => screen.show_end(&ended),
        Err(failure) => screen.show_failure(&failure),
    }
}

fn run(command: Command, screen: &Arc<Screen>) -> Result<Ended, Failure> {
    match command {
        Command::Keygen(flags) => commands::keygen::run(&flags, screen),
        Command::Completions(flags) => commands::manual::complete(&flags, screen),
        Command::Man(flags) => commands::manual::pages(&flags),
        verb => {
            let runtime = runtime()?;
            let ended = runtime.block_on(async {
                let session = session(screen)?;
                match verb {
                    Command::Export(flags) => {
                        Box::pin(commands::export::run(&session, flags)).await
                    }
                    Command::Import(flags) => {
                        Box::pin(commands::import::run(&session, *flags)).await
                    }
                    Command::Restore(flags) => {
                        Box::pin(commands::restore::run(&session, flags)).await
                    }
                    Command::Drill(flags) => Box::pin(commands::drill::run(&session, flags)).await,
                    Command::Report(flags) => {
                        Box::pin(commands::report::run(&session, flags)).await
                    }
                    Command::Backup(flags) => {
                        Box::pin(commands::backup::run(&session, flags)).await
                    }
                    Command::Inspect(flags) => {
                        Box::pin(commands::inspect::run(&session, flags)).await
                    }
                    Command::Unpack(flags) => {
                        Box::pin(commands::unpack::run(&session, flags)).await
                    }
                    Command::Render(flags) => {
                        Box::pin(commands::render::run(&session, flags)).await
                    }
                    Command::Verify(flags) => {
                        Box::pin(commands::verify::run(&session, flags)).await
                    }
                    Command::Config(flags) => commands::config::run(&session, &flags),
                    Command::Doctor(flags) => {
                        Box::pin(commands::doctor::run(&session, &flags)).await
                    }
                    Command::Components(flags) => commands::components::run(&session, &flags),
                    Command::Schedule(flags) => commands::schedule::run(&session, &flags),
                    Command::Keygen(_) | Command::Completions(_) | Command::Man(_) => {
                        unreachable!("the match above has taken these")
                    }
                }
            });
            // The verb is over; what still blocks a thread is of no use to anybody.
            runtime.shutdown_background();
            ended
        }
    }
}

fn runtime() -> Result<Runtime, Failure> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    // Each thread keeps memory it once used: a few are enough for what compresses, hashes and
    // reads.
    let mut builder = Builder::new_multi_thread();
    builder.worker_threads(cores.max(2)).max_blocking_threads(cores.max(2) + 2).enable_all();
    builder.build().map_err(|e| {
        Failure::failed("cannot start threads", "check the limits of this process").because(e)
    })
}

/// Everything a verb takes from the world around it.
fn session(screen: &Arc<Screen>) -> Result<Session, Failure> {
    let (sender, stop) = watch::channel(Stop::Go);
    signals::listen(sender, Arc::clone(screen))
        .map_err(|e| Failure::failed("cannot listen to signals", "").because(e))?;
    let shown = Arc::clone(screen);
    let context = Context {
        report: Arc::new(move |event| shown.show_event(event)),
        stop,
        // A clock that is past the year 9999 stands at its end.
        now: || {
            let now = jiff::Timestamp::try_from(SystemTime::now());
            now.unwrap_or(jiff::Timestamp::MAX).as_second()
        },
        entropy: |buffer| {
            aws_lc_rs::rand::fill(buffer).expect("the operating system gives random bytes");
        },
        generator: concat!("lifeboat ", env!("CARGO_PKG_VERSION")).to_owned(),
    };
    // What is not UTF-8 cannot be a setting of ours.
    let environment = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    let environment = at_home(environment.collect(), std::env::home_dir());
    let folder = std::env::current_dir().map_err(|e| {
        Failure::failed("cannot tell where we are", "change into a folder that exists").because(e)
    })?;
    Ok(Session { context, environment, folder })
}

/// A service of the system has no `HOME`; its user has one all the same, with `~/.pgpass` in it.
fn at_home(mut environment: Vec<(String, String)>, home: Option<PathBuf>) -> Vec<(String, String)> {
    let home = home.and_then(|home| home.into_os_string().into_string().ok());
    if let Some(home) = home
        && !environment.iter().any(|(name, _)| name == "HOME")
    {
        environment.push(("HOME".to_owned(), home));
    }
    environment
}

/// Keys are in memory; a crash must not write them to disk.
fn refuse_core_dumps() {
    // Where the system does not let us, nothing is lost but this care.
    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) }).ok();
}

#[cfg(test)]
mod tests;

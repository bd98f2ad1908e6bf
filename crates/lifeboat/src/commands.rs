//! The command line: one file a command. Each reads its flags, asks the engine once, and turns the
//! outcome into lines for people and a value for machines.

pub(crate) mod backup;
pub(crate) mod components;
pub(crate) mod config;
pub(crate) mod doctor;
pub(crate) mod drill;
pub(crate) mod export;
pub(crate) mod import;
pub(crate) mod inspect;
mod installation;
pub(crate) mod keygen;
pub(crate) mod manual;
pub(crate) mod render;
pub(crate) mod report;
mod restart;
pub(crate) mod restore;
pub(crate) mod schedule;
pub(crate) mod unpack;
pub(crate) mod verify;

mod selection;
mod server;
mod story;
#[cfg(test)]
mod tests;
mod vault;

use std::path::PathBuf;

use lifeboat_engine::context::{Context, Stop};
use lifeboat_engine::failure::Failure;
use serde::Serialize;
use serde_json::Value;

use crate::screen::Look;

/// Takes the data of a Matrix server out as one sealed package, backs up the suite around it, and
/// puts both back.
#[derive(Debug, clap::Parser)]
#[command(name = "lifeboat", version, after_help = EXAMPLES, max_term_width = 100)]
pub(crate) struct CommandLine {
    #[command(subcommand)]
    pub(crate) command: Command,
    #[command(flatten)]
    pub(crate) look: Look,
}

const EXAMPLES: &str = "\
Examples:
  lifeboat keygen -o identity.txt
  lifeboat export --synapse /etc/matrix-synapse/homeserver.yaml -r age1… -o server.lifeboat
  lifeboat verify server.lifeboat -i identity.txt
  lifeboat import server.lifeboat -i identity.txt --synapse homeserver.yaml
  lifeboat config example > lifeboat.yaml; lifeboat backup run -c lifeboat.yaml
  lifeboat restore plan --vault s3://bucket/vault -i identity.txt

Exit codes:
  0  done           2  the command line makes no sense     4  the package is not valid
  1  failed         3  done, with gaps that are listed     130  stopped on request";

/// What to do.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    Keygen(keygen::KeygenFlags),
    Export(export::ExportFlags),
    Inspect(inspect::InspectFlags),
    Verify(verify::VerifyFlags),
    Unpack(unpack::UnpackFlags),
    Render(render::RenderFlags),
    Import(Box<import::ImportFlags>),
    Backup(backup::BackupFlags),
    Restore(restore::RestoreFlags),
    Drill(drill::DrillFlags),
    Report(report::ReportFlags),
    Config(config::ConfigFlags),
    Doctor(doctor::DoctorFlags),
    Components(components::ComponentsFlags),
    Schedule(schedule::ScheduleFlags),
    Completions(manual::CompletionsFlags),
    Man(manual::ManFlags),
}

/// What a verb is given besides its request.
pub(crate) struct Session {
    pub(crate) context: Context,
    pub(crate) environment: Vec<(String, String)>,
    /// Where we were called; relative paths begin there.
    pub(crate) folder: PathBuf,
}

/// How a command ended that did not fail.
pub(crate) struct Ended {
    pub(crate) command: &'static str,
    pub(crate) outcome: Value,
    pub(crate) lines: Vec<String>,
    pub(crate) exit: Exit,
}

/// The exit codes of a command that did not fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// 0.
    Done,
    /// 1: done, and what was examined or practised fails.
    WouldFail,
    /// 3: done, and something is missing.
    WithGaps,
    /// 4: the package is not what it should be.
    NotValid,
}

impl Exit {
    pub(crate) fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::WouldFail => 1,
            Self::WithGaps => 3,
            Self::NotValid => 4,
        }
    }

    /// By the number of gaps.
    pub(crate) fn with_gaps(gaps: u64) -> Self {
        if gaps == 0 { Self::Done } else { Self::WithGaps }
    }
}

impl Ended {
    pub(crate) fn new(
        command: &'static str,
        outcome: &impl Serialize,
        lines: Vec<String>,
        exit: Exit,
    ) -> Self {
        let outcome = serde_json::to_value(outcome).expect("outcomes have string keys only");
        Self { command, outcome, lines, exit }
    }
}

impl Session {
    /// Runs a verb that leaves nothing behind wherever it ends.
    async fn until_stopped<T>(
        &self,
        verb: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        tokio::select! {
            ended = verb => ended,
            stop = self.context.stopped() => {
                let word = if stop == Stop::Cancel { "cancelled" } else { "stopped" };
                Err(Failure::stopped(word, "run the command again"))
            }
        }
    }
}

//! Export: pours a whole Synapse into a sealed package; the seal, written last, makes it real.

pub mod begin;
pub mod estimate;
pub mod finished;
pub mod lanes;
pub mod recheck;
pub mod sealing;
pub mod source;

use std::path::PathBuf;

use lifeboat_package::flow::Gap;
use lifeboat_package::manifest::Gaps;
use lifeboat_package::selection::Selection;
use lifeboat_storage::Access;
use serde::Serialize;

use crate::context::{Context, Stop};
use crate::failure::{Code, Failure};
use crate::keyring::Recipients;
use crate::server::ServerRequest;
use crate::writer::sink::ToPackage;
use crate::writer::stopped;

use self::begin::Begun;
use self::source::Source;

pub use self::estimate::{Estimate, ExportPlan, estimate, plan};
pub use self::source::media_files;

/// What to export, where to, for whom.
pub struct ExportRequest {
    /// The server.
    pub server: ServerRequest,
    /// Who can open the package.
    pub recipients: Recipients,
    /// File, folder or bucket.
    pub target: String,
    /// What to take.
    pub selection: Selection,
    /// Sessions that read in parallel.
    pub lanes: usize,
    /// zstd level.
    pub level: i32,
    /// Bytes at which the next volume is begun.
    pub volume_bytes: u64,
    /// The journal instead of the one beside the target.
    pub journal: Option<PathBuf>,
    /// The backup of which the server is a copy.
    pub of_backup: Option<OfBackup>,
}

/// A backup that was put back to be exported.
#[derive(Debug, Clone)]
pub struct OfBackup {
    /// Its package id.
    pub backup: String,
    /// The moment it holds: RFC 3339, UTC.
    pub recovery_point: String,
}

/// How an export ended.
#[derive(Debug, Clone, Serialize)]
pub struct ExportOutcome {
    /// Package id.
    pub package: String,
    /// Where it is.
    pub target: String,
    /// Server.
    pub server_name: String,
    /// Sealed bytes of all volumes.
    pub size_bytes: u64,
    /// Volumes.
    pub volumes: u64,
    /// Volumes that an earlier run had finished.
    pub volumes_resumed: u64,
    /// Rooms.
    pub rooms: u64,
    /// Events.
    pub events: u64,
    /// Rows of all tables.
    pub rows: u64,
    /// Media files, and the distinct contents among them.
    pub media_files: u64,
    /// Snapshots the rows were read under.
    pub cuts: u64,
    /// Who signed the manifest: server name and key id; none when no signing key could be read.
    pub signed_by: Option<String>,
    /// What is missing or was left out.
    pub gaps: Gaps,
    /// Seconds it took.
    pub seconds: i64,
    /// The estimate of the package's size divided by its size, in percent.
    pub estimate_percent: u64,
}

/// Exports.
///
/// # Errors
/// [`Failure`]; what was written stays for the next run, unless the stop was a cancel.
pub async fn export(cx: &Context, request: ExportRequest) -> Result<ExportOutcome, Failure> {
    let access = Access::new(request.server.environment.iter().cloned());
    let failure = match Box::pin(run(cx, &request, &access)).await {
        Err(failure) if failure.code == Code::Stopped => failure,
        outcome => return outcome,
    };
    if *cx.stop.borrow() == Stop::Pause {
        return Err(failure);
    }
    begin::clean_up(&request, &access).await?;
    Err(Failure::stopped(
        "cancelled; nothing was left behind",
        "run the command again to begin anew",
    ))
}

/// Work that only reads, and so may be dropped anywhere, until a stop.
async fn unless_stopped<T>(
    cx: &Context,
    work: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    tokio::select! {
        done = work => done,
        _ = cx.stopped() => Err(stopped()),
    }
}

async fn run(
    cx: &Context,
    request: &ExportRequest,
    access: &Access,
) -> Result<ExportOutcome, Failure> {
    let began = (cx.now)();
    if let Some(outcome) = finished::find(cx, request, access).await? {
        return Ok(outcome);
    }
    let mut source = unless_stopped(cx, Box::pin(Source::open(cx, request))).await?;
    let Begun { writer, cut, resumed, earlier_parts } =
        begin::begin(cx, request, access, &mut source).await?;
    let estimated = estimate::package_bytes(&source);
    let todo = source.todo(&earlier_parts);
    let (to, receiver) = ToPackage::open(cx, request.lanes, request.level);
    let run = u32::try_from(cut.len()).unwrap_or(u32::MAX);
    let pouring =
        lanes::pour_all(cx, &source, todo, lanes::Setting { to, run, lanes: request.lanes });
    let pouring = unless_stopped(cx, pouring);
    let (writer, poured) = tokio::join!(writer.run(cx, receiver), pouring);
    // The writer's error is the cause when both failed: lanes then only say that it is gone.
    let writer = writer?;
    poured?;
    let outcome = sealing::commit(cx, &source, writer, cut).await?;
    let size = outcome.size_bytes.max(1);
    Ok(ExportOutcome {
        target: request.target.clone(),
        volumes_resumed: resumed,
        seconds: (cx.now)() - began,
        estimate_percent: estimated * 100 / size,
        ..outcome
    })
}

/// A gap that the result lists.
pub(crate) fn gap(kind: &str, object: &str, detail: &str, remedy: &str) -> Gap {
    Gap {
        kind: kind.to_owned(),
        object: object.to_owned(),
        detail: detail.to_owned(),
        remedy: remedy.to_owned(),
    }
}

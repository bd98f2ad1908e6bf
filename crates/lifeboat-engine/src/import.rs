//! Import: a whole server from a package into an empty database and its media store.
//!
//! The mirror image of [`crate::export`]: read → check → plan → apply → activate. Everything is
//! checked before anything is written, and the server is not startable before everything is there.

pub mod activate;
pub mod check;
pub mod databases;
pub mod load;
pub mod place;
pub mod report;
pub mod synapse_version;
pub mod trust;

use std::path::PathBuf;
use std::sync::atomic::AtomicBool;

use futures_util::future::try_join;
use lifeboat_components::synapse::fixups::FixupLine;
use lifeboat_components::synapse::write::foresee::{Refusals, refusals as refusals_of};
use lifeboat_components::synapse::write::target;
use serde::Serialize;

use crate::context::{Context, Stop};
use crate::failure::Failure;
use crate::keyring::Identities;
use crate::server::ServerRequest;

use self::check::Checked;

pub use self::report::{ImportReport, verify};

/// How far sequences are raised when nobody says otherwise.
pub const SEQUENCE_MARGIN: u64 = 1_000_000;

/// What to import, and into what.
pub struct ImportRequest {
    /// File, folder or bucket.
    pub package: String,
    /// What opens it.
    pub identities: Identities,
    /// The target.
    pub server: ServerRequest,
    /// Sessions that write in parallel.
    pub lanes: usize,
    /// A signer to accept though the target's own key did not sign: its public key, or its name.
    pub accept_signer: Option<String>,
    /// Public keys to trust, each `<server> <key id> <base64>`.
    pub trusted_keys: Vec<String>,
    /// Import a package without a signature.
    pub accept_unsigned: bool,
    /// How far sequences are raised.
    pub margin: u64,
    /// The Python that Synapse runs with, to ask it for its schema version.
    pub synapse_python: Option<PathBuf>,
}

/// What an import would do: the dry run.
#[derive(Debug, Clone, Serialize)]
pub struct ImportPlan {
    /// Server.
    pub server_name: String,
    /// Package id.
    pub package: String,
    /// Who signed it, and why that is trusted.
    pub trust: String,
    /// Database and where it is.
    pub database: String,
    /// Whether the database would be made.
    pub creates_database: bool,
    /// Whether what an earlier import left would be cleared away.
    pub clears: bool,
    /// Tables with rows, and rows.
    pub tables: u64,
    /// Rows.
    pub rows: u64,
    /// Media store.
    pub media_store: String,
    /// Media records.
    pub media_parts: u64,
    /// Configuration files: path and what would happen.
    pub config_files: Vec<(String, String)>,
    /// What differs between packaged and target configuration.
    pub warnings: Vec<String>,
    /// Gaps of the package.
    pub gaps: u64,
}

/// How an import ended.
#[derive(Debug, Clone, Default, Serialize)]
pub struct ImportOutcome {
    /// Server.
    pub server_name: String,
    /// Package id.
    pub package: String,
    /// Who signed it, and why that is trusted.
    pub trust: String,
    /// Database and where it is.
    pub database: String,
    /// Tables.
    pub tables: u64,
    /// Rows.
    pub rows: u64,
    /// Media files written.
    pub media_written: u64,
    /// Media files that were there already.
    pub media_equal: u64,
    /// Configuration files written.
    pub config_written: Vec<String>,
    /// What was done so that no message is lost, line by line.
    pub fixups: Vec<FixupLine>,
    /// What differs or could not be done.
    pub warnings: Vec<String>,
    /// Gaps of the package, and of this import.
    pub gaps: u64,
    /// Seconds it took.
    pub seconds: i64,
    /// What to do next.
    pub next: Vec<String>,
}

/// Says what [`import`] would do, and changes nothing.
///
/// # Errors
/// [`Failure`] for whatever would keep the import from beginning.
pub async fn plan(cx: &Context, request: &ImportRequest) -> Result<ImportPlan, Failure> {
    let checked = check::check(cx, request).await?;
    let mut plan = checked.plan();
    plan.warnings.extend(foreseen(&checked).await?);
    Ok(plan)
}

/// What the target would refuse of what is not Synapse's.
async fn foreseen(checked: &check::Checked) -> Result<Vec<String>, Failure> {
    let contents = check::Contents::read(&checked.package).await?;
    let statements = load::read_schema(checked, &contents).await?;
    let mut refusals = Refusals::new();
    for database in checked.databases.iter().filter(|database| database.fitness.is_some()) {
        let held: Vec<_> = statements.iter().filter(|s| database.holds.statement(s)).collect();
        let session = database.session().await?;
        let found = refusals_of(&session, &held, &checked.package.manifest.tables).await;
        refusals.extend(found.map_err(check::database_fault)?);
    }
    let told = |(object, why): (String, String)| {
        format!("{object}, which is not Synapse's, will be left out: {why}")
    };
    Ok(refusals.into_iter().map(told).collect())
}

/// Imports.
///
/// # Errors
/// [`Failure`]; the target is then empty, or half-filled in a way that keeps Synapse from starting.
pub async fn import(cx: &Context, request: ImportRequest) -> Result<ImportOutcome, Failure> {
    let began = (cx.now)();
    let checked = check::check(cx, &request).await?;
    let touched = AtomicBool::new(false);
    let media = place::MediaProgress::new(cx, &checked);
    let stop = tokio::select! {
        outcome = apply(cx, &request, &checked, (&touched, &media)) => {
            let seconds = (cx.now)() - began;
            return outcome.map(|outcome| ImportOutcome { seconds, ..outcome });
        }
        stop = cx.stopped() => stop,
    };
    media.settled().await;
    if !touched.into_inner() {
        let remedy = "run the command again to begin anew";
        return Err(Failure::stopped("stopped before the database was touched", remedy));
    }
    if stop == Stop::Cancel {
        for database in &checked.databases {
            let session = database.session().await?;
            target::clear(&session).await.map_err(check::database_fault)?;
        }
        let remedy = "run the command again to begin anew; media files that were written stay";
        return Err(Failure::stopped("cancelled; the database was cleared", remedy));
    }
    Err(Failure::stopped(
        "stopped before the server was whole; Synapse will not start on it",
        "run the same command again: it clears away what is there and begins anew",
    ))
}

async fn apply(
    cx: &Context,
    request: &ImportRequest,
    checked: &Checked,
    (touched, progress): (&AtomicBool, &place::MediaProgress<'_>),
) -> Result<ImportOutcome, Failure> {
    let mut outcome = ImportOutcome {
        server_name: checked.package.manifest.metadata.server_id.clone(),
        package: checked.package.manifest.package.to_string(),
        trust: checked.trust.clone(),
        database: checked.database(),
        warnings: checked.warnings.clone(),
        gaps: checked.package.manifest.gaps.total,
        ..ImportOutcome::default()
    };
    // Secrets first: a server that starts without its keys makes new ones.
    place::config(checked, &mut outcome)?;
    let contents = check::Contents::read(&checked.package).await?;
    let run = format!("{:016x}", u64::from_be_bytes(cx.random()));
    let prepared = load::prepare(checked, &contents, (&run, touched)).await?;
    let database = async {
        let loaded = load::rows(cx, request, checked, (&contents, &prepared.left_out)).await?;
        outcome.rows = loaded.values().sum();
        outcome.tables = loaded.values().filter(|rows| **rows > 0).count() as u64;
        load::after_rows(cx, request, checked, &prepared, &mut outcome).await?;
        progress.show();
        Ok(())
    };
    let media = place::media(progress, request, checked, &contents);
    let ((), media) = try_join(database, media).await?;
    media.add_to(&mut outcome);
    activate::activate(cx, request, (checked, &contents), &prepared, &mut outcome).await?;
    outcome.next = next_steps(checked, &outcome);
    Ok(outcome)
}

fn next_steps(checked: &Checked, outcome: &ImportOutcome) -> Vec<String> {
    let mut next = vec![
        "lifeboat import --verify with the same arguments checks the result".to_owned(),
        format!(
            "start Synapse for {}, look at its log, then open it to clients",
            outcome.server_name
        ),
    ];
    if checked.package.manifest.metadata.source.get("pending_updates").is_some_and(|n| n != "0") {
        next.push("Synapse goes on with background updates that were not done; let it".to_owned());
    }
    next
}

//! The verification report: is the server that was put back the one in the package?
//!
//! The package is the truth; target database, media store and configuration are held against it,
//! and every stored event against itself. It can be made before Synapse's first start, when
//! everything must be equal, and after it, when some things have rightly changed. Nothing is
//! written. A check that could not be made is never taken for one that went well.

pub(crate) mod events;
pub(crate) mod files;
mod lanes;
mod rows;
mod standing;
mod subject;
mod text;

use lifeboat_components::matrix::{SigningKey, sign_json};
use lifeboat_components::synapse::check::Findings;
use lifeboat_components::synapse::check::run::Run;
use lifeboat_components::synapse::config::SynapseConfig;
use serde::Serialize;
use serde_json::{Map, Value};

use super::ImportRequest;
use crate::context::Context;
use crate::failure::Failure;
use crate::reader::Package;

use self::subject::Subject;

/// What keeps a signed report from being taken for an event or a request.
pub const REPORT_TYPE: &str = "org.lifeboat.import-report";
/// Version of the report's form.
const REPORT_VERSION: &str = "1.0";

/// What was found. As JSON it is Matrix signed JSON, where a signing key of the target could be
/// read.
#[derive(Debug, Clone, Serialize)]
pub struct ImportReport {
    /// [`REPORT_TYPE`], or the one of an import into a living server.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// Version of the report's form.
    pub version: &'static str,
    /// The program that made it, with its version.
    pub generator: String,
    /// Server.
    pub server_name: String,
    /// Package id.
    pub package: String,
    /// When the package was made.
    pub exported_at: String,
    /// Who signed the package, and why that is trusted.
    pub trust: String,
    /// Database and where it is.
    pub database: String,
    /// Media store.
    pub media_store: String,
    /// Whether Synapse has run on the target since the import.
    pub run: Run,
    /// By what that was seen.
    pub run_seen_by: Option<String>,
    /// When the report was made: RFC 3339, UTC.
    pub checked_at: String,
    /// Seconds it took.
    pub seconds: i64,
    /// What samples were drawn with, hexadecimal.
    pub seed: String,
    /// Whether nothing is wrong and no check failed to run.
    pub valid: bool,
    /// The checks, in order.
    pub checks: Vec<Check>,
    /// The key that signed the report.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signed_by: Option<String>,
    /// Matrix signed JSON: server name → key id → signature.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub signatures: Map<String, Value>,
}

/// One check.
#[derive(Debug, Clone, Serialize)]
pub struct Check {
    /// A stable name.
    pub name: &'static str,
    /// How it ended.
    pub result: CheckResult,
    /// What was checked and what came of it, in a line.
    pub summary: String,
    /// Counts, named problems, notes.
    #[serde(flatten)]
    pub findings: Findings,
}

/// How a check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum CheckResult {
    /// Everything is right.
    Ok,
    /// Nothing is wrong; there is something to know.
    Noted,
    /// There was nothing to check, or no way to; the summary says why.
    NotChecked,
    /// It could not be made though it should have been; the summary says why. The verdict is then
    /// not valid.
    Failed,
    /// Something is wrong.
    Wrong,
}

impl Check {
    /// A check that was made.
    pub(crate) fn made(name: &'static str, summary: String, findings: Findings) -> Self {
        let result = match (findings.wrong, findings.notes.is_empty()) {
            (0, true) => CheckResult::Ok,
            (0, false) => CheckResult::Noted,
            _ => CheckResult::Wrong,
        };
        Self { name, result, summary, findings }
    }

    /// A check for which there is nothing, or no way.
    pub(crate) fn not_checked(name: &'static str, why: impl Into<String>) -> Self {
        let (result, findings) = (CheckResult::NotChecked, Findings::default());
        Self { name, result, summary: why.into(), findings }
    }

    /// A check that broke off.
    pub(crate) fn failed(name: &'static str, failure: &Failure) -> Self {
        let cause = failure.cause.as_ref().map_or_else(String::new, |cause| format!(": {cause}"));
        let summary = format!("{failure}{cause}");
        Self { name, result: CheckResult::Failed, summary, findings: Findings::default() }
    }

    pub(crate) fn lets_pass(&self) -> bool {
        !matches!(self.result, CheckResult::Failed | CheckResult::Wrong)
    }
}

/// Verifies an import. A server that is not as in the package is an outcome, not a failure.
///
/// # Errors
/// [`Failure`] when there is nothing to compare: package, configuration or database cannot be
/// opened, the package is not to be trusted, or the database does not hold its finished import.
pub async fn verify(cx: &Context, request: &ImportRequest) -> Result<ImportReport, Failure> {
    let began = (cx.now)();
    let subject = Subject::open(cx, request).await?;
    let mut report = begin(cx, &subject);
    let mut add = |name, made: Result<Check, Failure>| {
        report.checks.push(made.unwrap_or_else(|failure| Check::failed(name, &failure)));
    };
    add("import", Ok(subject.import_check()));
    add("tables", rows::tables(cx, &subject).await);
    add("rooms", rows::rooms(cx, &subject).await);
    match events::events(cx, &subject).await {
        Ok([content, signatures]) => {
            add("events", Ok(content));
            add("signatures", Ok(signatures));
        }
        Err(failure) => add("events", Err(failure)),
    }
    add("media", files::media(cx, &subject).await);
    add("configuration", Ok(files::configuration(&subject)));
    add("access", standing::access(cx, &subject).await);
    add("client access", standing::client_access(&subject).await);
    add("sequences", standing::sequences(&subject).await);
    add("positions", standing::single_rows(&subject).await);
    report.valid = report.checks.iter().all(Check::lets_pass);
    report.seconds = (cx.now)() - began;
    sign(&mut report, &subject.opened.config);
    Ok(report)
}

fn begin(cx: &Context, subject: &Subject) -> ImportReport {
    let mut report = ImportReport::begin(cx, (REPORT_TYPE, subject.seed), &subject.package);
    report.trust.clone_from(&subject.trust);
    report.database.clone_from(&subject.place);
    report.media_store = subject.opened.media_store.display().to_string();
    report.run = subject.run;
    report.run_seen_by.clone_from(&subject.run_seen_by);
    report
}

impl ImportReport {
    /// A report without checks about the import of a package.
    pub(crate) fn begin(cx: &Context, (kind, seed): (&'static str, u64), of: &Package) -> Self {
        Self {
            kind,
            version: REPORT_VERSION,
            generator: cx.generator.clone(),
            server_name: of.manifest.metadata.server_id.clone(),
            package: of.manifest.package.to_string(),
            exported_at: of.manifest.metadata.export_date.clone(),
            trust: String::new(),
            database: String::new(),
            media_store: String::new(),
            run: Run::AfterFirstStart,
            run_seen_by: None,
            checked_at: cx.timestamp(),
            seconds: 0,
            seed: format!("{seed:016x}"),
            valid: false,
            checks: Vec::new(),
            signed_by: None,
            signatures: Map::new(),
        }
    }
}

/// Signs with the target's own key. Without a key the report stays unsigned, which its text says.
pub(crate) fn sign(report: &mut ImportReport, config: &SynapseConfig) {
    let Ok(keys) = config.signing_keys() else { return };
    let Some(key) = keys.first() else { return };
    report.signed_by = Some(key.key_id().to_owned());
    match signatures(report, &config.server_name, key) {
        Some(signatures) => report.signatures = signatures,
        None => report.signed_by = None,
    }
}

fn signatures(
    report: &ImportReport,
    server_name: &str,
    key: &SigningKey,
) -> Option<Map<String, Value>> {
    let Ok(Value::Object(mut object)) = serde_json::to_value(report) else { return None };
    sign_json(&mut object, server_name, key).ok()?;
    match object.remove("signatures") {
        Some(Value::Object(signatures)) => Some(signatures),
        _ => None,
    }
}

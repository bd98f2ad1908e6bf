//! `lifeboat doctor`: what would fail, before it fails.

use std::ffi::OsString;
use std::fmt::Write;

use lifeboat_doctor::{Examination, Finding, Findings, Severity, examine};
use lifeboat_engine::failure::Failure;
use lifeboat_storage::access::{Access, Patience};
use serde_json::json;

use super::installation::InstallationFlags;
use super::{Ended, Exit, Session};

/// Tries of an object store: nobody waits a minute for a diagnosis.
const ATTEMPTS: u32 = 3;

/// Examine an installation: what would fail, before it fails
///
/// Connects to every database, reads every file and secret and tries whether each secret fits what
/// it protects. Changes nothing but for one probe in the vault, which it deletes again.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  lifeboat doctor -c lifeboat.yaml
  lifeboat doctor -c lifeboat.yaml --problems

Exit codes:
  0  all is well      1  something would fail      2  no usable lifeboat.yaml      3  warnings")]
pub(crate) struct DoctorFlags {
    #[command(flatten)]
    installation: InstallationFlags,
    /// Tell only what is not well
    #[arg(long)]
    problems: bool,
}

pub(crate) async fn run(session: &Session, flags: &DoctorFlags) -> Result<Ended, Failure> {
    let installation = flags.installation.read(session)?;
    let variable = |name: &str| session.environment.iter().find(|(key, _)| key == name);
    let patience = Patience { attempts: ATTEMPTS, ..Patience::USUAL };
    let with = Examination {
        access: Access::new(session.environment.clone()).with_patience(patience),
        environment: session.environment.clone(),
        now: session.context.now,
        path: variable("PATH").map(|(_, path)| OsString::from(path)),
        probe: probe(session),
    };
    let examining = async { Ok(examine(&installation, &with).await) };
    let findings = session.until_stopped(Box::pin(examining)).await?;
    let outcome = json!({
        "server_name": installation.server_name,
        "worst": findings.worst(),
        "failures": findings.count(Severity::Failure),
        "warnings": findings.count(Severity::Warning),
        "findings": findings,
    });
    let exit = match findings.worst() {
        Severity::Fine => Exit::Done,
        Severity::Warning => Exit::WithGaps,
        Severity::Failure => Exit::WouldFail,
    };
    Ok(Ended::new("doctor", &outcome, lines(&findings, flags.problems), exit))
}

/// Sixteen letters by chance.
fn probe(session: &Session) -> String {
    let mut bytes = [0; 8];
    (session.context.entropy)(&mut bytes);
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing into a text cannot fail.
        write!(text, "{byte:02x}").ok();
        text
    })
}

/// Grouped by component, in the order they first appear.
fn lines(findings: &Findings, only_problems: bool) -> Vec<String> {
    let shown = |finding: &&Finding| !only_problems || finding.severity != Severity::Fine;
    let all: Vec<&Finding> = findings.all().iter().filter(shown).collect();
    let mut names: Vec<&str> = Vec::new();
    for finding in &all {
        if !names.contains(&finding.component.as_str()) {
            names.push(&finding.component);
        }
    }
    let mut lines = Vec::new();
    for name in names {
        lines.push(name.to_owned());
        for finding in all.iter().filter(|finding| finding.component == name) {
            lines.push(format!("  {:<8} {}", finding.severity.word(), finding.what));
            if !finding.remedy.is_empty() {
                lines.push(format!("  {:<8} help: {}", "", finding.remedy));
            }
        }
    }
    let (failures, warnings) =
        (findings.count(Severity::Failure), findings.count(Severity::Warning));
    lines.push(match (failures, warnings) {
        (0, 0) => "all is well".to_owned(),
        (failures, warnings) => format!("{failures} would fail, {warnings} to look at"),
    });
    lines
}

//! `lifeboat verify`: complete? valid?

use lifeboat_engine::failure::Failure;
use lifeboat_engine::reader::PackageRequest;
use lifeboat_engine::verify::{self, VerifyOutcome};

use super::{Ended, Exit, Session, story};
use crate::secrets::IdentityFlags;
use crate::size;

/// Check a package: is it complete, and is every bit what was written?
///
/// With an identity everything is checked; without, the sums of the sealed files and the container.
/// The exit code is 0 only for a package that is complete and valid, else 4.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  lifeboat verify server.lifeboat -i identity.txt
  lifeboat verify s3://bucket/server")]
pub(crate) struct VerifyFlags {
    /// A file NAME.lifeboat, a folder, or s3://, gs://, az://
    package: String,
    #[command(flatten)]
    identities: IdentityFlags,
}

pub(crate) async fn run(session: &Session, flags: VerifyFlags) -> Result<Ended, Failure> {
    let request = PackageRequest {
        package: flags.package,
        identities: flags.identities.read(&session.context)?,
        environment: session.environment.clone(),
    };
    let outcome =
        session.until_stopped(Box::pin(verify::verify(&session.context, &request))).await?;
    let exit = if outcome.complete && outcome.valid { Exit::Done } else { Exit::NotValid };
    Ok(Ended::new("verify", &outcome, lines(&outcome), exit))
}

fn lines(outcome: &VerifyOutcome) -> Vec<String> {
    let answer = match (outcome.complete, outcome.valid) {
        (true, true) if outcome.content_checked => "complete and valid",
        (true, true) => "complete, and its sealed files are valid; -i FILE checks the content",
        (true, false) => "complete, but NOT VALID",
        (false, _) => "NOT COMPLETE",
    };
    let mut lines = vec![story::line("package", &format!("{}: {answer}", outcome.package))];
    if let Some(server) = &outcome.server_name {
        lines.push(story::line("server", server));
    }
    lines.extend(outcome.signed_by.iter().map(|key| story::line("signature", key)));
    let read = format!("{} read", size::bytes(outcome.bytes));
    lines.push(story::line(
        "checked",
        &if outcome.content_checked {
            let entries = size::count(outcome.entries, "entry", "entries");
            format!("{read}, {entries}, {}", size::count(outcome.records, "record", "records"))
        } else {
            read
        },
    ));
    if outcome.gaps > 0 {
        let gaps =
            size::count(outcome.gaps, "gap that the export listed", "gaps that the export listed");
        lines.push(story::line("gaps", &gaps));
    }
    lines.extend(outcome.problems.iter().map(|problem| story::line("PROBLEM", problem)));
    lines
}

//! Examinations of real servers: a Synapse that runs, databases with the schemas of others.

#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod databases;
mod nedb;
mod places;
mod suite;

use std::path::Path;

use lifeboat_doctor::{Examination, Finding, Findings, INSTALLATION, Severity, examine};
use lifeboat_storage::access::Access;
use lifeboat_suite::{Installation, Surroundings};

/// Two recipients that nobody has the identities of.
const RECIPIENTS: &str = "[age1lvyvwawkr0mcnnnncaghunadrqkmuf9e6507x9y920xxpp866cnql7dp2z, \
                          age1t7rxyev2z3rw82stdlrrepyc39nvn86l5078zqkf5uasdy86jp6svpy7pa]";

/// Reads an installation with these components, a vault and a state folder in `folder`.
fn installation(folder: &Path, server_name: &str, components: &str) -> Installation {
    let text = format!(
        "server_name: {server_name}\nvault: vault\nstate: state\nrecipients: {RECIPIENTS}\n\
         components:\n{components}"
    );
    let path = folder.join("lifeboat.yaml");
    std::fs::write(&path, text).unwrap();
    let around = Surroundings { user: Some("nobody".to_owned()), ..Surroundings::default() };
    lifeboat_suite::read(&path, &around).unwrap_or_else(|error| {
        panic!("{error}: {:?}: {}", std::error::Error::source(&error), error.remedy())
    })
}

fn now() -> i64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    i64::try_from(now.as_secs()).unwrap()
}

async fn examined(installation: &Installation) -> Findings {
    let with = Examination {
        access: Access::none(),
        environment: Vec::new(),
        now,
        path: std::env::var_os("PATH"),
        probe: "test".to_owned(),
    };
    examine(installation, &with).await
}

/// What is not well, as `component severity: what`.
fn problems(findings: &Findings) -> Vec<String> {
    let bad = findings.all().iter().filter(|finding| finding.severity != Severity::Fine);
    bad.map(|one| format!("{} {}: {}", one.component, one.severity.word(), one.what)).collect()
}

/// The finding of a component that says this.
fn finding<'a>(findings: &'a Findings, component: &str, says: &str) -> &'a Finding {
    let mut of = findings.all().iter().filter(|finding| finding.component == component);
    of.find(|finding| finding.what.contains(says)).unwrap_or_else(|| {
        panic!("nothing of {component} says {says:?}: {:#?}", findings.all());
    })
}

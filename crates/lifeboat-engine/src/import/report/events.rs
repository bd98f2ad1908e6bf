//! Every event: id, content, and of a sample the signatures.

use std::collections::BTreeMap;
use std::sync::Arc;

use lifeboat_components::synapse::check::events::{
    CHECKED, EventChecker, EventFindings, check_all,
};
use lifeboat_components::synapse::check::keys::{add_kept_keys, own_keys};

use super::Check;
use super::subject::Subject;
use crate::context::{Context, Unit};
use crate::failure::Failure;
use crate::import::check::database_fault;

/// Checks ids and content, and signatures.
///
/// # Errors
/// [`Failure`] when the database refuses or is lost.
pub(super) async fn events(cx: &Context, subject: &Subject) -> Result<[Check; 2], Failure> {
    let manifest = &subject.package.manifest;
    let packaged = manifest.tables.iter().find(|table| table.name == CHECKED);
    let total = packaged.map_or(0, |table| table.rows);
    let session = subject.session().await?;
    let mut keys = own_keys(&subject.opened.config);
    let server = manifest.metadata.server_id.as_str();
    let has_own = keys.knows(server);
    let of_others = add_kept_keys(&session, server, &mut keys).await.map_err(database_fault)?;
    cx.stage("check events", total, Unit::Items);
    let checker = Arc::new(EventChecker::new(keys, subject.seed, total));
    let found = check_all(&session, &checker, subject.lanes, |by| cx.advance(by)).await;
    let found = found.map_err(|e| {
        Failure::failed("cannot check the events", "see the cause, then run it again").because(e)
    })?;
    Ok([content(&found), signatures(&found, has_own, of_others)])
}

/// The check of ids and content.
pub(crate) fn content(found: &EventFindings) -> Check {
    let mut findings = found.content.clone();
    let unknown = total(&found.unknown);
    let mut summary = vec![format!("ids and content of {} events", findings.checked)];
    if found.redacted > 0 {
        summary.push(format!("{} of them without content after a redaction", found.redacted));
    }
    if unknown > 0 {
        summary.push(format!("{unknown} not checked"));
    }
    for (kind, count) in &found.unknown {
        findings.note(format!("not checked: {count} events: {kind}"));
    }
    let summary = summary.join("; ");
    Check::made("events", summary, findings)
}

/// The check of signatures.
pub(crate) fn signatures(found: &EventFindings, has_own: bool, of_others: u64) -> Check {
    let mut findings = found.signatures.clone();
    let without = total(&found.without_key);
    if findings.checked == 0 {
        let why = format!("no event with a key to check it by; {without} were drawn");
        return Check::not_checked("signatures", why);
    }
    for (server, count) in &found.without_key {
        findings.note(format!("not checked: {count} events: no key of {server}"));
    }
    if !has_own {
        findings.note("the server's own signing key cannot be read");
    }
    let drawn = findings.checked + without;
    let summary = format!(
        "{} of {drawn} events drawn, with our key and {of_others} of other servers; \
         {without} not checked",
        findings.checked
    );
    Check::made("signatures", summary, findings)
}

fn total(kinds: &BTreeMap<String, u64>) -> u64 {
    kinds.values().sum()
}

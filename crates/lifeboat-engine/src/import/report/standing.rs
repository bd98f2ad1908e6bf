//! Where the server stands: access of users, sequences, positions.

use lifeboat_components::synapse::check::{Findings, access, positions, tables};
use lifeboat_components::synapse::schema::SequenceState;

use super::Check;
use super::subject::Subject;
use crate::context::{Context, Unit};
use crate::failure::Failure;
use crate::import::check::database_fault;

/// Access of a sample of users, as database and room state have it.
///
/// # Errors
/// [`Failure`] when the database refuses or is lost.
pub(super) async fn access(cx: &Context, subject: &Subject) -> Result<Check, Failure> {
    cx.stage("check access", 0, Unit::Items);
    let session = subject.session().await?;
    let seed = subject.seed.cast_signed();
    let users = access::sample(&session, seed).await.map_err(database_fault)?;
    if users.is_empty() {
        return Ok(Check::not_checked("access", "the server has no active users"));
    }
    let found = access::check(&session, &users, None).await.map_err(database_fault)?;
    let summary = format!(
        "{} users drawn: {} rooms they are in, {} they are not in",
        found.users.checked, found.joined, found.others
    );
    Ok(Check::made("access", summary, found.users))
}

/// Access as clients see it, where Synapse runs and knows its users' tokens itself.
///
/// # Errors
/// [`Failure`] when the database refuses or is lost.
pub(super) async fn client_access(subject: &Subject) -> Result<Check, Failure> {
    let not_tried = |why| Ok(Check::not_checked("client access", why));
    let Some(port) = subject.port else {
        return not_tried("not tried: Synapse does not run; start it, then verify once more");
    };
    let session = subject.session().await?;
    let seed = subject.seed.cast_signed();
    let users = access::sample(&session, seed).await.map_err(database_fault)?;
    let found = access::ask_as_clients(&session, &users, port).await.map_err(database_fault)?;
    if found.checked == 0 {
        return not_tried("not tried: no user drawn has an access token that Synapse keeps");
    }
    let summary = format!("{} users asked on port {port} for their rooms", found.checked);
    Ok(Check::made("client access", summary, found))
}

/// Where the sequences stand.
///
/// # Errors
/// [`Failure`] when an entry is damaged, or the database refuses or is lost.
pub(super) async fn sequences(subject: &Subject) -> Result<Check, Failure> {
    let mut saved: Vec<SequenceState> = Vec::new();
    for entry in subject.contents.named("sequences") {
        saved.extend(subject.package.records::<SequenceState>(entry).await?);
    }
    let how = (subject.run, subject.margin);
    let mut findings = Findings::default();
    for (holds, session) in subject.sessions().await? {
        let held = saved.iter().filter(|sequence| holds.sequence(&sequence.name));
        let held: Vec<SequenceState> = held.cloned().collect();
        let found = positions::check_sequences(&session, &held, how).await;
        findings.add(found.map_err(database_fault)?);
    }
    let summary = format!("{} sequences against rows, positions and package", findings.checked);
    Ok(Check::made("sequences", summary, findings))
}

/// Tables that need exactly one row.
///
/// # Errors
/// [`Failure`] when the database refuses or is lost.
pub(super) async fn single_rows(subject: &Subject) -> Result<Check, Failure> {
    let mut findings = Findings::default();
    for (holds, session) in subject.sessions().await? {
        let mut present = tables::names(&session).await.map_err(database_fault)?;
        present.retain(|table| holds.table(table));
        let found = positions::check_single_rows(&session, &present).await;
        findings.add(found.map_err(database_fault)?);
    }
    let summary = format!("{} tables that need their row", findings.checked);
    Ok(Check::made("positions", summary, findings))
}

//! Sequences, and the tables in which Synapse keeps how far it got.

use tokio_postgres::Client;

use super::Findings;
use super::run::Run;
use super::tables::{count, is_single_row};
use crate::postgres::PostgresError;
use crate::synapse::schema::SequenceState;
use crate::synapse::sequences::{self, SequenceStand};

/// Where one process that sends to other servers stands; it needs a row of each type.
pub(super) const FEDERATION: &str = "federation_stream_position";

/// Sequences are past what rows and stored positions hold, and past the package's; before the first
/// start they are also raised by `margin`, past what was given out after the export.
///
/// # Errors
/// [`PostgresError`] when the server refuses or is lost.
pub async fn check_sequences(
    client: &Client,
    saved: &[SequenceState],
    (run, margin): (Run, u64),
) -> Result<Findings, PostgresError> {
    let mut findings = Findings::default();
    let stands = sequences::stand(client).await?;
    let margin = i64::try_from(margin).unwrap_or(i64::MAX);
    for stand in &stands {
        findings.checked += 1;
        let state = saved.iter().find(|state| state.name == stand.name);
        judge(stand, state, (run, margin), &mut findings);
    }
    let missing = saved.iter().filter(|state| !stands.iter().any(|s| s.name == state.name));
    for state in missing {
        findings.note(format!("{}: the package has it, the target does not", state.name));
    }
    Ok(findings)
}

/// Judges a sequence. Pure.
pub(super) fn judge(
    stand: &SequenceStand,
    saved: Option<&SequenceState>,
    (run, margin): (Run, i64),
    findings: &mut Findings,
) {
    let SequenceStand { name, last, used, is_raised } = stand;
    let last = last.unwrap_or(0);
    if let Some(used) = used.filter(|used| *used > last) {
        findings.problem(name, format!("it stands at {last}, rows and positions are at {used}"));
        return;
    }
    let Some(saved) = saved else { return };
    let given = if saved.is_called { saved.last_value } else { saved.last_value.saturating_sub(1) };
    if last < given {
        findings.problem(name, format!("it stands at {last}, the package's at {given}"));
    } else if run == Run::BeforeFirstStart && *is_raised && last < given.saturating_add(margin) {
        let raised = last - given;
        findings.note(format!("{name}: raised by {raised} only, the margin is {margin}"));
    }
}

/// Tables of which Synapse needs exactly one row have it; `tables` are those the target has.
///
/// # Errors
/// [`PostgresError`] when the server refuses or is lost.
pub async fn check_single_rows(
    client: &Client,
    tables: &[String],
) -> Result<Findings, PostgresError> {
    let mut findings = Findings::default();
    for table in tables.iter().filter(|table| is_single_row(table)) {
        findings.checked += 1;
        let rows = count(client, table).await?;
        if rows != 1 {
            findings.problem(table, format!("{rows} rows, Synapse needs exactly one"));
        }
    }
    if tables.iter().any(|table| table == FEDERATION) {
        findings.checked += 1;
        let query = "SELECT count(*) FROM
            (VALUES ('events'), ('federation')) wanted (type)
            WHERE NOT EXISTS (SELECT FROM federation_stream_position p WHERE p.type = wanted.type)";
        let row = client.query_one(query, &[]).await;
        let row = row.map_err(|e| PostgresError::sorted("read the federation position", e))?;
        if row.get::<_, i64>(0) > 0 {
            findings.problem(FEDERATION, "a row of type events or federation is missing");
        }
    }
    Ok(findings)
}

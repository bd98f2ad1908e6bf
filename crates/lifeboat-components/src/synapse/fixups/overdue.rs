//! What has a time at which it happens, and whose time may be over when the copy starts.

use super::steps::{Steps, counted};
use super::{DelayedEvents, Done, FixupFacts, Rule};
use crate::postgres::PostgresError;

/// Keeps or removes the events to be sent later.
///
/// Synapse sends all that are overdue when it starts, those too that it had begun to send.
pub(super) async fn delayed_events(
    steps: &mut Steps<'_>,
    facts: &FixupFacts,
) -> Result<(), PostgresError> {
    let rule = Rule::DelayedEvents;
    if !steps.has(rule, "delayed_events") {
        return Ok(());
    }
    let query = "SELECT count(*), count(*) FILTER (WHERE send_ts <= $1) FROM delayed_events";
    let [rows, overdue] =
        steps.counts("counted the delayed events", query, &[&facts.now_ms]).await?;
    if rows == 0 {
        steps.say(rule, Done::Nothing, 0, "none");
        return Ok(());
    }
    let events = counted(rows, "event", "events");
    match facts.delayed_events {
        DelayedEvents::Keep => {
            let detail = format!("{events} kept; {overdue} overdue, sent when Synapse starts");
            steps.say(rule, Done::Decide, rows, detail);
        }
        DelayedEvents::Drop => {
            let delete = "DELETE FROM delayed_events";
            let gone = steps.change("removed the delayed events", delete, &[]).await?;
            let detail = format!("{events} removed, never to be sent; {overdue} were overdue");
            steps.say(rule, Done::Applied, gone, detail);
        }
    }
    Ok(())
}

/// Counts the events whose time to live is over: Synapse removes their content when it starts.
pub(super) async fn expired_events(
    steps: &mut Steps<'_>,
    now_ms: i64,
) -> Result<(), PostgresError> {
    let rule = Rule::EventExpiry;
    if !steps.has(rule, "event_expiry") {
        return Ok(());
    }
    let query = "SELECT count(*), count(*) FILTER (WHERE expiry_ts <= $1) FROM event_expiry";
    let [rows, overdue] = steps.counts("counted the expiring events", query, &[&now_ms]).await?;
    let done = if overdue == 0 { Done::Nothing } else { Done::Decide };
    let detail = match (rows, overdue) {
        (0, _) => "none".to_owned(),
        (_, 0) => format!("{} to expire later", counted(rows, "event", "events")),
        _ => format!("{} when Synapse starts", counted(overdue, "event expires", "events expire")),
    };
    steps.say(rule, done, overdue, detail);
    Ok(())
}

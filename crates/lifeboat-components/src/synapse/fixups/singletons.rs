//! Tables with one row, which Synapse makes at the birth of a server and never again.
//!
//! Without the row Synapse starts, and the loop that needs it then fails for ever. A row that is
//! missing is put back at the point from which nothing is done twice: the newest row of the stream
//! that the loop follows.

use super::steps::{Steps, counted};
use super::{Done, Rule};
use crate::postgres::PostgresError;
use crate::postgres::columns::quoted;

const NEWEST_EVENT: &str = "SELECT coalesce(max(stream_ordering), 0) FROM events";

/// Table, column, and the query for the value of a row that is missing.
const SINGLETONS: [(&str, &str, &str); 9] = [
    ("appservice_stream_position", "stream_ordering", NEWEST_EVENT),
    ("delayed_events_stream_pos", "stream_id", NEWEST_EVENT),
    (
        "device_lists_changes_in_room_max_pruned_stream_id",
        "stream_id",
        // Below the oldest row that is left, everything counts as removed.
        "SELECT coalesce(min(stream_id) - 1, (SELECT max(stream_id) FROM device_lists_stream), 0)
         FROM device_lists_changes_in_room",
    ),
    (
        "event_push_summary_last_receipt_stream_id",
        "stream_id",
        "SELECT coalesce(max(stream_id), 0) FROM receipts_linearized",
    ),
    (
        "event_push_summary_stream_ordering",
        "stream_ordering",
        // What is past the newest summary was not yet added to one.
        "SELECT coalesce(max(stream_ordering), 0) FROM event_push_summary",
    ),
    ("room_forgetter_stream_pos", "stream_id", NEWEST_EVENT),
    ("stats_incremental_position", "stream_id", NEWEST_EVENT),
    ("user_directory_stream_pos", "stream_id", NEWEST_EVENT),
    (
        "device_lists_changes_converted_stream_position",
        "room_id, stream_id",
        "SELECT '', coalesce(
           min(stream_id) FILTER (WHERE NOT converted_to_destinations) - 1, max(stream_id), 1)
         FROM device_lists_changes_in_room",
    ),
];

const FEDERATION: &str = "federation_stream_position";

/// The rows that one process sending to other servers needs, with their values when missing.
const FEDERATION_ROWS: [(&str, &str); 2] = [("events", NEWEST_EVENT), ("federation", "SELECT -1")];

/// Puts back what is missing.
pub(super) async fn fill(steps: &mut Steps<'_>) -> Result<(), PostgresError> {
    let mut whole = 0;
    for (table, columns, value) in SINGLETONS {
        whole += u64::from(fill_table(steps, table, columns, value).await?);
    }
    whole += u64::from(fill_federation(steps).await?);
    let tables = counted(whole, "table has its row", "tables have their rows");
    steps.say(Rule::Singletons, Done::Nothing, whole, tables);
    Ok(())
}

/// Whether the table had its one row.
async fn fill_table(
    steps: &mut Steps<'_>,
    table: &str,
    columns: &str,
    value: &str,
) -> Result<bool, PostgresError> {
    if !steps.has(Rule::Singletons, table) {
        return Ok(false);
    }
    let count = format!("SELECT count(*) FROM {}", quoted(table));
    let [rows] = steps.counts("counted the rows of a position", &count, &[]).await?;
    if rows == 0 {
        let insert = format!("INSERT INTO {} ({columns}) {value}", quoted(table));
        steps.change("put back a position", &insert, &[]).await?;
        let detail = format!("{table} had no row: put back");
        steps.say(Rule::Singletons, Done::Applied, 1, detail);
    } else if rows > 1 {
        let detail = format!("{table} has {rows} rows: delete all but the lowest");
        steps.say(Rule::Singletons, Done::Decide, rows, detail);
    }
    Ok(rows == 1)
}

/// Several processes may send to other servers, each with a row of both types.
async fn fill_federation(steps: &mut Steps<'_>) -> Result<bool, PostgresError> {
    if !steps.has(Rule::Singletons, FEDERATION) {
        return Ok(false);
    }
    let mut whole = true;
    for (kind, value) in FEDERATION_ROWS {
        // Each sender needs both rows; without any sender, the main process gets them.
        let insert = format!(
            "INSERT INTO {FEDERATION} (type, stream_id, instance_name)
             SELECT $1, ({value}), sender.instance_name
             FROM (
               SELECT instance_name FROM {FEDERATION}
               UNION
               SELECT 'master' WHERE NOT EXISTS (SELECT FROM {FEDERATION})
             ) sender
             WHERE NOT EXISTS (
               SELECT FROM {FEDERATION} p
               WHERE p.type = $1 AND p.instance_name = sender.instance_name)"
        );
        let rows = steps.change("put back a federation position", &insert, &[&kind]).await?;
        if rows > 0 {
            whole = false;
            let detail = format!("{FEDERATION} had no {kind} position: put back");
            steps.say(Rule::Singletons, Done::Applied, rows, detail);
        }
    }
    Ok(whole)
}

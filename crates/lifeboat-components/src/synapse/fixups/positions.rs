//! Stored positions: how far each loop and each receiver got. They stay where they were.
//!
//! A position behind its sequence only means work to catch up. One that is past it would skip what
//! comes next, and in `stream_positions` keeps Synapse from starting.

use std::collections::HashMap;

use super::steps::{Steps, counted};
use super::{Done, Rule};
use crate::postgres::PostgresError;
use crate::postgres::columns::quoted;
use crate::synapse::sequences::of_stream;

const EVENTS: &str = "events_stream_seq";
const DEVICES: &str = "device_lists_sequence";
const RECEIPTS: &str = "receipts_sequence";

/// Table, column, and the sequence that its values come from.
const POSITIONS: [(&str, &str, &str); 19] = [
    ("application_services_state", "device_list_stream_id", DEVICES),
    ("application_services_state", "presence_stream_id", "presence_stream_sequence"),
    ("application_services_state", "read_receipt_stream_id", RECEIPTS),
    ("application_services_state", "to_device_stream_id", "device_inbox_sequence"),
    ("appservice_stream_position", "stream_ordering", EVENTS),
    ("delayed_events_stream_pos", "stream_id", EVENTS),
    ("destination_rooms", "stream_ordering", EVENTS),
    ("destinations", "last_successful_stream_ordering", EVENTS),
    ("device_lists_changes_converted_stream_position", "stream_id", DEVICES),
    ("device_lists_changes_in_room_max_pruned_stream_id", "stream_id", DEVICES),
    ("device_lists_outbound_last_success", "stream_id", DEVICES),
    ("event_push_summary_last_receipt_stream_id", "stream_id", RECEIPTS),
    ("event_push_summary_stream_ordering", "stream_ordering", EVENTS),
    ("federation_stream_position", "stream_id", EVENTS),
    ("pushers", "last_stream_ordering", EVENTS),
    ("room_forgetter_stream_pos", "stream_id", EVENTS),
    ("stats_incremental_position", "stream_id", EVENTS),
    ("user_directory_stream_pos", "stream_id", EVENTS),
    ("users_to_send_full_presence_to", "presence_stream_id", "presence_stream_sequence"),
];

/// One stored position, and the sequence it belongs to.
struct Position {
    name: String,
    at: i64,
    sequence: &'static str,
}

/// Says whether any position is past its sequence.
pub(super) async fn check(steps: &mut Steps<'_>) -> Result<(), PostgresError> {
    let sequences = last_values(steps).await?;
    let mut positions = of_tables(steps).await?;
    positions.extend(of_streams(steps).await?);
    let mut kept = 0;
    for Position { name, at, sequence } in positions {
        // A sequence that was never called has given nothing.
        let Some(last) = sequences.get(sequence) else { continue };
        if at <= last.unwrap_or(0) {
            kept += 1;
            continue;
        }
        let last = last.unwrap_or(0);
        let detail = format!("{name} {at} is past {sequence} {last}");
        steps.say(Rule::Positions, Done::Decide, 1, detail);
    }
    let positions = counted(kept, "position kept as it is", "positions kept as they are");
    steps.say(
        Rule::Positions,
        Done::Nothing,
        kept,
        format!("{positions}, at or below its sequence"),
    );
    Ok(())
}

async fn last_values(steps: &Steps<'_>) -> Result<HashMap<String, Option<i64>>, PostgresError> {
    let query = "
        SELECT sequencename::text, last_value
        FROM pg_sequences
        WHERE schemaname = current_schema()";
    let rows = steps.rows("read where the sequences stand", query, &[]).await?;
    Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
}

async fn of_tables(steps: &Steps<'_>) -> Result<Vec<Position>, PostgresError> {
    let there = POSITIONS
        .iter()
        .filter(|(table, column, _)| steps.present.type_of(table, column).is_some());
    let mut positions = Vec::new();
    for &(table, column, sequence) in there {
        let query = format!("SELECT max({})::bigint FROM {}", quoted(column), quoted(table));
        let rows = steps.rows("read a position", &query, &[]).await?;
        let at = rows.first().and_then(|row| row.get::<_, Option<i64>>(0));
        let position = |at| Position { name: table.to_owned(), at, sequence };
        positions.extend(at.map(position));
    }
    Ok(positions)
}

async fn of_streams(steps: &Steps<'_>) -> Result<Vec<Position>, PostgresError> {
    if !steps.present.has("stream_positions") {
        return Ok(Vec::new());
    }
    let query = "
        SELECT stream_name, max(stream_id), min(stream_id)
        FROM stream_positions
        GROUP BY stream_name";
    let rows = steps.rows("read the positions of the streams", query, &[]).await?;
    let position = |row: &tokio_postgres::Row| {
        let stream: String = row.get(0);
        let (sequence, backwards) = of_stream(&stream)?;
        let at = if backwards { -row.get::<_, i64>(2) } else { row.get(1) };
        Some(Position { name: format!("stream_positions of {stream}"), at, sequence })
    };
    Ok(rows.iter().filter_map(position).collect())
}

//! Sequences of a restored database: past everything that was given out after the export.
//!
//! Clients hold sync tokens, and other servers and bridges hold numbers, that the server gave out
//! after the snapshot was cut. A server that counts on from the snapshot gives the same positions
//! to other things; whoever holds a later token never asks for them, and loses events and the
//! to-device messages that carry room keys. So every sequence whose values leave the server goes on
//! with a margin that is wider than the lost window. Seen on real servers: without the margin,
//! messages were lost; with 1,000,000, none.
//!
//! Synapse refuses to start when a sequence is behind its row in `stream_positions`, and repairs
//! some that are behind their tables, but not those of identity columns. Here none is behind.

mod known;
#[cfg(test)]
mod tests;

use std::fmt;

use serde::{Deserialize, Serialize};
use tokio_postgres::Client;

use self::known::{Known, Use};
use super::fixups::Done;
use super::fixups::present::Present;
use crate::postgres::PostgresError;
use crate::postgres::columns::quoted;
use crate::synapse::schema::SequenceState;

pub(super) use known::of_stream;

/// The margin to use unless the operator says otherwise: what was tried on real servers.
pub const MARGIN: u64 = 1_000_000;
/// The same, for a sequence whose column has room for a few such only.
const LEAST: i64 = 1_000_000;

/// What became of one sequence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SequenceLine {
    /// Its name.
    pub sequence: String,
    /// The highest number in use, by the package and the restored rows. 0 when none is.
    pub used: i64,
    /// The last number it counts as given; the next is one more.
    pub now: i64,
    /// Whether something was done, or is left to do.
    pub done: Done,
    /// Why it stands there.
    pub why: String,
}

impl fmt::Display for SequenceLine {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { sequence, used, now, why, .. } = self;
        if used == now {
            write!(out, "{sequence} {now}: {why}")
        } else {
            write!(out, "{sequence} {used} → {now}: {why}")
        }
    }
}

/// A sequence of the current schema.
struct Sequence {
    name: String,
    increment: i64,
    lowest: i64,
    highest: i64,
    /// The last number given in this database; none in a fresh one.
    last: Option<i64>,
    /// The column that takes its values by default.
    owner: Option<(String, String)>,
}

/// Sets every sequence of the current schema past what is in use, by `margin` where its values
/// leave the server.
///
/// `saved` is what the package says. Run it after the rows; after the indexes it is quickest. It
/// changes the same values when it is run again. Sequences do not follow transactions.
///
/// # Errors
/// [`PostgresError`] when the server refuses or is lost.
pub async fn restore(
    client: &Client,
    saved: &[SequenceState],
    margin: u64,
) -> Result<Vec<SequenceLine>, PostgresError> {
    let present = Present::read(client).await?;
    let sequences = read(client).await?;
    let mut lines = Vec::with_capacity(sequences.len());
    for sequence in &sequences {
        let known = known::get(&sequence.name);
        let state = saved.iter().find(|state| state.name == sequence.name);
        let rows = highest_in_rows(client, &present, sequence, known).await?;
        let line = decide(&Facts {
            sequence,
            known,
            saved: state,
            rows,
            room: room(&present, sequence, known),
            margin: i64::try_from(margin).unwrap_or(i64::MAX),
        });
        set(client, sequence, &line).await?;
        lines.push(line);
    }
    let absent = saved.iter().filter(|state| !sequences.iter().any(|s| s.name == state.name));
    lines.extend(absent.map(|state| SequenceLine {
        sequence: state.name.clone(),
        used: state.last_value,
        now: state.last_value,
        done: Done::Nothing,
        why: "the package has it, this schema does not: left out".to_owned(),
    }));
    Ok(lines)
}

/// Where a sequence stands, and what was taken from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SequenceStand {
    /// Its name.
    pub name: String,
    /// The last number given; none when it never was asked.
    pub last: Option<i64>,
    /// The highest number in rows and stored positions; none when there is no row.
    pub used: Option<i64>,
    /// Whether its numbers leave the server, so that an import raises it by a margin.
    pub is_raised: bool,
}

/// Reads where the sequences of the current schema stand. Changes nothing.
///
/// # Errors
/// [`PostgresError`] when the server refuses or is lost.
pub async fn stand(client: &Client) -> Result<Vec<SequenceStand>, PostgresError> {
    let present = Present::read(client).await?;
    let mut stands = Vec::new();
    for sequence in read(client).await? {
        // What rows have to do with a sequence that does not count up by one is not known.
        if sequence.increment != 1 {
            continue;
        }
        let known = known::get(&sequence.name);
        let used = highest_in_rows(client, &present, &sequence, known).await?;
        let is_raised = known.is_none_or(|known| known.usage != Use::Inner);
        stands.push(SequenceStand { name: sequence.name, last: None, used, is_raised });
    }
    // Sequences do not follow snapshots: read after the rows, they cannot seem to be behind a
    // running server's.
    for sequence in read(client).await? {
        if let Some(stand) = stands.iter_mut().find(|stand| stand.name == sequence.name) {
            stand.last = sequence.last;
        }
    }
    Ok(stands)
}

/// All that is known of a sequence when it is decided where it goes on.
struct Facts<'a> {
    sequence: &'a Sequence,
    known: Option<&'static Known>,
    saved: Option<&'a SequenceState>,
    /// The highest number in the rows that take their numbers from it.
    rows: Option<i64>,
    /// The highest number it may be raised to.
    room: i64,
    margin: i64,
}

/// Where a sequence goes on, and why.
fn decide(facts: &Facts<'_>) -> SequenceLine {
    let Facts { sequence, known, saved, rows, room, margin } = *facts;
    let given = match saved {
        // A sequence that was never called gives `last_value` itself next.
        Some(state) if state.is_called => Some(state.last_value),
        Some(state) => state.last_value.checked_sub(1),
        None => sequence.last,
    };
    let line = |now: i64, used: i64, done: Done, why: String| SequenceLine {
        sequence: sequence.name.clone(),
        used,
        now,
        done,
        why,
    };
    if sequence.increment != 1 {
        let given = given.unwrap_or(sequence.lowest);
        return line(given, given, Done::Decide, "unknown, not counting by one: as saved".into());
    }
    let used = given.max(rows).unwrap_or(0).max(sequence.lowest.saturating_sub(1));
    let origin = if saved.is_some() { "" } else { "not in the package; " };
    // What is narrow is raised often, not far: the next restore raises it as well.
    let margin = margin.min((room / 128).max(LEAST));
    let (margin, why) = match known {
        Some(Known { usage: Use::Inner, why, .. }) => (0, *why),
        Some(known) => (margin, known.why),
        None => (margin, "unknown sequence: raised to be safe"),
    };
    let wanted = used.saturating_add(margin);
    let now = wanted.min(room).max(used).min(sequence.highest);
    if now.saturating_sub(used) < margin {
        let done = if now == used { Done::Decide } else { Done::Applied };
        let short = format!("{origin}raised by {} only, a 32-bit column takes no more", now - used);
        return line(now, used, done, short);
    }
    let unchanged = now == used && known.is_some() && rows.is_none_or(|rows| Some(rows) <= given);
    let done = if unchanged { Done::Nothing } else { Done::Applied };
    line(now, used, done, format!("{origin}{why}"))
}

/// The highest number a sequence may be raised to: what its narrowest column takes, less what the
/// server needs to go on for years.
fn room(present: &Present, sequence: &Sequence, known: Option<&Known>) -> i64 {
    let owner = sequence.owner.as_ref().map(|(table, column)| (table.as_str(), column.as_str()));
    let columns = known.map_or(&[][..], |known| known.columns).iter().copied().chain(owner);
    let narrow = columns.filter_map(|(table, column)| match present.type_of(table, column)? {
        "smallint" => Some(i64::from(i16::MAX)),
        "integer" => Some(i64::from(i32::MAX)),
        _ => None,
    });
    let limit = narrow.min().unwrap_or(i64::MAX).min(sequence.highest);
    limit - limit / 128
}

async fn read(client: &Client) -> Result<Vec<Sequence>, PostgresError> {
    let rows = client
        .query(
            "SELECT c.relname::text, s.seqincrement, s.seqmin, s.seqmax, p.last_value,
                    t.relname::text, a.attname::text
             FROM pg_class c
             JOIN pg_namespace n ON n.oid = c.relnamespace
             JOIN pg_sequence s ON s.seqrelid = c.oid
             JOIN pg_sequences p ON p.schemaname = n.nspname AND p.sequencename = c.relname
             LEFT JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = c.oid
               AND d.refclassid = 'pg_class'::regclass AND d.refobjsubid > 0
               AND d.deptype IN ('a', 'i')
             LEFT JOIN pg_class t ON t.oid = d.refobjid
             LEFT JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = d.refobjsubid
             WHERE n.nspname = current_schema()
             ORDER BY c.relname COLLATE \"C\"",
            &[],
        )
        .await
        .map_err(|e| PostgresError::sorted("read the list of sequences", e))?;
    let sequence = |row: &tokio_postgres::Row| Sequence {
        name: row.get(0),
        increment: row.get(1),
        lowest: row.get(2),
        highest: row.get(3),
        last: row.get(4),
        owner: row.get::<_, Option<String>>(5).zip(row.get(6)),
    };
    Ok(rows.iter().map(sequence).collect())
}

/// The highest number that rows and stored positions took from a sequence.
async fn highest_in_rows(
    client: &Client,
    present: &Present,
    sequence: &Sequence,
    known: Option<&Known>,
) -> Result<Option<i64>, PostgresError> {
    // A stream that counts downwards holds its numbers with a minus sign.
    let highest =
        if matches!(known, Some(Known { usage: Use::Backwards(_), .. })) { "-min" } else { "max" };
    let owner = sequence.owner.as_ref().map(|(table, column)| (table.as_str(), column.as_str()));
    let columns = known.map_or(&[][..], |known| known.columns).iter().copied();
    let mut parts: Vec<String> = columns
        .chain(owner.filter(|_| known.is_none()))
        .filter(|(table, column)| present.type_of(table, column).is_some())
        .map(|(table, column)| {
            format!("(SELECT {highest}({})::bigint FROM {})", quoted(column), quoted(table))
        })
        .collect();
    if let Some(stream) = known.and_then(|known| known.usage.stream())
        && present.has("stream_positions")
    {
        parts.push(format!(
            "(SELECT {highest}(stream_id) FROM stream_positions WHERE stream_name = '{stream}')"
        ));
    }
    if parts.is_empty() {
        return Ok(None);
    }
    let query = format!("SELECT greatest({})", parts.join(", "));
    let row = client
        .query_one(&query, &[])
        .await
        .map_err(|e| PostgresError::sorted(format!("read what {} gave", sequence.name), e))?;
    Ok(row.get(0))
}

/// Makes `line.now` the last number given, or nothing when none is.
async fn set(
    client: &Client,
    sequence: &Sequence,
    line: &SequenceLine,
) -> Result<(), PostgresError> {
    let called = line.now >= sequence.lowest;
    let value = line.now.max(sequence.lowest);
    client
        .query_one(
            "SELECT setval(format('%I.%I', current_schema(), $1::text)::regclass, $2, $3)",
            &[&sequence.name, &value, &called],
        )
        .await
        .map_err(|e| PostgresError::sorted(format!("set sequence {}", sequence.name), e))?;
    Ok(())
}

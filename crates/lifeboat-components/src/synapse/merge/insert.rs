//! From the staged rows into the server's tables: which value each column gets.
//!
//! Derived from the table catalogue: what it remaps gets a fresh value here, all else is copied.

use std::collections::BTreeMap;

use tokio_postgres::Client;

use super::stage::{Stage, staged};
use super::{MergeError, batch, run};
use crate::postgres::columns::quoted;
use crate::synapse::catalogue::{Catalogue, Class, Import, Path};

/// The writer that fresh rows name: what Synapse calls itself when it runs as one process.
pub(super) const WRITER: &str = "'master'";

/// The maps from old to fresh values.
const MAPS: &str = "
    CREATE TEMP TABLE lifeboat_event_map (event_id text PRIMARY KEY, old bigint, new bigint);
    CREATE INDEX ON lifeboat_event_map (old);
    CREATE TEMP TABLE lifeboat_group_map (old bigint PRIMARY KEY, new bigint);
    CREATE TEMP TABLE lifeboat_id_map (counter text, old bigint, new bigint,
                                       PRIMARY KEY (counter, old));
    CREATE TEMP TABLE lifeboat_placeholder (name text PRIMARY KEY);";

/// Ids that Synapse counts in memory from the highest row on. A running one goes on below ours
/// until it is started again, so that neither gets in the other's way.
const APART: i64 = 1_000_000;

/// Rows added, by table.
pub type Added = BTreeMap<String, u64>;

/// A fresh value of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fresh {
    /// The position of an event, or of the newest at or before.
    Position,
    /// A state group.
    Group,
    /// The next of this sequence.
    Sequence(&'static str),
    /// By the map of ids of this table.
    Id(&'static str),
    /// Our writer's name, where there was one.
    Writer,
    /// The newest position there is.
    Newest,
}

/// Makes the maps.
///
/// # Errors
/// [`MergeError`] when the database refuses.
pub async fn prepare(client: &Client) -> Result<(), MergeError> {
    Ok(batch(client, "made the maps of fresh ids", MAPS).await?)
}

/// Empties the maps.
///
/// # Errors
/// [`MergeError`] when the database refuses.
pub(super) async fn clear(client: &Client) -> Result<(), MergeError> {
    let sql = "TRUNCATE lifeboat_event_map, lifeboat_group_map, lifeboat_id_map,
               lifeboat_placeholder";
    Ok(batch(client, "emptied the maps of fresh ids", sql).await?)
}

/// Gives the staged state groups fresh ids, those of `condition`.
pub(super) async fn map_groups(client: &Client, condition: &str) -> Result<u64, MergeError> {
    let sql = format!(
        "INSERT INTO lifeboat_group_map
         SELECT id, nextval('state_group_id_seq')
         FROM (SELECT g.id FROM {} g WHERE {condition} ORDER BY g.id) s",
        staged("state_groups")
    );
    Ok(run(client, "gave state groups fresh ids", &sql, &[]).await?)
}

/// Gives the staged rows of a table that Synapse counts in memory fresh ids.
pub(super) async fn map_ids(client: &Client, table: &str) -> Result<(), MergeError> {
    let (from, to) = (staged(table), quoted(table));
    let sql = format!(
        "INSERT INTO lifeboat_id_map
         SELECT '{table}', s.id,
                (SELECT coalesce(max(id), 0) FROM {to}) + {APART}
                    + row_number() OVER (ORDER BY s.id)
         FROM {from} s"
    );
    run(client, "gave rows fresh ids", &sql, &[]).await?;
    Ok(())
}

/// Inserts the staged rows of `table` for which `condition` holds (of alias `s`); how many.
///
/// # Errors
/// [`MergeError`] when the database refuses.
pub(super) async fn insert(
    client: &Client,
    stage: &Stage,
    table: &str,
    condition: &str,
) -> Result<u64, MergeError> {
    insert_where(client, stage, table, (condition, yields(table))).await
}

/// Inserts, as [`insert`] does; where rows yield, those that are there already win.
///
/// # Errors
/// [`MergeError`] when the database refuses.
pub(super) async fn insert_where(
    client: &Client,
    stage: &Stage,
    table: &str,
    (condition, yields): (&str, bool),
) -> Result<u64, MergeError> {
    let Some(columns) = stage.columns(table) else { return Ok(0) };
    let (mut names, mut values, mut order) = (Vec::new(), Vec::new(), None);
    for column in columns {
        let name = quoted(&column.name);
        let fresh = fresh(table, &column.name);
        if matches!(fresh, Some(Fresh::Sequence(_))) {
            order = Some(format!(" ORDER BY s.{name}"));
        }
        values.push(value(table, &column.name, fresh));
        names.push(name);
    }
    let (names, values) = (names.join(", "), values.join(", "));
    let (to, from, order) = (quoted(table), staged(table), order.unwrap_or_default());
    // What users did or set here since stays; parts of a room can meet nothing.
    let conflict = if yields { " ON CONFLICT DO NOTHING" } else { "" };
    let sql = format!(
        "INSERT INTO {to} ({names}) OVERRIDING SYSTEM VALUE
         SELECT {values} FROM (SELECT * FROM {from} s WHERE {condition}{order}) s{conflict}"
    );
    Ok(run(client, &format!("added rows to {table}"), &sql, &[]).await?)
}

/// Whether rows that are there already win.
fn yields(table: &str) -> bool {
    let known = Catalogue::known().get(table);
    known.is_some_and(|known| known.class != Class::Room && known.class != Class::Derived)
}

fn value(table: &str, column: &str, fresh: Option<Fresh>) -> String {
    let name = quoted(column);
    match fresh {
        None if (table, column) == ("rooms", "has_auth_chain_index") => "false".to_owned(),
        None => format!("s.{name}"),
        Some(Fresh::Position) => format!(
            "CASE WHEN s.{name} IS NULL THEN NULL ELSE coalesce(
                (SELECT m.new FROM lifeboat_event_map m WHERE m.old <= s.{name}
                 ORDER BY m.old DESC LIMIT 1),
                (SELECT min(m.new) - 1 FROM lifeboat_event_map m)) END"
        ),
        Some(Fresh::Group) => {
            format!("(SELECT m.new FROM lifeboat_group_map m WHERE m.old = s.{name})")
        }
        Some(Fresh::Sequence(sequence)) => format!("nextval('{sequence}')"),
        Some(Fresh::Id(of)) => format!(
            "(SELECT m.new FROM lifeboat_id_map m WHERE m.counter = '{of}' AND m.old = s.{name})"
        ),
        Some(Fresh::Writer) => format!("CASE WHEN s.{name} IS NOT NULL THEN {WRITER} END"),
        Some(Fresh::Newest) => "(SELECT last_value FROM events_stream_seq)".to_owned(),
    }
}

/// The fresh value of a column that the catalogue remaps; none for what is copied.
pub(super) fn fresh(table: &str, column: &str) -> Option<Fresh> {
    let Import::Remap(remapped) = &Catalogue::known().get(table)?.import else { return None };
    if !remapped.contains(&column) {
        return None;
    }
    Some(match (table, column) {
        (_, "instance_name") => Fresh::Writer,
        ("state_groups", "id") | (_, "state_group" | "prev_state_group") => Fresh::Group,
        ("pushers", "id") => Fresh::Sequence("pushers_sequence"),
        ("pushers", "access_token") | ("access_tokens", "id") => Fresh::Id("access_tokens"),
        (_, "refresh_token_id" | "next_token_id") | ("refresh_tokens", "id") => {
            Fresh::Id("refresh_tokens")
        }
        ("push_rules", "id") => Fresh::Id("push_rules"),
        ("push_rules_enable", "id") => Fresh::Id("push_rules_enable"),
        (_, "last_stream_ordering") => Fresh::Newest,
        ("receipts_linearized", "stream_id") => Fresh::Sequence("receipts_sequence"),
        ("room_account_data" | "room_tags_revisions" | "account_data", "stream_id") => {
            Fresh::Sequence("account_data_sequence")
        }
        ("thread_subscriptions", "stream_id") => Fresh::Sequence("thread_subscriptions_sequence"),
        ("device_inbox", "stream_id") => Fresh::Sequence("device_inbox_sequence"),
        ("e2e_cross_signing_keys", "stream_id") => {
            Fresh::Sequence("e2e_cross_signing_keys_sequence")
        }
        (
            _,
            "stream_ordering"
            | "event_stream_ordering"
            | "redact_end_ordering"
            | "unsubscribed_at_stream_ordering",
        ) => Fresh::Position,
        _ => return None,
    })
}

/// Which staged rows belong to what was given fresh ids, by the table's path.
pub(super) fn belongs(table: &str) -> &'static str {
    match Catalogue::known().get(table).map(|known| known.path) {
        Some(Path::Event) => {
            "EXISTS (SELECT FROM lifeboat_event_map m WHERE m.event_id = s.event_id)"
        }
        Some(Path::StateGroup) => {
            "EXISTS (SELECT FROM lifeboat_group_map m WHERE m.old = s.state_group)"
        }
        _ => "true",
    }
}

//! Accounts, with their devices, keys, settings and, where the package has them, tokens.
//!
//! One-time keys are never brought along: the clients upload others.

use std::collections::BTreeSet;

use lifeboat_package::id::Section;
use tokio_postgres::Client;

use super::insert::{self, Added, WRITER, insert};
use super::stage::Stage;
use super::{MergeError, run};
use crate::postgres::columns::quoted;
use crate::postgres::members::Members;
use crate::synapse::catalogue::{Catalogue, Path};
use crate::synapse::merge::stage::{member, staged};

/// The tables of an account in the order in which foreign keys want them.
pub const TABLES: [&str; 27] = [
    "users",
    "profiles",
    "erased_users",
    "devices",
    "refresh_tokens",
    "access_tokens",
    "device_auth_providers",
    "dehydrated_devices",
    "e2e_device_keys_json",
    "e2e_fallback_keys_json",
    "e2e_cross_signing_keys",
    "e2e_cross_signing_signatures",
    "e2e_room_keys_versions",
    "e2e_room_keys",
    "account_data",
    "ignored_users",
    "push_rules",
    "push_rules_enable",
    "pushers",
    "user_filters",
    "user_threepids",
    "user_external_ids",
    "user_threepid_id_server",
    "ratelimit_override",
    "per_user_experimental_features",
    "account_validity",
    "device_inbox",
];

/// The table of key backups, of which the rooms' rows also go with the rooms.
pub const ROOM_KEYS: &str = "e2e_room_keys";

/// The table of accounts.
pub const ACCOUNTS: &str = "users";

/// Tables whose ids Synapse counts in memory.
const COUNTED: [&str; 4] = ["refresh_tokens", "access_tokens", "push_rules", "push_rules_enable"];

/// Adds the staged accounts, inside the caller's transaction. Rows of something that belongs to
/// another account on the target (an address, an external id) stay that account's.
///
/// # Errors
/// [`MergeError`] when the database refuses.
pub async fn add(
    client: &Client,
    stage: &Stage,
    users: &[String],
    kept: &mut Vec<String>,
) -> Result<Added, MergeError> {
    insert::clear(client).await?;
    for table in COUNTED.into_iter().filter(|table| stage.takes(table)) {
        insert::map_ids(client, table).await?;
    }
    let mut added = Added::new();
    for table in TABLES {
        let condition = condition(table);
        let rows = insert(client, stage, table, &condition).await?;
        let staged = if stage.takes(table) { count(client, table, &condition).await? } else { 0 };
        if staged > rows {
            kept.push(format!("{table}: {} rows gave way to the target's own", staged - rows));
        }
        if rows > 0 {
            added.insert(table.to_owned(), rows);
        }
    }
    let sql = format!(
        "INSERT INTO device_lists_stream (stream_id, user_id, device_id, instance_name)
         SELECT nextval('device_lists_sequence'), user_id, device_id, {WRITER}
         FROM (SELECT user_id, device_id FROM devices WHERE user_id = ANY($1)
               ORDER BY user_id, device_id) d"
    );
    let told = run(client, "announced the devices", &sql, &[&users]).await?;
    added.insert("device_lists_stream".to_owned(), told);
    list(client, users, &mut added).await?;
    Ok(added)
}

/// Accounts of this server come into the user directory when they are made or change their names,
/// which these will not.
pub(super) async fn list(
    client: &Client,
    users: &[String],
    added: &mut Added,
) -> Result<(), MergeError> {
    let sql = "INSERT INTO user_directory (user_id, room_id, display_name, avatar_url)
               SELECT u.name, NULL, p.displayname, p.avatar_url FROM users u
               LEFT JOIN profiles p ON p.full_user_id = u.name
               WHERE u.name = ANY($1) AND u.deactivated = 0 AND u.appservice_id IS NULL
                 AND u.user_type IS DISTINCT FROM 'support' AND NOT coalesce(u.locked, false)
               ON CONFLICT DO NOTHING";
    let listed = run(client, "listed the accounts", sql, &[&users]).await?;
    added.insert("user_directory".to_owned(), listed);
    let sql = "INSERT INTO user_directory_search (user_id, vector)
               SELECT d.user_id,
                      setweight(to_tsvector('simple',
                                            split_part(substr(d.user_id, 2), ':', 1)), 'A')
                      || setweight(to_tsvector('simple', split_part(d.user_id, ':', 2)), 'D')
                      || setweight(to_tsvector('simple', coalesce(d.display_name, '')), 'B')
               FROM user_directory d WHERE d.user_id = ANY($1) ON CONFLICT DO NOTHING";
    run(client, "listed the accounts", sql, &[&users]).await?;
    Ok(())
}

/// Messages wait for devices that came along; a pusher pushes for a token that did.
fn condition(table: &str) -> String {
    let device = |of: &str| {
        format!(
            "EXISTS (SELECT FROM {} d
                     WHERE d.user_id = s.user_id AND d.device_id = s.device_id{of})",
            staged("devices")
        )
    };
    match table {
        "device_inbox" | "device_auth_providers" => device(""),
        "pushers" => "s.access_token IS NULL OR EXISTS (SELECT FROM lifeboat_id_map m
                      WHERE m.counter = 'access_tokens' AND m.old = s.access_token)"
            .to_owned(),
        _ => "true".to_owned(),
    }
}

async fn count(client: &Client, table: &str, condition: &str) -> Result<u64, MergeError> {
    let sql = format!("SELECT count(*) FROM {} s WHERE {condition}", staged(table));
    let rows = super::ask(client, "counted the package's rows", &sql, &[]).await?;
    Ok(rows.first().map_or(0, |row| row.get::<_, i64>(0).unsigned_abs()))
}

/// The devices of an account.
///
/// # Errors
/// [`MergeError`] when the database refuses.
pub async fn devices(client: &Client, user: &str) -> Result<Vec<String>, MergeError> {
    let sql = "SELECT device_id FROM devices WHERE user_id = $1 ORDER BY 1";
    let rows = super::ask(client, "read the devices", sql, &[&user]).await?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

/// The user that a record of a table belongs to; none for a table that goes by something else.
pub fn owner(table: &str, row: &Members<'_>) -> Option<String> {
    match Catalogue::known().get(table)?.path {
        Path::User(column) => member(row, column),
        _ => None,
    }
}

/// Removes every row of some accounts; the tables in an order that foreign keys allow.
///
/// # Errors
/// [`MergeError`] when the database refuses.
pub(super) async fn remove(client: &Client, users: &[String]) -> Result<u64, MergeError> {
    let known = Catalogue::known();
    let there: BTreeSet<String> =
        crate::synapse::check::tables::names(client).await?.into_iter().collect();
    let mut removed = 0;
    let others = known.tables().map(|table| table.name).filter(|name| !TABLES.contains(name));
    let ours = TABLES.iter().rev().copied();
    for name in others.chain(ours).filter(|name| there.contains(*name)) {
        let Some(table) = known.get(name) else { continue };
        let (Path::User(column), Section::Users) = (table.path, table.section) else { continue };
        let sql = format!("DELETE FROM {} WHERE {} = ANY($1)", quoted(name), quoted(column));
        removed += run(client, "took accounts back", &sql, &[&users]).await?;
    }
    Ok(removed)
}

//! Matrix Authentication Service: what a restore must look at in its database.
//!
//! MAS makes users and devices in Synapse through a queue of jobs, and its sync deletes devices
//! that it does not know, with their keys. So both sides are compared before its worker may start.

use std::collections::BTreeSet;

use lifeboat_postgres::{Client, PostgresError};

/// How a device is named in the scope of a session (MSC2967), by its stable and unstable names.
const DEVICE_SCOPES: [&str; 2] =
    ["urn:matrix:client:device:", "urn:matrix:org.matrix.msc2967.client:device:"];
/// Accounts and devices that are compared, at most.
const COMPARED: usize = 5_000_000;

/// What is on which side: user ids, and `user id / device id`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Comparison {
    /// Accounts on both sides.
    pub users_equal: u64,
    /// Accounts that only MAS knows.
    pub users_only_mas: Vec<String>,
    /// Users that only Synapse knows.
    pub users_only_synapse: Vec<String>,
    /// Devices on both sides.
    pub devices_equal: u64,
    /// Sessions whose device only MAS knows.
    pub devices_only_mas: Vec<String>,
    /// Devices that only Synapse knows.
    pub devices_only_synapse: Vec<String>,
}

/// Compares both sides. Guests, accounts of application services and deactivated users are
/// Synapse's own.
///
/// # Errors
/// [`PostgresError`] when a server refuses or is lost.
pub async fn compare(
    synapse: &Client,
    mas: &Client,
    server: &str,
) -> Result<Comparison, PostgresError> {
    let (users, devices) = crate::synapse::accounts::of_people(synapse).await?;
    let accounts = accounts(mas, server).await?;
    let sessions = sessions(mas, server).await?;
    // A device of a user whom MAS does not know is told with the user.
    let devices: BTreeSet<String> =
        devices.into_iter().filter(|(user, _)| accounts.contains(user)).map(joined).collect();
    let sessions: BTreeSet<String> = sessions.into_iter().map(joined).collect();
    let only = |one: &BTreeSet<String>, other: &BTreeSet<String>| {
        one.difference(other).cloned().collect::<Vec<_>>()
    };
    Ok(Comparison {
        users_equal: users.intersection(&accounts).count() as u64,
        users_only_mas: only(&accounts, &users),
        users_only_synapse: only(&users, &accounts),
        devices_equal: devices.intersection(&sessions).count() as u64,
        devices_only_mas: only(&sessions, &devices),
        devices_only_synapse: only(&devices, &sessions),
    })
}

fn joined((user, device): (String, String)) -> String {
    format!("{user} / {device}")
}

async fn accounts(mas: &Client, server: &str) -> Result<BTreeSet<String>, PostgresError> {
    let doing = |e| PostgresError::sorted("read the accounts of MAS", e);
    let limit = i64::try_from(COMPARED).unwrap_or(i64::MAX);
    let rows = mas
        .query("SELECT username FROM users WHERE deactivated_at IS NULL LIMIT $1", &[&limit])
        .await
        .map_err(doing)?;
    Ok(rows.iter().map(|row| format!("@{}:{server}", row.get::<_, String>(0))).collect())
}

async fn sessions(mas: &Client, server: &str) -> Result<BTreeSet<(String, String)>, PostgresError> {
    let doing = |e| PostgresError::sorted("read the sessions of MAS", e);
    let mut found = BTreeSet::new();
    let user = |name: String| format!("@{name}:{server}");
    let compat = mas
        .query(
            "SELECT u.username, s.device_id FROM compat_sessions s JOIN users u USING (user_id)
             WHERE s.finished_at IS NULL AND s.device_id IS NOT NULL",
            &[],
        )
        .await
        .map_err(doing)?;
    found.extend(compat.iter().map(|row| (user(row.get(0)), row.get(1))));
    let oauth = mas
        .query(
            "SELECT u.username, s.scope_list FROM oauth2_sessions s JOIN users u USING (user_id)
             WHERE s.finished_at IS NULL",
            &[],
        )
        .await
        .map_err(doing)?;
    for row in &oauth {
        let scopes: Vec<String> = row.get(1);
        let of_device = |scope: &String| {
            DEVICE_SCOPES.iter().find_map(|prefix| scope.strip_prefix(prefix)).map(str::to_owned)
        };
        found.extend(scopes.iter().filter_map(of_device).map(|id| (user(row.get(0)), id)));
    }
    Ok(found)
}

/// Whether a table is about workers, which [`forget_workers`] takes out.
pub fn is_of_workers(table: &str) -> bool {
    matches!(table, "queue_workers" | "queue_leader")
}

/// Forgets the workers of the server that is gone; says how many they were.
///
/// # Errors
/// [`PostgresError`] when the server refuses or is lost.
pub async fn forget_workers(mas: &Client) -> Result<u64, PostgresError> {
    let doing = |e| PostgresError::sorted("forgot the workers of MAS", e);
    mas.batch_execute(
        "BEGIN;
         UPDATE queue_jobs SET status = 'available', started_at = NULL, started_by = NULL
             WHERE status = 'running';
         DELETE FROM queue_leader",
    )
    .await
    .map_err(doing)?;
    let gone = mas
        .execute(
            "DELETE FROM queue_workers w WHERE NOT EXISTS (
        SELECT FROM queue_jobs j WHERE j.started_by = w.queue_worker_id)",
            &[],
        )
        .await;
    let gone = gone.map_err(doing)?;
    mas.batch_execute("COMMIT").await.map_err(doing)?;
    Ok(gone)
}

/// Jobs that MAS does when it starts: by queue, how many.
///
/// # Errors
/// [`PostgresError`] when the server refuses or is lost.
pub async fn pending(mas: &Client) -> Result<Vec<(String, i64)>, PostgresError> {
    let doing = |e| PostgresError::sorted("read the queue of MAS", e);
    let rows = mas
        .query(
            "SELECT queue_name, count(*) FROM queue_jobs
             WHERE status IN ('available', 'scheduled', 'running') GROUP BY 1 ORDER BY 1",
            &[],
        )
        .await
        .map_err(doing)?;
    Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
}

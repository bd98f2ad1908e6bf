//! The accounts of people, as another service must know them too.

use std::collections::BTreeSet;

use tokio_postgres::Client;

use crate::postgres::PostgresError;

/// Users and their devices.
pub type People = (BTreeSet<String>, BTreeSet<(String, String)>);

/// People's users and devices: no guests, no application services' users, none deactivated; no
/// devices that are none (keys of cross-signing, dehydrated devices).
///
/// # Errors
/// [`PostgresError`] when the server refuses or is lost.
pub async fn of_people(client: &Client) -> Result<People, PostgresError> {
    let doing = |e| PostgresError::sorted("read the users", e);
    let of_people = "u.is_guest = 0 AND u.appservice_id IS NULL AND u.deactivated = 0";
    let users = client
        .query(&format!("SELECT u.name FROM users u WHERE {of_people}"), &[])
        .await
        .map_err(doing)?;
    let devices = client
        .query(
            &format!(
                "SELECT d.user_id, d.device_id FROM devices d JOIN users u ON u.name = d.user_id
                 WHERE {of_people} AND NOT coalesce(d.hidden, false)
                   AND NOT EXISTS (SELECT FROM dehydrated_devices h
                                   WHERE h.user_id = d.user_id AND h.device_id = d.device_id)"
            ),
            &[],
        )
        .await
        .map_err(doing)?;
    Ok((
        users.iter().map(|row| row.get(0)).collect(),
        devices.iter().map(|row| (row.get(0), row.get(1))).collect(),
    ))
}

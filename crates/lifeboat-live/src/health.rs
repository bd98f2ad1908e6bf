//! Whether a component answers at the address that its operator gave.

use std::time::Duration;

use crate::way;

/// How long we wait for an answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// Whether `GET url` is answered with 200.
pub async fn is_well(url: &str) -> bool {
    let Ok(client) = way::straight().timeout(PATIENCE).build() else { return false };
    client.get(url).send().await.is_ok_and(|answer| answer.status().as_u16() == 200)
}

//! Whether the signing key that is kept is the one that the server's events carry: on the day of a
//! restore there is no other.

use std::time::Duration;

use lifeboat_components::synapse::witness;
use lifeboat_engine::context::Context;
use lifeboat_engine::failure::Failure;
use lifeboat_engine::import::check::database_fault;
use lifeboat_package::flow::Gap;
use lifeboat_postgres::connect::Connector;
use lifeboat_suite::key_fit::{self, Signer};
use tokio::time::timeout;

use super::BackupRequest;

/// How long the newest events are looked for: a server that sent none has all to be looked at.
const PATIENCE: Duration = Duration::from_secs(20);

/// What is wrong with the key; nothing where it fits, or the server has no event of its own.
///
/// # Errors
/// [`Failure`] when the database refuses.
pub(super) async fn misfit(
    cx: &Context,
    request: &BackupRequest,
    (component, connector): (&str, &Connector),
) -> Result<Option<Gap>, Failure> {
    let (server, keys) = (&request.server_name, &request.keys);
    if keys.signing.is_empty() {
        return Ok(None);
    }
    let look = async {
        let session = connector.connect().await?;
        witness::own_events(&session, server, witness::EVENTS).await
    };
    let Ok(events) = timeout(PATIENCE, look).await else {
        cx.note(format!("{component}: whether its signing key fits its events was not tried"));
        return Ok(None);
    };
    let events = events.map_err(database_fault)?;
    let events = events.iter().map(|event| (event.json.as_slice(), event.room_version.as_str()));
    let why = match key_fit::signer(server, (&keys.signing, &keys.known), events) {
        Signer::Nobody | Signer::Own(_) | Signer::Former => return Ok(None),
        Signer::Other(why) => why,
    };
    Ok(Some(Gap {
        kind: "signing-key".to_owned(),
        object: component.to_owned(),
        detail: format!("its signing key is not the one that its newest events carry: {why}"),
        remedy: "find the key that they carry, and put it back; if you changed it, list the old \
                 one in old_signing_keys"
            .to_owned(),
    }))
}

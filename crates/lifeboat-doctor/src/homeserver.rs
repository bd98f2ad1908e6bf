//! Synapse: its name, and that the signing key is the one its events carry and others are told.

use lifeboat_components::synapse::witness;
use lifeboat_live::ask;
use lifeboat_matrix::SigningKey;
use lifeboat_suite::key_fit::{self, Misfit, Signer};
use lifeboat_suite::{At, Component, Installation, Kind, proof};

use crate::finding::{Findings, Of, told};

pub(crate) async fn examine(installation: &Installation, findings: &mut Findings) {
    for synapse in installation.of_kind(Kind::Synapse) {
        let mut of = findings.of(&synapse.name);
        name(installation, synapse, &mut of);
        match proof::signing_keys(synapse) {
            Ok(keys) if keys.is_empty() => {
                of.fail("its signing key file holds no key", "put the file back");
            }
            Ok(keys) => {
                insecure(&keys, &mut of);
                events(installation, synapse, &keys, &mut of).await;
                published(synapse, &keys, &mut of).await;
            }
            Err(error) => of.fail(&told(&error), "put it back: Synapse would make a new one"),
        }
    }
}

fn name(installation: &Installation, synapse: &Component, of: &mut Of<'_>) {
    let written = &installation.server_name;
    match proof::server_name(synapse) {
        Ok(own) if own == *written => of.fine(&format!("it is {own}")),
        Ok(own) => of.fail(
            &format!("it is {own}, and lifeboat.yaml says {written}"),
            "correct server_name in lifeboat.yaml",
        ),
        Err(error) => of.fail(&told(&error), &error.remedy()),
    }
}

fn insecure(keys: &[SigningKey], of: &mut Of<'_>) {
    if keys.iter().any(|key| key_fit::may_be_insecure(key.key_id())) {
        of.warn(
            "its signing key ed25519:0 may be one that others can make (CVE-2026-24044): the Helm \
             chart of ESS before 25.12.2 made such",
            "if the chart made it, update the chart, which makes another; a key that you made is \
             fine",
        );
    }
}

/// The newest events of its own users were signed with one of the keys.
async fn events(
    installation: &Installation,
    synapse: &Component,
    keys: &[SigningKey],
    of: &mut Of<'_>,
) {
    let Some(At::Postgres(target)) = synapse.database("main").map(|main| &main.at) else { return };
    let Ok(connector) = target.connector() else { return };
    // That there is no way in was told before.
    let Ok(client) = connector.connect().await else { return };
    let server = &installation.server_name;
    let events = match witness::own_events(&client, server, witness::EVENTS).await {
        Ok(events) => events,
        Err(error) => {
            let what = format!("cannot try whether its signing key fits: {}", told(&error));
            return of.warn(&what, "check that this is Synapse's main database");
        }
    };
    let known = proof::known_keys(synapse).unwrap_or_default();
    let events = events.iter().map(|event| (event.json.as_slice(), event.room_version.as_str()));
    match key_fit::signer(server, (keys, &known), events) {
        Signer::Nobody => of.fine("it has no event yet that its signing key could be tried on"),
        Signer::Own(id) => of.fine(&format!("its newest events carry its key {id}")),
        Signer::Former => of.fine("its newest events carry a key that it lists as an old one"),
        Signer::Other(Misfit::OtherKey) => of.fail(
            "its newest events were signed with another key than the one in its file",
            "find the key that fits; if you changed it, the old one belongs into old_signing_keys",
        ),
        Signer::Other(error) => of.fail(
            &format!("its signing key does not fit its newest events: {error}"),
            "find the key that does, before it is needed",
        ),
    }
}

/// What it tells other servers, where it answers on this machine.
async fn published(synapse: &Component, keys: &[SigningKey], of: &mut Of<'_>) {
    let url = synapse.commands.health_url.as_deref().unwrap_or_default();
    let local = url.strip_prefix("http://127.0.0.1:").or(url.strip_prefix("http://localhost:"));
    let port = local.and_then(|rest| rest.split('/').next()?.parse::<u16>().ok());
    let Some(port) = port else { return };
    let asked = tokio::task::spawn_blocking(move || ask::published_keys(port)).await;
    // A server that is down, or has no such resource here, is nothing to worry a backup.
    let Ok(Ok(published)) = asked else { return };
    let fits = |key: &SigningKey| {
        published.iter().any(|(id, public)| key_fit::published_key(key, id, public).is_ok())
    };
    if keys.iter().any(fits) {
        of.fine("it publishes the key that is in its file");
    } else {
        of.fail(
            "it publishes another key than the one in its file",
            "the file was changed while it ran: put the old one back, then restart it",
        );
    }
}

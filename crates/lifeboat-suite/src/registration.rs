//! Registrations of application services: the same two tokens stand with the homeserver and with
//! the bridge. Where they differ, the bridge is deaf after the next restart.

use std::path::{Path, PathBuf};

use lifeboat_config::Secret;

use crate::error::SuiteError;
use crate::installation::{Bridge, Component, Installation, Kind, Note};
use crate::kinds;
use crate::view::Document;

/// What the secret is called in [`crate::SecretFile`].
pub const NAME: &str = "registration";

/// One side of a registration. No `Debug`: it holds tokens.
pub struct Registration {
    /// `id`; empty where a bridge's configuration does not say it.
    pub id: String,
    /// `as_token`.
    pub as_token: Secret,
    /// `hs_token`.
    pub hs_token: Secret,
    /// Where it stands.
    pub path: PathBuf,
}

/// Reads a registration file.
///
/// # Errors
/// [`SuiteError`] when it is not one.
pub fn read(path: &Path) -> Result<Registration, SuiteError> {
    let document = Document::read(path)?;
    let view = document.view()?;
    let text = |name: &str| {
        let remedy = "it is no registration: make it again, on both sides";
        view.scalar(&[name]).ok_or_else(|| view.missing(&[name], remedy))
    };
    let (id, as_token, hs_token) = (text("id")?, text("as_token")?, text("hs_token")?);
    Ok(Registration {
        id: id.to_string(),
        as_token: Secret::new(as_token.as_str()),
        hs_token: Secret::new(hs_token.as_str()),
        path: path.to_owned(),
    })
}

/// Compares what the bridges have with what Synapse has: the component, and what is wrong. Blocks
/// on the disk.
pub fn compare(installation: &Installation) -> Vec<(String, Note)> {
    let mut found = Vec::new();
    let mut known = Vec::new();
    let mut has_synapse = false;
    for synapse in installation.of_kind(Kind::Synapse) {
        has_synapse = true;
        known.extend(files_of(synapse, &mut found));
    }
    for bridge in &installation.components {
        if !matches!(bridge.kind, Kind::Bridge(_)) {
            continue;
        }
        let mut own = files_of(bridge, &mut found);
        own.extend(setting_of(bridge, &mut found));
        for (number, one) in own.iter().enumerate() {
            let before = own[..number].iter().find(|other| !is_same(one, other));
            if let Some(other) = before {
                found.push((bridge.name.clone(), differing(one, other)));
            } else if has_synapse && number == 0 {
                against(one, &known, &bridge.name, &mut found);
            }
        }
    }
    found
}

fn against(
    one: &Registration,
    known: &[Registration],
    name: &str,
    found: &mut Vec<(String, Note)>,
) {
    match known.iter().find(|other| other.id == one.id) {
        Some(other) if is_same(one, other) => {}
        Some(other) => found.push((name.to_owned(), differing(one, other))),
        None => {
            let what = format!("Synapse has no registration with the id {}", one.id);
            let remedy = "add it to app_service_config_files, or remove the bridge".to_owned();
            found.push((name.to_owned(), Note { what, remedy }));
        }
    }
}

fn files_of(component: &Component, found: &mut Vec<(String, Note)>) -> Vec<Registration> {
    let files = component.secrets.iter().filter(|secret| secret.name == NAME);
    let mut read_ones = Vec::new();
    for file in files.filter(|file| file.path.is_file()) {
        match read(&file.path) {
            Ok(registration) => read_ones.push(registration),
            Err(error) => {
                let note = Note { what: error.to_string(), remedy: error.remedy() };
                found.push((component.name.clone(), note));
            }
        }
    }
    read_ones
}

fn setting_of(component: &Component, found: &mut Vec<(String, Note)>) -> Option<Registration> {
    if !matches!(component.kind, Kind::Bridge(Bridge::Telegram | Bridge::Whatsapp)) {
        return None;
    }
    kinds::registration_setting(component).unwrap_or_else(|error| {
        let note = Note { what: error.to_string(), remedy: error.remedy() };
        found.push((component.name.clone(), note));
        None
    })
}

/// Without an id on one side the tokens decide alone.
fn is_same(one: &Registration, other: &Registration) -> bool {
    one.as_token == other.as_token && one.hs_token == other.hs_token
}

fn differing(one: &Registration, other: &Registration) -> Note {
    let what =
        format!("the tokens in {} are not those in {}", one.path.display(), other.path.display());
    let remedy =
        "copy the registration of the one that works to the other, restart both".to_owned();
    Note { what, remedy }
}

#[cfg(test)]
mod tests;

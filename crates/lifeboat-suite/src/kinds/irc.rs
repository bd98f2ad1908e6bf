//! The IRC bridge, matrix-appservice-irc: PostgreSQL or a folder of `NeDB` databases.

use std::path::PathBuf;

use super::{Finding, Known};
use crate::error::SuiteError;
use crate::installation::Role;
use crate::view::View;

pub(crate) const PASSKEY: &str = "passkey.pem";
const KEY: Known = Known {
    name: PASSKEY,
    without_it: "no stored IRC password can be read, and the bridge does not start",
};
const MEDIA_KEY: Known = Known {
    name: "key of media links",
    without_it: "links to media that were sent to IRC lead nowhere",
};
const REGISTRATIONS: &[&str] = &[
    "appservice-registration-irc.yaml",
    "appservice-irc.yaml",
    "irc-registration.yaml",
    "registration.yaml",
];

pub(super) fn find(at: &mut Finding<'_>) -> Result<(), SuiteError> {
    let document = at.needed_document()?;
    let view = document.view()?;
    let connection = view.text(&["database", "connectionString"])?;
    // Its older name, of before PostgreSQL.
    let connection = connection.or(view.text(&["ircService", "databaseUri"])?);
    let engine = view.text(&["database", "engine"])?;
    store(at, &view, engine, connection)?;
    if let Some(path) = view.text(&["ircService", "passwordEncryptionKeyPath"])? {
        at.secret_file(KEY, at.resolve(path));
    }
    if let Some(path) = view.text(&["ircService", "mediaProxy", "signingKeyPath"])? {
        at.secret_file(MEDIA_KEY, at.resolve(path));
    }
    at.registration(REGISTRATIONS)
}

/// A database of this bridge or of Bifrost, which write it alike.
pub(super) fn store(
    at: &mut Finding<'_>,
    view: &View<'_>,
    engine: Option<&str>,
    connection: Option<&str>,
) -> Result<(), SuiteError> {
    if at.is_given {
        return Ok(());
    }
    let place = format!("{} (its database)", view.path().display());
    match (engine, connection) {
        (Some("nedb") | None, Some(text)) if !text.starts_with("postgres") => {
            let folder = nedb_folder(at, text);
            at.file(Role::Nedb, folder);
            Ok(())
        }
        (_, Some(text)) => at.postgres(text, &place),
        (Some("nedb") | None, None) => {
            let folder = at.component.workdir.clone();
            at.file(Role::Nedb, folder);
            Ok(())
        }
        (Some(_), None) => Err(at.item.missing(
            &["database_url"],
            "its configuration has no connectionString: say database_url",
        )),
    }
}

/// `nedb://data` is a folder from where the bridge runs, `nedb:///data` one from the root.
fn nedb_folder(at: &Finding<'_>, text: &str) -> PathBuf {
    at.resolve(text.strip_prefix("nedb://").unwrap_or(text))
}

//! The bridges of mautrix, for Telegram and `WhatsApp`: three generations of one configuration.

use lifeboat_config::{Secret, conninfo};

use super::{Finding, Known};
use crate::error::SuiteError;
use crate::installation::{Component, Role};
use crate::registration::Registration;
use crate::view::{Document, View};

const TOKENS: Known = Known {
    name: "tokens of the application service",
    without_it: "the homeserver and the bridge do not know each other",
};
const PICKLE: Known = Known {
    name: "pickle key",
    without_it: "the bridge cannot read its encryption keys, and old messages stay closed",
};
const API: Known = Known {
    name: "Telegram API id and hash",
    without_it: "the bridge does not start until new ones are made at my.telegram.org",
};
const PROVISIONING: Known = Known {
    name: "provisioning secret",
    without_it: "what signs people in through this bridge is refused",
};
const LINKS: Known =
    Known { name: "key of media links", without_it: "links to media lead nowhere" };
/// Setting by setting, over the generations.
const SECRETS: &[(&[&str], Known)] = &[
    (&["appservice", "as_token"], TOKENS),
    (&["encryption", "pickle_key"], PICKLE),
    (&["network", "api_hash"], API),
    (&["telegram", "api_hash"], API),
    (&["provisioning", "shared_secret"], PROVISIONING),
    (&["appservice", "provisioning", "shared_secret"], PROVISIONING),
    (&["bridge", "provisioning", "shared_secret"], PROVISIONING),
    (&["public_media", "signing_key"], LINKS),
    (&["direct_media", "server_key"], LINKS),
];

pub(super) fn find(at: &mut Finding<'_>) -> Result<(), SuiteError> {
    let document = at.needed_document()?;
    let view = document.view()?;
    database(at, &view)?;
    for (setting, known) in SECRETS {
        let value = view.scalar(setting);
        if value.as_ref().is_some_and(|value| value.as_str() == "generate") {
            let what = format!("{} is still `generate`", setting.join("."));
            at.component.note(what, "start the bridge once: it writes the value into this file");
        } else if value.is_some_and(|value| value.as_str() != "disable") {
            at.secret_setting(*known, setting.join("."));
        }
    }
    for folder in ["sessions", "media", "public_media"] {
        let path = at.resolve(folder);
        if path.is_dir() {
            at.file(Role::Data, path);
        }
    }
    at.registration(&["registration.yaml"])
}

fn database(at: &mut Finding<'_>, view: &View<'_>) -> Result<(), SuiteError> {
    if at.is_given {
        return Ok(());
    }
    let pairs: [(&[&str], &[&str]); 2] = [
        (&["database", "type"], &["database", "uri"]),
        (&["appservice", "database", "type"], &["appservice", "database", "uri"]),
    ];
    let place = format!("{} (its database)", view.path().display());
    for (engine, uri) in pairs {
        let Some(address) = view.text(uri)? else { continue };
        let engine = view.text(engine)?.unwrap_or_default();
        return one(at, engine, address, &place);
    }
    // Of Python: one address, whose scheme says what it is.
    if !view.has(&["appservice", "database", "type"])
        && let Some(address) = view.text(&["appservice", "database"])?
    {
        return one(at, "", address, &place);
    }
    Err(at.item.missing(&["database_url"], "its configuration names no database: say database_url"))
}

fn one(at: &mut Finding<'_>, engine: &str, uri: &str, place: &str) -> Result<(), SuiteError> {
    let is_sqlite = engine.starts_with("sqlite")
        || ["sqlite:", "file:"].iter().any(|scheme| uri.starts_with(scheme));
    if !is_sqlite {
        return at.postgres(uri, place);
    }
    // `sqlite:///name` is beside the bridge, `sqlite:////path` from the root; `file:name?option`,
    // and `file:///path` from the root.
    let path = uri.strip_prefix("sqlite:///").or_else(|| uri.strip_prefix("sqlite:"));
    let of_file = uri.strip_prefix("file:").map(|rest| rest.strip_prefix("//").unwrap_or(rest));
    let whole = path.or(of_file).unwrap_or(uri);
    let name = whole.split('?').next().unwrap_or_default();
    // SQLite itself reads a `file:` and knows what is written with percent signs.
    let decoded = of_file.and_then(|_| conninfo::decoded(name).ok());
    let path = at.resolve(decoded.as_ref().map_or(name, Secret::expose));
    at.sqlite("main", path);
    Ok(())
}

/// The tokens in its own configuration, which must be those of its registration.
pub(crate) fn registration_setting(
    component: &Component,
) -> Result<Option<Registration>, SuiteError> {
    let Some(path) = component.config.first() else { return Ok(None) };
    let document = Document::read(path)?;
    let view = document.view()?;
    let token = |name: &str| view.scalar(&["appservice", name]);
    let (Some(as_token), Some(hs_token)) = (token("as_token"), token("hs_token")) else {
        return Ok(None);
    };
    let id = token("id").map_or_else(String::new, |id| id.to_string());
    let (as_token, hs_token) = (Secret::new(as_token.as_str()), Secret::new(hs_token.as_str()));
    Ok(Some(Registration { id, as_token, hs_token, path: path.clone() }))
}

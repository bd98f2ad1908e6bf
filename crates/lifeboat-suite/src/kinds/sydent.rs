//! Sydent: an INI file that Sydent itself rewrites, and a SQLite database.

use std::path::PathBuf;

use super::{Finding, Known};
use crate::error::SuiteError;
use crate::ini::Ini;
use crate::installation::Role;
use crate::view::read_text;

const SIGNING_KEY: Known = Known {
    name: "signing key",
    without_it: "Sydent makes a new one: signed associations and open invitations are void",
};

pub(super) fn find(at: &mut Finding<'_>) -> Result<(), SuiteError> {
    let Some(path) = at.component.config.first().cloned() else {
        return Err(at.item.missing(&["config"], "name its sydent.conf"));
    };
    let text = read_text(&path)?;
    let ini = Ini::parse(&text).map_err(|line| SuiteError::Syntax {
        path: path.clone(),
        line,
        column: 1,
        detail: "this is neither a [section] nor `name = value`".to_owned(),
    })?;
    at.file(Role::Config, path);
    if !at.is_given {
        let file = ini.get("db", "db.file").unwrap_or("sydent.db");
        if file == ":memory:" {
            at.component.note("its database is in memory only", "set db.file in its configuration");
        } else {
            let file = at.resolve(file);
            at.sqlite("main", file);
        }
    }
    if ini.get("crypto", "ed25519.signingkey").is_some() {
        at.secret_setting(SIGNING_KEY, "crypto.ed25519.signingkey");
    } else {
        at.component.note(
            "crypto.ed25519.signingkey is empty",
            "start Sydent once: it makes a key and writes it into this file",
        );
    }
    if let Some(templates) = ini.get("general", "templates.path") {
        let path: PathBuf = at.resolve(templates);
        // Sydent writes its default here, a folder that only its own sources have.
        if path.is_dir() || templates.starts_with('/') {
            at.file(Role::Config, path);
        }
    }
    for (option, role) in
        [("replication.https.certfile", Role::Secrets), ("replication.https.cacert", Role::Config)]
    {
        if let Some(path) = ini.get("http", option) {
            at.file(role, at.resolve(path));
        }
    }
    Ok(())
}

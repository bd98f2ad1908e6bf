//! Components whose own configuration we do not read: what they hold is said in `lifeboat.yaml`,
//! or in the environment they are started with.

use lifeboat_config::conninfo::Parameters;

use super::{Finding, Known};
use crate::env_file::EnvFile;
use crate::error::SuiteError;
use crate::installation::{Bridge, Kind, Role, SecretFile};
use crate::registration;

const PASSPHRASE: Known = Known {
    name: "backup passphrase",
    without_it: "the bot cannot open its saved keys, and reads no message of before",
};
const SIP_KEY: Known = Known {
    name: "encryption_key",
    without_it: "what the bridge keeps encrypted in its database cannot be read",
};
const COMPONENT_SECRET: Known =
    Known { name: "component secret", without_it: "integrations are refused" };
/// libpq's variables of the environment.
const LIBPQ: &[(&str, &str)] = &[
    ("PGHOST", "host"),
    ("PGPORT", "port"),
    ("PGDATABASE", "dbname"),
    ("PGUSER", "user"),
    ("PGPASSWORD", "password"),
    ("PGSSLMODE", "sslmode"),
];

pub(super) fn find(at: &mut Finding<'_>) -> Result<(), SuiteError> {
    for path in at.component.config.clone() {
        // Read as a whole file only; that it is there is checked.
        crate::view::read_text(&path)?;
        at.file(Role::Config, path);
    }
    environment(at)?;
    named_secrets(at)?;
    if let Some(path) = at.item.text(&["registration"])? {
        let known = Known {
            name: registration::NAME,
            without_it: "the homeserver and the bridge do not know each other",
        };
        at.secret_file(known, at.named(path));
    }
    let item = at.item;
    let has_database = !at.component.databases.is_empty();
    match at.component.kind {
        Kind::Integrator | Kind::Database | Kind::Bridge(Bridge::Sip) if !has_database => {
            Err(item.missing(&["database_url"], "say where its database is"))
        }
        Kind::Files | Kind::Adminbot | Kind::Auditbot if !item.has(&["paths"]) => {
            Err(item.missing(&["paths"], "name its files and folders"))
        }
        _ => Ok(()),
    }
}

fn environment(at: &mut Finding<'_>) -> Result<(), SuiteError> {
    let Some(path) = at.item.text(&["env_file"])? else { return Ok(()) };
    let variables = EnvFile::read(&at.named(path))?;
    if let Some(url) = variables.get("DATABASE_URL") {
        return at.postgres(url.expose(), "DATABASE_URL");
    }
    let mut parameters = Parameters::new();
    for (variable, name) in LIBPQ {
        if let Some(value) = variables.get(variable) {
            parameters.insert((*name).to_owned(), value.clone());
        }
    }
    if parameters.contains_key("host") || parameters.contains_key("dbname") {
        at.postgres_of(parameters, "PGHOST and its kin")?;
    }
    Ok(())
}

/// The files of `secrets:` are what a backup of these is useless without.
fn named_secrets(at: &mut Finding<'_>) -> Result<(), SuiteError> {
    let Known { name, without_it } = match at.component.kind {
        Kind::Adminbot | Kind::Auditbot => PASSPHRASE,
        Kind::Bridge(_) => SIP_KEY,
        _ => COMPONENT_SECRET,
    };
    let Some(secrets) = at.item.mapping(&["secrets"])? else { return Ok(()) };
    for (key, _) in secrets.keys() {
        let Some(path) = secrets.text(&[key])? else { continue };
        let path = at.named(path);
        at.component.secrets.push(SecretFile { name, path, setting: None, without_it });
    }
    Ok(())
}

//! Synapse: what `lifeboat-config` reads of its `homeserver.yaml`.

use lifeboat_config::database::DataStore;
use lifeboat_config::{FileState, Shape, SynapseConfig, absolute};
use serde_json::Value;

use super::{Finding, Known, NOT_SHARED, PEPPER};
use crate::error::SuiteError;
use crate::installation::{FileTree, Role};
use crate::registration;

const SIGNING_KEY: Known = Known {
    name: "signing key",
    without_it: "Synapse makes a new one without a word, and other servers reject this one",
};
const MACAROON: Known = Known {
    name: "macaroon secret",
    without_it: "guests, sign-ons under way and links to unsubscribe end",
};
const MAS_SECRET: Known = Known { name: "secret shared with MAS", without_it: NOT_SHARED };
const REGISTRATION: Known = Known {
    name: registration::NAME,
    without_it: "the application service of this registration is not let in",
};
/// Secrets in the configuration, or in the file that `NAME_path` names.
const SECRETS: &[(&str, Known)] = &[
    ("macaroon_secret_key", MACAROON),
    ("matrix_authentication_service.secret", MAS_SECRET),
    ("experimental_features.msc3861.admin_token", MAS_SECRET),
    ("password_config.pepper", PEPPER),
];

pub(super) fn find(at: &mut Finding<'_>) -> Result<(), SuiteError> {
    if at.component.config.is_empty() {
        return Err(at.item.missing(&["config"], "name Synapse's homeserver.yaml"));
    }
    let options = at.component.read_options();
    let config =
        lifeboat_config::read(&at.component.config, &options).map_err(SuiteError::Synapse)?;
    at.component.config.clone_from(&config.sources);
    for path in config.sources.clone() {
        at.file(Role::Config, path);
    }
    databases(at, &config)?;
    files(at, &config);
    secrets(at, &config);
    let mut media = config.media.clone();
    if let Some(path) = at.item.text(&["media_store"])? {
        media.store_path = absolute(at.folder, path);
    }
    if media.local_storage && !media.store_path.is_dir() {
        let what = format!("there is no media store {}", media.store_path.display());
        at.component.note(what, "correct media_store_path, workdir, or say media_store:");
    }
    at.component.media = Some(media);
    if at.component.commands.health_url.is_none() {
        at.component.commands.health_url = health_url(&config);
    }
    Ok(())
}

fn databases(at: &mut Finding<'_>, config: &SynapseConfig) -> Result<(), SuiteError> {
    let place = at.config_file().display().to_string();
    let found = config.databases(at.around);
    if at.is_given {
        if found.is_ok_and(|found| found.is_split()) {
            let remedy = "remove it: homeserver.yaml names both";
            let wrong = "names one database, and this Synapse has two";
            return Err(at.item.wrong(&["database_url"], wrong, remedy));
        }
        return Ok(());
    }
    let found = found.map_err(|source| SuiteError::Database { place, source })?;
    let is_split = found.is_split();
    for database in found.databases {
        let holds_main = database.holds.contains(&DataStore::Main);
        let name = if is_split && !holds_main { "state" } else { "main" };
        at.target(name, database.target);
    }
    Ok(())
}

/// Every file it names; what was not read has a gap, which becomes a note.
fn files(at: &mut Finding<'_>, config: &SynapseConfig) {
    for named in &config.named {
        if named.setting.starts_with("app_service_config_files") {
            at.secret_file(REGISTRATION, named.path.clone());
            continue;
        }
        let role = if named.secret { Role::Secrets } else { Role::Config };
        let known = at.component.files.iter().any(|file| file.path == named.path);
        let is_there = named.state == FileState::Read || named.shape == Shape::Folder;
        if !known && is_there {
            at.component.files.push(FileTree { role, path: named.path.clone() });
        }
    }
    for gap in &config.gaps {
        at.component.note(format!("{}: {}", gap.object, gap.detail), gap.remedy.clone());
    }
}

fn secrets(at: &mut Finding<'_>, config: &SynapseConfig) {
    let has = |setting: &str| config.kept.secrets.iter().any(|secret| secret.setting == setting);
    let file = |setting: &str| config.named.iter().find(|named| named.setting == setting);
    if has("signing_key") {
        at.secret_setting(SIGNING_KEY, "signing_key");
    } else if let Some(named) = file("signing_key_path") {
        at.secret_file(SIGNING_KEY, named.path.clone());
    }
    for (setting, known) in SECRETS {
        if let Some(named) = file(&format!("{setting}_path")) {
            at.secret_file(*known, named.path.clone());
        } else if has(setting) {
            at.secret_setting(*known, *setting);
        }
    }
}

/// `/health` of the first plain listener that serves clients here.
fn health_url(config: &SynapseConfig) -> Option<String> {
    let listeners = config.kept.settings.get("listeners")?.as_array()?;
    let serves = |listener: &&Value| {
        let resources = listener.get("resources").and_then(Value::as_array);
        let names = resources.into_iter().flatten().filter_map(|one| one.get("names"));
        let is_client = |names: &Value| {
            names.as_str() == Some("client")
                || names.as_array().is_some_and(|all| all.iter().any(|name| name == "client"))
        };
        let is_plain = listener.get("tls").and_then(Value::as_bool) != Some(true);
        is_plain && names.into_iter().any(is_client)
    };
    let listener = listeners.iter().find(serves)?;
    let port = listener.get("port").and_then(Value::as_u64).filter(|port| *port < 65_536)?;
    let bound = listener.get("bind_addresses").and_then(|all| all.get(0)).and_then(Value::as_str);
    let host = match bound {
        None | Some("0.0.0.0" | "::") => "127.0.0.1".to_owned(),
        Some(address) if address.contains(':') => format!("[{address}]"),
        Some(address) => address.to_owned(),
    };
    Some(format!("http://{host}:{port}/health"))
}

//! Matrix Authentication Service: `config.yaml` as its manual describes it.

use lifeboat_config::Secret;
use lifeboat_config::conninfo::Parameters;

use super::{Finding, Known, NOT_SHARED, PEPPER};
use crate::error::SuiteError;
use crate::installation::{Component, Role};
use crate::view::{Document, View, read_text};

const ENCRYPTION: Known = Known {
    name: "encryption secret",
    without_it: "every encrypted column is lost: the secrets of clients and of upstream providers",
};
const KEY: Known = Known {
    name: "signing key of tokens",
    without_it: "tokens that were handed out are refused, and clients must sign in again",
};
const SYNAPSE_SECRET: Known = Known { name: "secret shared with Synapse", without_it: NOT_SHARED };
const PROVIDER: Known = Known {
    name: "secret of an upstream provider",
    without_it: "signing in through that provider fails until it is entered again",
};
const CLIENT: Known =
    Known { name: "secret of a client", without_it: "that client is refused until it has another" };
const SMTP: Known = Known { name: "mail password", without_it: "no mail is sent" };

/// Its names for libpq's parameters.
const PARTS: &[(&str, &str)] = &[
    ("username", "user"),
    ("password", "password"),
    ("database", "dbname"),
    ("ssl_mode", "sslmode"),
    ("port", "port"),
];
/// Those that are paths.
const FILES: &[(&str, &str)] = &[
    ("socket", "host"),
    ("ssl_ca_file", "sslrootcert"),
    ("ssl_certificate_file", "sslcert"),
    ("ssl_key_file", "sslkey"),
];
/// Files and folders that its settings name.
const NAMED: &[(&[&str], Role)] = &[
    (&["templates", "path"], Role::Config),
    (&["templates", "translations_path"], Role::Config),
    (&["policy", "wasm_module"], Role::Config),
    (&["database", "ssl_ca_file"], Role::Config),
    (&["database", "ssl_certificate_file"], Role::Config),
    (&["database", "ssl_key_file"], Role::Secrets),
    (&["database", "password_file"], Role::Secrets),
];
/// Those of an entry of `http.listeners`.
const OF_LISTENERS: &[(&[&str], Role)] = &[
    (&["tls", "certificate_file"], Role::Config),
    (&["tls", "key_file"], Role::Secrets),
    (&["tls", "password_file"], Role::Secrets),
];

pub(super) fn find(at: &mut Finding<'_>) -> Result<(), SuiteError> {
    let document = at.needed_document()?;
    let view = document.view()?;
    database(at, &view)?;
    secrets(at, &view)?;
    // Some have defaults inside the program; only what is said is ours to keep.
    files(at, &view, NAMED)?;
    for listener in view.items(&["http", "listeners"])? {
        files(at, &listener, OF_LISTENERS)?;
        for resource in listener.items(&["resources"])? {
            if let Some(path) = resource.text(&["path"])? {
                shipped(at, path);
            }
        }
    }
    if let Some(path) = view.text(&["templates", "assets_manifest"])? {
        shipped(at, path);
    }
    Ok(())
}

/// What comes with the program, and is ours to keep where somebody made another. A container's
/// image has it, and its path is nothing here.
fn shipped(at: &mut Finding<'_>, path: &str) {
    let path = at.resolve(path);
    if path.exists() {
        at.file(Role::Config, path);
    }
}

fn files(
    at: &mut Finding<'_>,
    view: &View<'_>,
    named: &[(&[&str], Role)],
) -> Result<(), SuiteError> {
    for (setting, role) in named {
        if let Some(path) = view.text(setting)? {
            at.file(*role, at.resolve(path));
        }
    }
    Ok(())
}

fn database(at: &mut Finding<'_>, view: &View<'_>) -> Result<(), SuiteError> {
    let place = format!("{} (database)", view.path().display());
    if at.is_given {
        return Ok(());
    }
    if let Some(uri) = view.text(&["database", "uri"])? {
        return at.postgres(uri, &place);
    }
    for inline in ["ssl_ca", "ssl_certificate", "ssl_key"] {
        if view.has(&["database", inline]) {
            let remedy = "say database_url: in lifeboat.yaml, with sslrootcert=FILE, sslcert=FILE";
            let wrong = "holds a certificate or key itself, which is not read";
            return Err(view.wrong(&["database", inline], wrong, remedy));
        }
    }
    let mut parameters = Parameters::new();
    if let Some(host) = view.text(&["database", "host"])? {
        parameters.insert("host".to_owned(), Secret::new(host));
    }
    for (theirs, libpq) in PARTS {
        if let Some(value) = view.scalar(&["database", theirs]) {
            parameters.insert((*libpq).to_owned(), Secret::new(value.as_str()));
        }
    }
    for (theirs, libpq) in FILES {
        if let Some(path) = view.text(&["database", theirs])? {
            let path = at.resolve(path).display().to_string();
            parameters.insert((*libpq).to_owned(), Secret::new(path));
        }
    }
    if let Some(file) = view.text(&["database", "password_file"])? {
        let text = read_text(&at.resolve(file))?;
        let password = Secret::new(text.trim_end_matches(['\r', '\n']));
        parameters.insert("password".to_owned(), password);
    }
    if !parameters.contains_key("host") {
        // Its default, where libpq would look for a socket.
        parameters.insert("host".to_owned(), Secret::new("localhost"));
    }
    at.postgres_of(parameters, &place)
}

fn secrets(at: &mut Finding<'_>, view: &View<'_>) -> Result<(), SuiteError> {
    let pair = (&["secrets", "encryption"][..], &["secrets", "encryption_file"][..]);
    if !at.secret_either(view, ENCRYPTION, pair)? {
        at.component.note(
            "secrets.encryption is not set",
            "MAS does not start without it; name the file that has it",
        );
    }
    let keys = view.items(&["secrets", "keys"])?;
    if let Some(folder) = view.text(&["secrets", "keys_dir"])? {
        at.secret_file(KEY, at.resolve(folder));
    } else if keys.is_empty() {
        at.component.note("secrets.keys is empty", "MAS needs an RSA key; name the file with it");
    }
    for key in &keys {
        at.secret_either(key, KEY, (&["key"], &["key_file"]))?;
        if let Some(path) = key.text(&["password_file"])? {
            at.file(Role::Secrets, at.resolve(path));
        }
    }
    let pair = (&["matrix", "secret"][..], &["matrix", "secret_file"][..]);
    if !at.secret_either(view, SYNAPSE_SECRET, pair)? {
        at.component.note("matrix.secret is not set", "set what Synapse has, or its file");
    }
    for scheme in view.items(&["passwords", "schemes"])? {
        at.secret_either(&scheme, PEPPER, (&["secret"], &["secret_file"]))?;
    }
    for provider in view.items(&["upstream_oauth2", "providers"])? {
        at.secret_either(&provider, PROVIDER, (&["client_secret"], &["client_secret_file"]))?;
        let apple = "sign_in_with_apple";
        let pair = (&[apple, "private_key"][..], &[apple, "private_key_file"][..]);
        at.secret_either(&provider, PROVIDER, pair)?;
    }
    for client in view.items(&["clients"])? {
        at.secret_either(&client, CLIENT, (&["client_secret"], &["client_secret_file"]))?;
    }
    at.secret_either(view, SMTP, (&["email", "password"], &["email", "password_file"]))?;
    Ok(())
}

/// The value of `secrets.encryption`, for the proof that it fits.
pub(crate) fn encryption_setting(component: &Component) -> Result<Option<Secret>, SuiteError> {
    setting(component, (&["secrets", "encryption"], &["secrets", "encryption_file"]))
}

/// The value of `matrix.secret`, which Synapse has too.
pub(crate) fn shared_setting(component: &Component) -> Result<Option<Secret>, SuiteError> {
    setting(component, (&["matrix", "secret"], &["matrix", "secret_file"]))
}

fn setting(
    component: &Component,
    (setting, file): (&[&str], &[&str]),
) -> Result<Option<Secret>, SuiteError> {
    let Some(document) = Document::read_merged(&component.config)? else { return Ok(None) };
    let view = document.view()?;
    if let Some(path) = view.text(file)? {
        let path = lifeboat_config::absolute(&component.workdir, path);
        let text = read_text(&lifeboat_config::copied(component.root.as_deref(), path))?;
        return Ok(Some(Secret::new(text.trim())));
    }
    Ok(view.scalar(setting).map(|text| Secret::new(text.as_str())))
}

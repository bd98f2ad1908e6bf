//! Which settings are secrets and which name files, as data.
//!
//! A pattern is a setting's path; `[]` stands for any place in a list, `*` for any key. It covers
//! what is below it. Settings that no pattern knows are judged by their name, towards caution: an
//! unknown secret that is called one, and an unknown file, are kept as secrets.

use super::scan::{Shape, Step};

/// A setting that names a file or folder.
pub(super) struct KnownFile {
    pub(super) pattern: &'static str,
    pub(super) shape: Shape,
    pub(super) secret: bool,
}

/// Settings whose values are secrets.
pub(super) const SECRETS: &[&str] = &[
    "database.args.dsn",
    "database.args.password",
    "database.args.sslpassword",
    "databases.*.args.dsn",
    "databases.*.args.password",
    "databases.*.args.sslpassword",
    "email.smtp_pass",
    "experimental_features.msc3861.admin_token",
    "experimental_features.msc3861.client_secret",
    "form_secret",
    "jwt_config.secret",
    "macaroon_secret_key",
    "manhole_settings.password",
    "matrix_authentication_service.secret",
    "oidc_config.client_secret",
    "oidc_config.client_secret_jwt_key.key",
    "oidc_providers[].client_secret",
    "oidc_providers[].client_secret_jwt_key.key",
    "password_config.pepper",
    "recaptcha_private_key",
    "redis.password",
    "registration_shared_secret",
    "sentry.dsn",
    "signing_key",
    "turn_password",
    "turn_shared_secret",
    "worker_replication_secret",
];

/// Configuration of modules that we do not know: every text and number in it may be a secret, and
/// files it names are not followed.
pub(super) const OPAQUE: &[&str] = &[
    "media_storage_providers[].config",
    "modules[].config",
    "oidc_config.user_mapping_provider.config",
    "oidc_providers[].user_mapping_provider.config",
    "password_providers[].config",
    "saml2_config.user_mapping_provider.config",
    "spam_checker.config",
    "spam_checker[].config",
    "third_party_event_rules.config",
];

/// Last words of names that mean a secret.
const SECRET_WORDS: &[&str] = &[
    "access_key",
    "access_key_id",
    "api_key",
    "credential",
    "credentials",
    "dsn",
    "pass",
    "passphrase",
    "passwd",
    "password",
    "passwords",
    "pepper",
    "private_key",
    "secret",
    "secret_key",
    "secrets",
    "token",
    "tokens",
];

/// Settings that name files, beyond those whose name ends in `_path` or `_file`.
pub(super) const FILES: &[KnownFile] = &[
    folder("account_validity.template_dir"),
    secret_file("app_service_config_files[]"),
    file("database.args.sslcert"),
    file("database.args.sslcrl"),
    secret_file("database.args.passfile"),
    secret_file("database.args.sslkey"),
    file("database.args.sslrootcert"),
    file("databases.*.args.sslcert"),
    file("databases.*.args.sslcrl"),
    secret_file("databases.*.args.passfile"),
    secret_file("databases.*.args.sslkey"),
    file("databases.*.args.sslrootcert"),
    folder("email.template_dir"),
    file("federation_custom_ca_list[]"),
    file("log_config"),
    file("manhole_settings.ssh_pub_key_path"),
    file("oembed.additional_providers[]"),
    file("recaptcha_public_key_path"),
    file("redis.ca_file"),
    folder("redis.ca_path"),
    file("redis.certificate_file"),
    file("saml2_config.sp_config.cert_file"),
    file("saml2_config.sp_config.metadata.local[]"),
    folder("sso.template_dir"),
    folder("templates.custom_template_directory"),
    file("tls_certificate_path"),
    folder("user_consent.template_dir"),
    file("worker_log_config"),
];

/// Names ending in `_path` or `_file` that are where Synapse writes, or are too big to be
/// configuration.
const NOT_FOLLOWED: &[&str] = &[
    "backup_media_store_path",
    "database_path",
    "log_file",
    "media_store_path",
    "pid_file",
    "uploads_path",
    "worker_log_file",
    "worker_pid_file",
];

const fn file(pattern: &'static str) -> KnownFile {
    KnownFile { pattern, shape: Shape::File, secret: false }
}

const fn secret_file(pattern: &'static str) -> KnownFile {
    KnownFile { pattern, shape: Shape::File, secret: true }
}

const fn folder(pattern: &'static str) -> KnownFile {
    KnownFile { pattern, shape: Shape::Folder, secret: false }
}

/// Whether a text or number at this place is a secret.
pub(super) fn is_secret(path: &[Step<'_>], text: Option<&str>) -> bool {
    let called_secret = last_key(path).is_some_and(|key| {
        let key = key.to_ascii_lowercase().replace(['-', '.'], "_");
        SECRET_WORDS.iter().any(|word| ends_in_word(&key, word))
    });
    called_secret
        || SECRETS.iter().chain(OPAQUE).any(|pattern| covers(pattern, path))
        || text.is_some_and(has_login)
}

/// Whether this place is inside the configuration of an unknown module.
pub(super) fn is_opaque(path: &[Step<'_>]) -> bool {
    OPAQUE.iter().any(|pattern| covers(pattern, path))
}

/// Whether a text at this place names a file or folder to follow.
pub(super) fn named_file(path: &[Step<'_>]) -> Option<(Shape, bool)> {
    if let Some(known) = FILES.iter().find(|known| equals(known.pattern, path)) {
        return Some((known.shape, known.secret));
    }
    let Some(Step::Key(name)) = path.last() else { return None };
    let ends = name.ends_with("_path") || name.ends_with("_file");
    (ends && !NOT_FOLLOWED.contains(name)).then_some((Shape::File, true))
}

fn last_key<'a>(path: &[Step<'a>]) -> Option<&'a str> {
    path.iter().rev().find_map(|step| match step {
        Step::Key(key) => Some(*key),
        Step::Index(_) => None,
    })
}

fn ends_in_word(key: &str, word: &str) -> bool {
    match key.strip_suffix(word) {
        Some(before) => before.is_empty() || before.ends_with('_'),
        None => false,
    }
}

/// `scheme://user:password@host`: a login inside an address.
fn has_login(text: &str) -> bool {
    let Some((_, rest)) = text.split_once("://") else { return false };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    authority.rsplit_once('@').is_some_and(|(login, _)| login.contains(':'))
}

fn covers(pattern: &str, path: &[Step<'_>]) -> bool {
    let mut path = path.iter();
    steps(pattern).all(|wanted| path.next().is_some_and(|step| wanted.fits(step)))
}

fn equals(pattern: &str, path: &[Step<'_>]) -> bool {
    covers(pattern, path) && steps(pattern).count() == path.len()
}

enum Wanted<'a> {
    Key(&'a str),
    AnyKey,
    AnyIndex,
}

impl Wanted<'_> {
    fn fits(&self, step: &Step<'_>) -> bool {
        match (self, step) {
            (Self::Key(wanted), Step::Key(key)) => wanted == key,
            (Self::AnyKey, Step::Key(_)) | (Self::AnyIndex, Step::Index(_)) => true,
            _ => false,
        }
    }
}

fn steps(pattern: &str) -> impl Iterator<Item = Wanted<'_>> {
    pattern.split('.').flat_map(|part| {
        let (name, list) = match part.strip_suffix("[]") {
            Some(name) => (name, true),
            None => (part, false),
        };
        let key = if name == "*" { Wanted::AnyKey } else { Wanted::Key(name) };
        std::iter::once(key).chain(list.then_some(Wanted::AnyIndex))
    })
}

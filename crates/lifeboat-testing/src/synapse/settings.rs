//! The configuration files of a test homeserver.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::ServerOptions;
use crate::WorldError;

/// The secret that lets the test world register accounts.
pub const REGISTRATION_SECRET: &str = "test-registration-shared-secret";
/// The token of the application service that may act as any local user.
pub const APPSERVICE_TOKEN: &str = "test-appservice-token";

/// Where a homeserver lives.
pub(super) struct Place<'a> {
    pub(super) directory: &'a Path,
    pub(super) options: &'a ServerOptions,
    pub(super) port: u16,
    pub(super) database_port: u16,
}

impl Place<'_> {
    /// Writes every configuration file; leaves the signing key and the media alone.
    pub(super) fn write(&self) -> Result<(), WorldError> {
        for folder in ["conf.d", "keys", "appservices", "templates", "media_store"] {
            let path = self.directory.join(folder);
            fs::create_dir_all(&path)
                .map_err(WorldError::io(format!("make {}", path.display())))?;
        }
        self.file("homeserver.yaml", &self.main())?;
        self.file("conf.d/10-features.yaml", FEATURES)?;
        self.file("conf.d/20-rate-limits.yaml", RATE_LIMITS)?;
        self.file("conf.d/README", "Only files that end in .yaml are read.\n")?;
        self.file("log.yaml", &self.log())?;
        self.secret("keys/registration.secret", REGISTRATION_SECRET, 0o640)?;
        self.secret("keys/macaroon.secret", "test-macaroon-secret-key", 0o600)?;
        self.file("appservices/importer.yaml", APPSERVICE)?;
        self.file("templates/password_reset.html", "<p>Reset: {{ link }}</p>\n")
    }

    fn file(&self, name: &str, text: &str) -> Result<(), WorldError> {
        let path = self.directory.join(name);
        fs::write(&path, text).map_err(WorldError::io(format!("write {}", path.display())))
    }

    fn secret(&self, name: &str, value: &str, mode: u32) -> Result<(), WorldError> {
        self.file(name, &format!("{value}\n"))?;
        fs::set_permissions(self.directory.join(name), Permissions::from_mode(mode))
            .map_err(WorldError::io(format!("close {name}")))
    }

    fn main(&self) -> String {
        let home = self.directory.display();
        let server_name = &self.options.server_name;
        let (port, databases) = (self.port, self.databases());
        format!(
            r#"# A homeserver of the test world. Every secret in here is a test's.
server_name: "{server_name}"
public_baseurl: "http://127.0.0.1:{port}/"
report_stats: false
log_config: "{home}/log.yaml"
listeners:
  - port: {port}
    type: http
    tls: false
    x_forwarded: true
    bind_addresses: ["127.0.0.1"]
    resources:
      - names: [client, federation]
        compress: false
{databases}media_store_path: "{home}/media_store"
signing_key_path: "{home}/keys/signing.key"
macaroon_secret_key_path: "{home}/keys/macaroon.secret"
registration_shared_secret_path: "{home}/keys/registration.secret"
form_secret: "test-form-secret"
password_config:
  pepper: "test-password-pepper"
app_service_config_files:
  - "{home}/appservices/importer.yaml"
templates:
  custom_template_directory: "{home}/templates"
trusted_key_servers: []
suppress_key_server_warning: true
# Names that never resolve: this homeserver talks to no other.
federation_domain_whitelist: [far.test, near.test]
"#
        )
    }

    /// One database, or two of which the second holds the state store.
    fn databases(&self) -> String {
        let ServerOptions { database, state_database, role, .. } = self.options;
        let port = self.database_port;
        let (user, password) = (&role.name, &role.password);
        let settings = |name: &str, margin: &str| {
            let lines = [
                "name: psycopg2".to_owned(),
                "txn_limit: 10000".to_owned(),
                "args:".to_owned(),
                format!("  user: {user}"),
                format!("  password: \"{password}\""),
                format!("  dbname: {name}"),
                "  host: 127.0.0.1".to_owned(),
                format!("  port: {port}"),
                "  cp_min: 2".to_owned(),
                "  cp_max: 8".to_owned(),
            ];
            lines.map(|line| format!("{margin}{line}\n")).concat()
        };
        let Some(state) = state_database else {
            return format!("database:\n{}", settings(database, "  "));
        };
        let (main, state) = (settings(database, "    "), settings(state, "    "));
        format!(
            "databases:\n  main:\n    data_stores: [main]\n{main}  \
             state:\n    data_stores: [state]\n{state}"
        )
    }

    fn log(&self) -> String {
        let home = self.directory.display();
        format!(
            r#"version: 1
formatters:
  plain:
    format: "%(asctime)s - %(name)s - %(lineno)d - %(levelname)s - %(request)s - %(message)s"
handlers:
  file:
    class: logging.FileHandler
    formatter: plain
    filename: "{home}/homeserver.log"
    encoding: utf8
root:
  level: WARNING
  handlers: [file]
disable_existing_loggers: false
"#
        )
    }
}

/// May act as any local user and set timestamps, so that history can be older than the test.
const APPSERVICE: &str = r"id: importer
url: null
as_token: test-appservice-token
hs_token: test-homeserver-token
sender_localpart: importer
rate_limited: false
namespaces:
  users:
    - exclusive: false
      regex: '@.*:.*'
  rooms: []
  aliases:
    - exclusive: false
      regex: '#.*:.*'
";

/// Everything that makes Synapse fill tables which a plain configuration leaves empty.
/// Times are long, so that a seeded world that is kept for weeks does not change by itself.
const FEATURES: &str = r#"enable_registration: false
bcrypt_rounds: 4
max_upload_size: 50M
dynamic_thumbnails: true
url_preview_enabled: false
mau_stats_only: true
enable_ephemeral_messages: true
max_event_delay_duration: 520w
refreshable_access_token_lifetime: 520w
forgotten_room_retention_period: 28d
allow_public_rooms_without_auth: true
login_via_existing_session:
  enabled: true
  require_ui_auth: true
room_list_publication_rules:
  - action: allow
user_directory:
  enabled: true
  search_all_users: true
server_notices:
  system_mxid_localpart: notices
  system_mxid_display_name: "Server notices"
  room_name: "Server notices"
background_updates:
  sleep_enabled: false
  min_batch_size: 1000
experimental_features:
  msc3814_enabled: true
  msc3881_enabled: true
  msc4222_enabled: true
  msc4293_enabled: true
  msc4306_enabled: true
  msc4354_enabled: true
"#;

const RATE_LIMITS: &str = r"rc_message: &free {per_second: 100000, burst_count: 100000}
rc_registration: *free
rc_login: {address: *free, account: *free, failed_attempts: *free}
rc_admin_redaction: *free
rc_joins: {local: *free, remote: *free}
rc_joins_per_room: *free
rc_invites: {per_room: *free, per_user: *free, per_issuer: *free}
rc_reports: *free
rc_room_creation: *free
rc_key_requests: *free
rc_media_create: *free
rc_presence: {per_user: *free}
rc_delayed_event_mgmt: *free
";

//! What is found in the configuration of each kind, written as those programs write it.

use std::fs;

use super::*;
use crate::installation::Installation;

/// A folder with files in it, and what is found of one component there.
struct Place(tempfile::TempDir);

impl Place {
    fn with(files: &[(&str, &str)]) -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        for (name, text) in files {
            let path = place.0.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        place
    }

    fn read(&self, component: &str) -> Result<Installation, SuiteError> {
        let text = format!(
            "server_name: example.org\nvault: v\nrecipients: [age1x]\ncomponents:\n  \
             - {component}\n"
        );
        let around = Surroundings { user: Some("me".to_owned()), ..Surroundings::default() };
        crate::parse(&self.0.path().join("lifeboat.yaml"), &text, &around)
    }

    fn find(&self, component: &str) -> Found {
        let found = self.read(component);
        let found = found.unwrap_or_else(|error| {
            panic!("{error} ({:?}): {}", std::error::Error::source(&error), error.remedy())
        });
        let folder = format!("{}/", self.0.path().display());
        Found { component: found.components.into_iter().next().unwrap(), folder }
    }
}

struct Found {
    component: Component,
    folder: String,
}

impl Found {
    fn databases(&self) -> Vec<String> {
        let shown = |database: &Database| format!("{} {}", database.name, database.at.shown());
        self.component.databases.iter().map(|one| self.short(&shown(one))).collect()
    }

    fn files(&self) -> Vec<String> {
        let files = self.component.files.iter();
        files
            .map(|f| format!("{} {}", f.role.word(), self.short(&f.path.display().to_string())))
            .collect()
    }

    fn secrets(&self) -> Vec<String> {
        let secrets = self.component.secrets.iter();
        secrets
            .map(|secret| match &secret.setting {
                Some(setting) => format!("{} in {setting}", secret.name),
                None => {
                    format!("{} {}", secret.name, self.short(&secret.path.display().to_string()))
                }
            })
            .collect()
    }

    fn notes(&self) -> Vec<String> {
        self.component.notes.iter().map(|note| self.short(&note.what)).collect()
    }

    fn password(&self) -> Option<&str> {
        match &self.component.databases[0].at {
            At::Postgres(target) => target.password.as_ref().map(lifeboat_config::Secret::expose),
            At::Sqlite(_) => None,
        }
    }

    fn short(&self, text: &str) -> String {
        text.replace(&self.folder, "")
    }
}

#[test]
fn every_file_that_mas_names_is_kept_and_what_its_image_has_is_not_missed() {
    let text = "\
database: {uri: 'postgresql://mas@db/mas'}
secrets: {encryption: '0011', keys_dir: keys}
matrix: {secret: s}
templates: {path: pages, assets_manifest: pages/manifest.json, translations_path: words}
http:
  listeners:
  - resources: [{name: human}, {name: assets, path: /image/only}, {name: assets, path: pictures}]
    tls: {certificate_file: c.pem, key_file: k.pem, password_file: p.txt}
";
    let there = ["keys/a", "pages/manifest.json", "words/de", "pictures/a", "c.pem", "k.pem"];
    let mut files = vec![("mas.yaml", text), ("p.txt", "")];
    files.extend(there.map(|name| (name, "")));
    let found = Place::with(&files).find("{kind: mas, config: mas.yaml}");
    assert_eq!(found.notes(), Vec::<String>::new());
    let mut kept = found.files();
    kept.sort_unstable();
    assert_eq!(
        kept,
        [
            "config c.pem",
            "config mas.yaml",
            "config pages",
            "config pages/manifest.json",
            "config pictures",
            "config words",
            "secrets k.pem",
            "secrets keys",
            "secrets p.txt",
        ]
    );
}

#[test]
fn mas_is_found_by_address_or_by_parts() {
    let address = "\
database: {uri: 'postgresql://mas:word@db.example/mas?sslmode=require'}
secrets:
  encryption: '0011'
  keys: [{kid: a, key_file: rsa.pem}, {kid: b, key: '-----BEGIN'}]
matrix: {secret_file: shared, homeserver: example.org}
passwords: {schemes: [{version: 1, algorithm: argon2id, secret: pepper}]}
upstream_oauth2: {providers: [{id: x, client_secret: s}, {id: y, client_secret_file: y.txt}]}
clients: [{client_id: c, client_secret: s}]
email: {transport: smtp, password: p}
";
    let files = [("mas/config.yaml", address), ("mas/rsa.pem", ""), ("mas/shared", "")];
    let found = Place::with(&files).find("{kind: mas, config: mas/config.yaml}");
    assert_eq!(found.databases(), ["main postgres://mas@db.example:5432/mas"]);
    assert_eq!(found.password(), Some("word"));
    assert_eq!(
        found.secrets(),
        [
            "encryption secret in secrets.encryption",
            "signing key of tokens mas/rsa.pem",
            "signing key of tokens in secrets.keys[1].key",
            "secret shared with Synapse mas/shared",
            "password pepper in passwords.schemes[0].secret",
            "secret of an upstream provider in upstream_oauth2.providers[0].client_secret",
            "secret of an upstream provider mas/y.txt",
            "secret of a client in clients[0].client_secret",
            "mail password in email.password",
        ]
    );
    assert_eq!(found.notes(), ["the secret of an upstream provider mas/y.txt cannot be read"]);
    let parts = "\
database: {host: db, port: 5433, username: mas, password_file: word, database: auth}
secrets: {encryption_file: key, keys_dir: keys}
matrix: {secret: s}
";
    let files = [
        ("config.yaml", "database: {host: nowhere}\nhttp: {}\n"),
        ("more.yaml", parts),
        ("word", "secret word\n"),
        ("key", "00"),
        ("keys/rsa", ""),
    ];
    let found = Place::with(&files).find("{kind: mas, config: [config.yaml, more.yaml]}");
    assert_eq!(found.databases(), ["main postgres://mas@db:5433/auth"]);
    let mut secrets = found.component.secrets.iter();
    let shared = secrets.find(|secret| secret.setting.as_deref() == Some("matrix.secret")).unwrap();
    assert_eq!(found.short(&shared.path.display().to_string()), "more.yaml");
    assert_eq!(found.password(), Some("secret word"));
    assert_eq!(found.notes(), Vec::<String>::new());
    let expected =
        ["config config.yaml", "config more.yaml", "secrets key", "secrets keys", "secrets word"];
    assert_eq!(found.files(), expected);
}

#[test]
fn sydent_is_found_by_its_ini() {
    let conf = "[general]\ntemplates.path = res\n\
                [db]\ndb.file = data/sydent.db\n[crypto]\ned25519.signingkey = ed25519 0 x\n";
    let files = [("s/sydent.conf", conf), ("s/data/sydent.db", "")];
    let found = Place::with(&files).find("{kind: sydent, config: s/sydent.conf}");
    assert_eq!(found.databases(), ["main sqlite:s/data/sydent.db"]);
    assert_eq!(found.secrets(), ["signing key in crypto.ed25519.signingkey"]);
    assert_eq!(found.files(), ["config s/sydent.conf"]);
    assert_eq!(found.notes(), Vec::<String>::new());
    let found =
        Place::with(&[("sydent.conf", "[db]\n")]).find("{kind: sydent, config: sydent.conf}");
    assert_eq!(
        found.notes(),
        ["there is no SQLite database sydent.db", "crypto.ed25519.signingkey is empty"]
    );
}

#[test]
fn irc_bridge_is_found_on_postgresql_and_on_nedb() {
    let config = "\
database: {engine: postgres, connectionString: 'postgres://irc:w@db/irc'}
ircService: {passwordEncryptionKeyPath: passkey.pem, mediaProxy: {signingKeyPath: key.jwk}}
";
    let files = [
        ("config.yaml", config),
        ("passkey.pem", ""),
        ("key.jwk", ""),
        ("appservice-registration-irc.yaml", "id: irc"),
    ];
    let found = Place::with(&files).find("{kind: bridge, bridge: irc, config: config.yaml}");
    assert_eq!(found.component.name, "irc");
    assert_eq!(found.databases(), ["main postgres://irc@db:5432/irc"]);
    assert_eq!(
        found.secrets(),
        [
            "passkey.pem passkey.pem",
            "key of media links key.jwk",
            "registration appservice-registration-irc.yaml"
        ]
    );
    let nedb = "database: {engine: nedb, connectionString: 'nedb://data'}\n";
    let found = Place::with(&[("config.yaml", nedb), ("data/rooms.db", "")])
        .find("{kind: bridge, bridge: irc, config: config.yaml}");
    assert!(found.databases().is_empty());
    assert_eq!(found.files(), ["config config.yaml", "nedb data"]);
    assert_eq!(found.notes(), ["its registration was not found"]);
    // Where it runs elsewhere, it may lie beside the configuration all the same.
    let files = [("etc/irc.yaml", nedb), ("etc/registration.yaml", "id: irc"), ("run/data/x", "")];
    let found =
        Place::with(&files).find("{kind: bridge, bridge: irc, config: etc/irc.yaml, workdir: run}");
    assert_eq!(found.secrets(), ["registration etc/registration.yaml"]);
}

#[test]
fn bifrost_is_found_with_its_component_password() {
    let config = "\
datastore: {engine: postgres, connectionString: 'postgresql://b:w@db/bifrost'}
purple: {backend: xmpp-js, backendOpts: {service: 'xmpp://x', password: word}}
";
    let files = [("config.yaml", config), ("r.yaml", "id: x")];
    let found = Place::with(&files)
        .find("{kind: bridge, bridge: xmpp, config: config.yaml, registration: r.yaml}");
    assert_eq!(found.databases(), ["main postgres://b@db:5432/bifrost"]);
    assert_eq!(
        found.secrets(),
        ["password of the XMPP component in purple.backendOpts.password", "registration r.yaml"]
    );
}

#[test]
fn mautrix_is_found_in_all_three_generations() {
    let check = |config: &str, expected: &str| {
        let files = [("config.yaml", config), ("registration.yaml", "id: t"), ("t.db", "")];
        let found =
            Place::with(&files).find("{kind: bridge, bridge: telegram, config: config.yaml}");
        assert_eq!(found.databases(), [expected], "{config}");
    };
    check("appservice: {database: 'postgres://t:w@db/t'}", "main postgres://t@db:5432/t");
    check("appservice: {database: 'sqlite:///t.db'}", "main sqlite:t.db");
    check("appservice: {database: 'sqlite:////srv/t.db'}", "main sqlite:/srv/t.db");
    check(
        "appservice: {database: {type: postgres, uri: 'postgres://t:w@db/t?sslmode=disable'}}",
        "main postgres://t@db:5432/t",
    );
    check("appservice: {database: {type: sqlite3, uri: t.db}}", "main sqlite:t.db");
    check(
        "database: {type: sqlite3-fk-wal, uri: 'file:t.db?_txlock=immediate'}",
        "main sqlite:t.db",
    );
    check(
        "database: {type: sqlite3-fk-wal, uri: 'file:///srv/t.db?_txlock=immediate'}",
        "main sqlite:/srv/t.db",
    );
    check(
        "database: {type: sqlite3-fk-wal, uri: 'file:///srv/two%20words.db'}",
        "main sqlite:/srv/two words.db",
    );
    let config = "\
appservice: {as_token: a, hs_token: h, database: 'postgres://t@db/t'}
telegram: {api_id: 1, api_hash: x}
encryption: {pickle_key: generate}
provisioning: {shared_secret: disable}
";
    let files = [("config.yaml", config), ("registration.yaml", "id: t")];
    let found = Place::with(&files).find("{kind: bridge, bridge: telegram, config: config.yaml}");
    assert_eq!(
        found.secrets(),
        [
            "tokens of the application service in appservice.as_token",
            "Telegram API id and hash in telegram.api_hash",
            "registration registration.yaml"
        ]
    );
    assert_eq!(found.notes(), ["encryption.pickle_key is still `generate`"]);
}

#[test]
fn hookshot_is_found_with_its_keys_and_its_store() {
    let config = "passFile: ./passkey.pem\nencryption: {storagePath: /nowhere/store}\n";
    let files = [("config.yml", config), ("passkey.pem", ""), ("registration.yml", "id: h")];
    let found = Place::with(&files).find("{kind: bridge, bridge: hookshot, config: config.yml}");
    assert_eq!(found.secrets(), ["passkey passkey.pem", "registration registration.yml"]);
    assert!(found.files().contains(&"data /nowhere/store".to_owned()), "{:?}", found.files());
    assert_eq!(found.notes().len(), 2, "{:?}", found.notes());
}

#[test]
fn sliding_sync_is_found_in_its_environment() {
    let env = "SYNCV3_SERVER=http://s\nSYNCV3_SECRET=abc\n\
               SYNCV3_DB=user=sync dbname=syncv3 host=db password='w x'\n";
    let found = Place::with(&[("env", env)]).find("{kind: sliding_sync, env_file: env}");
    assert_eq!(found.databases(), ["main postgres://sync@db:5432/syncv3"]);
    assert_eq!(found.password(), Some("w x"));
    assert_eq!(found.secrets(), ["SYNCV3_SECRET in SYNCV3_SECRET"]);
    assert_eq!(found.files(), ["secrets env"]);
    let error = Place::with(&[("env", "A=1")]).read("{kind: sliding_sync, env_file: env}").err();
    assert!(error.unwrap().remedy().contains("SYNCV3_DB is not in its env_file"));
}

#[test]
fn bots_and_others_are_what_is_said_of_them() {
    let files = [("bot/login.json", ""), ("logs/a", ""), ("word", "x")];
    let found = Place::with(&files)
        .find("{kind: auditbot, paths: bot, logs: [logs], secrets: {passphrase: word}}");
    assert_eq!(found.files(), ["data bot", "logs logs", "secrets word"]);
    assert_eq!(found.secrets(), ["backup passphrase word"]);
    let sip = Place::with(&[("env", "PGHOST=db\nPGUSER=sip\nPGDATABASE=sip\nPGPASSWORD=w\n")])
        .find("{kind: bridge, bridge: sip, env_file: env}");
    assert_eq!(sip.databases(), ["main postgres://sip@db:5432/sip"]);
    assert_eq!(sip.password(), Some("w"));
    let error = Place::with(&[]).read("{kind: integrator}").err().unwrap();
    assert!(error.to_string().contains("database_url` is missing"), "{error}");
    let error = Place::with(&[]).read("{kind: adminbot}").err().unwrap();
    assert!(error.to_string().contains("paths` is missing"), "{error}");
    let lost = Place::with(&[]).find("{kind: files, paths: [gone]}");
    assert_eq!(lost.notes(), ["cannot look at gone: it is not there"]);
}

#[test]
fn what_lifeboat_yaml_says_of_the_database_counts() {
    let files = [("config.yaml", "database: {uri: 'postgres://mas@inside/mas'}\n")];
    let found = Place::with(&files)
        .find("{kind: mas, config: config.yaml, database_url: 'postgres://mas@outside/mas'}");
    assert_eq!(found.databases(), ["main postgres://mas@outside:5432/mas"]);
}

#[test]
fn mistake_in_the_configuration_of_a_component_names_both() {
    let files = [("config.yaml", "database: [a\n")];
    let error = Place::with(&files).read("{kind: mas, name: auth, config: config.yaml}").err();
    let error = error.unwrap();
    assert_eq!(error.to_string(), "the component `auth` cannot be used");
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert!(cause.contains("config.yaml:1:11: "), "{cause}");
}

#[test]
fn synapse_is_found_with_all_it_names() {
    let homeserver = "\
server_name: example.org
database: {name: psycopg2, args: {user: synapse, password: w, dbname: synapse, host: db}}
media_store_path: media
log_config: log.yaml
macaroon_secret_key_path: macaroon
password_config: {pepper: p}
app_service_config_files: [irc.yaml]
listeners:
  - {port: 9093, type: http, resources: [{names: [replication]}]}
  - {port: 8008, type: http, bind_addresses: ['::1'], resources: [{names: [client]}]}
";
    let files = [
        ("s/homeserver.yaml", homeserver),
        ("s/log.yaml", "version: 1"),
        ("s/macaroon", "x"),
        ("s/media/local_content/a", ""),
        ("s/example.org.signing.key", "ed25519 a_x AAAA"),
    ];
    let place = Place::with(&files);
    let found = place.find("{kind: synapse, config: s/homeserver.yaml}");
    assert_eq!(found.databases(), ["main postgres://synapse@db:5432/synapse"]);
    assert_eq!(
        found.secrets(),
        [
            "registration s/irc.yaml",
            "signing key s/example.org.signing.key",
            "macaroon secret s/macaroon",
            "password pepper in password_config.pepper"
        ]
    );
    assert!(found.notes()[0].contains("s/irc.yaml cannot be read"), "{:?}", found.notes());
    assert!(found.files().contains(&"config s/log.yaml".to_owned()), "{:?}", found.files());
    assert_eq!(found.component.media.as_ref().unwrap().store_path, place.0.path().join("s/media"));
    assert_eq!(found.component.commands.health_url.as_deref(), Some("http://[::1]:8008/health"));
    let split = homeserver.replace(
        "database: {name: psycopg2, args: {user: synapse, password: w, dbname: synapse, host: db}}",
        "databases:\n  \
         a: {name: psycopg2, data_stores: [main], args: {user: s, dbname: m, host: db}}\n  \
         b: {name: psycopg2, data_stores: [state], args: {user: s, dbname: st, host: db}}",
    );
    fs::write(place.0.path().join("s/homeserver.yaml"), split).unwrap();
    let found = place.find("{kind: synapse, config: s/homeserver.yaml}");
    assert_eq!(found.databases(), ["main postgres://s@db:5432/m", "state postgres://s@db:5432/st"]);
    let error =
        place.read("{kind: synapse, config: s/homeserver.yaml, database_url: 'postgres://s@db/m'}");
    assert!(error.err().unwrap().to_string().contains("this Synapse has two"));
}

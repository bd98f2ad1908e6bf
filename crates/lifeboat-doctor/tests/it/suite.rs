//! A whole suite: a real Synapse that runs, and the databases of MAS, the sliding sync proxy and
//! the IRC bridge with their tables as far as proofs ask them, filled with values that another
//! program sealed.

use std::fs;
use std::path::PathBuf;

use lifeboat_testing::{Role, World};

use super::*;

const MAS_KEY: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
const MAS_SEALED: &str = "ZGVmZ2hpamtsbW5vV33Sr/bRViGevWcahoDgdatnZoAp2Elb1nojDhU=";
const SYNC_SECRET: &str = "a test's sync secret";
const SYNC_SEALED: &str =
    "6465666768696a6b6c6d6e6f ffeeaa89befbc8483a49daec211fb9ef33e8284d165436527d";
const PASSKEY: &str = include_str!("../../../lifeboat-suite/fixtures/irc/passkey.pem");
const OTHER_PASSKEY: &str = include_str!("../../../lifeboat-suite/fixtures/irc/other.pem");
const PASSWORD: &str = include_str!("../../../lifeboat-suite/fixtures/irc/password.txt");

struct Suite {
    world: World,
    folder: tempfile::TempDir,
}

impl Suite {
    fn new() -> Self {
        let suite = Self { world: World::small().unwrap(), folder: tempfile::tempdir().unwrap() };
        fs::create_dir(suite.path("vault")).unwrap();
        suite.fill(
            "mas",
            &format!(
                "CREATE TABLE oauth2_clients (oauth2_client_id uuid PRIMARY KEY,
                                          encrypted_client_secret text);
             CREATE TABLE upstream_oauth_providers (upstream_oauth_provider_id uuid PRIMARY KEY,
                                                    encrypted_client_secret text);
             INSERT INTO oauth2_clients VALUES (gen_random_uuid(), NULL);
             INSERT INTO upstream_oauth_providers VALUES (gen_random_uuid(), '{MAS_SEALED}')"
            ),
        );
        suite.fill(
            "syncv3",
            &format!(
                "CREATE TABLE syncv3_sync2_tokens (
                 token_hash text PRIMARY KEY, token_encrypted text NOT NULL,
                 user_id text, device_id text, last_seen timestamptz);
             INSERT INTO syncv3_sync2_tokens VALUES ('h', '{SYNC_SEALED}', '@u:x', 'D', now())"
            ),
        );
        suite.fill(
            "irc",
            &format!(
            "CREATE TABLE client_config (user_id text, domain text, config text, password text);
             INSERT INTO client_config VALUES ('@u:x', 'irc.example', '{{}}', '{}')",
            PASSWORD.trim()
        ),
        );
        suite.write("passkey.pem", PASSKEY);
        suite.write("registration.yaml", "id: irc\nas_token: a\nhs_token: h\n");
        suite.configure(MAS_KEY, SYNC_SECRET);
        suite
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    fn role(&self) -> &Role {
        self.world.server.role()
    }

    fn fill(&self, database: &str, sql: &str) {
        self.world.cluster.create_database(database, self.role()).unwrap();
        let sql = format!("SET ROLE \"{}\"; {sql}", self.role().name);
        self.world.cluster.psql(database, &sql).unwrap();
    }

    /// The configurations of the components beside Synapse.
    fn configure(&self, mas_key: &str, sync_secret: &str) {
        let url = |database: &str| self.world.cluster.url(database, self.role());
        let mas = format!(
            "database: {{uri: '{}'}}\nsecrets:\n  encryption: '{mas_key}'\n  \
             keys: [{{key: inline}}]\nmatrix: {{secret: shared}}\n",
            url("mas")
        );
        self.write("mas.yaml", &mas);
        self.write(
            "sync.env",
            &format!("SYNCV3_DB={}\nSYNCV3_SECRET={sync_secret}\n", url("syncv3")),
        );
        let irc = format!(
            "database: {{engine: postgres, connectionString: '{}'}}\n\
             ircService: {{passwordEncryptionKeyPath: passkey.pem}}\n",
            url("irc")
        );
        self.write("irc.yaml", &irc);
    }

    /// Tells Synapse of a secret shared with MAS and of the bridge.
    fn introduce(&self, secret: &str, as_token: &str) {
        let registration = format!("id: irc\nas_token: {as_token}\nhs_token: h\n");
        self.write("synapse-irc.yaml", &registration);
        let more = format!(
            "matrix_authentication_service: {{enabled: true, secret: {secret}}}\n\
             app_service_config_files: [{}]\n",
            self.path("synapse-irc.yaml").display()
        );
        fs::write(self.world.server.directory().join("conf.d/99-suite.yaml"), more).unwrap();
    }

    async fn findings(&self) -> Findings {
        let paths: Vec<String> = self
            .world
            .server
            .config_paths()
            .iter()
            .map(|path| path.display().to_string())
            .collect();
        let components = format!(
            "  - {{kind: synapse, config: [{}]}}\n  - {{kind: mas, config: mas.yaml}}\n  \
             - {{kind: sliding_sync, env_file: sync.env}}\n  \
             - {{kind: bridge, bridge: irc, config: irc.yaml}}\n",
            paths.join(", ")
        );
        let name = self.world.server.server_name();
        examined(&installation(self.folder.path(), name, &components)).await
    }
}

#[tokio::test]
async fn suite_that_is_well_is_told_so_point_by_point() {
    let suite = Suite::new();
    suite.introduce("shared", "a");
    let findings = suite.findings().await;
    assert_eq!(findings.count(Severity::Failure), 0, "{:#?}", problems(&findings));
    for (component, says) in [
        ("synapse", "it is lifeboat.test"),
        ("synapse", "its newest events carry its key ed25519:"),
        ("synapse", "it publishes the key that is in its file"),
        ("synapse", "all its tables and sequences can be read"),
        ("mas", "its encryption secret opens what is stored"),
        ("mas", "shares its secret with synapse"),
        ("sliding_sync", "its SYNCV3_SECRET opens what is stored"),
        ("irc", "its passkey.pem opens what is stored"),
    ] {
        assert_eq!(finding(&findings, component, says).severity, Severity::Fine);
    }
}

#[tokio::test]
async fn secrets_that_do_not_fit_would_fail() {
    let suite = Suite::new();
    suite.introduce("another", "b");
    suite.configure(&MAS_KEY.replace('0', "f"), "another secret");
    suite.write("passkey.pem", OTHER_PASSKEY);
    // A key that its events and its neighbours do not know, as Synapse makes one when it is lost.
    let seed = "AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA";
    fs::write(suite.world.server.signing_key(), format!("ed25519 0 {seed}\n")).unwrap();
    let findings = suite.findings().await;
    for (component, says) in [
        ("synapse", "signed with another key"),
        ("synapse", "publishes another key"),
        ("mas", "its encryption secret does not fit its database"),
        ("mas", "its matrix.secret is not that of synapse"),
        ("sliding_sync", "its SYNCV3_SECRET does not fit its database"),
        ("irc", "its passkey.pem does not fit its database"),
        ("irc", "are not those in"),
    ] {
        assert_eq!(finding(&findings, component, says).severity, Severity::Failure, "{says}");
    }
    let insecure = finding(&findings, "synapse", "CVE-2026-24044");
    assert_eq!(insecure.severity, Severity::Warning);
    let told = format!("{findings:?}");
    for secret in ["another secret", seed, MAS_SEALED, PASSWORD.trim()] {
        assert!(!told.contains(secret), "{secret} is told: {told}");
    }
}

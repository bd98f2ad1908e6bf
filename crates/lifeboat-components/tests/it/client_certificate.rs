//! A database server that lets in only who shows a certificate.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use lifeboat_components::postgres::cut::Cut;
use lifeboat_components::postgres::schema_text::{PgDump, SearchPlaces, schema_text};
use lifeboat_components::synapse::config::database::{DatabaseError, DatabaseSettings};
use lifeboat_components::synapse::config::target::{DatabaseTarget, Surroundings};
use lifeboat_components::synapse::config::{ReadOptions, read};
use lifeboat_testing::{Cluster, Role, Scratch, Tools, install::Part, world::say_on_stderr};

const ROLE: &str = "sailor";

/// A database server with TLS that knows one authority, and the authority's certificates.
struct Guarded {
    cluster: Cluster,
    scratch: Scratch,
}

static GUARDED: LazyLock<Guarded> = LazyLock::new(|| {
    Tools::ready(&[Part::Postgres], &say_on_stderr).expect("PostgreSQL is installed");
    let scratch = Scratch::new("certificates").expect("a folder");
    let mut cluster = Cluster::start(scratch.path()).expect("a database server");
    let role = Role::named(ROLE);
    cluster.create_role(&role, false).expect("a role");
    cluster.create_database(ROLE, &role).expect("a database");
    let folder = scratch.path().to_owned();
    authority(&folder);
    signed(&folder, "server", "localhost", EC);
    signed(&folder, "sailor", ROLE, EC);
    signed(&folder, "pirate", "pirate", EC);
    signed(&folder, "rsa", ROLE, "-newkey rsa:2048");
    openssl(&folder, "ec -in sailor.key -out sec1.key");
    openssl(&folder, "rsa -traditional -in rsa.key -out pkcs1.key");
    openssl(&folder, "pkcs8 -topk8 -in sailor.key -out locked.key -passout pass:secret");
    for key in fs::read_dir(&folder).expect("a folder").flatten().map(|entry| entry.path()) {
        if key.extension().is_some_and(|extension| extension == "key") {
            fs::set_permissions(key, Permissions::from_mode(0o600)).expect("closed");
        }
    }
    only_with_certificates(&folder);
    cluster.restart().expect("it starts with TLS");
    Guarded { cluster, scratch }
});

const EC: &str = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1";

fn openssl(folder: &Path, words: &str) {
    let output = Command::new("openssl").args(words.split(' ')).current_dir(folder).output();
    let output = output.expect("openssl is there");
    assert!(output.status.success(), "openssl {words}: {output:?}");
}

fn authority(folder: &Path) {
    openssl(folder, &format!("req -x509 -nodes {EC} -keyout ca.key -out ca.crt -subj /CN=ours"));
    openssl(folder, &format!("req -x509 -nodes {EC} -keyout far.key -out far.crt -subj /CN=far"));
}

/// A key in PKCS#8, and a certificate for it that our authority signed.
fn signed(folder: &Path, name: &str, subject: &str, kind: &str) {
    fs::write(folder.join("names"), "subjectAltName=DNS:localhost,IP:127.0.0.1\n")
        .expect("written");
    let request =
        format!("req -nodes {kind} -keyout {name}.key -out {name}.csr -subj /CN={subject}");
    openssl(folder, &request);
    let sign = "-req -CA ca.crt -CAkey ca.key -CAcreateserial -extfile names";
    openssl(folder, &format!("x509 {sign} -in {name}.csr -out {name}.crt"));
}

fn only_with_certificates(folder: &Path) {
    let files = folder.join("pgdata");
    let owner = fs::metadata(&files).expect("the server's folder");
    for name in ["server.crt", "server.key", "ca.crt"] {
        let to = files.join(name);
        fs::copy(folder.join(name), &to).expect("copied");
        chown(&to, Some(owner.uid()), Some(owner.gid())).expect("given");
    }
    let who = "local all all trust\nhostssl all all 127.0.0.1/32 scram-sha-256 \
               clientcert=verify-full\n";
    fs::write(files.join("pg_hba.conf"), who).expect("written");
    let settings = files.join("postgresql.conf");
    let text = fs::read_to_string(&settings).expect("settings");
    fs::write(&settings, format!("{text}\nssl = on\nssl_ca_file = 'ca.crt'\n")).expect("written");
}

fn path(name: &str) -> PathBuf {
    GUARDED.scratch.path().join(name)
}

/// The words of a connection, less what they show and check.
fn words(more: &str) -> String {
    let Role { name, password } = Role::named(ROLE);
    let port = GUARDED.cluster.port();
    format!("host=127.0.0.1 port={port} user={name} password={password} dbname={name} {more}")
}

fn target(more: &str) -> DatabaseTarget {
    DatabaseTarget::parse(&words(more), &Surroundings::default()).expect("good words")
}

fn shown(certificate: &str, key: &str) -> String {
    let (certificate, key) = (path(certificate), path(key));
    let root = path("ca.crt");
    format!(
        "sslmode=verify-full sslrootcert={} sslcert={} sslkey={}",
        root.display(),
        certificate.display(),
        key.display()
    )
}

/// Whom the server saw; or what it, or we, had against it, with all causes.
#[tokio::main(flavor = "current_thread")]
async fn seen(target: &DatabaseTarget) -> Result<String, String> {
    let connector = target.connector().map_err(|e| chain(&e))?;
    let client = connector.connect().await.map_err(|e| chain(&e))?;
    let question = "SELECT client_dn FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
    let row = client.query_one(question, &[]).await.map_err(|e| chain(&e))?;
    Ok(row.get(0))
}

fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

#[test]
fn certificate_with_a_key_of_each_kind_is_let_in() {
    for (certificate, key, head) in [
        ("sailor.crt", "sailor.key", "-----BEGIN PRIVATE KEY-----"),
        ("sailor.crt", "sec1.key", "-----BEGIN EC PRIVATE KEY-----"),
        ("rsa.crt", "rsa.key", "-----BEGIN PRIVATE KEY-----"),
        ("rsa.crt", "pkcs1.key", "-----BEGIN RSA PRIVATE KEY-----"),
    ] {
        let pem = fs::read_to_string(path(key)).expect("a key");
        assert!(pem.starts_with(head), "{key}");
        assert_eq!(seen(&target(&shown(certificate, key))).as_deref(), Ok("/CN=sailor"), "{key}");
    }
}

#[test]
fn who_shows_nothing_or_another_name_is_not_let_in() {
    let nothing = format!("sslmode=require sslrootcert={}", path("ca.crt").display());
    let error = seen(&target(&nothing)).expect_err("no certificate");
    assert!(error.contains("certificate"), "{error}");
    let error = seen(&target(&shown("pirate.crt", "pirate.key"))).expect_err("another's name");
    assert!(error.contains("authentication failed"), "{error}");
    let off = format!("{} sslcertmode=disable", shown("sailor.crt", "sailor.key"));
    seen(&target(&off)).expect_err("told not to show it");
    // As libpq: a certificate that is not there is not shown.
    seen(&target(&shown("absent.crt", "sailor.key"))).expect_err("no certificate");
}

#[test]
fn server_of_another_authority_gets_neither_certificate_nor_password() {
    let far = shown("sailor.crt", "sailor.key").replace("ca.crt", "far.crt");
    let error = seen(&target(&far)).expect_err("an unknown server");
    assert!(error.contains("UnknownIssuer") || error.contains("BadSignature"), "{error}");
}

#[test]
fn key_that_others_can_read_is_refused_as_libpq_does() {
    let open = path("open.key");
    fs::copy(path("sailor.key"), &open).expect("copied");
    let is_ours = fs::metadata(&open).expect("a file").uid() != 0;
    // A key of root may be readable to its group.
    for (mode, refused) in [(0o600, false), (0o400, false), (0o640, is_ours), (0o644, true)] {
        fs::set_permissions(&open, Permissions::from_mode(mode)).expect("mode set");
        let found = target(&shown("sailor.crt", "open.key")).connector().err();
        match found {
            Some(DatabaseError::ClientKeyOpen { path }) => {
                assert!(refused, "{mode:o}");
                assert_eq!(path, open.display().to_string());
            }
            Some(other) => panic!("{mode:o}: {}", chain(&other)),
            None => assert!(!refused, "{mode:o}"),
        }
    }
}

#[test]
fn key_that_cannot_be_used_is_named_and_not_quoted() {
    let refused = |certificate: &str, key: &str| {
        let found = target(&shown(certificate, key)).connector().err();
        chain(&found.unwrap_or_else(|| panic!("{certificate}, {key}")))
    };
    assert!(refused("sailor.crt", "pirate.key").contains("not that of its certificate"));
    assert!(refused("sailor.crt", "locked.key").contains("without a passphrase"));
    assert!(refused("sailor.crt", "absent.key").contains("absent.key"));
    assert!(refused("sailor.key", "sailor.key").contains("holds no certificate"));
}

#[test]
fn synapse_settings_name_certificate_and_key_from_its_own_folder() {
    let folder = GUARDED.scratch.path();
    let port = GUARDED.cluster.port();
    let Role { name, password } = Role::named(ROLE);
    let yaml = format!(
        "server_name: guarded.test\ndatabase:\n  name: psycopg2\n  args:\n    user: {name}\n    \
         password: {password}\n    dbname: {name}\n    host: localhost\n    \
         hostaddr: 127.0.0.1\n    port: {port}\n    sslmode: verify-full\n    \
         sslrootcert: ca.crt\n    \
         sslcert: sailor.crt\n    sslkey: sailor.key\n"
    );
    fs::write(folder.join("homeserver.yaml"), yaml).expect("written");
    let options = ReadOptions::of(folder);
    let config = read(&[PathBuf::from("homeserver.yaml")], &options).expect("can be read");
    let DatabaseSettings { databases } =
        config.databases(&Surroundings::default()).expect("a database");
    assert_eq!(seen(&databases[0].target).as_deref(), Ok("/CN=sailor"));
}

#[test]
fn certificate_in_the_home_folder_is_shown_as_libpq_does() {
    let home = GUARDED.scratch.path().join("home");
    let folder = home.join(".postgresql");
    fs::create_dir_all(&folder).expect("a folder");
    let files = [("sailor.crt", "postgresql.crt"), ("sailor.key", "postgresql.key")];
    for (from, to) in files.into_iter().chain([("ca.crt", "root.crt")]) {
        fs::copy(path(from), folder.join(to)).expect("copied");
    }
    let around = Surroundings { home: Some(home), ..Surroundings::default() };
    let target = DatabaseTarget::parse(&words("sslmode=verify-ca"), &around).expect("good words");
    assert_eq!(seen(&target).as_deref(), Ok("/CN=sailor"));
}

#[tokio::main(flavor = "current_thread")]
async fn schema(target: &DatabaseTarget) -> Result<String, String> {
    let connector = target.connector().map_err(|e| chain(&e))?;
    let cut = Cut::open(&connector).await.map_err(|e| chain(&e))?;
    let program = PgDump::find(150_000, &SearchPlaces::default()).await.map_err(|e| chain(&e))?;
    Ok(schema_text(&cut, &program).await.map_err(|e| chain(&e))?.before)
}

#[test]
fn program_that_writes_the_schema_shows_the_same_certificate_and_checks_as_we_do() {
    let text = schema(&target(&shown("sailor.crt", "sailor.key"))).unwrap();
    assert!(text.contains("PostgreSQL database dump"), "{text}");
    let text = schema(&target(&shown("rsa.crt", "pkcs1.key"))).unwrap();
    assert!(text.contains("PostgreSQL database dump"), "{text}");
}

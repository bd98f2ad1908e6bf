//! Connection strings, password files, and what libpq makes of them.

use std::path::PathBuf;

use tokio_postgres::config::{Host, SslMode};

use lifeboat_components::synapse::config::conninfo::{self, ConninfoError};
use lifeboat_components::synapse::config::database::DatabaseError;
use lifeboat_components::synapse::config::passfile::{self, Login};
use lifeboat_components::synapse::config::target::{
    DatabaseHost, DatabaseTarget, HostPlace, Surroundings, TlsMode,
};

fn pairs(text: &str) -> Vec<(String, String)> {
    let found = conninfo::parse(text).expect("a good string");
    found.into_iter().map(|(key, value)| (key, value.expose().to_owned())).collect()
}

fn check(text: &str, expected: &[(&str, &str)]) {
    let expected: Vec<_> =
        expected.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    assert_eq!(pairs(text), expected, "{text}");
}

fn around() -> Surroundings {
    Surroundings { user: Some("me".to_owned()), ..Surroundings::default() }
}

fn target(text: &str) -> DatabaseTarget {
    DatabaseTarget::parse(text, &around()).expect("a good string")
}

fn refusal(text: &str) -> DatabaseError {
    DatabaseTarget::parse(text, &Surroundings::default()).err().expect("must be refused")
}

#[test]
fn words_are_read_as_libpq_reads_them() {
    check("", &[]);
    check(" host = a  port=5433 ", &[("host", "a"), ("port", "5433")]);
    check(r"password='it\'s \\ x' user=u", &[("password", r"it's \ x"), ("user", "u")]);
    check(r"password=a\ b dbname=''", &[("dbname", ""), ("password", "a b")]);
}

#[test]
fn addresses_are_read_as_libpq_reads_them() {
    check(
        "postgres://u:p%40ss@h:5433/db?sslmode=require&connect_timeout=3",
        &[
            ("connect_timeout", "3"),
            ("dbname", "db"),
            ("host", "h"),
            ("password", "p@ss"),
            ("port", "5433"),
            ("sslmode", "require"),
            ("user", "u"),
        ],
    );
    check("postgresql://%2Frun%2Fpg/db", &[("dbname", "db"), ("host", "/run/pg")]);
    check("postgres:///db?host=/run/pg", &[("dbname", "db"), ("host", "/run/pg")]);
    check("postgres://a,[::1]:7/db", &[("dbname", "db"), ("host", "a,::1"), ("port", ",7")]);
    check("postgres://", &[]);
}

#[test]
fn broken_strings_are_refused() {
    let refused = |text: &str| conninfo::parse(text).err();
    assert_eq!(refused("host"), Some(ConninfoError::NoValue { at: 0 }));
    assert_eq!(refused("a=1 nonsense"), Some(ConninfoError::NoValue { at: 4 }));
    assert_eq!(refused("a='x"), Some(ConninfoError::Quote));
    assert_eq!(refused("a=x\\"), Some(ConninfoError::Quote));
    assert_eq!(refused("postgres://h/%4"), Some(ConninfoError::Percent));
    assert_eq!(refused("postgres://h/%ff"), Some(ConninfoError::Percent));
    assert_eq!(refused("postgres://[::1/db"), Some(ConninfoError::Bracket));
    assert_eq!(refused(&"x".repeat(70_000)), Some(ConninfoError::TooLong));
}

#[test]
fn nothing_given_means_the_sockets_and_the_login_name() {
    let target = target("");
    assert_eq!((target.user.as_str(), target.dbname.as_str()), ("me", "me"));
    let socket =
        |folder: &str| DatabaseHost { place: HostPlace::Socket(PathBuf::from(folder)), port: 5432 };
    assert_eq!(target.hosts, [socket("/var/run/postgresql"), socket("/tmp")]);
    assert!(target.password.is_none());
}

#[test]
fn several_hosts_share_or_split_their_ports() {
    let ports = |text: &str| target(text).hosts.iter().map(|host| host.port).collect::<Vec<_>>();
    assert_eq!(ports("host=a,b port=1,2"), [1, 2]);
    assert_eq!(ports("host=a,b port=3"), [3, 3]);
    assert_eq!(ports("host=a,b"), [5432, 5432]);
    assert!(matches!(refusal("user=u host=a,b port=1,2,3"), DatabaseError::Uneven));
    assert!(matches!(refusal("user=u host=a,b hostaddr=127.0.0.1,"), DatabaseError::Uneven));
}

#[test]
fn driver_configuration_carries_everything() {
    let text = "host=a,/run/pg port=1,2 user=u dbname=d password=p sslmode=verify-full \
                connect_timeout=1 options='-c x=y' application_name=z krbsrvname=x \
                sslcert=c sslkey=k";
    let target = target(text);
    let config = target.configure().expect("good parameters");
    let hosts = [Host::Tcp("a".to_owned()), Host::Unix(PathBuf::from("/run/pg"))];
    assert_eq!(config.get_hosts(), hosts);
    assert_eq!(config.get_ports(), [1, 2]);
    assert_eq!(config.get_password(), Some(b"p".as_slice()));
    assert_eq!(config.get_ssl_mode(), SslMode::Require);
    assert_eq!(config.get_options(), Some("-c x=y"));
    assert_eq!(config.get_connect_timeout().map(std::time::Duration::as_secs), Some(2));
    assert_eq!(target.tls.mode, TlsMode::VerifyFull);
    let identity = target.tls.identity.expect("what we show");
    assert_eq!((identity.certificate, identity.key), (PathBuf::from("c"), PathBuf::from("k")));
    assert_eq!(target.ignored, ["krbsrvname"]);
}

#[test]
fn parameters_that_cannot_be_met_are_refused() {
    assert!(matches!(refusal("host=a"), DatabaseError::NoUser));
    assert!(matches!(refusal("service=x"), DatabaseError::Unsupported { .. }));
    assert!(matches!(refusal("user=u host=@abstract"), DatabaseError::Unsupported { .. }));
    for bad in ["port=x", "port=70000", "sslmode=maybe", "connect_timeout=soon", "keepalives=on"] {
        let error = refusal(&format!("user=u {bad}"));
        assert!(matches!(error, DatabaseError::Value { .. }), "{bad}");
    }
    let unchecked = target("sslmode=verify-ca").connector().err();
    assert!(matches!(unchecked, Some(DatabaseError::NoRootCertificate)));
    let absent = target("sslmode=verify-ca sslrootcert=/no/such").connector().err();
    assert!(matches!(absent, Some(DatabaseError::RootCertificate { .. })));
}

#[test]
fn password_file_gives_the_first_line_that_fits() {
    let file = "# remark\nh:5432:db:other:no\nh:*:db:u:first\n*:*:*:*:a\\:b\\\\c\nbad line\n";
    let look = |host, user| {
        let login = Login { host, port: 5432, dbname: "db", user };
        passfile::find(file, &login).map(|password| password.expose().to_owned())
    };
    assert_eq!(look("h", "u").as_deref(), Some("first"));
    assert_eq!(look("h", "other").as_deref(), Some("no"));
    assert_eq!(look("x", "u").as_deref(), Some("a:b\\c"));
    let none = Login { host: "h", port: 1, dbname: "db", user: "u" };
    assert!(passfile::find("h:2:db:u:p\n", &none).is_none());
}
